"""Rank correlations with the move taken out.

The partial Spearman correlation of x and y given controls: all are ranked, x and y are regressed on the controls'
ranks, and what is left of them is correlated. An x that is a function of the controls is left with nothing and scores
0; a y that is has no score.

Intervals come from drawing whole days again, since windows of one day are alike. Ranks are those of all windows in
every draw, so that a draw is a weighted sum of the days' second moments and all maps are drawn in pairs.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from liqtruth.compare.statistics.intervals import Draws
from liqtruth.heatmap.grid import FloatArray

LEAST_WINDOWS: Final = 20
NOTHING_LEFT: Final = 1e-9
"""Share of a variance below which it is rounding."""


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
