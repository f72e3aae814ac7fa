"""The columns of a response matrix by a loop over bars, entries and nodes: what the arrays are compared with."""

from dataclasses import dataclass

import numpy as np

from liqtruth.estimator.model.response_matrix import Lots
from liqtruth.estimator.series.time_line import Bars
from liqtruth.heatmap.grid import FloatArray, IntArray, PriceGrid


@dataclass
class Looped:
    """`placed` of shape (ages, nodes, bins + 3, classes) and `swept` of shape (classes, nodes)."""

    placed: FloatArray
    swept: FloatArray


def columns_by_loop(
    bars: Bars, lots: Lots, age: IntArray, ages: int, factors: FloatArray, grid: PriceGrid, *, is_long: bool
) -> Looped:
    """For each lot every price that surely came after its entry, one by one."""
    low = bars.low if bars.swept_low is None else bars.swept_low
    high = bars.high if bars.swept_high is None else bars.swept_high
    classes = lots.left.shape[1]
    made = Looped(np.zeros((ages, len(factors), grid.bins + 3, classes)), np.zeros((classes, len(factors))))
    for bar, entries in enumerate(bars.entries):
        extremes = low[bar + 1 :] if is_long else high[bar + 1 :]
        later = [bars.close[bar], *extremes, bars.close[-1]]
        for entry in entries:
            for node, factor in enumerate(factors):
                mass, px = lots.left[bar] / len(entries), entry * factor
                if factor <= 0:
                    made.placed[age[bar], node, -1] += mass
                elif min(later) <= px * (1 + 1e-12) if is_long else max(later) >= px * (1 - 1e-12):
                    made.swept[:, node] += mass
                else:
                    made.placed[age[bar], node, int(grid.bin_of(px)) + 1] += mass
    return made
