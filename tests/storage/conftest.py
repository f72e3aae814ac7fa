"""The same tests on both databases: SQLite in a folder, and PostgreSQL in a database of its own, dropped afterwards."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from liqtruth.storage.store import Settings, Store

sys.path.insert(0, str(Path(__file__).parent))

from databases import database_url, postgresql_url  # noqa: F401


@pytest.fixture
def store(database_url: str, tmp_path: Path) -> Iterator[Store]:  # noqa: F811
    """An empty data directory, on each of the two databases."""
    with Store.open(Settings(data_dir=tmp_path / "data", database_url=database_url)) as opened:  # type: ignore[arg-type]
        yield opened
