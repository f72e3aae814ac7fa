"""The map that knows nothing but the mark: the least that a model has to beat."""

from typing import Final

import numpy as np

from liqtruth.compare.statistics.distances import RANGE_PCT
from liqtruth.heatmap.grid import FloatArray, PriceGrid
from liqtruth.heatmap.heatmap import Coverage, Heatmap
from liqtruth.heatmap.levels import Sides
from liqtruth.heatmap.notes import note

MODEL: Final = "distance-only"
LABEL: Final = "knows only the mark"
ASSUMED: Final = note("distance_only", within_pct=RANGE_PCT)
SAYS: Final = ASSUMED.text


def null_of(heatmap: Heatmap) -> Heatmap:
    """The null map around this map's mark: half of its mass on each side, spread evenly by distance in percent.

    The default grid, not the map's own: neither bins nor reach of the truth may leak into what knows nothing. How
    the truth splits into sides does not either, hence the halves.
    """
    grid = PriceGrid.around(heatmap.mark_px)
    half_usd = heatmap.in_grid_usd.total / 2
    distance = np.abs(np.clip(grid.edges / grid.mark_px - 1, -RANGE_PCT / 100, RANGE_PCT / 100))
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
        assumptions=(ASSUMED,),
    )


def _spread(width: FloatArray, mass_usd: float) -> FloatArray:
    return np.asarray(width / width.sum() * mass_usd, dtype=np.float64)
