"""Intervals by a bootstrap of blocks of days: what lies within one block is not taken for independent.

A figure is a ratio of sums, sum(w x) / sum(w). Blocks are whole spans of at least a day, drawn with replacement as many
times as there are blocks; the interval is from the 2.5th to the 97.5th percentile of the ratios. Fewer than
`FEWEST_BLOCKS` blocks say nothing of how it varies: the interval is null then.
"""

from typing import Final

import numpy as np

from liqtruth.compare.statistics.correlation import DAY_MS, Estimate
from liqtruth.heatmap.grid import FloatArray, IntArray

DRAWS: Final = 500
INTERVAL: Final = (2.5, 97.5)
FEWEST_BLOCKS: Final = 8


def scaled(told: Estimate | None, factor: float) -> Estimate | None:
    """The estimate in another unit."""
    if told is None:
        return None
    low, high = (None if end is None else factor * end for end in (told.low, told.high))
    return Estimate(factor * told.value, low, high)


def blocks_of(times_ms: IntArray, least_ms: int = DAY_MS) -> tuple[IntArray, int]:
    """The block of each moment, counted from 0 without gaps, and how many there are; each spans whole days."""
    length_ms = -(-max(least_ms, DAY_MS) // DAY_MS) * DAY_MS
    if not times_ms.size:
        return np.zeros(0, dtype=np.int64), 0
    begin = int(times_ms.min()) // DAY_MS * DAY_MS
    names, place = np.unique((times_ms - begin) // length_ms, return_inverse=True)
    return place.astype(np.int64), int(names.size)


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
    low, high = np.percentile(sums[drawn] / weights[drawn], INTERVAL)
    return Estimate(value, float(low), float(high))


def drawn_blocks(count: int, seed: int) -> FloatArray:
    """How often each block is drawn: (draws, blocks); no draws where there are fewer than `FEWEST_BLOCKS`."""
    if count < FEWEST_BLOCKS:
        return np.zeros((0, count))
    rng = np.random.default_rng(seed)
    return rng.multinomial(count, np.full(count, 1 / count), DRAWS).astype(np.float64)
