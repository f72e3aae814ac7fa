"""The smallest shock at which a pool's equity meets its maintenance, exactly, for all pools at once.

With every mark moving linearly in the shock t >= 0, a pool's equity less maintenance is a sum of piecewise linear
functions, one per position: it bends where the notional reaches a tier bound (Hyperliquid docs, "Margin tiers")
and where a mark reaches zero. Sorting all bends of all pools by (pool, t) and summing slopes along them gives its
value at each bend; the root lies before the first bend with a negative value. The line of that piece is then summed
again from its positions alone, so that neighbours in the sort leave no rounding in the root.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from liqtruth.indexer.margin.pools import NO_POOL, Backing
from liqtruth.indexer.margin.solver import Floats, Rows
from liqtruth.indexer.margin.tables import MarginTables

POLISH_ROUNDS = 2
FURTHEST_SHOCK = 1e18
"""Bends and roots beyond it are left out: no price that far is one."""


@dataclass(frozen=True, eq=False)
class Legs:
    """Cross positions of pools whose collateral and tiers are all known; `sign` is +1 for longs.

    `available_usd` has one entry per pool, NaN where the pool is left out.
    """

    tables: MarginTables
    pool: Rows
    notional_usd: Floats
    sign: Floats
    beta: Floats
    table_row: Rows
    own_maintenance_usd: Floats
    available_usd: Floats

    @classmethod
    def of(cls, backing: Backing, beta: Floats) -> Self:
        """The cross positions of `backing` with their betas."""
        available = cls.known_available(backing)
        used = np.isfinite(backing.of_pool(available))
        return cls(
            tables=backing.tables,
            pool=backing.pool[used],
            notional_usd=backing.notional_usd[used],
            sign=np.sign(backing.szi[used]),
            beta=beta[used],
            table_row=backing.table_row[used],
            own_maintenance_usd=backing.own_maintenance_usd[used],
            available_usd=available,
        )

    @staticmethod
    def known_available(backing: Backing) -> Floats:
        """Margin available per pool; NaN as well where a position's tiers or mark are not known."""
        cross = backing.pool != NO_POOL
        lost = cross & ~np.isfinite(backing.own_maintenance_usd)
        available = backing.available_usd.copy()
        available[backing.pool[lost]] = np.nan
        return available

    @property
    def pools(self) -> int:
        return len(self.available_usd)


@dataclass(frozen=True, eq=False)
class Bends:
    """Where slopes change, sorted by pool and shock; `slope_change` is per unit of shock."""

    pool: Rows
    shock: Floats
    slope_change: Floats


def first_shock(legs: Legs, direction: int) -> Floats:
    """Smallest t >= 0 at which a move `direction * t` of the chosen coin liquidates each pool.

    Zero where a pool is below maintenance already; NaN where no shock liquidates it or it is not known.
    """
    drift = direction * legs.beta
    shock = _root_along(legs, drift)
    for _ in range(POLISH_ROUNDS):
        constant, slope = _line_at(legs, drift, shock)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            shock = np.where(np.isfinite(shock) & (slope < 0), -constant / slope, shock)
    shock[~((shock >= 0) & (shock < FURTHEST_SHOCK))] = np.nan
    return np.where(legs.available_usd < 0, 0.0, shock)


def _bends(legs: Legs, drift: Floats) -> Bends:
    """All tier bounds and zero marks ahead; a bound bends downwards whichever way it is passed."""
    notional, tables, row = legs.notional_usd, legs.tables, legs.table_row
    pools, shocks, changes = [], [], []
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        candidates = [(-1 / drift, -notional * drift * (legs.sign - tables.rate[row, 0]), drift < 0)]
        for k in range(1, tables.tiers):
            bound, rise = tables.lower_bound_usd[row, k], tables.rate[row, k] - tables.rate[row, k - 1]
            at = (bound / notional - 1) / drift
            candidates.append((at, -notional * np.abs(drift) * rise, (at > 0) | (drift < 0)))
    for at, change, ahead in candidates:
        kept = np.flatnonzero(ahead & (at >= 0) & (at < FURTHEST_SHOCK))
        pools.append(legs.pool[kept])
        shocks.append(at[kept])
        changes.append(change[kept])
    pool, shock, change = np.concatenate(pools), np.concatenate(shocks), np.concatenate(changes)
    order = np.lexsort((shock, pool))
    return Bends(pool[order], shock[order], change[order])


def _root_along(legs: Legs, drift: Floats) -> Floats:
    """Root of the first piece that ends below zero, in units of each pool's own notional; NaN where none does."""
    bends = _bends(legs, drift)
    rate = legs.tables.rate[legs.table_row, _tier(legs, legs.notional_usd)]
    gross = np.bincount(legs.pool, legs.notional_usd, legs.pools)
    scale = 1 / np.where(gross > 0, gross, 1.0)
    slope = scale * np.bincount(legs.pool, legs.notional_usd * drift * (legs.sign - rate), legs.pools)
    constant = scale * legs.available_usd
    bent = np.append(0.0, np.cumsum(scale[bends.pool] * bends.slope_change))
    moment = np.append(0.0, np.cumsum(scale[bends.pool] * bends.slope_change * bends.shock))
    start = np.searchsorted(bends.pool, np.arange(legs.pools + 1))
    place, before = np.arange(len(bends.pool)), start[bends.pool]
    value = (
        constant[bends.pool]
        + bends.shock * (slope[bends.pool] + bent[place] - bent[before])
        - (moment[place] - moment[before])
    )
    last = _first_below(value, bends.pool, start)
    constant = constant - (moment[last] - moment[start[:-1]])
    slope = slope + bent[last] - bent[start[:-1]]
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        root = np.where(slope < 0, -constant / slope, np.nan)
    root[~(root < FURTHEST_SHOCK)] = np.nan
    return root


def _first_below(value: Floats, pool: Rows, start: Rows) -> Rows:
    """Index of each pool's first bend of negative value; one past its last bend where there is none."""
    found = start[1:].copy()
    below = np.flatnonzero(value < 0)[::-1]
    found[pool[below]] = below
    return found


def _line_at(legs: Legs, drift: Floats, shock: Floats) -> tuple[Floats, Floats]:
    """Constant and slope (per unit of shock) of each pool's equity less maintenance around its `shock`."""
    factor = 1 + drift * np.nan_to_num(shock)[legs.pool]
    notional = legs.notional_usd
    tier = _tier(legs, notional * factor)
    rate = legs.tables.rate[legs.table_row, tier]
    due = notional * rate - legs.tables.deduction_usd[legs.table_row, tier]
    floored = factor <= 0
    fixed = legs.own_maintenance_usd - np.where(floored, legs.sign * notional, due)
    steep = np.where(floored, 0.0, notional * drift * (legs.sign - rate))
    constant = legs.available_usd + np.bincount(legs.pool, fixed, legs.pools)
    return constant, np.bincount(legs.pool, steep, legs.pools).astype(np.float64)


def _tier(legs: Legs, notional_usd: Floats) -> Rows:
    tier = np.zeros(len(notional_usd), dtype=np.int64)
    for k in range(1, legs.tables.tiers):
        tier += notional_usd >= legs.tables.lower_bound_usd[legs.table_row, k]
    return tier
