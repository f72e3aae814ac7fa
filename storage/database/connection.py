"""Opens the database, brings its schema up to date before anything reads it, and outlives a short outage of its server.

A connection is looked at before it is used, and a new one is waited for while the server is away. A transaction that
was under way when the server went is lost; `Database.transact` does it again, so its work must be such that twice is
the same as once (`storage.database.tables.upsert`).
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, NullPool, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlmodel import Session, create_engine

from liqtruth.heatmap.errors import BadInput
from liqtruth.storage.database.sessions import RereadingSession, explained, is_fault, may_pass
from liqtruth.storage.database.upgrade import (
    HEAD,
    MIGRATIONS,
    WRITING,
    check_current,
    current_revision,
    migrate,
)
from liqtruth.storage.errors import DatabaseLost

__all__ = ["HEAD", "MIGRATIONS", "Database", "current_revision", "engine_for", "migrate"]

PATIENCE_S: Final = 30.0
"""How long a server that answered before may stay away."""
OPENING_PATIENCE_S: Final = 3.0
"""How long the first connection is waited for: a server that is just starting, not a wrong address."""
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
BUSY_S: Final = 30
"""How long another process's transaction is waited for."""
PRAGMAS: Final = (f"busy_timeout={1000 * BUSY_S}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")
"""`FULL`: what was committed outlives a power cut, so a row may take the place of a file that is then removed."""

SQLITE_OPTIONS: Final = frozenset(("cached_statements", "check_same_thread", "timeout"))
"""Options of a SQLite URL that change nothing of what is set here."""

Done = TypeVar("Done")


class Database:
    """A connection pool over the migrated schema; sessions are short and commit on leaving.

    `patience_s` is how long a server that has gone away is waited for before `DatabaseLost` is raised. A SQLite file
    that may not be written by this user is read as it is: `read_only`.
    """

    def __init__(self, url: str | URL, patience_s: float = PATIENCE_S) -> None:
        parsed = parsed_url(url)
        self.read_only = _is_read_only(parsed)
        self.patience_s = patience_s
        try:
            self.engine = engine_for(parsed, self.read_only)
            _waiting(self._open, OPENING_PATIENCE_S)
        except DBAPIError as error:
            self.engine.dispose()
            raise explained(error, self.engine) from error
        except (ValueError, TypeError):  # a driver's own words show the option's value
            raise BadInput(f"LIQTRUTH_DATABASE_URL: an option of it cannot be used; {REMEDY}") from None

    def _open(self) -> None:
        if self.read_only:
            check_current(self.engine)
        else:
            migrate(self.engine)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session that commits when the block ends and rolls back when it raises.

        A server that is away is waited for, at the start and under every select. Raises `DatabaseLost` where it stays
        away or goes under something else, `LiqtruthError` for other faults of the database: a full disk, a broken file.
        """
        with self._explained(), RereadingSession(self.engine, self._waited) as session:
            session.begin_reading()
            yield session
            session.end()

    def transact(self, work: Callable[[Session], Done]) -> Done:
        """What `work` gives in a session of its own; done again where the server went away under it.

        A commit whose answer was lost may have gone through, so `work` must leave the same rows when done twice.
        """
        until_s = time.monotonic() + self.patience_s
        while True:
            try:
                return self._written(work)
            except DatabaseLost:
                if time.monotonic() > until_s:
                    raise
                time.sleep(FIRST_WAIT_S)

    def _written(self, work: Callable[[Session], Done]) -> Done:
        with self._explained(), Session(self.engine, expire_on_commit=False) as session, session.begin():
            self._waited(lambda: session.connection(execution_options=WRITING))
            return work(session)

    def _waited(self, attempt: Callable[[], Any]) -> Any:
        return _waiting(attempt, self.patience_s)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            if is_fault(error):
                raise explained(error, self.engine) from error
            raise

    def close(self) -> None:
        self.engine.dispose()


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
    plain = url.drivername in SQLITE and url.database not in (None, "", ":memory:")
    return Path(str(url.database)) if plain else None


def engine_for(url: str | URL, read_only: bool = False) -> Engine:
    """The engine for a SQLite or PostgreSQL URL (`postgresql://` means psycopg); raises `BadInput` for any other."""
    parsed = parsed_url(url)
    if parsed.drivername == POSTGRESQL:
        options = {name: value for name, value in SERVER_OPTIONS.items() if name not in parsed.query}
        return create_engine(parsed, pool_pre_ping=True, pool_recycle=RECYCLE_S, connect_args=options)
    if read_only:
        engine = create_engine(
            parsed, creator=lambda: _opened_to_read(str(parsed.database)), poolclass=NullPool
        )
    else:
        engine = create_engine(parsed)
        event.listen(engine, "connect", _tune_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _is_read_only(url: URL) -> bool:
    """Whether the URL is of a SQLite file that is there and that this user may not write, or not beside it."""
    file = sqlite_file(url)
    if file is None:
        return False
    is_there = os.access(file, os.F_OK)
    return is_there and not (os.access(file, os.W_OK) and os.access(file.absolute().parent, os.W_OK))


def _opened_to_read(file: str) -> sqlite3.Connection:
    """A connection that writes nothing, no journal and no lock either.

    Where the last writer put everything into the file and left no journal, none can be made: the file is then taken
    to stand still.
    """
    journal = Path(f"{file}-wal")
    has_journal = journal.exists() and journal.stat().st_size > 0
    how = "mode=ro" if has_journal else "mode=ro&immutable=1"
    path = quote(os.fsencode(Path(file).absolute()))
    return sqlite3.connect(
        f"file:{path}?{how}", uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False
    )


def _waiting(attempt: Callable[[], Done], patience_s: float) -> Done:
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
