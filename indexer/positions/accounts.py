"""Decoded payloads into the `positions`, `accounts` and `markets` frames.

Reads structs, never the exchange. The mark of a position is the one the server used,
`positionValue / |szi|`: a mark from another call has moved since. An account's mode comes from
`userAbstraction` where it was asked; otherwise from the spot state, which carries
`tokenToAvailableAfterMaintenance` (K) for unified and portfolio accounts only; otherwise it is unknown.

Columns are filled one field at a time over all positions; what an account's positions share is repeated by numpy.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, Final

import msgspec
import numpy as np
import polars as pl

from liqtruth.indexer.frames import ACCOUNTS, AS_OF, POSITIONS, conform
from liqtruth.indexer.info.wire import (
    AssetPosition,
    ClearinghouseState,
    SpotClearinghouseState,
)

MODE_OF_ABSTRACTION: Final[Mapping[str, str]] = {
    "default": "standard",
    "disabled": "standard",
    "unifiedAccount": "unified",
    "portfolioMargin": "portfolio",
    "dexAbstraction": "dexAbstraction",
}
LISTED_AS: Final = {**ACCOUNTS, **POSITIONS, "leverage": pl.Int64(), "max_leverage": pl.Int64()}
"""Dtypes of the lists that columns are made from: whole numbers are widened afterwards, which is faster."""


class AccountReading(msgspec.Struct, frozen=True, gc=False):
    """What was read of one account in one dex.

    `mode` is one of the values of `MODE_OF_ABSTRACTION`; None infers it from `spot`. `as_of` None takes the
    server's time. `collateral_token` is the dex's, from its `meta`.
    """

    address: str
    state: ClearinghouseState
    source: str
    dex: str = ""
    spot: SpotClearinghouseState | None = None
    mode: str | None = None
    as_of: datetime | None = None
    collateral_token: int = 0


def account_mode(reading: AccountReading) -> str | None:
    """standard, unified, portfolio or dexAbstraction; None where nothing captured shows it."""
    if reading.mode is not None or reading.spot is None:
        return reading.mode
    if reading.spot.token_to_available_after_maintenance is None:
        return "standard"
    return "portfolio" if _is_portfolio(reading.spot) else "unified"


def _is_portfolio(spot: SpotClearinghouseState) -> bool:
    """It is flagged so, or a balance is lent out or lent against, which only portfolio margin does."""
    lent = any(position.supplied is not None or (position.ltv or 0) > 0 for position in spot.balances)
    return bool(spot.portfolio_margin_enabled) or lent


def pooled_available_usd(reading: AccountReading) -> float | None:
    """K: what the pool of the dex's collateral token has left after maintenance; None where not captured."""
    if reading.spot is None or reading.spot.token_to_available_after_maintenance is None:
        return None
    return dict(reading.spot.token_to_available_after_maintenance).get(reading.collateral_token)


def positions_frame(readings: Sequence[AccountReading]) -> pl.DataFrame:
    """Positions of many accounts as one `POSITIONS` frame; `indexer.margin.reconcile` fills the solved columns."""
    holdings = [reading.state.asset_positions for reading in readings]
    owner = np.repeat(np.arange(len(holdings)), [len(entries) for entries in holdings])
    facts = _account_facts(readings)[owner].get_columns()
    own = _position_columns(list(chain.from_iterable(holdings)))
    columns = {column.name: column for column in [*facts, *own]}
    columns["mark_px"] = _mark_px(columns["notional_usd"], columns["szi"])
    columns["exchange_read"] = pl.Series([True]).new_from_index(0, len(owner))
    return pl.DataFrame(
        {name: _filled(columns.get(name), dtype, len(owner)) for name, dtype in POSITIONS.items()}
    )


def _mark_px(notional_usd: pl.Series, szi: pl.Series) -> pl.Series:
    """The server's mark; null for dust whose value rounds to zero."""
    mark_px = notional_usd / szi.abs()
    return mark_px.zip_with(notional_usd > 0, pl.Series([None], dtype=pl.Float64()))


def _filled(column: pl.Series | None, dtype: pl.DataType, rows: int) -> pl.Series:
    """The column in the dtype of the schema; null throughout where there is none."""
    if column is None:
        return pl.Series([None], dtype=dtype).new_from_index(0, rows)
    return column if column.dtype == dtype else column.cast(dtype)


def accounts_frame(readings: Sequence[AccountReading]) -> pl.DataFrame:
    """One `ACCOUNTS` row per reading."""
    states = [reading.state for reading in readings]
    columns: dict[str, list[Any]] = {
        "account_value_usd": [state.margin_summary.account_value for state in states],
        "total_notional_usd": [state.margin_summary.total_ntl_pos for state in states],
        "margin_used_usd": [state.margin_summary.total_margin_used for state in states],
        "withdrawable_usd": [state.withdrawable for state in states],
        "positions": [len(state.asset_positions) for state in states],
    }
    facts = _account_facts(readings).rename({"account_value_usd": "cross_account_value_usd"})
    return conform(facts.hstack([_column(name, values) for name, values in columns.items()]), ACCOUNTS)


def _account_facts(readings: Sequence[AccountReading]) -> pl.DataFrame:
    """One row per reading: the columns that all its positions share."""
    states = [reading.state for reading in readings]
    columns: dict[str, list[Any]] = {
        "address": [reading.address.lower() for reading in readings],
        "account_mode": [account_mode(reading) for reading in readings],
        "dex": [reading.dex for reading in readings],
        "account_value_usd": [state.cross_margin_summary.account_value for state in states],
        "cross_maintenance_usd": [state.cross_maintenance_margin_used for state in states],
        "pooled_available_usd": [pooled_available_usd(reading) for reading in readings],
        "source": [reading.source for reading in readings],
    }
    reported = [_column(name, values) for name, values in columns.items()]
    return pl.DataFrame([*reported, _moments(readings)])


def _moments(readings: Sequence[AccountReading]) -> pl.Series:
    """When each was read: as given, else the server's time."""
    server = pl.Series("as_of", [reading.state.time for reading in readings], dtype=pl.Int64()).cast(AS_OF)
    reported = [reading.as_of for reading in readings]
    return pl.Series("as_of", reported, dtype=AS_OF).fill_null(server) if any(reported) else server


def _position_columns(entries: list[AssetPosition]) -> list[pl.Series]:
    """The positions' own fields as columns; a list built for one attribute is the fastest way out of the structs."""
    holdings = [entry.position for entry in entries]
    setting = [position.leverage for position in holdings]
    columns: dict[str, list[Any]] = {
        "coin": [position.coin for position in holdings],
        "szi": [position.szi for position in holdings],
        "entry_px": [position.entry_px for position in holdings],
        "notional_usd": [position.position_value for position in holdings],
        "margin_mode": [one.type for one in setting],
        "leverage": [one.value for one in setting],
        "max_leverage": [position.max_leverage for position in holdings],
        "margin_used_usd": [position.margin_used for position in holdings],
        "isolated_raw_usd": [one.raw_usd for one in setting],
        "unrealized_pnl_usd": [position.unrealized_pnl for position in holdings],
        "liq_px_exchange": [position.liquidation_px for position in holdings],
    }
    return [_column(name, values) for name, values in columns.items()]


def _column(name: str, values: Sequence[Any]) -> pl.Series:
    return pl.Series(name, values, dtype=LISTED_AS[name])
