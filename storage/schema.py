"""Brings a database to the newest schema, one process at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DatabaseError

from heatmap.errors import LiqtruthError
from storage.lock import waiting
from storage.outage import may_pass

MIGRATIONS = Path(__file__).parent / "migrations"
HEAD = "0003"
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
    try:
        with _turn(engine):
            if not _is_current(current_revision(engine)):
                _upgrade(engine)
    except DatabaseError as error:
        if may_pass(error):
            raise
        place = engine.url.render_as_string(hide_password=True)
        raise LiqtruthError(
            f"cannot open the database {place}: {' '.join(str(error.orig).split())}"
        ) from error


def _is_current(found: str | None) -> bool:
    if found is not None and found > HEAD:
        raise LiqtruthError(
            f"the database is at schema {found}, this liqtruth knows up to {HEAD}: upgrade it"
        )
    return found == HEAD


def _upgrade(engine: Engine) -> None:
    from alembic import (
        command,  # only a new or an older database needs it: it takes a fifth of a second to load
    )
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ONE_AT_A_TIME})
        if not _is_current(_revision(connection)):
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


@contextmanager
def _turn(engine: Engine) -> Iterator[None]:
    """Processes open a SQLite file in turns: it cannot be made, nor given its journal, by two at once."""
    file = engine.url.database if engine.dialect.name == "sqlite" else None
    if file and Path(file).parent.is_dir():
        with waiting(Path(f"{file}.lock")):
            yield
    else:
        yield
