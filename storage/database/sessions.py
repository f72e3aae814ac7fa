"""Sessions on a database that may go away: selects are done again by themselves, whole transactions by their caller.

A refusal is reported in one line, without the password: a connection that was lost or refused is worth another
try, and so is a transaction that a server broke off to let another pass; a full disk, a wrong password and a broken
file are not.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeVar

from sqlalchemy import URL, Engine, text
from sqlalchemy.exc import DatabaseError, DBAPIError, InternalError, OperationalError
from sqlalchemy.sql import Select
from sqlmodel import Session

from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.storage.database.address import address_of
from liqtruth.storage.database.asking import unusable
from liqtruth.storage.errors import DatabaseLost

Done = TypeVar("Done")
WRITING: Final = {"sqlite_begin": "BEGIN IMMEDIATE"}
"""Option of a connection whose transaction will write: SQLite gives it its turn at the start, not in the middle."""
REFUSED: Final = (
    "password authentication failed",
    "does not exist",
    "no pg_hba.conf entry",
    "no password supplied",
)
"""Messages of a PostgreSQL server about a connection that a later try would not get either."""
HARMLESS: Final = ("host", "hostaddr", "port", "dbname", "user", "sslmode")
"""Options of a URL whose values are no secret."""
BROKEN_OFF: Final = ("40001", "40P01")
"""PostgreSQL's codes for a transaction that gave way to another one: the same work may be done again."""
GONE: Final = ("08", "57P")
"""Classes of PostgreSQL's codes for a connection or a server that ended under us."""


def cause_of(error: DBAPIError, url: URL) -> str:
    """The driver's own words on one line."""
    cause = " ".join(str(error.orig).split())
    for secret in sorted(_secrets(url), key=len, reverse=True):
        cause = cause.replace(secret, "***")
    return cause


def _secrets(url: URL) -> set[str]:
    """The password, and the values of all options but those that every message may hold."""
    given = [value for name, value in url.query.items() if name not in HARMLESS]
    values = [one for value in given for one in ([value] if isinstance(value, str) else value)]
    return {str(secret) for secret in (url.password, *values) if secret}


def may_pass(error: DBAPIError) -> bool:
    """Whether the same work, done again later, may go through: the server was away or gave another one way."""
    if any(words in str(error.orig) for words in REFUSED):
        return False
    code = getattr(error.orig, "sqlstate", None)
    if code is not None:
        return code in BROKEN_OFF or code.startswith(GONE)
    return error.connection_invalidated or _never_connected(error)


def _never_connected(error: DBAPIError) -> bool:
    """psycopg reports a server that does not answer, or went away, without a code."""
    bases = type(error.orig).__mro__
    return any(
        base.__module__.startswith("psycopg") and base.__name__ == "OperationalError" for base in bases
    )


def is_fault(error: DBAPIError) -> bool:
    """Whether the database failed, and not the statement that it was given."""
    is_fault_kind = type(error) is DatabaseError or isinstance(error, OperationalError | InternalError)
    return is_fault_kind or error.connection_invalidated


def explained(error: DBAPIError, engine: Engine) -> LiqtruthError:
    """The one line for a fault of the database; `DatabaseLost` where it may pass."""
    place, cause = address_of(engine.url).place, cause_of(error, engine.url)
    if may_pass(error):
        return DatabaseLost(f"the database {place} does not answer: {cause}")
    return unusable(place, cause)


@contextmanager
def explaining(engine: Engine) -> Iterator[None]:
    """Faults of the database as the one line that `explained` makes of them."""
    try:
        yield
    except DBAPIError as error:
        if is_fault(error):
            raise explained(error, engine) from error
        raise


class RereadingSession(Session):
    """A session that asks again where the server goes away under a select, until `waited` decides that it stays away.

    That is safe as long as nothing was written: from its first other statement on it is a plain session.
    """

    def __init__(self, engine: Engine, waited: Callable[[Callable[[], Any]], Any]) -> None:
        super().__init__(engine, expire_on_commit=False)
        self._waited = waited
        self.only_read = True

    def ask(self, sql: str, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """All rows of a SELECT."""
        return self._again(lambda: super(RereadingSession, self).execute(text(sql), values).all())

    def exec(self, statement: Any, *args: Any, **options: Any) -> Any:
        return self._asked(statement, lambda: super(RereadingSession, self).exec(statement, *args, **options))

    def execute(self, statement: Any, *args: Any, **options: Any) -> Any:
        return self._asked(
            statement, lambda: super(RereadingSession, self).execute(statement, *args, **options)
        )

    def get(self, *args: Any, **options: Any) -> Any:
        return self._again(lambda: super(RereadingSession, self).get(*args, **options))

    def flush(self, *args: Any, **options: Any) -> None:
        self.only_read = self._unwritten
        super().flush(*args, **options)

    def connection(self, *args: Any, **options: Any) -> Any:
        """The plain connection, with which anything may be done."""
        self.only_read = False
        return super().connection(*args, **options)

    def begin_reading(self) -> None:
        """Have a connection, waiting for a server that is away."""
        self._waited(super().connection)

    def end(self) -> None:
        """Commit what was written; where nothing was, there is nothing that could be lost."""
        if self._unwritten:
            with suppress(DBAPIError):
                self._let_go()
        else:
            self.commit()

    @property
    def _unwritten(self) -> bool:
        return self.only_read and not (self.new or self.dirty or self.deleted)

    def _asked(self, statement: Any, ask: Callable[[], Done]) -> Done:
        if isinstance(statement, Select) and self._unwritten:
            return self._again(ask)
        self.only_read = False
        return ask()

    def _again(self, ask: Callable[[], Done]) -> Done:
        try:
            return ask()
        except DBAPIError as error:
            if not (may_pass(error) and self._unwritten):
                raise
        self._let_go()
        return self._waited(ask)  # type: ignore[no-any-return]

    def _let_go(self) -> None:
        """End the transaction; rows that were read stay as they are."""
        self.expunge_all()
        self.rollback()
