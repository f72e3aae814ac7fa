"""SQLModel tables: what is looked up by key. Time series and positions themselves are Parquet (`storage.lake.lake`).

`upsert` inserts or replaces in one statement, so that two writers never collide: a row that was read first to see
whether it is there could be inserted by another process in between.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Dialect, Index, LargeBinary, Table, UniqueConstraint
from sqlalchemy.dialects import sqlite
from sqlalchemy.types import DateTime, TypeDecorator
from sqlmodel import Field, Session, SQLModel

from liqtruth.storage.database.records import Record, Scope


class UtcDateTime(TypeDecorator[datetime]):
    """Stores UTC without a zone, gives back UTC with one, on SQLite and PostgreSQL alike."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class Reading(SQLModel, table=True):
    """One act of reading positions: an imported snapshot, an account file, a sweep."""

    __table_args__ = (Index("ix_reading_scope", "venue", "scope", "as_of"),)

    id: str = Field(primary_key=True)
    venue: str
    source: str
    scope: Scope
    as_of: datetime = Field(sa_type=UtcDateTime, index=True)
    accounts: int
    positions: int
    notes: str = ""
    archive: str | None = None
    """Where its rows lie together with those of other readings (`storage.lake.archives`); null: files of its own."""
    first_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When its first account was read, once it is in an archive; before that its manifest rows have it."""


class Partition(SQLModel, table=True):
    """Manifest row of one Parquet file of the lake, or of one coin's rows in it (`path` is then `FILE#COIN`).

    A file without a row does not exist for readers.
    """

    __table_args__ = (
        Index("ix_partition_series", "dataset", "venue", "coin", "day"),
        Index("ix_partition_archive", "archive", "dataset", "coin"),
    )

    path: str = Field(primary_key=True)
    dataset: str
    venue: str
    coin: str
    day: date
    rows: int
    first_at: datetime = Field(sa_type=UtcDateTime)
    last_at: datetime = Field(sa_type=UtcDateTime)
    reading_id: str | None = Field(default=None, foreign_key="reading.id", index=True)
    source: str = ""
    """Where the rows came from last: a file, a URL; starts with `synthetic` for the sandbox."""
    archive: str | None = None
    """The archive of which the file is a part; its readings have the same."""


class Latest(SQLModel, table=True):
    """Where what is known of a venue now lies, so that nobody has to merge all readings (`storage.lake.latest`).

    `changed` is drawn anew by each transaction that changes readings, `merged` is what it was when the rows were
    merged: they are the latest where the two are equal. Where the last book stands for everything it is
    named in `book`; else `positions` and `accounts` are files below the root of the lake.
    """

    venue: str = Field(primary_key=True)
    changed: str
    merged: str = ""
    book: str = ""
    positions: str = ""
    accounts: str = ""


class Market(SQLModel, table=True):
    """Mark, open interest (coins, one side) and funding of one coin at one moment."""

    __table_args__ = (Index("ix_market_last", "venue", "coin", "as_of"),)

    venue: str = Field(primary_key=True)
    dex: str = Field(primary_key=True)
    coin: str = Field(primary_key=True)
    as_of: datetime = Field(sa_type=UtcDateTime, primary_key=True)
    mark_px: float
    open_interest: float | None = None
    funding_rate: float | None = None
    max_leverage: int | None = None
    margin_table_id: int | None = None
    collateral_token: int | None = None


class Universe(SQLModel, table=True):
    """A dex's `meta` answer as it was sent: margin tables are read from it."""

    venue: str = Field(primary_key=True)
    dex: str = Field(primary_key=True)
    as_of: datetime = Field(sa_type=UtcDateTime, primary_key=True)
    meta_json: bytes = Field(sa_type=LargeBinary)


class Sweep(SQLModel, table=True):
    """A crawl over a list of accounts; unfinished ones are resumed."""

    id: str = Field(primary_key=True)
    base_url: str
    dex: str
    accounts: int
    started_at: datetime = Field(sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class SweepPart(SQLModel, table=True):
    """One stored batch of a sweep: the accounts in `path` need no second read."""

    sweep_id: str = Field(foreign_key="sweep.id", primary_key=True)
    part: int = Field(primary_key=True)
    path: str
    accounts: int


class Account(SQLModel, table=True):
    """The address book: who is known, from where, and when each was last looked at."""

    venue: str = Field(primary_key=True)
    address: str = Field(primary_key=True)
    source: str
    """Where the address was first met: tape, leaderboard, vault, sub-account, liquidation, node, file, sweep."""
    first_seen_at: datetime = Field(sa_type=UtcDateTime)
    last_traded_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_read_at: datetime | None = Field(default=None, sa_type=UtcDateTime, index=True)
    mode: str | None = None
    mode_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    positions: int | None = None
    notional_usd: float | None = None
    label: str = ""
    """Its role in the protocol: vault, sub-account, liquidator; empty where none is reported."""
    master: str | None = None


class Forecast(SQLModel, table=True):
    """A map that was kept before the time that it speaks of; rows are only ever added, and the database holds to it.

    `hash` is the SHA-256 of the content, a file of that name (`compare.scoring.ledger.ledger`).
    """

    __table_args__ = (
        UniqueConstraint(
            "venue",
            "coin",
            "model",
            "model_hash",
            "as_of",
            "horizon_s",
            "replayed",
            name="one_forecast_a_moment",
        ),
    )

    hash: str = Field(primary_key=True)
    venue: str = Field(index=True)
    coin: str
    model: str
    weights: str
    """Name of the leverage model; empty where the model has weights of its own."""
    model_hash: str
    as_of: datetime = Field(sa_type=UtcDateTime)
    made_at: datetime = Field(sa_type=UtcDateTime)
    horizon_s: int
    replayed: bool
    """Made when what it speaks of could be known already."""
    synthetic: bool


class ForecastScore(SQLModel, table=True):
    """What came of one side of a forecast, written once when its horizon was over (`compare.scoring.realised.windows`).

    USD, log prices, counts; `coverage` is null where unknown, `tiers_*` where that baseline could not be drawn.
    """

    forecast_hash: str = Field(foreign_key="forecast.hash", primary_key=True)
    side: str = Field(primary_key=True)
    settled_at: datetime = Field(sa_type=UtcDateTime)
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


class LakeId(SQLModel, table=True):
    """The id that the database shares with its lake (`storage.lake.identity`); one row."""

    one: int = Field(default=1, primary_key=True)
    id: str
    made_at: datetime = Field(sa_type=UtcDateTime)
    settled: bool
    """Whether the lake has the id too: from then on a lake without it is another one."""


def upsert(session: Session, rows: Sequence[SQLModel | Record], replace: bool = True) -> None:
    """Insert or replace rows of one table by their primary key; of two with the same key the last one stays.

    Without `replace` a row that is there stays as it is.

    They go in the order of their keys, so that two writers never wait for each other in a circle.
    """
    if not rows:
        return
    table = _table_of(rows[0])
    key = [column.name for column in table.primary_key]
    by_key = {tuple(getattr(row, name) for name in key): row for row in rows}
    values = [_values(table, by_key[at]) for at in sorted(by_key, key=str)]
    session.connection().execute(_statement(session, table, key, replace), values)


def insert_new(session: Session, rows: Sequence[SQLModel | Record]) -> int:
    """Insert the rows of one table that are not there, by any of its keys; how many were new. What is there stays."""
    table = _table_of(rows[0])
    statement = _insert(session)(table).on_conflict_do_nothing()
    return sum(session.connection().execute(statement, _values(table, row)).rowcount for row in rows)


def _table_of(row: SQLModel | Record) -> Table:
    return SQLModel.metadata.tables[type(row).__name__.lower()]


def _values(table: Table, row: SQLModel | Record) -> dict[str, Any]:
    return {name: getattr(row, name) for name in table.columns.keys()}  # noqa: SIM118


def _statement(session: Session, table: Table, key: Sequence[str], replace: bool) -> Any:
    insert = _insert(session)(table)
    if not replace:
        return insert.on_conflict_do_nothing(index_elements=list(key))
    changed = {
        column.name: insert.excluded[column.name] for column in table.columns if column.name not in key
    }
    return insert.on_conflict_do_update(index_elements=list(key), set_=changed)


def _insert(session: Session) -> Any:
    """PostgreSQL's dialect is loaded where it is used: most databases are a file."""
    if session.get_bind().dialect.name != "postgresql":
        return sqlite.insert
    from sqlalchemy.dialects import postgresql

    return postgresql.insert
