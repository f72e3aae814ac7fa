"""The part of a map that a picture shows: prices around the mark that hold most of the mass, in visible bins."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.heatmap import Heatmap

SHOWN_SHARE: Final = 0.90
LEAST_REACH_PCT: Final = 10.0


@dataclass(frozen=True)
class View:
    """Bars of a picture: `edges` ascending (one more than the bars), mass per side, positions where known."""

    edges: FloatArray
    long_usd: FloatArray
    short_usd: FloatArray
    positions: FloatArray | None

    @property
    def centers(self) -> FloatArray:
        return np.asarray(np.sqrt(self.edges[:-1] * self.edges[1:]), dtype=np.float64)

    @property
    def empty(self) -> bool:
        return not (self.long_usd.any() or self.short_usd.any())


def reach_bins(heatmap: Heatmap, share: float = SHOWN_SHARE) -> int:
    """Bins each way that hold `share` of either side's in-grid mass, at least 10 percent of price."""
    middle = heatmap.grid.bins_each_way
    needed = int(np.ceil(np.log1p(LEAST_REACH_PCT / 100) / heatmap.grid.log_width))
    for mass in (heatmap.long_usd[:middle][::-1], heatmap.short_usd[middle:]):
        if mass.any():
            needed = max(needed, int(np.searchsorted(np.cumsum(mass), share * mass.sum())) + 2)
    return min(needed, middle)


def zoomed(heatmap: Heatmap, bars_each_way: int) -> View:
    """Pool bins into at most `bars_each_way` bars on either side of the mark; whole bins only, so exact.

    The outermost bars may reach past the grid, where no mass is.
    """
    wanted = reach_bins(heatmap)
    pooled = max(1, int(np.ceil(wanted / bars_each_way)))
    bars = int(np.ceil(wanted / pooled))
    steps = np.arange(-bars, bars + 1) * pooled
    counts = position_counts(heatmap)
    return View(
        edges=np.asarray(heatmap.mark_px * np.exp(steps * heatmap.grid.log_width), dtype=np.float64),
        long_usd=_pool(heatmap.long_usd, bars, pooled),
        short_usd=_pool(heatmap.short_usd, bars, pooled),
        positions=None if counts is None else _pool(counts, bars, pooled),
    )


def position_counts(heatmap: Heatmap) -> FloatArray | None:
    """Positions per bin; null where a map does not know."""
    if heatmap.source != "exact" or heatmap.breakdown is None:
        return None
    rows = heatmap.breakdown.drop_nulls("bin")
    bins = np.clip(rows["bin"].to_numpy() + 1, 0, heatmap.grid.bins + 1)
    return np.bincount(bins, rows["positions"].to_numpy(), heatmap.grid.bins + 2)[1:-1].astype(np.float64)


def _pool(mass: FloatArray, bars: int, pooled: int) -> FloatArray:
    """Sums of `pooled` bins, `bars` of them on either side of the middle."""
    middle, reach = mass.size // 2, bars * pooled
    beyond = max(reach - middle, 0)
    window = np.pad(mass, beyond)[middle + beyond - reach : middle + beyond + reach]
    return np.asarray(window.reshape(-1, pooled).sum(axis=1), dtype=np.float64)
