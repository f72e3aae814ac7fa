"""Cumulative curves by log distance from a map's own mark, and distances between them.

Two venues have two marks, and two maps may have two grids. Distance in log price from each map's own mark makes them
comparable (a level 10 % below one mark stands against 10 % below the other), and the cumulative curve makes them
independent of the bins. For a distance both curves must hold mass and end at the same log distance.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import ArrayLike

from liqtruth.heatmap.clusters.distribution import BANDS
from liqtruth.heatmap.clusters.smoothing import gaussian
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.heatmap import Heatmap

P = ParamSpec("P")
T = TypeVar("T")
RANGES_PCT: Final = (10.0, 25.0, 50.0)
"""Scores of a comparison are given within each of these percent of the mark."""
HEADLINE_PCT: Final = 25.0
"""The range of what is concluded, unless another is asked for, and of calibration and validation."""
RANGE_PCT: Final = RANGES_PCT[-1]
"""What lies further from the mark than this is not scored."""
STEP: Final = 0.001
"""Log distance per step of the densities that Jensen-Shannon compares."""
SMOOTHING_PCT: Final = 0.3
"""Gaussian smoothing before Jensen-Shannon: exact maps are sparse, and levels that miss by a hair should not count
as disjoint."""


@dataclass(frozen=True, eq=False)
class Curve:
    """Mass (USD) from the first of the log distances `at` up to each; piecewise linear in between."""

    at: FloatArray
    mass_usd: FloatArray
    densities: dict[float, FloatArray] = field(default_factory=dict, repr=False)
    """Those that were asked for, by their smoothing."""

    @property
    def total_usd(self) -> float:
        return float(self.mass_usd[-1])

    @property
    def empty(self) -> bool:
        return self.total_usd <= 0

    def share(self, at: ArrayLike) -> FloatArray:
        """Share of the curve's mass up to each log distance; the curve must not be empty."""
        where = np.asarray(at, dtype=np.float64)
        return np.asarray(np.interp(where, self.at, self.mass_usd / self.total_usd), dtype=np.float64)


def log_distance(distance_pct: ArrayLike, side: str) -> FloatArray:
    """Log distance of prices that lie `distance_pct` of the mark away: longs below it, shorts above."""
    ratio = np.asarray(distance_pct, dtype=np.float64) / 100
    return np.asarray(-np.log1p(-ratio) if side == "long" else np.log1p(ratio), dtype=np.float64)


def distance_pct(log_distance: ArrayLike, side: str) -> FloatArray:
    """The inverse of `log_distance`."""
    at = np.asarray(log_distance, dtype=np.float64)
    return np.asarray(-100 * np.expm1(-at) if side == "long" else 100 * np.expm1(at), dtype=np.float64)


def once_per_map(function: Callable[Concatenate[Heatmap, P], T]) -> Callable[Concatenate[Heatmap, P], T]:
    """The function, whose result is kept as long as the map lives that is its first argument: a comparison asks the
    same of one map dozens of times, and a map does not change. Other arguments must be hashable and hold no map."""
    kept: WeakKeyDictionary[Heatmap, dict[Any, T]] = WeakKeyDictionary()

    @wraps(function)
    def known(heatmap: Heatmap, /, *args: P.args, **kwargs: P.kwargs) -> T:
        found = kept.setdefault(heatmap, {})
        key = (args, *kwargs.items())
        if key not in found:
            made = function(heatmap, *args, **kwargs)
            if made is heatmap:
                return made  # kept, it would hold itself alive
            found[key] = made
        return found[key]

    return known


@once_per_map
def side_curve(heatmap: Heatmap, side: str, range_pct: float = RANGE_PCT) -> Curve:
    """One side from the mark outward to `range_pct`."""
    grid, middle = heatmap.grid, heatmap.grid.bins_each_way
    whole = heatmap.cumulative()
    from_mark = whole[middle::-1] if side == "long" else whole[middle:]
    edges = np.arange(middle + 1) * grid.log_width
    end = float(log_distance(range_pct, side))
    at = np.append(edges[edges < end], end)
    return Curve(at, np.asarray(np.interp(at, edges, from_mark), dtype=np.float64))


@once_per_map
def both_curve(heatmap: Heatmap, range_pct: float = RANGE_PCT) -> Curve:
    """Both sides on one signed axis, from the lowest price in range up to the highest."""
    below, above = (side_curve(heatmap, side, range_pct) for side in ("long", "short"))
    at = np.concatenate([-below.at[::-1], above.at[1:]])
    rising = below.total_usd - below.mass_usd[::-1]
    return Curve(at, np.concatenate([rising, below.total_usd + above.mass_usd[1:]]))


def common_range_pct(*maps: Heatmap, within_pct: float = RANGE_PCT) -> float:
    """How far from the mark all of these maps can be compared: `within_pct`, or the reach of the narrowest grid."""
    reach = min(float(distance_pct(m.grid.bins_each_way * m.grid.log_width, "long")) for m in maps)
    return within_pct if reach > within_pct - 1e-6 else reach


def band_bounds_pct(range_pct: float = RANGE_PCT) -> tuple[float, ...]:
    """Bounds of the distance bands, cut off at the range."""
    return (*(bound for bound in BANDS if bound < range_pct), range_pct)


def band_mass_usd(curve: Curve, side: str, range_pct: float = RANGE_PCT) -> FloatArray:
    """Mass (USD) of one side per distance band."""
    bounds = log_distance(band_bounds_pct(range_pct), side)
    return np.asarray(np.diff(np.interp(bounds, curve.at, curve.mass_usd)), dtype=np.float64)


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
    if smoothing_pct not in curve.densities:
        steps = max(1, round((curve.at[-1] - curve.at[0]) / STEP))
        shares = np.diff(curve.share(np.linspace(curve.at[0], curve.at[-1], steps + 1)))
        curve.densities[smoothing_pct] = gaussian(shares, smoothing_pct / 100 / STEP, reflect=True)
    return curve.densities[smoothing_pct]


def _entropy_to(p: FloatArray, q: FloatArray) -> float:
    """Kullback-Leibler divergence of `p` from `q` in bits."""
    positive = p > 0
    return float(np.sum(p[positive] * np.log2(p[positive] / q[positive])))
