"""The response matrix of a model: what one unit of weight on a turnover class and a leverage node puts at each price.

A map is linear in the weights, so the columns are computed once and serve every question that only changes weights:
maps, filters by leverage and age, and calibration. Shares of open interest throughout; arrays in, arrays out.

Whatever of a lot's entry bar came after it is not known, so of that bar only the close sweeps. Of one entry the nodes
that are still alive are the lowest leverages: their liquidation prices lie furthest away, so one number per entry
has them, and the bin of each is the floor of the entry's own coordinate shifted by the node's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from liqtruth.estimator.model.turnover import Turnover, later_extremes
from liqtruth.estimator.series.time_line import Bars
from liqtruth.heatmap.grid import FloatArray, IntArray, PriceGrid
from liqtruth.heatmap.levels import BREAKDOWN, SIDE, TwoSided

OUTSIDE: Final = 3
"""Places beside the bins: first the one below the grid, last but one above it, last for what no price liquidates."""
JUST_REACHED: Final = 1e-12
"""A price counts as reached when an extreme came this near to it, relatively: rounding saves no lot."""
ON_EDGE: Final = 1e-9
"""As `PriceGrid.bin_of`: a price this part of a bin below an edge is on it."""


@dataclass(frozen=True, eq=False)
class Lots:
    """Shares of the last open interest: what is left of each bar's openings, shape (bars, classes), and of the stock
    before the first bar, shape (classes,). Each class sums to one; all is nothing where open interest is."""

    left: FloatArray
    before_window: FloatArray

    @classmethod
    def of(cls, open_interest: FloatArray, turnover: Turnover) -> "Lots":
        open_interest_now = float(open_interest[-1])
        scale = 1.0 / open_interest_now if open_interest_now > 0 else 0.0
        left = turnover.openings * turnover.survival
        left *= scale
        return cls(left, open_interest[0] * turnover.survival_from_start() * scale)


@dataclass(frozen=True, eq=False)
class Columns:
    """One side: `placed` of shape (ages, nodes, bins + 3, classes), see `OUTSIDE`; `swept` of shape (classes, nodes).

    For each class and node: `placed` over ages and places, `swept` and `before_window` sum to the class's lots.
    """

    placed: FloatArray
    swept: FloatArray
    before_window: FloatArray

    def weighted(self, weight: FloatArray) -> FloatArray:
        """Share of open interest per age, node and place, shape (ages, nodes, bins + 3), for (classes, nodes)."""
        return np.asarray(np.matmul(self.placed, weight.T[None, :, :, None])[..., 0])


@dataclass(frozen=True, eq=False)
class ResponseMatrix(TwoSided[Columns]):
    """Both sides on one grid."""

    grid: PriceGrid
    long: Columns
    short: Columns


def build_response_matrix(
    bars: Bars,
    lots: Lots,
    age: IntArray,
    ages: int,
    factors: tuple[FloatArray, FloatArray],
    grid: PriceGrid,
) -> ResponseMatrix:
    """`age` is each bar's age band out of `ages`; `factors` are of longs and shorts, liquidation over entry price per
    node in ascending leverage; a long's factor that is not positive means that no price liquidates it."""
    long, short = (
        _columns(bars, lots, age, ages, factor, grid, is_long=is_long)
        for factor, is_long in zip(factors, (True, False), strict=True)
    )
    return ResponseMatrix(grid, long, short)


def _columns(
    bars: Bars, lots: Lots, age: IntArray, ages: int, factors: FloatArray, grid: PriceGrid, *, is_long: bool
) -> Columns:
    entries = bars.entries
    some = np.flatnonzero(lots.left.any(axis=1))
    points = entries.shape[1]
    entry = entries[some].ravel()
    mass = np.repeat(lots.left[some] / points, points, axis=0)
    entry_age = np.repeat(age[some], points)
    never = int(np.count_nonzero(factors <= 0))
    reached = later_extremes(bars)[0 if is_long else 1]
    alive = alive_nodes(factors[never:], np.repeat(reached[some], points) / entry, is_long=is_long)
    nodes, places = len(factors), grid.bins + OUTSIDE
    row = _placed_rows(entry, entry_age * nodes + never, alive, factors[never:], grid, is_long=is_long)
    placed = np.empty((ages * nodes * places, mass.shape[1]))
    for one in range(mass.shape[1]):
        placed[:, one] = np.bincount(row, np.repeat(mass[:, one], alive), len(placed))
    by_node = placed.reshape(ages, nodes, places, mass.shape[1])
    by_node[:, :never, -1] += _per_age(entry_age, ages, mass)[:, None]
    return Columns(by_node, _swept(alive, mass, never, nodes), lots.before_window)


def alive_nodes(factors: FloatArray, reached: FloatArray, *, is_long: bool) -> IntArray:
    """How many of the lowest leverages no later price has reached, per entry; `reached` is over the entry price."""
    if is_long:
        return np.searchsorted(factors, reached * (1 - JUST_REACHED), side="left")
    return np.searchsorted(-factors, -reached * (1 + JUST_REACHED), side="left")


def _placed_rows(
    entry: FloatArray,
    first: IntArray,
    alive: IntArray,
    factors: FloatArray,
    grid: PriceGrid,
    *,
    is_long: bool,
) -> IntArray:
    """Row of each living lot among (age, node, place); entries one after the other, nodes ascending in each.

    `first` is the row of an entry's first node among (age, node).
    """
    starts = np.cumsum(alive) - alive
    node = np.arange(int(alive.sum()), dtype=np.int32) - np.repeat(starts.astype(np.int32), alive)
    coordinate = np.log(entry / grid.mark_px) / grid.log_width + (grid.bins_each_way + ON_EDGE)
    place = np.repeat(coordinate, alive)
    place += (np.log(factors) / grid.log_width)[node]
    np.floor(place, out=place)
    middle = grid.bins_each_way
    bounds = (-1, middle - 1) if is_long else (middle, grid.bins)
    np.clip(place, *bounds, out=place)
    row = place.astype(np.int64)
    row += 1
    node *= grid.bins + OUTSIDE
    row += node
    row += np.repeat(first * (grid.bins + OUTSIDE), alive)
    return row


def _per_age(age: IntArray, ages: int, mass: FloatArray) -> FloatArray:
    """Mass per age band and class."""
    return np.stack([np.bincount(age, column, ages) for column in mass.T], axis=1)


def _swept(alive: IntArray, mass: FloatArray, never: int, nodes: int) -> FloatArray:
    """Mass per class and node of entries whose living leverages end below the node."""
    ended = np.stack([np.bincount(alive, column, nodes + 1 - never) for column in mass.T])
    swept = np.zeros((mass.shape[1], nodes))
    swept[:, never:] = np.cumsum(ended, axis=1)[:, :-1]
    return swept


def broken_down(
    mass_usd: Mapping[str, FloatArray], band: Sequence[str], ages: Sequence[str], venue: str
) -> pl.DataFrame:
    """Notional per side, bin, leverage band and age band of arrays (ages, nodes, bins + 3); empty places are left out.

    A model knows no single positions: it counts none, and the largest is null.
    """
    sides = [_side(side, _per_band(mass, band), band, ages) for side, mass in mass_usd.items()]
    return pl.concat(sides).with_columns(venue=pl.lit(venue))


def places(side: str, bin_: IntArray, notional_usd: FloatArray) -> pl.DataFrame:
    """Rows of one side with the columns of `BREAKDOWN`; a bin of -2 means that no price liquidates the mass."""
    rows = len(bin_)
    return pl.DataFrame(
        {
            "side": pl.repeat(side, rows, dtype=SIDE, eager=True),
            "bin": pl.Series(bin_, dtype=pl.Int32).replace(-2, None),
            "notional_usd": notional_usd,
            "positions": pl.zeros(rows, dtype=pl.UInt32, eager=True),
            "largest_usd": pl.repeat(None, rows, dtype=pl.Float64(), eager=True),
        },
        schema=BREAKDOWN,
    )


def _side(side: str, mass: FloatArray, band: Sequence[str], ages: Sequence[str]) -> pl.DataFrame:
    bands = list(dict.fromkeys(band))
    age, which, place = np.nonzero(mass)
    last = mass.shape[2] - 1
    rows = places(side, np.where(place == last, -2, place - 1), mass[age, which, place])
    return rows.with_columns(
        leverage_band=pl.Series(bands, dtype=pl.String()).gather(which),
        age_band=pl.Series(list(ages), dtype=pl.String()).gather(age),
    )


def _per_band(mass: FloatArray, band: Sequence[str]) -> FloatArray:
    """Sums over the nodes of each band; the nodes of a band are neighbours."""
    starts = [at for at, label in enumerate(band) if at == 0 or label != band[at - 1]]
    return np.asarray(np.add.reduceat(mass, starts, axis=1))
