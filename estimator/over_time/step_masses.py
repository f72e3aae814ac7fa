"""The price-time heatmap as arrays: where modelled positions stand after each step of time, coins of both sides.

Knows neither files nor frames; `estimator.over_time.price_time` feeds it from the store.
"""

from dataclasses import dataclass
from functools import reduce

import numpy as np

from liqtruth.estimator.model.turnover import Turnover
from liqtruth.estimator.over_time.time_evolution import Path, Steps, StepStates, step_states
from liqtruth.estimator.series.time_line import Bars
from liqtruth.heatmap.grid import FloatArray, PriceGrid
from liqtruth.heatmap.sides import TwoSided

ROUNDING = 1e-12
"""Differences of two equal masses are this small beside them, and are nothing."""


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
    """Lots born at least `youngest` and less than `oldest` steps ago; without `oldest` however long ago."""

    youngest: int = 0
    oldest: int | None = None

    def of(self, states: StepStates) -> FloatArray:
        """Coins of the band, shape (steps, bins + 3)."""
        mass = states.older_than(self.youngest)
        if self.oldest is None:
            return mass
        band = mass - states.older_than(self.oldest)
        return np.where(band > ROUNDING * mass, band, 0.0)


EVERY_AGE = AgeBand()


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

    `factors` and `weights` are of longs and shorts: liquidation over entry price per node, and birth shares of shape
    (classes, nodes) whose sum is at most one. Weights set to zero filter by leverage, `ages` (which must not overlap)
    by time since birth.
    Raises `BadInput` where the grid does not hold all prices.
    """
    held = bars.open_interest[steps.ends]
    _, survival = steps.product(1.0 - turnover.closed)
    stock = bars.open_interest[0] * np.cumprod(survival, axis=0)
    sides = []
    for factor, share, is_long in zip(factors, weights, (True, False), strict=True):
        path = Path.of(bars, grid, is_long=is_long)
        states = step_states(path, turnover, factor, share, steps)
        columns = reduce(np.add, (band.of(states) for band in ages))
        sides.append(_side(columns, share.sum(axis=1), stock, held, is_long=is_long))
    return PriceTime(sides[0], sides[1], held)


def _side(
    columns: FloatArray, assigned: FloatArray, stock: FloatArray, held: FloatArray, *, is_long: bool
) -> SideMass:
    on_map = columns[:, 1:-2]
    return SideMass(
        on_map=on_map if is_long else on_map[:, ::-1],
        beyond=columns[:, 0],
        never=columns[:, -1],
        swept=columns[:, -2],
        before_window=stock @ assigned,
        unassigned=held * (1.0 - assigned.sum()),
    )
