"""Raw columns of a node's state into rows of positions, and the margin that backs each: vectorised, nulls kept.

Per dex the cross account value is `u` + sum(szi * mark) over cross positions; a unified account has K = spot total -
cross maintenance of all dexes of that collateral - isolated equity. Where a part of a sum is not known, nor is the sum.
"""

from datetime import datetime
from typing import Final

import numpy as np
import polars as pl

from liqtruth.indexer.frames import POSITIONS
from liqtruth.indexer.margin.solver import Floats, maintenance_margin
from liqtruth.indexer.margin.tables import MarginTables
from liqtruth.indexer.node.listing import MICRO, Listing
from liqtruth.indexer.node.stream import ABSENT, DexColumns, RawState

DEFAULT_LEVERAGE: Final = 20
DEX: Final = ["owner", "dex"]
POOL: Final = ["owner", "token"]
ISOLATED: Final = pl.col("margin_mode") == "isolated"


def dex_rows(raw: DexColumns, listing: Listing, marks: Floats) -> pl.DataFrame:
    """One row per position of the dex, in dollars and coins, with its own maintenance and the holder's cash leg."""
    asset, lots = np.asarray(raw.asset, np.int64), np.asarray(raw.size, np.int64)
    szi, mark_px = lots / listing.lots_per_coin[asset], marks[asset]
    rows = pl.DataFrame(
        {
            "owner": np.asarray(raw.owner, np.int64),
            "coin": pl.Series(listing.coins, dtype=pl.String).gather(asset),
            "szi": szi,
            "entry_px": np.asarray(raw.cost, np.int64) / MICRO / np.abs(szi),
            "mark_px": mark_px,
            "leverage": np.asarray(raw.leverage, np.float64),
            "isolated": np.asarray(raw.isolated, np.int64) == 1,
            "isolated_raw_usd": np.asarray(raw.isolated_cash, np.int64) / MICRO,
            "margin_table_id": np.asarray(raw.table, np.int64),
            "restricted": listing.restricted[asset],
        }
    ).with_columns(
        dex=pl.lit(listing.dex),
        token=pl.lit(listing.meta.collateral_token, pl.Int64),
        margin_table_id=_present("margin_table_id"),
    )
    cash = pl.DataFrame({"owner": np.asarray(raw.holder, np.int64), "cash_usd": np.asarray(raw.cash) / MICRO})
    return _with_settings(_with_tables(rows, listing.tables)).join(
        cash, on="owner", how="left", maintain_order="left"
    )


def _with_tables(rows: pl.DataFrame, tables: MarginTables) -> pl.DataFrame:
    """Maximum leverage and maintenance margin of each position by its own table; null where that is not listed."""
    unknown = pl.Series([None] * rows.height, dtype=pl.Float64)
    row = tables.rows_of(rows["coin"], unknown, rows["margin_table_id"])
    notional = (rows["szi"].abs() * rows["mark_px"]).to_numpy()
    return rows.with_columns(
        max_leverage=pl.Series(tables.first_leverage[row]).fill_nan(None),
        own_usd=pl.Series(maintenance_margin(notional, row, tables)).fill_nan(None),
        mark_px=pl.col("mark_px").fill_nan(None),
    )


def _with_settings(rows: pl.DataFrame) -> pl.DataFrame:
    """Margin mode and leverage; a position without a setting has the default of its asset."""
    unset = pl.col("leverage") == ABSENT
    isolated = pl.col("isolated") | (unset & pl.col("restricted"))
    default = pl.min_horizontal("max_leverage", pl.lit(float(DEFAULT_LEVERAGE)))
    return rows.with_columns(
        margin_mode=pl.when(isolated).then(pl.lit("isolated")).otherwise(pl.lit("cross")),
        isolated_raw_usd=pl.when("isolated").then("isolated_raw_usd"),
        leverage=pl.when(unset).then(default).otherwise("leverage"),
        notional_usd=pl.col("szi").abs() * pl.col("mark_px"),
    )


def with_margins(rows: pl.DataFrame, spot: pl.DataFrame) -> pl.DataFrame:
    """Account value, maintenance and K of each position's account; null wherever a part of them is not known."""
    value = pl.col("szi") * pl.col("mark_px")
    equity = pl.when(ISOLATED).then(pl.col("isolated_raw_usd") + value).otherwise(0.0)
    valued = rows.with_columns(
        isolated_usd=equity,
        cross_usd=pl.when(ISOLATED).then(0.0).otherwise(value),
        due_usd=pl.when(ISOLATED).then(0.0).otherwise("own_usd"),
        margin_used_usd=pl.when(ISOLATED).then(equity).otherwise(pl.col("notional_usd") / pl.col("leverage")),
        unrealized_pnl_usd=value - pl.col("szi") * pl.col("entry_px"),
    ).join(spot, on=POOL, how="left", maintain_order="left")
    pooled = pl.col("total") - whole("due_usd", POOL) - whole("isolated_usd", POOL)
    return valued.with_columns(
        account_value_usd=pl.col("cash_usd") + whole("cross_usd", DEX),
        cross_maintenance_usd=whole("due_usd", DEX),
        pooled_available_usd=pl.when(pl.col("account_mode") == "unified").then(pooled),
    )


def whole(column: str, group: list[str]) -> pl.Expr:
    """Sum over the group; null where one of its rows is."""
    return pl.when(pl.col(column).is_not_null().all().over(group)).then(pl.col(column).sum().over(group))


def _present(column: str) -> pl.Expr:
    return pl.when(pl.col(column) != ABSENT).then(column)


def named(rows: pl.DataFrame, raw: RawState, as_of: datetime, source: str) -> pl.DataFrame:
    names = pl.Series([f"0x{address.hex()}" for address in raw.addresses], dtype=pl.String)
    return rows.with_columns(
        address=names.gather(rows["owner"]),
        exchange_read=pl.lit(False),
        as_of=pl.lit(as_of, POSITIONS["as_of"]),
        source=pl.lit(source),
    )
