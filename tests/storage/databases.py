"""What tests on real databases share."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from sqlalchemy import make_url, text
from sqlmodel import SQLModel

from storage.store import Store

SERVER = os.environ.get("LIQTRUTH_TEST_POSTGRESQL", "postgresql://postgres@127.0.0.1:5432/test")
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


def emptied(store: Store) -> None:
    """No rows in any table: quicker than a new database for every test."""
    with store.database.engine.begin() as connection:
        for table in reversed(SQLModel.metadata.sorted_tables):
            connection.execute(text(f'DELETE FROM "{table.name}"'))
