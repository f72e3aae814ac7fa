"""Engines for what writes, and for a server whatever is asked of it: loaded when the first of them is needed."""

import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine, NullPool, event
from sqlalchemy.exc import DBAPIError
from sqlmodel import create_engine

from liqtruth.storage.database.address import POSTGRESQL, Address
from liqtruth.storage.database.asking import BUSY_S, opened_to_read
from liqtruth.storage.database.sessions import may_pass

FIRST_WAIT_S: Final = 0.1
LONGEST_WAIT_S: Final = 5.0
RECYCLE_S: Final = 1800

SERVER_OPTIONS: Final = {
    "connect_timeout": 5,
    "application_name": "liqtruth",
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""libpq's: a server that vanished without a word is noticed within about 20 s (ms in the last, s in the others)."""

PRAGMAS: Final = (f"busy_timeout={1000 * BUSY_S}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")
"""`FULL`: what was committed outlives a power cut, so a row may take the place of a file that is then removed."""

Done = TypeVar("Done")


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
