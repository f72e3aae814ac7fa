"""Estimates and their intervals: bootstraps of whole blocks, a jackknife, Wilson's of a share, and rank correlations.

What lies within one block (a day, a span of days, a coin's days) is not taken for independent: blocks are drawn with
replacement, as many times as there are blocks. A draw says how often it takes each block, so that it is a weighted sum
of the blocks' own sums and all figures are drawn together. Fewer than `FEWEST_BLOCKS` blocks (`LEAST_DAYS` days) say
nothing of how a figure varies: there is no interval then.

The partial Spearman correlation of x and y given controls: all are ranked, x and y are regressed on the controls'
ranks, and what is left of them is correlated. An x that is a function of the controls is left with nothing and scores
0; a y that is has no score. Ranks are those of all windows in every draw, so that a draw is a weighted sum of the days'
second moments and all maps are drawn in pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import msgspec
import numpy as np

from liqtruth.heatmap.grid import FloatArray, IntArray

DAY_DRAWS: Final = 400
BLOCK_DRAWS: Final = 500
ROW_DRAWS: Final = 200
LEVEL: Final = 0.95
Z: Final = 1.959963984540054
"""Of the normal distribution at `LEVEL`, two-sided."""
INTERVAL: Final = (0.025, 0.975)
LEAST_DAYS: Final = 5
FEWEST_BLOCKS: Final = 8
DAY_MS: Final = 86_400_000
LEAST_WINDOWS: Final = 20
NOTHING_LEFT: Final = 1e-9
"""Share of a variance below which it is rounding."""


class Estimate(msgspec.Struct, frozen=True):
    """A score and its interval; the interval is null where too few days or blocks were seen."""

    value: float
    low: float | None = None
    high: float | None = None


def scaled(estimate: Estimate | None, factor: float) -> Estimate | None:
    """The estimate in another unit."""
    if estimate is None:
        return None
    low, high = (None if end is None else factor * end for end in (estimate.low, estimate.high))
    return Estimate(factor * estimate.value, low, high)


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


def drawn_days(start_ms: IntArray, seed: int, draws: int = DAY_DRAWS) -> Draws:
    """Days drawn with replacement, as many as there are."""
    days, day = np.unique(start_ms // DAY_MS, return_inverse=True)
    if not days.size:
        return Draws(day, np.zeros((draws + 1, 0)))
    return Draws(day, np.concatenate([np.ones((1, days.size)), times_drawn(days.size, seed, draws)]))


def times_drawn(count: int, seed: int, draws: int) -> FloatArray:
    """How often each of `count` blocks is drawn, shape (draws, blocks)."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(count, np.full(count, 1 / count), draws).astype(np.float64)


def times_picked(count: int, seed: int, draws: int) -> IntArray:
    """As `times_drawn`, one block after the other: another stream of random numbers, on which older records rest."""
    chosen = np.random.default_rng(seed).integers(count, size=(draws, count))
    times = np.zeros((draws, count), np.int64)
    np.add.at(times, (np.repeat(np.arange(draws), count), chosen.ravel()), 1)
    return times


def drawn_weights(blocks: IntArray, seed: int, draws: int = ROW_DRAWS) -> IntArray:
    """How often each row belongs to each draw of blocks with replacement, shape (draws, rows)."""
    return times_picked(int(blocks.max()) + 1, seed, draws)[:, blocks]


def blocks_of(times_ms: IntArray, least_ms: int = DAY_MS) -> tuple[IntArray, int]:
    """The block of each moment, counted from 0 without gaps, and how many there are; each spans whole days."""
    length_ms = -(-max(least_ms, DAY_MS) // DAY_MS) * DAY_MS
    if not times_ms.size:
        return np.zeros(0, dtype=np.int64), 0
    begin = int(times_ms.min()) // DAY_MS * DAY_MS
    names, place = np.unique((times_ms - begin) // length_ms, return_inverse=True)
    return place.astype(np.int64), int(names.size)


def drawn_blocks(count: int, seed: int) -> FloatArray:
    """How often each block is drawn: (draws, blocks); no draws where there are fewer than `FEWEST_BLOCKS`."""
    return np.zeros((0, count)) if count < FEWEST_BLOCKS else times_drawn(count, seed, BLOCK_DRAWS)


def estimates(values: FloatArray, weight: FloatArray, block: IntArray, seed: int) -> list[Estimate | None]:
    """One weighted mean per row of `values` (figures, observations), all on the same draws; null without weight."""
    count = int(block.max(initial=-1)) + 1
    taken = np.concatenate([np.ones((1, count)), drawn_blocks(count, seed)])
    weights = np.asarray(taken @ np.bincount(block, weight, count), dtype=np.float64)
    return [ratio_estimate(taken @ np.bincount(block, row * weight, count), weights) for row in values]


def ratio_estimate(sums: FloatArray, weights: FloatArray, sure: bool = True) -> Estimate | None:
    """Of sums over weights as they stand, then per draw; null without weight, no interval where it is not `sure`."""
    if not weights[0] > 0:
        return None
    value, drawn = float(sums[0] / weights[0]), weights > 0
    drawn[0] = False
    if not sure or not drawn.any():
        return Estimate(value)
    return Estimate(value, *_ends(sums[drawn] / weights[drawn]))


def gain_interval(fitted: FloatArray, rival: FloatArray, weights: IntArray) -> tuple[float, float, float]:
    """1 - mean(fitted) / mean(rival) of rows where both are known, and its 95 % interval over the draws."""
    known = np.isfinite(fitted) & np.isfinite(rival)
    if not known.any():
        return float("nan"), float("nan"), float("nan")
    mine, theirs = np.where(known, fitted, 0.0), np.where(known, rival, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        gains = 1 - (weights @ mine) / (weights @ theirs)
        whole = 1 - mine.sum() / theirs.sum()
    return (float(whole), *_known_ends(gains))


def difference_interval(
    fitted: FloatArray, rival: FloatArray, weights: IntArray
) -> tuple[float, float, float]:
    """Mean of fitted - rival over rows where both are known, and its 95 % interval; for scores that are better high."""
    known = np.isfinite(fitted) & np.isfinite(rival)
    if not known.any():
        return float("nan"), float("nan"), float("nan")
    gap = np.where(known, fitted - rival, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (weights @ gap) / (weights @ known.astype(np.float64))
    return (float(gap.sum() / known.sum()), *_known_ends(means))


def widened(found: tuple[float, float, float], blocks: int) -> tuple[float, float, float]:
    """A value and its interval, the ends moved away from the value for so few `blocks` (at least 2).

    Drawn from few blocks, percentiles are too narrow: an interval that should leave zero below it in 2.5 % of the cases
    does so in 8 % with five blocks. It is stretched as Student's t is wider than the normal distribution.
    """
    wider = student(LEVEL, blocks - 1) / Z * float(np.sqrt(blocks / (blocks - 1)))
    value, low, high = found
    return value, value - wider * (value - low), value + wider * (high - value)


@cache
def student(level: float, freedom: int) -> float:
    """Standard errors either way that hold `level` of Student's t."""
    from scipy.stats import t

    return float(t.ppf(0.5 + level / 2, freedom))


def jackknife_error(left_out: FloatArray) -> FloatArray:
    """Standard error from values without each coin, along the first axis."""
    count = len(left_out)
    away = left_out - left_out.mean(axis=0)
    return np.asarray(np.sqrt((count - 1) / count * (away**2).sum(axis=0)))


def wilson(hits: float, count: float) -> tuple[float, float]:
    """Bounds of a share by Wilson at `LEVEL`: the shares p with (hits / count - p)^2 <= Z^2 p (1 - p) / count."""
    share, spread = hits / count, Z * Z / count
    middle = (share + spread / 2) / (1 + spread)
    half = np.sqrt(share * (1 - share) * spread + spread * spread / 4) / (1 + spread)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def weighted_medians(
    values: FloatArray, block: IntArray, times: FloatArray, *, lower: bool = False
) -> FloatArray:
    """Median of the known `values`, each of a `block`, per draw that takes blocks so many `times` (draws, blocks); NaN
    where a draw takes none. Between two in the middle it is the `lower` one, or their mean."""
    order = np.flatnonzero(np.isfinite(values))
    order = order[np.argsort(values[order], kind="stable")]
    medians = np.full(len(times), np.nan)
    for draw, row in enumerate(times):
        summed = np.cumsum(row[block[order]])
        if summed.size and summed[-1] > 0:
            low, high = (
                np.searchsorted(summed, summed[-1] / 2, "left"),
                np.searchsorted(summed, summed[-1] / 2, "right"),
            )
            medians[draw] = values[order[low]] if lower else (values[order[low]] + values[order[high]]) / 2
    return medians


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
    known = (rest > NOTHING_LEFT * before) & (before > 0)
    scale = np.sqrt(np.where(known, rest, 1.0).prod(axis=1))
    score = np.where(known[:, 0], left[:, 0, 1] / scale, 0.0)
    return np.asarray(np.where(known[:, 1], np.clip(score, -1, 1), np.nan))


def _known_ends(drawn: FloatArray) -> tuple[float, float]:
    known = drawn[np.isfinite(drawn)]
    return _ends(known) if known.size > 1 else (float("nan"), float("nan"))


def _ends(drawn: FloatArray) -> tuple[float, float]:
    low, high = np.quantile(drawn, INTERVAL)
    return float(low), float(high)
