"""Distances between two curves (`compare.statistics.profiles`).

Both must hold mass and end at the same log distance.
"""

from typing import Final

import numpy as np

from liqtruth.compare.statistics.profiles import Curve
from liqtruth.heatmap.grid import FloatArray

STEP: Final = 0.001
"""Log distance per step of the densities that Jensen-Shannon compares."""
SMOOTHING_PCT: Final = 0.3
"""Gaussian smoothing before Jensen-Shannon: exact maps are sparse, and levels that miss by a hair should not count
as disjoint."""


def wasserstein_pct(a: Curve, b: Curve) -> float:
    """Wasserstein-1 in percent of price: how far mass must move on average to turn one map into the other.

    In one dimension it is the area between the cumulative shares; here over log distance, and exact, as both curves
    are piecewise linear.
    """
    at = np.union1d(a.at, b.at)
    gap = a.share(at) - b.share(at)
    left, right = np.abs(gap[:-1]), np.abs(gap[1:])
    crossing = gap[:-1] * gap[1:] < 0
    height = (left + right) / 2
    height[crossing] = (left**2 + right**2)[crossing] / (2 * (left + right)[crossing])
    return float(100 * np.sum(height * np.diff(at)))


def widest_gap(a: Curve, b: Curve) -> float:
    """Log distance at which the cumulative shares differ most."""
    at = np.union1d(a.at, b.at)
    return float(at[np.argmax(np.abs(a.share(at) - b.share(at)))])


def jensen_shannon(p: FloatArray, q: FloatArray) -> float:
    """Jensen-Shannon divergence in bits of two distributions: 0 if equal, 1 if disjoint."""
    middle = (p + q) / 2
    return float(np.clip((_entropy_to(p, middle) + _entropy_to(q, middle)) / 2, 0.0, 1.0))


def smoothed_jensen_shannon(a: Curve, b: Curve, smoothing_pct: float = SMOOTHING_PCT) -> float:
    """Jensen-Shannon divergence of both densities smoothed over log distance."""
    return jensen_shannon(smoothed_density(a, smoothing_pct), smoothed_density(b, smoothing_pct))


def smoothed_density(curve: Curve, smoothing_pct: float = SMOOTHING_PCT) -> FloatArray:
    """Shares per `STEP` of log distance, smoothed; reflected at both ends, so that they still sum to one."""
    from scipy.ndimage import gaussian_filter1d

    steps = max(1, round((curve.at[-1] - curve.at[0]) / STEP))
    shares = np.diff(curve.share(np.linspace(curve.at[0], curve.at[-1], steps + 1)))
    return np.asarray(gaussian_filter1d(shares, smoothing_pct / 100 / STEP), dtype=np.float64)


def _entropy_to(p: FloatArray, q: FloatArray) -> float:
    """Kullback-Leibler divergence of `p` from `q` in bits."""
    held = p > 0
    return float(np.sum(p[held] * np.log2(p[held] / q[held])))
