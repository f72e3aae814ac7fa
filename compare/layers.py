"""Models against the whole truth and against its crowd, side by side: each with its own noise floor.

A few dozen whales make half of a real map, and another draw of them would have put it elsewhere. What a model can learn
is the crowd's; a score against the crowd says how well it did, one against the whole what that is worth to a trader.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from compare.granularity import ENOUGH, Granularity, granularity, mean_floor_pct
from compare.judging import skill
from compare.null import null_of
from compare.scores import Scores, score
from heatmap.heatmap import Heatmap

RAW: Final = "raw"
CROWD: Final = "crowd"


@dataclass(frozen=True)
class LayerScore:
    """One model against one layer of the truth; `skill` is that of the mean Wasserstein-1 of both sides."""

    label: str
    scores: Scores
    skill: float | None


@dataclass(frozen=True)
class LayerResult:
    """All models against one layer. `enough` where it rests on so many positions that its shape can be claimed, which
    `says` puts in words."""

    layer: str
    granularity: tuple[Granularity, ...]
    noise_floor_pct: float | None
    enough: bool
    says: str
    null_scores: Scores
    models: tuple[LayerScore, ...]

    @property
    def effective(self) -> str:
        """`155 / 159`: effective numbers of longs and shorts, at least."""
        return " / ".join(f"{side.effective_least:.0f}" for side in self.granularity)


def layer_results(
    raw: Heatmap, crowd: Heatmap, models: Sequence[Heatmap], range_pct: float
) -> tuple[LayerResult, ...]:
    """The whole map's scores, then the crowd's; both are exact maps of the same reading."""
    return tuple(_result(name, truth, models, range_pct) for name, truth in ((RAW, raw), (CROWD, crowd)))


def crowd_sentence(layers: Sequence[LayerResult]) -> str:
    """The best model against the crowd, where only the crowd's shape can be claimed; empty elsewhere."""
    crowd = next((layer for layer in layers if layer.layer == CROWD and layer.enough), None)
    if crowd is None or any(layer.enough for layer in layers if layer.layer == RAW):
        return ""
    scored = {row.label: row.scores.wasserstein_pct for row in crowd.models}
    known = {label: off for label, off in scored.items() if off is not None}
    if not known or crowd.noise_floor_pct is None:
        return ""
    best = min(known, key=known.__getitem__)
    return (
        f"Against its crowd, which rests on enough, the nearest is {best}: off by {known[best]:.1f} % "
        f"(a perfect model by about {crowd.noise_floor_pct:.1f} %)."
    )


def _result(name: str, truth: Heatmap, models: Sequence[Heatmap], range_pct: float) -> LayerResult:
    grains = granularity(truth, range_pct)
    null = score(truth, null_of(truth), range_pct)
    scored = [(model.label, score(truth, model, range_pct)) for model in models]
    enough = bool(grains) and all(side.effective_least >= ENOUGH for side in grains)
    return LayerResult(
        layer=name,
        granularity=grains,
        noise_floor_pct=mean_floor_pct(grains),
        enough=enough,
        says=_says(name, grains, enough),
        null_scores=null,
        models=tuple(
            LayerScore(label, found, skill(found.wasserstein_pct, null.wasserstein_pct))
            for label, found in scored
        ),
    )


def _says(name: str, grains: Sequence[Granularity], enough: bool) -> str:
    """Whether the layer passes the gate of claims about shape."""
    numbers = " and ".join(f"{side.effective_least:.0f} {side.side}s" for side in grains)
    if enough:
        return f"{name}: enough positions for claims about shape (effective {numbers}; {ENOUGH:.0f} a side are needed)"
    return (
        f"{name}: too few positions for any claim about shape (effective {numbers}; {ENOUGH:.0f} a side are needed): "
        "scores here rank no model"
    )
