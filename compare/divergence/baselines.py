"""Maps that anyone has for free and their scores: a map that is worth looking at is nearer to the truth than they are.

The no-information baseline knows nothing but the mark (`null_of`); the others stand beside it and are never ranked
among the maps that are compared.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from liqtruth.compare.conclusion.conclusion import rivals_of
from liqtruth.compare.conclusion.records import Rival
from liqtruth.compare.divergence.records import BaselineResult, LayerResult, LayerScore
from liqtruth.compare.imported.overlap import common_reach, cut
from liqtruth.compare.statistics.distances import RANGE_PCT, once_per_map
from liqtruth.compare.statistics.scores import Scores, score, skill
from liqtruth.heatmap.grid import FloatArray, PriceGrid
from liqtruth.heatmap.heatmap import Coverage, Heatmap
from liqtruth.heatmap.levels import Sides
from liqtruth.heatmap.words.notes import note

MODEL: Final = "distance-only"
LABEL: Final = "knows only the mark"
ASSUMED: Final = note("distance_only", within_pct=RANGE_PCT)
SAYS: Final = ASSUMED.text


@once_per_map
def null_of(heatmap: Heatmap) -> Heatmap:
    """The null map around this map's mark: half of its mass on each side, spread evenly by distance in percent.

    The default grid, not the map's own: neither bins nor reach of the truth may leak into what knows nothing. How
    the truth splits into sides does not either, hence the halves.
    """
    grid = PriceGrid.around(heatmap.mark_px)
    half_usd = heatmap.in_grid_usd.total / 2
    low, high = _range(heatmap)
    distance = np.abs(np.clip(grid.edges / grid.mark_px - 1, low, high))
    width = np.abs(np.diff(distance))
    below = np.arange(grid.bins) < grid.bins_each_way
    return Heatmap(
        coin=heatmap.coin,
        venue="null",
        source="modelled",
        model=MODEL,
        as_of=heatmap.as_of,
        grid=grid,
        long_usd=_spread(width * below, half_usd),
        short_usd=_spread(width * ~below, half_usd),
        beyond_usd=Sides(0.0, 0.0),
        never_usd=Sides(0.0, 0.0),
        coverage=Coverage(open_interest_usd=None, seen_usd=Sides(half_usd, half_usd)),
        assumptions=(
            ASSUMED if heatmap.covers is None else note("distance_only", within_pct=100 * max(-low, high)),
        ),
    )


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


def _range(heatmap: Heatmap) -> tuple[float, float]:
    """Signed ends of what is scored, as shares of the mark: those of the map where it covers less."""
    end = RANGE_PCT / 100
    if heatmap.covers is None:
        return -end, end
    low, high = (px / heatmap.mark_px - 1 for px in heatmap.covers)
    return max(low, -end), min(high, end)


def _spread(width: FloatArray, mass_usd: float) -> FloatArray:
    """Nothing on a side that is not covered."""
    whole = width.sum()
    return np.asarray(width / whole * mass_usd if whole > 0 else width, dtype=np.float64)
