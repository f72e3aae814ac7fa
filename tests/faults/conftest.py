"""Writers that run in processes of their own, and the databases they write to."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

for beside in (Path(__file__).parent, Path(__file__).parents[1] / "storage"):
    sys.path.insert(0, str(beside))


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A database on a real server, dropped afterwards."""
    from databases import new_postgresql

    with new_postgresql() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where to keep the tables: an empty file, or an emptied PostgreSQL database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'tables.db'}"
    from databases import emptied

    url: str = request.getfixturevalue("postgresql_url")
    emptied(url)
    return url
