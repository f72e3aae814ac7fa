"""Rank correlations with the move taken out, and how sure they are.

The partial Spearman correlation of x and y given controls: all are ranked, x and y are regressed on the controls'
ranks, and what is left of them is correlated. An x that is a function of the controls is left with nothing and scores
0; a y that is has no score.

Intervals come from drawing whole days again, since windows of one day are alike. Ranks are those of all windows in
every draw, so that a draw is a weighted sum of the days' second moments and all maps are drawn in pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from liqtruth.heatmap.grid import FloatArray, IntArray

DRAWS: Final = 400
LEVEL: Final = 0.95
Z: Final = 1.959963984540054
"""Of the normal distribution at `LEVEL`, two-sided."""
LEAST_DAYS: Final = 5
LEAST_WINDOWS: Final = 20
DAY_MS: Final = 86_400_000
NOTHING_LEFT: Final = 1e-9
"""Share of a variance below which it is rounding."""


class Estimate(msgspec.Struct, frozen=True):
    """A score and its interval; the interval is null where fewer than `LEAST_DAYS` days were seen."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, eq=False)
class Draws:
    """Days of windows drawn again: `day` is the place of each window's day, `times` of shape (draws + 1, days) how
    often each day was taken; the first row takes every day once."""

    day: IntArray
    times: FloatArray

    @property
    def enough(self) -> bool:
        return bool(self.times.shape[1] >= LEAST_DAYS)

    def sums(self, values: FloatArray) -> FloatArray:
        """Sum of `values` (windows first) per row of `times`."""
        by_day = np.zeros((self.times.shape[1], *values.shape[1:]))
        np.add.at(by_day, self.day, values)
        return np.asarray(np.tensordot(self.times, by_day, axes=1))

    def estimate(self, values: FloatArray) -> Estimate | None:
        """Of a score per row of `times`: the first is the value; null where that is not known."""
        if not np.isfinite(values[0]):
            return None
        drawn = values[1:][np.isfinite(values[1:])]
        if not self.enough or drawn.size < 0.9 * (values.size - 1):
            return Estimate(float(values[0]))
        low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return Estimate(float(values[0]), float(low), float(high))


def drawn_days(start_ms: IntArray, seed: int, draws: int = DRAWS) -> Draws:
    """Days drawn with replacement, as many as there are."""
    days, day = np.unique(start_ms // DAY_MS, return_inverse=True)
    if not days.size:
        return Draws(day, np.zeros((draws + 1, 0)))
    each = np.full(days.size, 1 / days.size)
    again = np.random.default_rng(seed).multinomial(days.size, each, draws)
    return Draws(day, np.concatenate([np.ones((1, days.size)), again]).astype(np.float64))


def ranks(values: FloatArray) -> FloatArray:
    """Ranks from 1; equal values share the mean of theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2)[place], dtype=np.float64)


def rank_covariances(columns: Sequence[FloatArray], draws: Draws) -> FloatArray:
    """Covariances of the columns' ranks, shape (draws + 1, columns, columns)."""
    ranked = np.stack([ranks(column) for column in columns], axis=1)
    centred = (ranked - ranked.mean(axis=0)) / len(ranked)
    with_one = np.column_stack([np.ones(len(ranked)), centred])
    sums = draws.sums(with_one[:, :, None] * with_one[:, None, :])
    count = np.maximum(sums[:, 0, 0], 1.0)
    mean = sums[:, 0, 1:] / count[:, None]
    return np.asarray(sums[:, 1:, 1:] / count[:, None, None] - mean[:, :, None] * mean[:, None, :])


def partial(covariance: FloatArray, x: int, y: int, controls: Sequence[int]) -> FloatArray:
    """Correlation of columns `x` and `y` with the `controls` taken out, per draw; without controls, the plain one."""
    pair, beside = np.array([x, y]), np.array(controls, dtype=np.int64)
    whole = covariance[:, pair[:, None], pair]
    left = whole
    if beside.size:
        across = covariance[:, pair[:, None], beside]
        inner = np.linalg.pinv(covariance[:, beside[:, None], beside], rcond=1e-9, hermitian=True)
        left = whole - across @ inner @ across.transpose(0, 2, 1)
    rest, before = (np.diagonal(part, axis1=1, axis2=2) for part in (left, whole))
    told = (rest > NOTHING_LEFT * before) & (before > 0)
    scale = np.sqrt(np.where(told, rest, 1.0).prod(axis=1))
    score = np.where(told[:, 0], left[:, 0, 1] / scale, 0.0)
    return np.asarray(np.where(told[:, 1], np.clip(score, -1, 1), np.nan))


def weighted_medians(values: FloatArray, day: IntArray, draws: Draws) -> FloatArray:
    """Median of `values`, one per window of `day`, per draw; NaN where a draw took none of them."""
    order = np.argsort(values, kind="stable")
    if not order.size:
        return np.full(len(draws.times), np.nan)
    risen = np.cumsum(draws.times[:, day[order]], axis=1)
    half = risen[:, -1:] / 2
    low = np.argmax(risen >= half, axis=1)
    high = np.argmax(risen > half, axis=1)
    ordered = values[order]
    return np.where(risen[:, -1] > 0, (ordered[low] + ordered[high]) / 2, np.nan)


def wilson(hits: float, count: float) -> tuple[float, float]:
    """Bounds of a share by Wilson at `LEVEL`: the shares p with (hits / count - p)^2 <= Z^2 p (1 - p) / count."""
    share, spread = hits / count, Z * Z / count
    middle = (share + spread / 2) / (1 + spread)
    half = np.sqrt(share * (1 - share) * spread + spread * spread / 4) / (1 + spread)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))
