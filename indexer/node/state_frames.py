"""Raw columns of a node's state into frames: positions with the margin behind each, accounts, modes, balances, markets.

Per dex the cross account value is `u` + sum(szi * mark) over cross positions; a unified account has K = spot total -
cross maintenance of all dexes of that collateral - isolated equity. Where a part of a sum is not known, nor is the sum.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, TypeAlias

import numpy as np
import polars as pl

from liqtruth.indexer.frames import ACCOUNTS, MARKETS, POSITIONS, conform
from liqtruth.indexer.margin.solver import ISOLATED, Floats, maintenance_margin
from liqtruth.indexer.margin.tables import MarginTables
from liqtruth.indexer.node.listing import (
    MICRO,
    Ints,
    Listing,
    totals,
)
from liqtruth.indexer.node.stream import ABSENT, DexColumns, RawState

DEFAULT_LEVERAGE: Final = 20
DEX: Final = ["owner", "dex"]
POOL: Final = ["owner", "token"]
Marks: TypeAlias = Mapping[tuple[str, str], float] | pl.DataFrame


MODE_OF_LETTER: Final = {"u": "unified", "p": "portfolio", "d": "standard", None: "standard"}
SMALLEST_UNIT: Final = {0: 1e-8}
"""Smallest unit of a collateral token by spot index; only USDC's is documented."""


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


def given_marks(marks: Marks | None) -> Mapping[tuple[str, str], float]:
    if isinstance(marks, pl.DataFrame):
        rows = marks.drop_nulls("mark_px").select("dex", "coin", "mark_px").iter_rows()
        return {(dex, coin): px for dex, coin, px in rows}
    return marks or {}


def marks_of(listing: Listing, given: Mapping[tuple[str, str], float]) -> Floats:
    """One price per asset: the given mark, else the oracle's, else NaN."""
    marks = np.array([given.get((listing.dex, coin), np.nan) for coin in listing.coins], np.float64)
    return np.where(marks > 0, marks, listing.oracle_px)


def accounts_of(rows: pl.DataFrame) -> pl.DataFrame:
    """One `ACCOUNTS` row per holder and dex; what is withdrawable the state does not show."""
    firsts = (
        "account_mode",
        "account_value_usd",
        "cross_maintenance_usd",
        "pooled_available_usd",
        "as_of",
        "source",
    )
    holdings = rows.with_columns(isolated_usd=whole("isolated_usd", DEX), used=whole("margin_used_usd", DEX))
    accounts = holdings.group_by("address", "dex", maintain_order=True).agg(
        pl.col(*firsts).first(),
        pl.col("isolated_usd").first(),
        pl.col("used").first().alias("margin_used_usd"),
        pl.col("notional_usd").sum().alias("total_notional_usd"),
        pl.len().alias("positions"),
    )
    return conform(
        accounts.with_columns(
            cross_account_value_usd=pl.col("account_value_usd"),
            account_value_usd=pl.col("account_value_usd") + pl.col("isolated_usd"),
        ),
        ACCOUNTS,
    )


def modes_frame(raw: RawState) -> pl.DataFrame:
    """owner, account_mode of every holder; null where the state has no modes or the letter is not a known one."""
    letters = dict(raw.modes) if raw.modes is not None else {}
    known = raw.modes is not None
    modes = [MODE_OF_LETTER.get(letters.get(row)) if known else None for row in range(len(raw.addresses))]
    return pl.DataFrame(
        {"owner": range(len(modes)), "account_mode": modes},
        schema={"owner": pl.Int64, "account_mode": pl.String},
    )


def spot_totals(raw: RawState) -> pl.DataFrame:
    """owner, token, total in units of the token."""
    owner, token, total = raw.spot if raw.spot is not None else ([], [], [])
    unit = pl.col("token").replace_strict(SMALLEST_UNIT, default=None, return_dtype=pl.Float64)
    return pl.DataFrame(
        {
            "owner": np.asarray(owner, np.int64),
            "token": np.asarray(token, np.int64),
            "raw": np.asarray(total, np.int64),
        }
    ).select("owner", "token", total=pl.col("raw") * unit)


def markets_frame(
    raw: RawState, listings: Sequence[Listing], given: Mapping[tuple[str, str], float], as_of: datetime
) -> pl.DataFrame:
    """Mark and open interest of every asset; the latter is the sum of all longs, which the state has."""
    return pl.concat(
        conform(
            pl.DataFrame(
                {
                    "coin": pl.Series(listing.coins, dtype=pl.String),
                    "mark_px": marks_of(listing, given),
                    "open_interest": _longs(dex, listing) / listing.lots_per_coin,
                    "max_leverage": [float(asset.max_leverage) for asset in listing.meta.universe],
                    "margin_table_id": [asset.margin_table_id for asset in listing.meta.universe],
                }
            ).with_columns(
                dex=pl.lit(listing.dex),
                mark_px=pl.col("mark_px").fill_nan(None),
                open_interest_usd=pl.col("open_interest") * pl.col("mark_px").fill_nan(None),
                collateral_token=pl.lit(listing.meta.collateral_token),
                as_of=pl.lit(as_of, MARKETS["as_of"]),
            ),
            MARKETS,
        )
        for dex, listing in zip(raw.dexes, listings, strict=True)
    )


def _longs(dex: DexColumns, listing: Listing) -> Ints:
    sizes = np.maximum(np.asarray(dex.size, np.int64), 0)
    return totals(np.asarray(dex.asset, np.int64), sizes, len(listing.lots_per_coin))


def named(rows: pl.DataFrame, raw: RawState, as_of: datetime, source: str) -> pl.DataFrame:
    names = pl.Series([f"0x{address.hex()}" for address in raw.addresses], dtype=pl.String)
    return rows.with_columns(
        address=names.gather(rows["owner"]),
        exchange_read=pl.lit(False),
        as_of=pl.lit(as_of, POSITIONS["as_of"]),
        source=pl.lit(source),
    )
