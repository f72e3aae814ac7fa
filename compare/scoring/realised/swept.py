"""What a map says that a move liquidates: the mass between the mark and a price, at many moments at once.

Within a bin mass is spread evenly in log price; in the mark's own bin between the mark and the bin's far edge. Shorts
are longs on the mirrored axis.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from liqtruth.estimator.model.baselines import uniform_share
from liqtruth.heatmap.grid import FloatArray, IntArray, PriceGrid
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.series import HeatmapSeries

SweptUsd = Callable[[str, IntArray, FloatArray], FloatArray]
"""Of a side, moments (by place) and prices: USD between each moment's mark and the price."""


@dataclass(frozen=True, eq=False)
class _Rising:
    """Mass per moment on an axis of bins that rises towards the mark, which is at `mark` bins."""

    mass: FloatArray
    risen: FloatArray
    mark: FloatArray

    def until(self, moment: IntArray, place: FloatArray) -> FloatArray:
        """Between the mark and `place`, in bins; nothing where `place` is behind the mark."""
        last = self.mass.shape[1] - 1
        mark = self.mark[moment]
        at = np.minimum(np.clip(place, 0.0, last + 1.0), mark)
        own = np.minimum(np.floor(mark), last).astype(np.int64)
        bin_ = np.minimum(np.floor(at).astype(np.int64), own)
        within = at - bin_
        share = np.where(bin_ == own, within / np.maximum(mark - own, 1e-12), within)
        share = np.where(place >= mark, 1.0, np.clip(share, 0.0, 1.0))
        below = self.risen[moment, bin_] + self.mass[moment, bin_] * share
        left = np.where(place >= mark, 0.0, self.risen[moment, own + 1] - below)
        return np.maximum(left, 0.0)


def swept_by(grid: PriceGrid, long_usd: FloatArray, short_usd: FloatArray, mark_px: FloatArray) -> SweptUsd:
    """Of maps of shape (moments, bins) on one grid."""
    mark = _place(grid, mark_px)
    sides = {
        "long": _rising(long_usd, mark),
        "short": _rising(short_usd[:, ::-1], grid.bins - mark),
    }

    def swept(side: str, moment: IntArray, px: FloatArray) -> FloatArray:
        place = _place(grid, px)
        return sides[side].until(moment, place if side == "long" else grid.bins - place)

    return swept


def swept_by_series(series: HeatmapSeries, mark_px: FloatArray) -> SweptUsd:
    """From these marks, which may be later than the maps' own."""
    return swept_by(series.grid, series.long_usd, series.short_usd, mark_px)


def swept_by_map(heatmap: Heatmap) -> SweptUsd:
    """Of one map: the only moment is 0."""
    mark = np.array([heatmap.mark_px])
    return swept_by(heatmap.grid, heatmap.long_usd[None, :], heatmap.short_usd[None, :], mark)


def swept_by_distance(mark_px: FloatArray, side_usd: FloatArray) -> SweptUsd:
    """Of the baseline `uniform`, which knows the mark and how much is open: `side_usd` per moment."""

    def swept(side: str, moment: IntArray, px: FloatArray) -> FloatArray:
        away = np.log(mark_px[moment] / px) * (1 if side == "long" else -1)
        return np.asarray(side_usd[moment] * uniform_share(away))

    return swept


def held_usd(series: HeatmapSeries) -> FloatArray:
    """Open interest of each moment; where it is not known, half of what is on the map."""
    on_map = (np.nan_to_num(series.long_usd) + np.nan_to_num(series.short_usd)).sum(axis=1) / 2
    known = [each.open_interest_usd if each else None for each in series.coverage]
    return np.array([half if usd is None else usd for usd, half in zip(known, on_map, strict=True)])


def _rising(mass: FloatArray, mark: FloatArray) -> _Rising:
    known = np.nan_to_num(mass)
    return _Rising(known, np.concatenate([np.zeros((len(known), 1)), np.cumsum(known, axis=1)], axis=1), mark)


def _place(grid: PriceGrid, px: FloatArray) -> FloatArray:
    """In bins from the lowest edge; one within rounding of an edge is on it."""
    place = np.log(px / grid.mark_px) / grid.log_width + grid.bins_each_way
    near = np.round(place)
    return np.asarray(np.where(np.abs(place - near) < 1e-9, near, place))
