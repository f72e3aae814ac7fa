"""Rows as they are read and handed on: what `storage.database.tables` declares, without what talks to databases.

The tables are the schema; `tests/storage/test_records.py` holds these to it, column by column.
"""

from datetime import date, datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct

HEAD: Final = "0006"
"""The schema of which these are."""


class Scope(StrEnum):
    """What a reading implies about accounts that it does not list."""

    CENSUS = "census"
    """It replaces every earlier reading of the coin: whoever is not in it holds nothing that it would show."""
    ACCOUNTS = "accounts"
    """It replaces earlier readings of the listed accounts only."""
    BOOK = "book"
    """Everything that a watch knew at that moment: it replaces every earlier reading of every coin."""


class Reading(Struct, frozen=True, kw_only=True):
    """One act of reading positions."""

    id: str
    venue: str
    source: str
    scope: Scope
    as_of: datetime
    accounts: int
    positions: int
    notes: str = ""
    archive: str | None = None
    first_at: datetime | None = None


class Partition(Struct, frozen=True, kw_only=True):
    """One Parquet file of the lake, or one coin's rows in it."""

    path: str
    dataset: str
    venue: str
    coin: str
    day: date
    rows: int
    first_at: datetime
    last_at: datetime
    reading_id: str | None = None
    source: str = ""
    archive: str | None = None


class Latest(Struct, frozen=True, kw_only=True):
    """Where what is known of a venue now lies."""

    venue: str
    changed: str
    merged: str = ""
    book: str = ""
    positions: str = ""
    accounts: str = ""


class Market(Struct, frozen=True, kw_only=True):
    """Mark, open interest (coins, one side) and funding of one coin at one moment."""

    venue: str
    dex: str
    coin: str
    as_of: datetime
    mark_px: float
    open_interest: float | None = None
    funding_rate: float | None = None
    max_leverage: int | None = None
    margin_table_id: int | None = None
    collateral_token: int | None = None


class Universe(Struct, frozen=True, kw_only=True):
    """A dex's `meta` answer as it was sent."""

    venue: str
    dex: str
    as_of: datetime
    meta_json: bytes


class LakeId(Struct, frozen=True, kw_only=True):
    """The id that the database shares with its lake."""

    one: int = 1
    id: str
    made_at: datetime
    settled: bool


class Forecast(Struct, frozen=True, kw_only=True):
    """A map that was kept before the time that it speaks of."""

    hash: str
    venue: str
    coin: str
    model: str
    weights: str
    model_hash: str
    as_of: datetime
    made_at: datetime
    horizon_s: int
    replayed: bool
    synthetic: bool


class ForecastScore(Struct, frozen=True, kw_only=True):
    """What came of one side of a forecast."""

    forecast_hash: str
    side: str
    settled_at: datetime
    move: float
    volatility: float
    told_usd: float
    coverage: float | None = None
    events: int
    zoned_events: int
    predicted_usd: float
    uniform_usd: float
    tiers_usd: float | None = None
    hits: float
    uniform_hits: float
    tiers_hits: float | None = None


Record = Reading | Partition | Latest | Market | Universe | LakeId | Forecast | ForecastScore
