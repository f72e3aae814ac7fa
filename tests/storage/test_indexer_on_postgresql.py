"""Readings and the address book give the same answers on PostgreSQL: their own tests, run on a store there."""

import inspect
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from databases import emptied

from liqtruth.storage.store import Settings, Store

INDEXER = Path(__file__).parents[1] / "indexer"


@pytest.fixture
def store(postgresql_url: str, tmp_path: Path) -> Iterator[Store]:
    """Takes the place of the modules' own, which are on SQLite."""
    emptied(postgresql_url)
    with Store.open(Settings(data_dir=tmp_path / "data", database_url=postgresql_url)) as opened:  # type: ignore[arg-type]
        yield opened


def borrowed(name: str) -> dict[str, object]:
    """The module's tests that are given a store (some open their own), but for the one about speed."""
    if str(INDEXER) not in sys.path:
        sys.path.append(str(INDEXER))  # where its tests' own helpers are
    spec = spec_from_file_location(f"on_postgresql_{name}", INDEXER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return {
        f"{found}__{name}": test
        for found, test in vars(module).items()
        if found.startswith("test_")
        and "store" in inspect.signature(test).parameters
        and "hundred" not in found
    }


globals().update(borrowed("test_readings"))
globals().update(borrowed("test_address_book"))
