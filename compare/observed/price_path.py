"""The lowest and highest price in any span of time, and the volatility before any moment, from the bars of a path.

Only bars that lie within a span count for it: what the bar around its start showed may be from before the start. Unlike
`mark_path.ranges_after`, a span may lack some bars, for a month is seldom whole.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from liqtruth.compare.observed.mark_path import PARKINSON, MarkPath
from liqtruth.compare.statistics.sparse_table import doubled, range_of
from liqtruth.heatmap.grid import FloatArray, IntArray

COVERED: Final = 0.9
"""Share of a span that bars must cover: with less its extremes are not known."""


@dataclass(frozen=True, eq=False)
class PricePath:
    """Looks up spans on `bars`; times in epoch milliseconds."""

    bars: MarkPath

    @property
    def bar_min(self) -> float:
        """Usual length of a bar in minutes."""
        return self.bars.bar_ms / 60_000

    def extremes(self, from_ms: IntArray, until_ms: IntArray) -> tuple[FloatArray, FloatArray]:
        """Lowest and highest price of each span; NaN where bars cover less than `COVERED` of it."""
        first, stop, covered = self._within(from_ms, until_ms)
        known = (stop > first) & (covered >= COVERED * (until_ms - from_ms))
        low, high = np.full(from_ms.shape, np.nan), np.full(from_ms.shape, np.nan)
        first, stop = first[known], stop[known]
        low[known] = range_of(self._lows, first, stop, np.minimum)
        high[known] = range_of(self._highs, first, stop, np.maximum)
        return low, high

    def volatility(self, at_ms: IntArray, back_ms: int) -> FloatArray:
        """Parkinson's, of the bars in the `back_ms` before each moment; NaN where they cover too little of it."""
        first, stop, covered = self._within(at_ms - back_ms, at_ms)
        summed = self._squares[stop] - self._squares[first]
        return np.where(covered >= COVERED * back_ms, np.sqrt(np.maximum(summed, 0.0)), np.nan)

    def middle_at(self, at_ms: IntArray) -> FloatArray:
        """Geometric middle of the last bar that ended by then; NaN before the first one."""
        last = np.searchsorted(self.bars.end_ms, at_ms, side="right") - 1
        middle = np.sqrt(self.bars.low * self.bars.high)
        return np.where(last >= 0, middle[np.maximum(last, 0)], np.nan)

    def _within(self, from_ms: IntArray, until_ms: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        """First bar of each span, the one after its last, and how long they are together."""
        first = np.searchsorted(self.bars.start_ms, from_ms)
        stop = np.maximum(np.searchsorted(self.bars.end_ms, until_ms, side="right"), first)
        return first, stop, self._before[stop] - self._before[first]

    @cached_property
    def _before(self) -> IntArray:
        return np.concatenate([[0], np.cumsum(self.bars.end_ms - self.bars.start_ms)])

    @cached_property
    def _squares(self) -> FloatArray:
        squares = np.log(self.bars.high / self.bars.low) ** 2 / PARKINSON
        return np.concatenate([[0.0], np.cumsum(squares)])

    @cached_property
    def _lows(self) -> list[FloatArray]:
        return doubled(self.bars.low, np.minimum)

    @cached_property
    def _highs(self) -> list[FloatArray]:
        return doubled(self.bars.high, np.maximum)
