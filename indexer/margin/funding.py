"""Hourly funding between two reads: it moves cash, and with the cash every liquidation price of the account.

Each full hour a position pays `szi * oracle price * rate` (a long pays a positive rate), out of the cash leg of an
isolated position, out of the dex's balance or the pool of a cross one. Source: Hyperliquid docs, "Funding". The rate
that is paid is the one of the moment of payment; the last one read before the hour stands for it, and the mark for the
oracle price where no oracle price was read.
"""

from collections.abc import Mapping
from datetime import timedelta

import polars as pl

from liqtruth.indexer.frames import POSITIONS, conform
from liqtruth.indexer.margin.tables import MarginTables

HOUR = timedelta(hours=1)
ISOLATED = pl.col("margin_mode") == "isolated"


def pay_funding(
    positions: pl.DataFrame, rates: pl.DataFrame, tables: Mapping[str, MarginTables], hours: int = 1
) -> pl.DataFrame:
    """Positions after `hours` payments at unchanged rates and prices; `remark` then solves their prices again.

    Parameters
    ----------
    positions : reconciled frame of schema `POSITIONS`, all cross positions of each account
    rates : frame with columns `dex`, `coin`, `funding_rate` (per hour) and `mark_px` or `oracle_px`
    tables : mapping of dex to its margin tables, for the collateral that dexes share

    Returns
    -------
    frame of schema `POSITIONS`; positions of coins without a rate pay nothing
    """
    price = "oracle_px" if "oracle_px" in rates.columns else "mark_px"
    paid = positions.join(
        rates.select("dex", "coin", rate="funding_rate", at_px=price),
        on=["dex", "coin"],
        how="left",
        maintain_order="left",
    ).with_columns(
        paid=(hours * pl.col("szi") * pl.col("at_px") * pl.col("rate")).fill_null(0.0),
        token=pl.col("dex").replace_strict(
            {dex: one.collateral_token for dex, one in tables.items()}, default=None, return_dtype=pl.Int64
        ),
    )
    cross = pl.when(~ISOLATED).then(pl.col("paid")).otherwise(0.0)
    return conform(
        paid.with_columns(
            isolated_raw_usd=pl.when(ISOLATED).then(pl.col("isolated_raw_usd") - pl.col("paid")),
            margin_used_usd=pl.when(ISOLATED)
            .then(pl.col("margin_used_usd") - pl.col("paid"))
            .otherwise("margin_used_usd"),
            account_value_usd=pl.col("account_value_usd") - cross.sum().over("address", "dex"),
            pooled_available_usd=pl.col("pooled_available_usd") - _from_pool(cross),
        ),
        POSITIONS,
    )


def _from_pool(cross: pl.Expr) -> pl.Expr:
    """What a pool pays: the funding of its cross positions, and of isolated ones nothing (their own cash does)."""
    return cross.sum().over("address", "token")
