"""The database: its schema is brought up to date before anything reads it, and a short outage of a server is outlived.

Questions go through `asking`, which loads nothing for a SQLite file; writers have sessions of SQLModel. A connection to
a server is looked at before it is used, and a new one is waited for while the server is away. A transaction that was
under way when the server went is lost; `Database.transact` does it again, so its work must be such that twice is the
same as once (`storage.database.tables.upsert`).
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from liqtruth.heatmap.errors import BadInput
from liqtruth.storage.database.address import REMEDY, Address, address_of
from liqtruth.storage.database.asking import Asked, FileDoor
from liqtruth.storage.database.records import HEAD
from liqtruth.storage.errors import DatabaseLost

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine
    from sqlmodel import Session

    from liqtruth.storage.database.sessions import RereadingSession

PATIENCE_S: Final = 30.0
"""How long a server that answered before may stay away."""
OPENING_PATIENCE_S: Final = 3.0
"""How long the first connection is waited for: a server that is just starting, not a wrong address."""
RETRY_S: Final = 0.1

Done = TypeVar("Done")


class Database:
    """The migrated schema, by connections that are taken when they are needed; sessions are short.

    `patience_s` is how long a server that has gone away is waited for before `DatabaseLost` is raised. A SQLite file
    that may not be written by this user is read as it is: `read_only`.
    """

    def __init__(self, url: "str | Path | URL | Address", patience_s: float = PATIENCE_S) -> None:
        self.address = address_of(url)
        self.read_only = self.address.is_read_only
        self.patience_s = patience_s
        file = self.address.file
        self._door = None if file is None else FileDoor(file, self.read_only)
        if self._door is None or self._door.revision() != HEAD:
            self._bring_up_to_date()

    @cached_property
    def engine(self) -> "Engine":
        """Of writers, and of a server; loaded when it is first asked for."""
        from liqtruth.storage.database.engines import engine_for

        return engine_for(self.address, self.read_only)

    def _bring_up_to_date(self) -> None:
        from sqlalchemy.exc import DBAPIError

        from liqtruth.storage.database.engines import waiting
        from liqtruth.storage.database.sessions import explained
        from liqtruth.storage.database.upgrade import check_current, migrate

        try:
            waiting(lambda: (check_current if self.read_only else migrate)(self.engine), OPENING_PATIENCE_S)
        except DBAPIError as error:
            self.close()
            raise explained(error, self.engine) from error
        except (ValueError, TypeError):  # a driver's own words show the option's value
            raise BadInput(f"LIQTRUTH_DATABASE_URL: an option of it cannot be used; {REMEDY}") from None

    def asking(self) -> AbstractContextManager[Asked]:
        """For questions; all within the block are answered as of one moment.

        A server that is away is waited for. Raises `DatabaseLost` where it stays away, `LiqtruthError` for other faults
        of the database: a broken file, one that is held for too long.
        """
        return self._asking_server() if self._door is None else self._door.asking()

    @contextmanager
    def _asking_server(self) -> Iterator[Asked]:
        with self._rereading() as session:
            yield Asked(session.ask)

    @contextmanager
    def session(self) -> "Iterator[Session]":
        """A session that commits when the block ends and rolls back when it raises.

        A server that is away is waited for, at the start and under every select. Raises `DatabaseLost` where it stays
        away or goes under something else, `LiqtruthError` for other faults of the database: a full disk, a broken file.
        """
        with self._rereading() as session:
            yield session

    @contextmanager
    def _rereading(self) -> "Iterator[RereadingSession]":
        from liqtruth.storage.database.sessions import RereadingSession, explaining

        with explaining(self.engine), RereadingSession(self.engine, self._waited) as session:
            session.begin_reading()
            yield session
            session.end()

    def transact(self, work: "Callable[[Session], Done]") -> Done:
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
                time.sleep(RETRY_S)

    def _written(self, work: "Callable[[Session], Done]") -> Done:
        from sqlmodel import Session

        from liqtruth.storage.database.sessions import WRITING, explaining

        with (
            explaining(self.engine),
            Session(self.engine, expire_on_commit=False) as session,
            session.begin(),
        ):
            self._waited(lambda: session.connection(execution_options=WRITING))
            return work(session)

    def _waited(self, attempt: Callable[[], Any]) -> Any:
        from liqtruth.storage.database.engines import waiting

        return waiting(attempt, self.patience_s)

    def close(self) -> None:
        if self._door is not None:
            self._door.close()
        if "engine" in vars(self):
            self.engine.dispose()
