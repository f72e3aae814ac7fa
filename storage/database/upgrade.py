"""Brings a database to the newest schema, one process at a time and in one transaction: a kill leaves old or new.

Earlier versions of liqtruth could be killed half way on SQLite, whose driver commits every change of the schema by
itself. Such a database has tables, still empty, that its revision does not know; they are removed and made again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, create_engine, func, inspect, select, text
from sqlalchemy.exc import DatabaseError
from sqlmodel import SQLModel

import liqtruth.storage.database.tables  # noqa: F401  (registers the tables)
from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.storage.database.address import address_of, sqlite_file
from liqtruth.storage.database.asking import remedy_of
from liqtruth.storage.database.records import HEAD
from liqtruth.storage.database.sessions import WRITING, cause_of, may_pass
from liqtruth.storage.lock import waiting

MIGRATIONS = Path(__file__).parent / "migrations"
ONE_AT_A_TIME: Final = 0x6C697174
"""The server's advisory lock of whoever migrates ("liqt")."""


def current_revision(engine: Engine) -> str | None:
    """The schema revision that the database is at; null when it is new."""
    with engine.connect() as connection:
        return _revision(connection)


def _revision(connection: Connection) -> str | None:
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def migrate(engine: Engine) -> None:
    """Upgrade to `HEAD`; raises `LiqtruthError` where the file is no database or of a later liqtruth."""
    with _opening(engine), _turn(engine):
        if not _is_current(current_revision(engine)):
            _upgrade(engine)


def check_current(engine: Engine) -> None:
    """Raises `LiqtruthError` where the schema is not `HEAD`: for a database that this user may only read."""
    with _opening(engine):
        found = current_revision(engine)
        if not _is_current(found):
            place = address_of(engine.url).place
            raise LiqtruthError(
                f"the database {place} is at schema {found}, this liqtruth reads {HEAD}, and you may not write it: "
                "let its owner run `liqtruth index status` once"
            )


@contextmanager
def _opening(engine: Engine) -> Iterator[None]:
    try:
        yield
    except DatabaseError as error:
        if may_pass(error):
            raise
        place, cause = address_of(engine.url).place, cause_of(error, engine.url)
        raise LiqtruthError(f"cannot open the database {place}: {cause}{remedy_of(cause)}") from error


def _is_current(found: str | None) -> bool:
    if found is not None and found > HEAD:
        raise LiqtruthError(
            f"the database is at schema {found}, this liqtruth knows up to {HEAD}: upgrade it"
        )
    return found == HEAD


def _upgrade(engine: Engine) -> None:
    with engine.connect().execution_options(**WRITING) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ONE_AT_A_TIME})
        found = _revision(connection)
        if not _is_current(found):
            _undo_interrupted(connection, found)
            _run(connection, HEAD)


def _run(connection: Connection, revision: str) -> None:
    from alembic import (
        command,  # only a new or an older database needs it: it takes a fifth of a second to load
    )
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _undo_interrupted(connection: Connection, found: str | None) -> None:
    """Remove the empty tables of an upgrade from the revision `found` that was killed half way."""
    ours = {table.name: table for table in reversed(SQLModel.metadata.sorted_tables)}
    there = set(inspect(connection).get_table_names()) & set(ours)
    if not there or there == (known := _tables_at(found)):
        return
    for name in ours:
        if name in there - known:
            if connection.execute(select(func.count()).select_from(ours[name])).scalar():
                place = address_of(connection.engine.url).place
                raise LiqtruthError(
                    f"the database {place} reports schema {found}, but its table {name} of a "
                    "later one holds rows: restore it from a copy"
                )
            ours[name].drop(connection)


def _tables_at(revision: str | None) -> set[str]:
    """Our tables in a whole database of that revision."""
    if revision is None:
        return set()
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        _run(connection, revision)
        return set(inspect(connection).get_table_names()) & set(SQLModel.metadata.tables)


@contextmanager
def _turn(engine: Engine) -> Iterator[None]:
    """Processes open a SQLite file in turns: it cannot be made, nor given its journal, by two at once."""
    file = sqlite_file(engine.url)
    if file is not None and file.parent.is_dir():
        with waiting(Path(f"{file}.lock")):
            yield
    else:
        yield
