"""Smoothing and peaks of a row of bins; what scipy has for it takes longer to load than most commands run."""

import numpy as np

from liqtruth.heatmap.grid import FloatArray, IntArray


def gaussian(values: FloatArray, sd_bins: float, *, reflect: bool = False) -> FloatArray:
    """Values (bins,) smoothed with a Gaussian cut at four standard deviations; beyond the ends is nothing, or their
    mirror image (`reflect`), which keeps the sum."""
    reach = int(4 * sd_bins + 0.5)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sd_bins) ** 2)
    padded = np.pad(values, reach, mode="symmetric" if reflect else "constant")
    return np.asarray(np.convolve(padded, weights / weights.sum(), mode="valid"))


def peaks(values: FloatArray, prominence: float) -> IntArray:
    """Places of the local maxima, ascending, that stand at least so far above the higher of the two lowest values on
    the way to something higher, or to the end; of a plateau the middle. The ends are never peaks."""
    starts = np.flatnonzero(np.diff(values, prepend=np.nan) != 0)
    ends = np.append(starts[1:], values.size) - 1
    level = values[starts]
    inner = np.arange(1, starts.size - 1)
    high = inner[(level[inner] > level[inner - 1]) & (level[inner] > level[inner + 1])]
    tops = [run for run in high if level[run] - _saddle(level, run) >= prominence]
    return np.asarray((starts[tops] + ends[tops]) // 2, dtype=np.int64)


def _saddle(level: FloatArray, top: int) -> float:
    """The higher of the lowest values on either side, as far as nothing is higher than `top`."""
    higher = np.flatnonzero(level > level[top])
    at = int(np.searchsorted(higher, top))
    left = int(higher[at - 1]) + 1 if at else 0
    right = int(higher[at]) if at < higher.size else level.size
    return max(float(level[left : top + 1].min()), float(level[top:right].min()))
