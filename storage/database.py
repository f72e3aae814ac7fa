"""Opens the database, brings its schema up to date before anything reads it, and outlives a short outage of its server.

A connection is looked at before it is used, and a new one is waited for while the server is away. A transaction that
was under way when the server went is lost; `Database.transact` does it again, so its work must be such that twice is
the same as once (`storage.upsert`).
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from sqlalchemy import Engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlmodel import Session, create_engine

from heatmap.errors import BadInput
from storage.errors import DatabaseLost
from storage.outage import explained, is_fault, may_pass
from storage.schema import HEAD, MIGRATIONS, current_revision, migrate

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

Done = TypeVar("Done")


class Database:
    """A connection pool over the migrated schema; sessions are short and commit on leaving.

    `patience_s` is how long a server that has gone away is waited for before `DatabaseLost` is raised.
    """

    def __init__(self, url: str, patience_s: float = PATIENCE_S) -> None:
        self.engine = engine_for(url)
        self.patience_s = patience_s
        try:
            _waiting(lambda: migrate(self.engine), OPENING_PATIENCE_S)
        except DBAPIError as error:
            self.engine.dispose()
            raise explained(error, self.engine) from error

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session that commits when the block ends and rolls back when it raises.

        Opening waits for a server that is away. Raises `DatabaseLost` where it stays away or goes under the block,
        `LiqtruthError` for other faults of the database: a full disk, a broken file.
        """
        try:
            with Session(self.engine, expire_on_commit=False) as session, session.begin():
                _waiting(lambda: _connect(session), self.patience_s)
                yield session
        except DBAPIError as error:
            if is_fault(error):
                raise explained(error, self.engine) from error
            raise

    def transact(self, work: Callable[[Session], Done]) -> Done:
        """What `work` gives in a session of its own; done again where the server went away under it.

        A commit whose answer was lost may have gone through, so `work` must leave the same rows when done twice.
        """
        until_s = time.monotonic() + self.patience_s
        while True:
            try:
                with self.session() as session:
                    return work(session)
            except DatabaseLost:
                if time.monotonic() > until_s:
                    raise
                time.sleep(FIRST_WAIT_S)

    def close(self) -> None:
        self.engine.dispose()


def engine_for(url: str) -> Engine:
    """The engine for a SQLite or PostgreSQL URL (`postgresql://` means psycopg); raises `BadInput` for any other."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise BadInput("LIQTRUTH_DATABASE_URL is no URL; write postgresql://user@host/name") from None
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername=POSTGRESQL)
    if parsed.drivername == POSTGRESQL:
        options = {name: value for name, value in SERVER_OPTIONS.items() if name not in parsed.query}
        return create_engine(parsed, pool_pre_ping=True, pool_recycle=RECYCLE_S, connect_args=options)
    if parsed.get_backend_name() != "sqlite":
        raise BadInput(
            f"LIQTRUTH_DATABASE_URL: {parsed.drivername!r} is not supported; use postgresql:// or sqlite:///"
        )
    engine = create_engine(parsed)
    event.listen(engine, "connect", _tune_sqlite)
    return engine


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


def _connect(session: Session) -> None:
    session.connection()


def _tune_sqlite(connection: object, _record: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]
    for pragma in ("busy_timeout=10000", "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
