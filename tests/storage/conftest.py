"""The same tests on both databases: SQLite in a folder, and PostgreSQL in a database of its own, dropped afterwards."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from liqtruth.storage.store import Settings, Store

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A database on a real server."""
    from databases import new_postgresql

    with new_postgresql() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where to keep the tables: a new file, or the PostgreSQL database, which holds what the last test left."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'tables.db'}"
    url: str = request.getfixturevalue("postgresql_url")
    return url


@pytest.fixture
def store(database_url: str, tmp_path: Path) -> Iterator[Store]:
    """An empty data directory, on each of the two databases."""
    from databases import emptied

    emptied(database_url)
    with Store.open(Settings(data_dir=tmp_path / "data", database_url=database_url)) as opened:  # type: ignore[arg-type]
        yield opened
