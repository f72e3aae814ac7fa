"""How uncertain fitted shares are: by days, by coins, and by what was never seen.

Two spreads, the wider of which counts at each end: a bootstrap over blocks of coin and day, and a jackknife over coins
with Student's t, since coins disagree by more than days do. What is not covered may be of any size class: intervals are
widened to hold what they would be if all of it were like the class that differs most (`widened`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from liqtruth.compare.calibration.fit import SideFit
from liqtruth.compare.calibration.workers import one_blas_thread
from liqtruth.compare.statistics.intervals import jackknife_error, student, times_picked
from liqtruth.heatmap.grid import FloatArray

DRAWS: Final = 200
FEWEST_BLOCKS: Final = 2
FEWEST_COINS: Final = 3
"""Coins below which leaving one out says nothing of how coins differ."""


@dataclass(frozen=True, eq=False)
class Spread:
    """Shares of one side as they might have come out: `drawn` (draws, classes, nodes) from blocks drawn with
    replacement, `left_out` (coins, classes, nodes) without each coin, empty with fewer than `FEWEST_COINS`."""

    drawn: FloatArray
    left_out: FloatArray

    @property
    def known(self) -> bool:
        return bool(len(self.drawn))

    def interval(
        self, value: FloatArray, of: Callable[[FloatArray], FloatArray], level: float
    ) -> tuple[FloatArray, FloatArray]:
        """Ends for `value`, which is `of` the fitted shares; `of` takes shares (..., classes, nodes)."""
        tail = 50 * (1 - level)
        low, high = np.percentile(of(self.drawn), [tail, 100 - tail], axis=0)
        if len(self.left_out):
            half = student(level, len(self.left_out) - 1) * jackknife_error(of(self.left_out))
            low, high = np.minimum(low, value - half), np.maximum(high, value + half)
        return np.maximum(low, 0.0), high


def spread_of(
    fit: SideFit,
    coins: Sequence[str],
    seed: int,
    draws: int = DRAWS,
    on_draw: Callable[[], None] = lambda: None,
) -> Spread:
    """Blocks are drawn with replacement, as many as there are; deterministic by seed. None with too few blocks."""
    nothing = np.zeros((0, *fit.shares.shape))
    if fit.blocks is None or len(fit.blocks.names) < FEWEST_BLOCKS:
        return Spread(nothing, nothing)
    found = []
    with one_blas_thread():
        for times in times_picked(len(fit.blocks.names), seed, draws):
            found.append(fit.refitted(times))
            on_draw()
        apart = [fit.without(coin) for coin in coins] if len(coins) >= FEWEST_COINS else []
    return Spread(np.stack(found), np.stack(apart) if apart else nothing)


def widened(
    low: FloatArray, high: FloatArray, coverage: float, least: FloatArray, most: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Ends where only `coverage` of open interest was seen and the rest may lie anywhere from `least` to `most`."""
    seen = min(coverage, 1.0)
    return (
        np.minimum(low, seen * low + (1 - seen) * least),
        np.maximum(high, seen * high + (1 - seen) * most),
    )
