"""Extremes of any range of a series, and the first value that is low enough, for many ranges at once."""

import numpy as np

from liqtruth.heatmap.grid import FloatArray, IntArray


def doubled(values: FloatArray, extreme: np.ufunc) -> list[FloatArray]:
    """Extremes of 1, 2, 4, ... values from each place on: any range is two of them that overlap."""
    table, span = [values], 1
    while 2 * span <= values.size:
        table.append(extreme(table[-1][:-span], table[-1][span:]))
        span *= 2
    return table


def range_of(table: list[FloatArray], first: IntArray, stop: IntArray, extreme: np.ufunc) -> FloatArray:
    """Extreme of `values[first:stop]` per pair; no range is empty."""
    found = np.empty(first.shape)
    level = np.floor(np.log2(stop - first)).astype(np.int64)
    for depth in np.unique(level):
        at = level == depth
        found[at] = extreme(table[depth][first[at]], table[depth][stop[at] - (1 << depth)])
    return found


def first_at_most(least: list[FloatArray], start: IntArray, level: FloatArray) -> IntArray:
    """First place from `start` on whose value is at most `level`, by a table of minima; the number of values where
    there is none. Long runs that stay above are passed first: a search by halves for all at once."""
    at, count = start.copy(), least[0].size
    for power in reversed(range(len(least))):
        runs = least[power]
        inside = at < runs.size
        passed = np.zeros(at.size, dtype=np.bool_)
        passed[inside] = runs[at[inside]] > level[inside]
        at[passed] += 2**power
    return np.minimum(at, count)
