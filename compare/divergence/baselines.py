"""Scores of maps that anyone has for free: a map that is worth looking at is nearer to the truth than they are.

They stand beside the no-information baseline and are never ranked among the maps that are compared.
"""

from collections.abc import Iterable, Sequence

from liqtruth.compare.conclusion import Rival, rivals_of
from liqtruth.compare.divergence.divergence import BaselineResult, LayerResult, LayerScore
from liqtruth.compare.imported.overlap import common_reach, cut
from liqtruth.compare.statistics.scores import Scores, score, skill
from liqtruth.heatmap.heatmap import Heatmap


def scored_baselines(
    truth: Heatmap, maps: Sequence[Heatmap], baselines: Sequence[Heatmap], range_pct: float
) -> tuple[tuple[Heatmap, Scores], ...]:
    """Scores of the baselines, cut to what all of `maps` cover, which they do not narrow."""
    reach = common_reach(truth, *maps)
    return tuple((one, score(truth, cut(one, reach), range_pct)) for one in baselines)


def baseline_results(
    scored: Iterable[tuple[Heatmap, Scores]], null: Scores, *, ranked: bool
) -> tuple[BaselineResult, ...]:
    """As a divergence has them."""
    return tuple(
        BaselineResult(
            one.model,
            one.label,
            found,
            skill(found.wasserstein_pct, null.wasserstein_pct),
            one.assumptions,
            ranked,
        )
        for one, found in scored
    )


def layer_scores(
    scored: Iterable[tuple[Heatmap, Scores]], null: Scores, *, ranked: bool
) -> tuple[LayerScore, ...]:
    """As a layer has them."""
    return tuple(
        LayerScore(one.label, found, skill(found.wasserstein_pct, null.wasserstein_pct), ranked)
        for one, found in scored
    )


def rivals(
    speaking: str | None,
    results: Sequence[BaselineResult],
    layers: Sequence[LayerResult],
    best_pct: float | None,
) -> tuple[Rival, ...]:
    """How the baselines stand to the best map on the layer that speaks; none where no layer may."""
    if speaking is None or best_pct is None:
        return ()
    layer = next((one for one in layers if one.layer == speaking), None)
    scores = [one.scores for one in (results if layer is None else layer.baselines)]
    pairs = zip(results, scores, strict=True)
    return rivals_of([(one.model, found.wasserstein_pct) for one, found in pairs], best_pct)
