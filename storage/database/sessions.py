"""Sessions on a database that may go away: selects are done again by themselves, whole transactions by their caller."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import Select
from sqlmodel import Session

from liqtruth.storage.database.outage import may_pass

Done = TypeVar("Done")


class RereadingSession(Session):
    """A session that asks again where the server goes away under a select, until `waited` says that it stays away.

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
