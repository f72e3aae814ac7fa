"""The chance that price touches a level as far away as this one, from all other moments of the same market.

A level at log distance d from the mark is touched within a horizon H where the later range of prices reaches it. Its
chance is the share of other moments s, with |s - t| >= H so that no price is used twice, whose own later range went at
least as far to the same side: P(d) = mean over s of 1[reach_s >= |d|]. It knows distance and drift, not the map.

Moments are counted by block of days, so that the chance can be had again on blocks that were drawn anew.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from liqtruth.compare.observed.price_path import PricePath
from liqtruth.heatmap.grid import FloatArray, IntArray

LEAST_OTHERS: Final = 10
"""A chance that fewer other moments tell is none."""
MOST_AT_ONCE: Final = 4_000_000
"""Levels x moments that are compared at once."""


@dataclass(frozen=True, eq=False)
class Touches:
    """Of levels of shape (moments, zones): how many other moments `going` as far (moments, zones, blocks) there are in
    each block, of how many `others` (moments, blocks)."""

    going: FloatArray
    others: FloatArray

    @property
    def chance(self) -> FloatArray:
        """Of each level; NaN where fewer than `LEAST_OTHERS` moments lie a horizon or more away."""
        others = self.others.sum(axis=1)[:, None]
        return np.where(others >= LEAST_OTHERS, self.going.sum(axis=2) / np.maximum(others, 1.0), np.nan)

    def drawn(self, taken: FloatArray) -> FloatArray:
        """The chances (moments, zones, draws) where each block is `taken` (draws, blocks) so often."""
        others = (self.others @ taken.T)[:, None, :]
        told = (self.going @ taken.T) / np.maximum(others, 1.0)
        return np.where(others > 0, told, self.chance[..., None])


def reach_after(path: PricePath, times_ms: IntArray, mark_px: FloatArray, horizon_ms: int) -> FloatArray:
    """How far prices went in the `horizon_ms` after each moment, in log price: (2, moments), down then up.

    NaN where prices do not cover the horizon; zero where price only went the other way.
    """
    low, high = path.extremes(times_ms, times_ms + horizon_ms)
    return np.asarray(np.maximum(np.stack([np.log(mark_px / low), np.log(high / mark_px)]), 0.0))


def touches(
    away: FloatArray, reach: FloatArray, times_ms: IntArray, horizon_ms: int, block: IntArray
) -> Touches:
    """Of levels `away` (moments, zones) on one side, given how far prices went after each moment.

    `times_ms` ascend and with them `block`, which leaves out no number. Distances and reaches are in the same unit: log
    price, or either in units of volatility. A moment whose reach is NaN tells nothing, a level that is NaN is not
    reached.
    """
    starts = np.searchsorted(block, np.arange(int(block.max(initial=-1)) + 1))
    if not starts.size:
        return Touches(np.zeros((*away.shape, 0)), np.zeros((len(away), 0)))
    apart = (np.abs(times_ms[:, None] - times_ms) >= horizon_ms) & np.isfinite(reach)
    rows = max(1, MOST_AT_ONCE // (away.shape[1] * times_ms.size))
    parts = []
    for begin in range(0, len(away), rows):
        chosen = slice(begin, begin + rows)
        hits = (reach >= away[chosen, :, None]) & apart[chosen, None, :]
        parts.append(np.add.reduceat(hits, starts, axis=2, dtype=np.float64))
    return Touches(np.concatenate(parts), np.add.reduceat(apart, starts, axis=1, dtype=np.float64))
