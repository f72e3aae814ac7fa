"""How many positions the truth's shape rests on, and how far from it even a perfect model would be.

Half of real notional sits in a few dozen positions. Another handful of traders of the same population would have
put them elsewhere, so a shape read from few positions is itself uncertain: that is the floor of every score.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from liqtruth.compare.statistics.distances import RANGE_PCT, log_distance
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.levels import SIDES

ENOUGH: Final = 50.0
"""Effective positions a side below which a shape proves little (method, section 6)."""


@dataclass(frozen=True)
class Granularity:
    """One side of a truth, positions within the scored range.

    The effective number (sum q)^2 / sum q^2 lies between `effective_least` and `effective_most`: equal where every
    bin holds one position, apart where bins pool several. `noise_floor_pct` is the Wasserstein-1 in percent of price
    by which the truth misses the shape of its own population, computed at `effective_most`, so rather too low.
    """

    side: str
    positions: int
    effective_least: float
    effective_most: float
    noise_floor_pct: float


def effective_number(mass: FloatArray) -> float:
    """(sum q)^2 / sum q^2: so many equal parts would be as uneven; zero for no mass."""
    squares = float((mass**2).sum())
    return float(mass.sum()) ** 2 / squares if squares > 0 else 0.0


def granularity(heatmap: Heatmap, range_pct: float = RANGE_PCT) -> tuple[Granularity, ...]:
    """Long and short; empty where the map does not know its positions (only exact maps with a breakdown do)."""
    if heatmap.source != "exact" or heatmap.breakdown is None:
        return ()
    return tuple(_side(heatmap, heatmap.breakdown, side, range_pct) for side in SIDES)


def mean_floor_pct(sides: tuple[Granularity, ...]) -> float | None:
    """Noise floor of the mean of both sides; null unless both hold positions."""
    if len(sides) < len(SIDES) or any(side.positions == 0 for side in sides):
        return None
    return sum(side.noise_floor_pct for side in sides) / len(sides)


def _side(heatmap: Heatmap, breakdown: pl.DataFrame, side: str, range_pct: float) -> Granularity:
    grid = heatmap.grid
    rows = breakdown.filter((pl.col("side") == side) & (pl.col("notional_usd") > 0)).drop_nulls("bin")
    away = np.abs(rows["bin"].to_numpy() + 0.5 - grid.bins_each_way) * grid.log_width
    near = away < min(float(log_distance(range_pct, side)), grid.bins_each_way * grid.log_width)
    mass, count, top = (
        rows[name].to_numpy().astype(np.float64)[near]
        for name in ("notional_usd", "positions", "largest_usd")
    )
    if not mass.size:
        return Granularity(side, 0, 0.0, 0.0, 0.0)
    least, most = _squares(mass, count, top)
    total = float(mass.sum())
    return Granularity(
        side=side,
        positions=int(count.sum()),
        effective_least=total**2 / float(most.sum()),
        effective_most=total**2 / float(least.sum()),
        noise_floor_pct=_noise_floor_pct(away[near], mass / total, least / total**2),
    )


def _squares(mass: FloatArray, count: FloatArray, top: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Least and most that the squares of `count` positions with sum `mass` and largest `top` can add up to."""
    top = np.clip(top, mass / count, mass)
    least = top**2 + (mass - top) ** 2 / np.maximum(count - 1, 1)
    whole = np.floor(mass / top)
    return least, np.maximum(whole * top**2 + (mass - whole * top) ** 2, least)


def _noise_floor_pct(away: FloatArray, weight: FloatArray, square: FloatArray) -> float:
    """Expected area between the weighted empirical distribution and the one it was drawn from.

    Its variance at x is sum w^2 (1[at <= x] - F(x))^2 for independent positions of weight w; a normal deviation of
    that variance has the mean size sqrt(2 / pi) times its root.
    """
    order = np.argsort(away, kind="stable")
    share, squares = np.cumsum(weight[order]), np.cumsum(square[order])
    variance = np.maximum((1 - 2 * share) * squares + share**2 * squares[-1], 0.0)
    width = np.diff(away[order])
    return float(100 * np.sqrt(2 / np.pi) * np.sum(np.sqrt(variance[:-1]) * width))
