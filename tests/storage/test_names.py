"""Whatever a coin, a dataset or a data directory is called, its files lie where they belong."""

import posixpath
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, text
from test_lake import SCHEMA, series

from liqtruth.storage.lake.manifest import folder_of
from liqtruth.storage.store import Settings, Store
from tests.on_server import SERVER

NAMES = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12) | st.text(
    alphabet="./%\\ ~\0a", max_size=5
)
COINS = (
    "..",
    ".",
    "../..",
    "/etc",
    "a/b",
    "",
    ".lock",
    "%2E",
    "%",
    "xyz:TSLA",
    "k PEPE",
    "ÄÖ",
    "..\\..",
    "id",
)


@given(NAMES, NAMES, NAMES)
def test_a_folder_is_three_levels_below_the_root_whatever_the_names(
    dataset: str, venue: str, coin: str
) -> None:
    folder = folder_of(dataset, venue, coin, date(2026, 9, 6))
    parts = folder.split("/")
    assert posixpath.normpath(folder) == folder
    assert len(parts) == 4
    assert not any(part.startswith(".") or "\0" in part for part in parts)


@given(NAMES, NAMES)
def test_two_names_have_two_folders(one: str, other: str) -> None:
    assert (folder_of("a", "b", one) == folder_of("a", "b", other)) == (one == other)


def test_plain_names_have_the_folders_that_they_always_had() -> None:
    assert folder_of("funding", "binance", "xyz:TSLA") == "funding/binance/xyz%3ATSLA"


def test_series_of_any_coin_are_read_back_and_none_is_taken_for_another(store: Store, tmp_path: Path) -> None:
    for number, coin in enumerate(COINS):
        store.lake.merge_series("funding", "binance", coin, series([2, 3], float(number)), ["ts"])
    for number, coin in enumerate(COINS):
        holdings = store.lake.read_series("funding", "binance", coin, SCHEMA)
        assert holdings["rate"].to_list() == [float(number)] * 2
    files = list((tmp_path / "data").rglob("*.parquet"))
    assert len(files) == len(COINS)
    assert {path.relative_to(store.lake.root).parts[:2] for path in files} == {("funding", "binance")}


@pytest.mark.skipif(SERVER is not None, reason="of SQLite files")
@pytest.mark.parametrize(
    "name",
    [
        "a?b",
        "a%41b",
        "100%",
        "#1",
        "with space",
        "ünïcödé",
        "a&b=c",
        "file:x",
        "q?mode=memory",
        "a'b\"c",
        "%2e%2e",
    ],
)
def test_the_database_lies_in_the_data_directory_whatever_that_is_called(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name / "data"
    for _ in range(2):
        with Store.open(Settings(data_dir=folder)) as store, store.database.engine.connect() as connection:
            assert connection.execute(text("SELECT count(*) FROM lakeid")).scalar() == 1
    assert (folder / "liqtruth.db").stat().st_size > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]


def test_a_url_of_a_file_means_that_file(tmp_path: Path) -> None:
    with Store.open(
        Settings(data_dir=tmp_path / "data", database_url=f"sqlite:///{tmp_path / 'a b.db'}")  # type: ignore[arg-type]
    ):
        pass
    engine = create_engine(f"sqlite:///{tmp_path / 'a b.db'}")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM lakeid")).scalar() == 1
    engine.dispose()
