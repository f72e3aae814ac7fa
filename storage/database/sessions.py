"""Sessions on a database that may go away: selects are done again by themselves, whole transactions by their caller.

A refusal is reported in one line, without the password: a connection that was lost or refused is worth another
try, and so is a transaction that a server broke off to let another pass; a full disk, a wrong password and a broken
file are not.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

from sqlalchemy import URL, Engine
from sqlalchemy.exc import DatabaseError, DBAPIError, InternalError, OperationalError
from sqlalchemy.sql import Select
from sqlmodel import Session

from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.storage.errors import DatabaseLost

Done = TypeVar("Done")
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


def place_of(url: URL) -> str:
    """The database to name in a message: a path, or user, host and name; options may hold a password as well."""
    if url.drivername.startswith("sqlite"):
        return url.database or "memory"
    return url.set(query={}).render_as_string() + ("?…" if url.query else "")


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
    if any(text in str(error.orig) for text in REFUSED):
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
    place, cause = place_of(engine.url), cause_of(error, engine.url)
    if may_pass(error):
        return DatabaseLost(f"the database {place} does not answer: {cause}")
    return LiqtruthError(f"cannot use the database {place}: {cause}{_remedy(cause)}")


def _remedy(cause: str) -> str:
    if "disk" in cause.lower() or "No space left" in cause:
        return "; make room on its disk, what was stored before is whole"
    if "readonly" in cause or "read-only" in cause:
        return "; you may read this data directory, not write it: choose another with --data-dir"
    if "locked" in cause:
        return "; another process holds it, try again when that one is done"
    return ""


class RereadingSession(Session):
    """A session that asks again where the server goes away under a select, until `waited` decides that it stays away.

    That is safe as long as nothing was written: from its first other statement on it is a plain session.
    """

    def __init__(self, engine: Engine, waited: Callable[[Callable[[], Any]], Any]) -> None:
        super().__init__(engine, expire_on_commit=False)
        self._waited = waited
        self.only_read = True

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
