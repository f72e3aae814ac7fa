"""Fixtures that run tests on PostgreSQL where `LIQTRUTH_DATABASE_URL` names a server: import both to have them."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "storage"))

SERVER = os.environ.get("LIQTRUTH_DATABASE_URL")
"""Where the tests keep their tables, each in a schema of its own; not set: in SQLite files."""


@pytest.fixture(scope="session", autouse=SERVER is not None)
def url_of_data_dir() -> Iterator[Callable[[Path], str]]:
    from databases import settings_there

    with settings_there(str(SERVER)) as url_of:
        yield url_of


@pytest.fixture(autouse=SERVER is not None)
def database_of_children(
    url_of_data_dir: Callable[[Path], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes that a test starts are told its schema by their environment."""
    monkeypatch.setenv("LIQTRUTH_DATABASE_URL", url_of_data_dir(tmp_path))
