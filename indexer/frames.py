"""Columns and dtypes of every frame the indexer makes, written down once.

All three doors (endpoint, node, file) yield these frames; nothing after them knows which door was used.
A null means "not known from what was captured", except in `liq_px_exchange`, where null beside
`exchange_read` = true means that the exchange itself sent null: no price liquidates the position.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import polars as pl

Schema: TypeAlias = Mapping[str, pl.DataType]

AS_OF = pl.Datetime("ms", "UTC")

PAIR: Final = ("address", "dex")
"""What one reading of an account is of."""
POSITION: Final = ("address", "dex", "coin")

POSITIONS: Schema = {
    "address": pl.String(),
    "account_mode": pl.String(),  # standard | unified | portfolio | dexAbstraction; null unknown
    "dex": pl.String(),  # "" is the main dex
    "coin": pl.String(),
    "szi": pl.Float64(),  # signed size, coins
    "entry_px": pl.Float64(),
    "mark_px": pl.Float64(),
    "mark_from": pl.String(),  # what it was derived from (margin.inferred); null: as the source states
    "notional_usd": pl.Float64(),  # |szi| * mark_px
    "margin_mode": pl.String(),  # cross | isolated
    "leverage": pl.Float64(),  # the user's setting; enters no formula
    "max_leverage": pl.Float64(),  # of the position's own margin table
    "margin_table_id": pl.Int64(),  # its own table: of node state, or adopted (margin.inferred)
    "tables_matching": pl.UInt32(),  # how many tables gave the exchange's price when it was adopted; null: it was not
    "margin_used_usd": pl.Float64(),
    "isolated_raw_usd": pl.Float64(),  # isolated cash leg: equity at x is this + szi * x; null for cross
    "account_value_usd": pl.Float64(),  # cross account value in this dex
    "cross_maintenance_usd": pl.Float64(),  # maintenance margin of the cross positions in this dex
    "pooled_available_usd": pl.Float64(),  # K: available after maintenance, unified and portfolio accounts
    "unrealized_pnl_usd": pl.Float64(),
    "liq_px_exchange": pl.Float64(),
    "exchange_read": pl.Boolean(),  # the source carried the exchange's price, be it null
    "liq_px_solved": pl.Float64(),
    "implied_available_usd": pl.Float64(),  # margin available (A - M) which the exchange's prices agree on
    "liq_px": pl.Float64(),  # what the map uses; null = never or unknown, see status
    "status": pl.String(),  # which price is used and whether it follows marks, see indexer.margin.reconcile
    "check": pl.String(),  # what comparing both prices came to, see indexer.margin.checks
    "held_since": AS_OF,  # first seen with its sign, see indexer.positions.remembered; null: not known
    "as_of": AS_OF,
    "source": pl.String(),
}

BOOKS: Schema = {
    "ts": AS_OF,
    "side": pl.String(),  # whose liquidations it takes: long (bids) | short (asks)
    "px": pl.Float64(),
    "coins": pl.Float64(),  # that rest from the best price up to this one
}
BOOK_DATASET: Final = "books"
BOOK_KEY: Final = ("ts", "side", "px")

ACCOUNTS: Schema = {
    "address": pl.String(),
    "account_mode": pl.String(),
    "dex": pl.String(),
    "account_value_usd": pl.Float64(),  # whole dex account, isolated positions included
    "cross_account_value_usd": pl.Float64(),
    "cross_maintenance_usd": pl.Float64(),
    "pooled_available_usd": pl.Float64(),
    "total_notional_usd": pl.Float64(),
    "margin_used_usd": pl.Float64(),
    "withdrawable_usd": pl.Float64(),
    "positions": pl.Int64(),
    "as_of": AS_OF,
    "source": pl.String(),
}
OF_COINS: Schema = {**ACCOUNTS, "coins": pl.String()}
"""Accounts of a source that lists coins: which of the dex it has, between spaces (` BTC ETH `); null: all."""

MARKETS: Schema = {
    "dex": pl.String(),
    "coin": pl.String(),
    "mark_px": pl.Float64(),
    "open_interest": pl.Float64(),  # coins, one side
    "open_interest_usd": pl.Float64(),
    "funding_rate": pl.Float64(),  # per hour
    "max_leverage": pl.Float64(),
    "margin_table_id": pl.Int64(),
    "collateral_token": pl.Int64(),
    "as_of": AS_OF,
}
POOLED_MODES: Final = ("unified", "portfolio")
SEPARATE_MODES: Final = ("standard", "dexAbstraction")
MOMENT: Final = pl.Datetime("us", "UTC")
READS: Final[Schema] = {
    "address": pl.String(),
    "mode": pl.String(),  # null: not shown by the reading
    "positions": pl.Int64(),
    "notional_usd": pl.Float64(),
    "read_at": MOMENT,
}
LIQUIDATIONS: Schema = {
    "ts": AS_OF,
    "address": pl.String(),  # the liquidated account
    "coin": pl.String(),
    "side": pl.String(),  # of the position that was closed: long | short
    "method": pl.String(),  # market | backstop
    "mark_px": pl.Float64(),  # mark at which the exchange liquidated
    "mean_px": pl.Float64(),  # average price of the fills, by size
    "size": pl.Float64(),  # coins
    "notional_usd": pl.Float64(),  # size * mean_px
    "fills": pl.Int64(),
    "hash": pl.String(),
}


def empty(schema: Schema) -> pl.DataFrame:
    """A frame of no rows with every column of `schema`."""
    return pl.DataFrame(schema=dict(schema))


def from_columns(columns: Mapping[str, Sequence[Any]], schema: Schema) -> pl.DataFrame:
    """A frame of `schema` from Python lists; columns left out are null throughout."""
    known = {name: dtype for name, dtype in schema.items() if name in columns}
    return conform(pl.DataFrame(dict(columns), schema=known), schema)


def conform(frame: pl.DataFrame, schema: Schema) -> pl.DataFrame:
    """The columns of `schema` in its order and dtypes: missing ones as null, others dropped."""
    return frame.select(
        (pl.col(name) if name in frame.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in schema.items()
    )


def last_read(accounts: pl.DataFrame, positions: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The last reading of every account in every dex, and its positions, each once; of two of the same moment (a node
    that stands still gives its old time again) the later row counts."""
    last = accounts.sort("as_of", maintain_order=True).unique(PAIR, keep="last", maintain_order=True)
    held = positions.join(last, on=[*PAIR, "as_of"], how="semi", maintain_order="left")
    return last, held.unique(POSITION, keep="last", maintain_order=True)
