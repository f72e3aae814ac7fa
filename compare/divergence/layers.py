"""Models against the whole truth and against its crowd, side by side: each with its own noise floor.

A few dozen whales make half of a real map, and another draw of them would have put it elsewhere. What a model can learn
is the crowd's; a score against the crowd says how well it did, one against the whole what that is worth to a trader.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from liqtruth.compare.conclusion import CROWD, RAW, Barred, passes
from liqtruth.compare.divergence.no_information import null_of
from liqtruth.compare.statistics.effective_sample_size import ENOUGH, Granularity, granularity, mean_floor_pct
from liqtruth.compare.statistics.scores import Scores, score
from liqtruth.compare.statistics.skill import Gap, skill, widest_gaps
from liqtruth.heatmap.heatmap import Heatmap


@dataclass(frozen=True)
class LayerScore:
    """One model against one layer of the truth; `skill` is that of the mean Wasserstein-1 of both sides. It ranks the
    model only where `ranked`."""

    label: str
    scores: Scores
    skill: float | None
    ranked: bool = True
    gaps: tuple[Gap, ...] = ()


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
    raw: Heatmap,
    crowd: Heatmap,
    models: Sequence[Heatmap],
    range_pct: float,
    bars: Sequence[Barred | None] = (),
) -> tuple[LayerResult, ...]:
    """The whole map's scores, then the crowd's; both are exact maps of the same reading. `bars` say per model why it is
    not ranked; by default all are."""
    held = bars or [None] * len(models)
    return tuple(
        layer_result(name, truth, models, range_pct, held) for name, truth in ((RAW, raw), (CROWD, crowd))
    )


def layer_result(
    name: str, truth: Heatmap, models: Sequence[Heatmap], range_pct: float, bars: Sequence[Barred | None]
) -> LayerResult:
    """All models against one truth."""
    grains = granularity(truth, range_pct)
    null = score(truth, null_of(truth), range_pct)
    enough = passes(grains)
    return LayerResult(
        layer=name,
        granularity=grains,
        noise_floor_pct=mean_floor_pct(grains),
        enough=enough,
        says=_says(name, grains, enough),
        null_scores=null,
        models=tuple(
            _scored(truth, model, range_pct, null, ranked=enough and bar is None)
            for model, bar in zip(models, bars, strict=True)
        ),
    )


def _scored(truth: Heatmap, model: Heatmap, range_pct: float, null: Scores, *, ranked: bool) -> LayerScore:
    found = score(truth, model, range_pct)
    gained = skill(found.wasserstein_pct, null.wasserstein_pct)
    return LayerScore(model.label, found, gained, ranked, widest_gaps(truth, model, range_pct))


def _says(name: str, grains: Sequence[Granularity], enough: bool) -> str:
    """Whether the layer passes the gate of claims about shape."""
    numbers = " and ".join(f"{side.effective_least:.0f} {side.side}s" for side in grains)
    if enough:
        return f"{name}: enough positions for claims about shape (effective {numbers}; {ENOUGH:.0f} a side are needed)"
    return (
        f"{name}: too few positions for any claim about shape (effective {numbers}; {ENOUGH:.0f} a side are needed): "
        "scores here rank no model"
    )
