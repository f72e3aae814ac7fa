"""What tests on real databases share."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url, text
from sqlmodel import SQLModel

from liqtruth.storage.database.connection import Database
from liqtruth.storage.store import Settings

SERVER = os.environ.get("LIQTRUTH_DATABASE_URL") or os.environ.get(
    "LIQTRUTH_TEST_POSTGRESQL", "postgresql://postgres@127.0.0.1:5432/test"
)
"""A server on which databases may be made and dropped."""


@contextmanager
def new_postgresql(server: str = SERVER) -> Iterator[str]:
    """The URL of a new database that is dropped afterwards; skips the test, saying why, where no server answers."""
    try:
        connection = psycopg.connect(server, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError as error:
        pytest.skip(f"no PostgreSQL: {' '.join(str(error).split())[:120]}")
    name = f"liqtruth_test_{secrets.token_hex(6)}"
    with connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield make_url(server).set(database=name).render_as_string(hide_password=False)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def emptied(url: str) -> None:
    """No rows in any table: quicker than a new database for every test. Before a store is opened on it."""
    database = Database(url)
    with database.engine.begin() as connection:
        for table in reversed(SQLModel.metadata.sorted_tables):
            connection.execute(text(f'DELETE FROM "{table.name}"'))
    database.close()


@contextmanager
def schema_per_data_dir(server: str) -> Iterator[Callable[[Path], str]]:
    """Data directories get a schema of their own on `server`, as they would have a SQLite file of their own.

    Gives the function from a data directory to its URL. Skips, saying why, where no server answers.
    """
    url, made = make_url(server).set(drivername="postgresql"), {}
    try:
        connection = psycopg.connect(
            url.render_as_string(hide_password=False), autocommit=True, connect_timeout=3
        )
    except psycopg.OperationalError as error:
        pytest.skip(f"no PostgreSQL: {' '.join(str(error).split())[:120]}")

    def url_of(data_dir: Path) -> str:
        place = data_dir.parent if data_dir.name == "data" else data_dir
        if place not in made:
            name = f"liqtruth_{secrets.token_hex(8)}"
            connection.execute(f"CREATE SCHEMA {name}")  # type: ignore[arg-type]
            own = url.update_query_dict({"options": f"-csearch_path={name}"})
            made[place] = (name, own.render_as_string(hide_password=False))
        return made[place][1]

    with connection:
        try:
            yield url_of
        finally:
            for name, _ in made.values():
                connection.execute(f"DROP SCHEMA {name} CASCADE")  # type: ignore[arg-type]


@contextmanager
def settings_there(server: str) -> Iterator[Callable[[Path], str]]:
    """Within the block, settings that name no other database resolve to their data directory's schema."""
    usual = vars(Settings)["resolved_database_url"]
    with schema_per_data_dir(server) as url_of:

        def resolved(settings: Settings) -> str:
            named = settings.database_url
            if named is not None and not named.get_secret_value().startswith(server):
                return named.get_secret_value()
            return url_of(settings.data_dir)

        Settings.resolved_database_url = property(resolved)  # type: ignore[assignment, method-assign]
        try:
            yield url_of
        finally:
            Settings.resolved_database_url = usual  # type: ignore[method-assign]


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A database on a real server, dropped afterwards."""
    with new_postgresql() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where to keep the tables: a new file, or the emptied PostgreSQL database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'tables.db'}"
    url: str = request.getfixturevalue("postgresql_url")
    emptied(url)
    return url
