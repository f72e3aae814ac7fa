"""What is left of every lot after each step of time, per price bin, by one recursion instead of a rebuild per step.

    M_k = M_{k-1} * survival_k, emptied where the step's prices went, + openings of the step's bars

Both sides are written in one coordinate, bins of log price that rise from far away to the mark's path: for shorts the
grid is mirrored. Then a level is swept once the path has come down to it, on either side.

Inside the step in which a lot is opened it is judged by itself, by its entry bar's close and the later bars of the
step. Afterwards only its bin is known, and a bin is emptied whole as soon as the path has touched its inside. So
nothing is ever left at a crossed price, and of the bin that holds the path's extreme too much is taken: a map by
lots holds up to a few percent more near the mark at 10 bps. Where no bin is crossed in part the two are equal.

Arrays in, arrays out: knows neither files nor frames.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from liqtruth.estimator.model.turnover import Turnover
from liqtruth.estimator.series.time_line import Bars
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.grid import FloatArray, IntArray, PriceGrid
from liqtruth.heatmap.levels import TwoSided

BoolArray = NDArray[np.bool_]

LOTS_AT_ONCE: Final = 40_000
"""Lots per piece of work: its arrays stay in the processor's cache."""

EDGE: Final = 1e-9
"""A price this part of a bin below an edge counts as on it, as in `PriceGrid.bin_of`."""

EXTRA: Final = 3
"""Columns beside the bins: beyond the grid first; after the bins what was swept, and what no price liquidates."""
ROUNDING = 1e-12
"""Differences of two equal masses are this small beside them, and are nothing."""


@dataclass(frozen=True, eq=False)
class Steps:
    """Bars grouped into consecutive steps: step `k` holds the bars from `ends[k - 1]` up to before `ends[k]`.

    A step inside a gap of the bars holds none; the first holds at least one.
    """

    ends: IntArray

    def __post_init__(self) -> None:
        if self.ends.size == 0 or self.ends[0] < 1 or np.any(np.diff(self.ends) < 0):
            raise BadInput("steps must not go back, and the first must hold at least one bar")

    @property
    def starts(self) -> IntArray:
        return np.concatenate([[0], self.ends[:-1]])

    @property
    def of_bar(self) -> IntArray:
        """Step per bar."""
        return np.repeat(np.arange(self.ends.size), np.diff(self.ends, prepend=0))

    def minimum(self, values: FloatArray) -> FloatArray:
        """Least value in each step, infinite in one without bars."""
        return np.asarray(self._table(values, np.inf)[0].min(axis=1))

    def sum(self, values: FloatArray) -> FloatArray:
        """Sum over each step of values of shape (bars, classes)."""
        return np.asarray(self._table(values, 0.0)[0].sum(axis=1))

    def later_minimum(self, values: FloatArray) -> FloatArray:
        """Least value of the later bars of the same step, per bar; infinite for a step's last bar."""
        table, is_bar = self._table(values, np.inf)
        least = np.minimum.accumulate(table[:, ::-1], axis=1)[:, ::-1]
        return np.asarray(_shifted(least, np.inf)[is_bar])

    def product(self, shares: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Products over the later bars of each bar's step (bars, classes), and over each whole step."""
        table, is_bar = self._table(shares, 1.0)
        kept = np.asarray(np.cumprod(table[:, ::-1], axis=1)[:, ::-1], dtype=np.float64)
        return np.asarray(_shifted(kept, 1.0)[is_bar]), np.asarray(kept[:, 0])

    def _table(self, values: FloatArray, filler: float) -> tuple[FloatArray, BoolArray]:
        """One row per step, filled up to the longest one; and where a bar stands."""
        length = int(np.diff(self.ends, prepend=0).max())
        bar = self.starts[:, None] + np.arange(length)
        is_bar = bar < self.ends[:, None]
        table = np.full((*is_bar.shape, *values.shape[1:]), filler)
        table[is_bar] = values[: self.ends[-1]]
        return table, is_bar


def _shifted(table: FloatArray, filler: float) -> FloatArray:
    last = np.full((table.shape[0], 1, *table.shape[2:]), filler)
    return np.concatenate([table[:, 1:], last], axis=1)


@dataclass(frozen=True, eq=False)
class Path:
    """Bars of one side in the coordinate of the module's docstring, in bins, one to the right for the first column.

    `entry` has shape (bars, entry points); `close` and `reach` (how near a bar's path came) one value per bar.
    """

    entry: FloatArray
    close: FloatArray
    reach: FloatArray
    bins: int
    sign: float
    log_width: float

    @classmethod
    def of(cls, bars: Bars, grid: PriceGrid, *, is_long: bool) -> "Path":
        """Raises `BadInput` where the grid does not hold the path: what it sweeps would be unknown."""
        sign = 1.0 if is_long else -1.0
        low = bars.low if bars.swept_low is None else bars.swept_low
        high = bars.high if bars.swept_high is None else bars.swept_high

        def place(prices: FloatArray) -> FloatArray:
            steps = sign * np.log(prices / grid.mark_px) / grid.log_width
            return np.asarray(steps + grid.bins_each_way + 1 + EDGE)

        path = cls(
            place(bars.entries), place(bars.close), place(low if is_long else high),
            grid.bins, sign, grid.log_width,
        )  # fmt: skip
        if path.reach.min() < 1 or path.close.min() < 1 or path.reach.max() >= grid.bins + 2:
            raise BadInput(f"prices leave the grid from {grid.edges[0]:,.6g} to {grid.edges[-1]:,.6g}")
        return path

    def distance(self, factors: FloatArray) -> FloatArray:
        """Where liquidation prices lie from entries, in bins; `factors` must be positive."""
        return np.asarray(self.sign * np.log(factors) / self.log_width)


@dataclass(frozen=True, eq=False)
class StepStates:
    """One side after each step.

    Attributes
    ----------
    coins : array of shape (classes, steps, bins + 3)
        Beyond the grid; the bins, for shorts from the highest price down; swept; never liquidated.
    survival : share of what stood before each step that the step did not close, shape (steps, classes)
    cut : first column which the step's path emptied, shape (steps,)
    """

    coins: FloatArray
    survival: FloatArray
    cut: IntArray

    def total(self) -> FloatArray:
        """All classes together, shape (steps, bins + 3)."""
        return np.asarray(self.coins.sum(axis=0))

    def older_than(self, steps: int) -> FloatArray:
        """Of `total`, what was opened at least `steps` steps before: the earlier state, closed and swept since."""
        if steps == 0:
            return self.total()
        _, count, columns = self.coins.shape
        older: FloatArray = np.zeros((count, columns))
        if steps >= count:
            return older
        kept = sliding_window_view(self.survival[1:], steps, axis=0).prod(axis=-1)
        cut = sliding_window_view(self.cut[1:], steps).min(axis=-1)
        older[steps:] = np.einsum("ckb,kc->kb", self.coins[:, :-steps], kept)
        swept = columns - 2
        crossed = (np.arange(swept) >= cut[:, None]).astype(np.float64)
        older[steps:, swept] += (older[steps:, :swept] * crossed).sum(axis=1)
        older[steps:, :swept] *= 1.0 - crossed
        return older


def step_states(
    path: Path, turnover: Turnover, factors: FloatArray, weights: FloatArray, steps: Steps
) -> StepStates:
    """Coins per class, step and column of one side.

    `factors` (liquidation over entry price) are per leverage node, `weights` of shape (classes, nodes) the share of
    each class's openings there. A factor that is not positive has no price that liquidates.
    """
    within, survival = steps.product(1.0 - turnover.closed)
    opened = turnover.openings[: steps.ends[-1]] * within
    on_map = (factors > 0) & weights.any(axis=0)
    coins = np.zeros((weights.shape[0], steps.ends.size, path.bins + EXTRA))
    if on_map.any():
        _place_openings(coins, path, opened, path.distance(factors[on_map]), weights[:, on_map], steps)
    never = steps.sum(opened) * weights[:, factors <= 0].sum(axis=1)
    coins[:, :, -1] += never.T
    reached = np.minimum(steps.minimum(path.reach), path.bins + 1)
    cut = np.floor(reached).astype(np.int64)
    _carry(coins, survival, cut)
    return StepStates(coins, survival, cut)


def _place_openings(
    coins: FloatArray, path: Path, opened: FloatArray, distance: FloatArray, weights: FloatArray, steps: Steps
) -> None:
    """Add what is left at the end of its own step of each bar's openings."""
    nearest = np.minimum(path.close[: steps.ends[-1]], steps.later_minimum(path.reach)) - EDGE
    points, columns, swept = path.entry.shape[1], coins.shape[2], coins.shape[2] - 2
    each = opened / points
    of_bar = steps.of_bar
    for first, last in _pieces(steps, points * distance.size):
        bars = slice(int(steps.starts[first]), int(steps.ends[last - 1]))
        place = path.entry[bars, :, None] + distance
        crossed = place >= nearest[bars, None, None]
        np.maximum(place, 0.0, out=place)
        place[crossed] = swept
        key = place.astype(np.int64)
        key += ((of_bar[bars] - first) * columns)[:, None, None]
        flat, size = key.ravel(), (last - first) * columns
        for class_, share in enumerate(weights):
            lots = np.broadcast_to(np.outer(each[bars, class_], share)[:, None, :], key.shape)
            counted = np.bincount(flat, weights=lots.ravel(), minlength=size)
            coins[class_, first:last] = counted.reshape(-1, columns)


def _pieces(steps: Steps, lots_per_bar: int) -> Iterator[tuple[int, int]]:
    """Runs of whole steps that hold about `LOTS_AT_ONCE` lots each."""
    piece = steps.starts * lots_per_bar // LOTS_AT_ONCE
    firsts = np.flatnonzero(np.diff(piece, prepend=-1))
    yield from zip(firsts.tolist(), [*firsts[1:].tolist(), piece.size], strict=True)


def _carry(coins: FloatArray, survival: FloatArray, cut: IntArray) -> None:
    """The recursion itself, in place."""
    swept = coins.shape[2] - 2
    cuts = cut.tolist()
    for step in range(1, coins.shape[1]):
        carried = coins[:, step - 1] * survival[step][:, None]
        now, first = coins[:, step], cuts[step]
        now[:, :first] += carried[:, :first]
        now[:, swept] += carried[:, first : swept + 1].sum(axis=1)
        now[:, -1] += carried[:, -1]


@dataclass(frozen=True, eq=False)
class SideMass:
    """Coins of one side after each step: `on_map` has shape (steps, bins), the others (steps,).

    `swept` is what earlier prices liquidated and no closure has taken out of open interest since, `before_window` the
    rest of the stock before the first bar, `unassigned` what the weights leave to no leverage. Without an age band
    the six parts sum to open interest.
    """

    on_map: FloatArray
    beyond: FloatArray
    never: FloatArray
    swept: FloatArray
    before_window: FloatArray
    unassigned: FloatArray

    @property
    def seen(self) -> FloatArray:
        """What has a place: on the map, beyond the grid, or at no price."""
        return np.asarray(self.on_map.sum(axis=1) + self.beyond + self.never)

    @property
    def null(self) -> FloatArray:
        return np.asarray(self.swept + self.before_window + self.unassigned)

    @property
    def total(self) -> FloatArray:
        return np.asarray(self.seen + self.null)


@dataclass(frozen=True, eq=False)
class PriceTime(TwoSided[SideMass]):
    """Both sides after each step, and the open interest (coins) that they account for."""

    long: SideMass
    short: SideMass
    open_interest: FloatArray


@dataclass(frozen=True)
class AgeBand:
    """Lots opened at least `youngest` and less than `oldest` steps ago; without `oldest` however long ago."""

    youngest: int = 0
    oldest: int | None = None

    def of(self, states: StepStates) -> FloatArray:
        """Coins of the band, shape (steps, bins + 3)."""
        mass = states.older_than(self.youngest)
        if self.oldest is None:
            return mass
        band = mass - states.older_than(self.oldest)
        return np.where(band > ROUNDING * mass, band, 0.0)


EVERY_AGE: Final = AgeBand()


def price_time(
    bars: Bars,
    turnover: Turnover,
    factors: tuple[FloatArray, FloatArray],
    weights: tuple[FloatArray, FloatArray],
    steps: Steps,
    grid: PriceGrid,
    *,
    ages: tuple[AgeBand, ...] = (EVERY_AGE,),
) -> PriceTime:
    """Modelled coins per step and price bin.

    `factors` and `weights` are of longs and shorts: liquidation over entry price per node, and opening shares of shape
    (classes, nodes) whose sum is at most one. Weights set to zero filter by leverage, `ages` (which must not overlap)
    by time since opening.
    Raises `BadInput` where the grid does not hold all prices.
    """
    open_interest = bars.open_interest[steps.ends]
    _, survival = steps.product(1.0 - turnover.closed)
    stock = bars.open_interest[0] * np.cumprod(survival, axis=0)
    sides = []
    for factor, share, is_long in zip(factors, weights, (True, False), strict=True):
        path = Path.of(bars, grid, is_long=is_long)
        states = step_states(path, turnover, factor, share, steps)
        columns = reduce(np.add, (band.of(states) for band in ages))
        sides.append(_side(columns, share.sum(axis=1), stock, open_interest, is_long=is_long))
    return PriceTime(sides[0], sides[1], open_interest)


def _side(
    columns: FloatArray, assigned: FloatArray, stock: FloatArray, open_interest: FloatArray, *, is_long: bool
) -> SideMass:
    on_map = columns[:, 1:-2]
    return SideMass(
        on_map=on_map if is_long else on_map[:, ::-1],
        beyond=columns[:, 0],
        never=columns[:, -1],
        swept=columns[:, -2],
        before_window=stock @ assigned,
        unassigned=open_interest * (1.0 - assigned.sum()),
    )
