"""Engines for what writes, and for a server whatever is asked of it: loaded when the first of them is needed."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import URL, Connection, Engine, NullPool, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlmodel import create_engine

from liqtruth.heatmap.errors import BadInput
from liqtruth.storage.database.address import MEMORY, Address
from liqtruth.storage.database.asking import BUSY_S, opened_to_read
from liqtruth.storage.database.sessions import may_pass

FIRST_WAIT_S: Final = 0.1
LONGEST_WAIT_S: Final = 5.0
RECYCLE_S: Final = 1800

POSTGRESQL: Final = "postgresql+psycopg"
SERVER_OPTIONS: Final = {
    "connect_timeout": 5,
    "application_name": "liqtruth",
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""libpq's: a server that vanished without a word is noticed within about 20 s (ms in the last, s in the others)."""

SQLITE: Final = ("sqlite", "sqlite+pysqlite")
PRAGMAS: Final = (f"busy_timeout={1000 * BUSY_S}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")
"""`FULL`: what was committed outlives a power cut, so a row may take the place of a file that is then removed."""

SQLITE_OPTIONS: Final = frozenset(("cached_statements", "check_same_thread", "timeout"))
"""Options of a SQLite URL that change nothing of what is set here."""

Done = TypeVar("Done")


REMEDY: Final = "write postgresql://user@host/name"


def parsed_url(url: str | URL) -> URL:
    """The URL of a SQLite file or a PostgreSQL server; raises `BadInput`, which never shows it, for any other."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise BadInput(f"LIQTRUTH_DATABASE_URL must be a URL; {REMEDY}") from None
    if parsed.drivername in ("postgresql", "postgres"):
        return parsed.set(drivername=POSTGRESQL)
    if parsed.drivername not in (POSTGRESQL, *SQLITE):
        raise BadInput(
            f"LIQTRUTH_DATABASE_URL: {parsed.drivername!r} is not supported; use postgresql:// or sqlite:///"
        )
    if parsed.drivername in SQLITE and not set(parsed.query) <= SQLITE_OPTIONS:
        raise BadInput(
            "LIQTRUTH_DATABASE_URL: an option of it cannot be used; a SQLite file takes none but "
            f"{', '.join(sorted(SQLITE_OPTIONS))}: write sqlite:///PATH"
        )
    return parsed


def sqlite_file(url: URL) -> Path | None:
    """The file of a SQLite URL; null for a server and for a database in memory."""
    plain = url.drivername in SQLITE and url.database not in (None, "", MEMORY)
    return Path(str(url.database)) if plain else None


def engine_for(address: Address, read_only: bool = False) -> Engine:
    """The engine of a SQLite file or a PostgreSQL server; raises `BadInput` for an option that cannot be used."""
    parsed, file = address.url, address.file
    if parsed.drivername == POSTGRESQL:
        options = {name: value for name, value in SERVER_OPTIONS.items() if name not in parsed.query}
        return create_engine(parsed, pool_pre_ping=True, pool_recycle=RECYCLE_S, connect_args=options)
    if read_only and file is not None:
        engine = create_engine(parsed, creator=lambda: opened_to_read(file, read_only), poolclass=NullPool)
    else:
        engine = create_engine(parsed)
        event.listen(engine, "connect", _tune_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def waiting(attempt: Callable[[], Done], patience_s: float) -> Done:
    """Try with growing waits until `patience_s` have passed; other faults than an absent server are raised at once."""
    until_s, wait_s = time.monotonic() + patience_s, FIRST_WAIT_S
    while True:
        try:
            return attempt()
        except DBAPIError as error:
            if not may_pass(error) or time.monotonic() + wait_s > until_s:
                raise
        time.sleep(wait_s)
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)


def _tune_sqlite(connection: Any, _record: object) -> None:
    """Transactions are SQLite's own from here on: its driver would commit before every change of the schema."""
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))
