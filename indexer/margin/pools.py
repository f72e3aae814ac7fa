"""What backs each position: its row of margin tiers, and the pool of collateral that it shares with others.

A pool is what is liquidated together: the cross positions of one account in one dex, or, for a unified or portfolio
account, in all dexes of one collateral token. An isolated position is in no pool. What a pool has available is what
by the exchange's prices: the captured margin where a price agrees with it, else what most of the prices imply, else
unknown (NaN). Columnar; the only loops are over dexes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from liqtruth.indexer.margin.solver import (
    AVAILABLE,
    ISOLATED,
    MARK,
    POOLED,
    PRICED,
    SAME_COLLATERAL,
    Floats,
    Rows,
    by_dex,
    implied_available,
    maintenance_margin,
    rows_of,
)
from liqtruth.indexer.margin.tables import NO_TABLE, MarginTables

NO_POOL: Final = -1


@dataclass(frozen=True, eq=False)
class Backing:
    """Arrays in the order of the positions, then arrays per pool; NaN where unknown.

    Attributes
    ----------
    tables, table_row : tiers of all dexes in one, and the row of each position (NaN tiers where none is known)
    szi, mark_px, own_maintenance_usd : arrays of shape (positions,)
    pool : array of shape (positions,), -1 for an isolated position
    available_usd, maintenance_usd : arrays of shape (pools,)
        Equity less maintenance, and maintenance, of all cross positions, those that were not read included.
    """

    tables: MarginTables
    table_row: Rows
    szi: Floats
    mark_px: Floats
    own_maintenance_usd: Floats
    pool: Rows
    available_usd: Floats
    maintenance_usd: Floats

    @property
    def notional_usd(self) -> Floats:
        return np.asarray(np.abs(self.szi) * self.mark_px)

    @property
    def pools(self) -> int:
        return len(self.available_usd)

    def of_pool(self, per_pool: Floats, isolated: float = np.nan) -> Floats:
        """Values per pool at each position; `isolated` where a position is in none."""
        return np.append(per_pool, isolated)[self.pool]

    def sum_by_pool(self, per_position: Floats) -> Floats:
        """Sums over the cross positions of each pool."""
        cross = self.pool != NO_POOL
        return np.bincount(self.pool[cross], per_position[cross], self.pools).astype(np.float64)

    def unseen_maintenance_usd(self) -> Floats:
        """Maintenance per pool of cross positions that the frame does not hold; zero within rounding."""
        gap = self.maintenance_usd - self.sum_by_pool(self.own_maintenance_usd)
        return np.where(np.abs(gap) > 1e-4 * self.maintenance_usd + 1e-6, gap, 0.0)


def backing_of(positions: pl.DataFrame, tables: Mapping[str, MarginTables]) -> Backing:
    """Read a reconciled `POSITIONS` frame that holds all cross positions of its accounts."""
    stacked, offsets = stack_tables(tables)
    row = _table_rows(positions, tables, offsets)
    szi, mark_px = _floats(positions, pl.col("szi")), _floats(positions, MARK)
    own = maintenance_margin(np.abs(szi) * mark_px, row, stacked)
    pool = _pool_of(positions, tables)
    pools = int(pool.max(initial=NO_POOL)) + 1
    priced_px = _floats(positions, pl.when(PRICED).then("liq_px_exchange"))
    implied = implied_available(szi, priced_px, mark_px, row, stacked)
    return Backing(
        tables=stacked,
        table_row=row,
        szi=szi,
        mark_px=mark_px,
        own_maintenance_usd=own,
        pool=pool,
        available_usd=_available(positions, pool, pools, implied),
        maintenance_usd=_maintenance(positions, pool, pools, own),
    )


def stack_tables(tables: Mapping[str, MarginTables]) -> tuple[MarginTables, dict[str, int]]:
    """Tables of all dexes under each other, and the first row of each dex. Row 0 has no tiers."""
    width = max((dex_tables.tiers for dex_tables in tables.values()), default=1)
    empty = np.full((1, width), np.nan)
    parts = [(empty, empty, empty, empty), *(_widened(dex_tables, width) for dex_tables in tables.values())]
    lower, rate, deduction, margin = (np.concatenate(column) for column in zip(*parts, strict=True))
    firsts = np.cumsum([1, *(len(dex_tables.rate) for dex_tables in tables.values())])
    stacked = MarginTables(lower, rate, deduction, margin, np.rint(0.5 / rate[:, 0]), {}, {})
    return stacked, {dex: int(first) for dex, first in zip(tables, firsts, strict=False)}


def _widened(tables: MarginTables, width: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Tiers padded as `MarginTables` pads them: an infinite bound, the last rate and deduction, no margin."""
    wide = ((0, 0), (0, width - tables.tiers))
    return (
        np.pad(tables.lower_bound_usd, wide, constant_values=np.inf),
        np.pad(tables.rate, wide, mode="edge"),
        np.pad(tables.deduction_usd, wide, mode="edge"),
        np.pad(tables.bound_margin_usd, wide),
    )


def _table_rows(
    positions: pl.DataFrame, tables: Mapping[str, MarginTables], offsets: Mapping[str, int]
) -> Rows:
    rows = np.zeros(positions.height, dtype=np.int64)
    for at, part, dex_tables in by_dex(positions, tables):
        own = rows_of(part, dex_tables)
        rows[at] = np.where(own == NO_TABLE, 0, own + offsets[part["dex"][0]])
    return rows


def _pool_of(positions: pl.DataFrame, tables: Mapping[str, MarginTables]) -> Rows:
    """Pools numbered from 0 in no particular order; -1 for isolated positions."""
    token = {dex: f"token {dex_tables.collateral_token}" for dex, dex_tables in tables.items()}
    backed_by = (
        pl.when(POOLED).then(pl.col("dex").replace(token)).otherwise(pl.concat_str(pl.lit("dex "), "dex"))
    )
    keyed = positions.select("address", ~ISOLATED.fill_null(False), backed_by=backed_by)
    cross = keyed["margin_mode"].to_numpy()
    first_row = keyed.with_row_index("row").select(
        pl.col("row").first().over("address", "backed_by", "margin_mode")
    )
    pool = np.full(positions.height, NO_POOL, dtype=np.int64)
    pool[cross] = np.unique(first_row.to_series().to_numpy()[cross], return_inverse=True)[1]
    return pool


def _available(positions: pl.DataFrame, pool: Rows, pools: int, implied: Floats) -> Floats:
    """Margin available per pool; of readings at several moments the last one's."""
    captured = positions.select(
        "as_of",
        captured=AVAILABLE,
        agrees=pl.col("status") == "agree",
        lost=pl.col("status") == "unknown_collateral",
    )
    rows = captured.with_columns(
        contradicted=positions["status"].is_in(("differs", "exchange_only")),
        pool=pool,
        implied=pl.Series(implied, nan_to_null=True),
    ).filter(pl.col("pool") != NO_POOL)
    median = pl.col("implied").median().over("pool")
    near = ((pl.col("implied") - median).abs() <= SAME_COLLATERAL * median.abs()).fill_null(False)
    found = (
        rows.with_columns(near=near)
        .group_by("pool")
        .agg(
            pl.col("captured").sort_by("as_of").last(),
            pl.col("contradicted").any() & ~pl.col("agrees").any(),
            pl.col("lost").any(),
            implied=pl.col("implied").filter("near").median(),
            most=2 * pl.col("near").sum() > pl.col("implied").count(),
        )
        .select("pool", available=_believed())
    )
    return _by_pool(found, "available", pools)


def _believed() -> pl.Expr:
    return (
        pl.when(pl.col("lost"))
        .then(None)
        .when(pl.col("contradicted"))
        .then(pl.when("most").then("implied"))
        .otherwise("captured")
    )


def _maintenance(positions: pl.DataFrame, pool: Rows, pools: int, own: Floats) -> Floats:
    """Maintenance per pool as the exchange sums it in each dex; our own sum where it was not captured."""
    rows = positions.select("dex", "as_of", captured="cross_maintenance_usd").with_columns(
        pool=pool, own=pl.Series(own)
    )
    found = (
        rows.filter(pl.col("pool") != NO_POOL)
        .group_by("pool", "dex")
        .agg(pl.col("captured").sort_by("as_of").last(), pl.col("own").sum())
        .group_by("pool")
        .agg(pl.coalesce("captured", "own").sum())
    )
    return _by_pool(found, "captured", pools)


def _by_pool(found: pl.DataFrame, column: str, pools: int) -> Floats:
    values = np.full(pools, np.nan)
    values[found["pool"].to_numpy()] = found[column].cast(pl.Float64).to_numpy()
    return values


def _floats(frame: pl.DataFrame, value: pl.Expr) -> Floats:
    """A column as float64, null as NaN."""
    return frame.select(value.cast(pl.Float64)).to_series().to_numpy()
