"""A lake and its database have one id: neither is ever opened, nor tidied, with another's."""

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from sqlalchemy import text
from test_lake import SCHEMA, series

from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.storage.database.connection import Database
from liqtruth.storage.errors import OtherDatabase
from liqtruth.storage.store import Settings, Store

FIRST = "first.db"
SECOND = "second.db"


def opened(folder: Path, database: Path | None = None) -> Store:
    url = None if database is None else f"sqlite:///{database}"
    return Store.open(Settings(data_dir=folder, database_url=url))  # type: ignore[arg-type]


def with_files(folder: Path, database: Path | None = None) -> dict[Path, bytes]:
    """A store with rows in it; what its lake holds."""
    with opened(folder, database) as store:
        for coin in ("BTC", ".."):
            store.lake.merge_series("funding", "hyperliquid", coin, series(list(range(2, 26)), 0.1), ["ts"])
    return files_of(folder)


def files_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in (folder / "lake").rglob("*.parquet")}


def without_ids(folder: Path, database: Path) -> None:
    """As a liqtruth of before left it: neither lake nor database has an id."""
    with opened(folder, database) as store, store.database.engine.begin() as connection:
        connection.execute(text("DELETE FROM lakeid"))
    (folder / "lake" / "id").unlink()


def test_lake_and_database_get_the_same_id_once(tmp_path: Path) -> None:
    found = set()
    for _ in range(3):
        with opened(tmp_path) as store, store.database.engine.connect() as connection:
            id_, settled = connection.execute(text("SELECT id, settled FROM lakeid")).one()
        assert settled
        found |= {id_, (tmp_path / "lake" / "id").read_text().strip()}
    assert len(found) == 1


def test_a_database_url_that_is_left_out_or_another_is_refused_and_nothing_is_touched(tmp_path: Path) -> None:
    before = with_files(tmp_path / "data", tmp_path / FIRST)
    assert len(before) == 2
    for other in (None, tmp_path / SECOND, None):
        with pytest.raises(OtherDatabase) as found:
            opened(tmp_path / "data", other)
        assert found.value.exit_code == 2
        assert ("LIQTRUTH_DATABASE_URL" in str(found.value)) == (other is not None)
        assert not (other or tmp_path / "data" / "liqtruth.db").exists()
    assert files_of(tmp_path / "data") == before
    with opened(tmp_path / "data", tmp_path / FIRST) as store:
        assert store.lake.tidy(older_than=timedelta(seconds=-1)).files == 0


@pytest.mark.parametrize("is_filled", [True, False])
def test_two_data_directories_on_one_database_are_refused(tmp_path: Path, is_filled: bool) -> None:
    if is_filled:
        with_files(tmp_path / "one", tmp_path / FIRST)
    else:
        opened(tmp_path / "one", tmp_path / FIRST).close()
    for _ in range(2):
        with pytest.raises(OtherDatabase, match="another data directory"):
            opened(tmp_path / "two", tmp_path / FIRST)
    opened(tmp_path / "one", tmp_path / FIRST).close()


def test_two_stores_that_swapped_their_databases_are_refused(tmp_path: Path) -> None:
    with_files(tmp_path / "one", tmp_path / FIRST)
    with_files(tmp_path / "two", tmp_path / SECOND)
    for folder, database in (("one", SECOND), ("two", FIRST)):
        with pytest.raises(OtherDatabase):
            opened(tmp_path / folder, tmp_path / database)


def test_a_store_of_before_is_taken_over_where_the_database_knows_the_lake(tmp_path: Path) -> None:
    with_files(tmp_path / "data", tmp_path / FIRST)
    without_ids(tmp_path / "data", tmp_path / FIRST)
    with opened(tmp_path / "data", tmp_path / FIRST) as store:
        assert store.lake.read_series("funding", "hyperliquid", "BTC", SCHEMA).height == 24
    with pytest.raises(OtherDatabase):
        opened(tmp_path / "data", tmp_path / SECOND)


def test_an_empty_store_of_before_is_taken_over(tmp_path: Path) -> None:
    opened(tmp_path / "data", tmp_path / FIRST).close()
    without_ids(tmp_path / "data", tmp_path / FIRST)
    opened(tmp_path / "data", tmp_path / FIRST).close()
    assert (tmp_path / "data" / "lake" / "id").exists()


def moved_away(folder: Path) -> None:
    shutil.move(folder / "lake" / "funding", folder / "elsewhere")


@pytest.mark.parametrize("change", [lambda folder: None, moved_away])
def test_a_store_of_before_is_not_taken_over_by_a_database_that_knows_other_files(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    """A new database that lists nothing, or one that lists files which are not there."""
    before = with_files(tmp_path / "data", tmp_path / FIRST)
    without_ids(tmp_path / "data", tmp_path / FIRST)
    change(tmp_path / "data")
    other = tmp_path / (SECOND if files_of(tmp_path / "data") else FIRST)
    for _ in range(2):
        with pytest.raises(OtherDatabase, match="move the files away") as found:
            opened(tmp_path / "data", other)
        assert len(str(found.value)) <= 300
    assert not (tmp_path / "data" / "lake" / "id").exists()
    assert len(before) == 2


def test_files_that_no_database_knows_can_be_moved_away_as_the_refusal_states(tmp_path: Path) -> None:
    with_files(tmp_path / "data", tmp_path / FIRST)
    without_ids(tmp_path / "data", tmp_path / FIRST)
    with pytest.raises(OtherDatabase, match="move the files away"):
        opened(tmp_path / "data")
    moved_away(tmp_path / "data")
    opened(tmp_path / "data").close()


@pytest.mark.parametrize("has_mark", [True, False])
def test_a_kill_while_the_id_is_given_is_made_good_by_the_next_start(tmp_path: Path, has_mark: bool) -> None:
    """The row comes first, then the file, then the note that the file is there."""
    with_files(tmp_path / "data", tmp_path / FIRST)
    with opened(tmp_path / "data", tmp_path / FIRST) as store, store.database.engine.begin() as connection:
        connection.execute(text("UPDATE lakeid SET settled = :no"), {"no": False})
    if not has_mark:
        (tmp_path / "data" / "lake" / "id").unlink()
    opened(tmp_path / "data", tmp_path / FIRST).close()
    with pytest.raises(OtherDatabase):
        opened(tmp_path / "other", tmp_path / FIRST)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"0" * 32, b"../../etc\n"])
def test_an_id_that_was_changed_is_refused(tmp_path: Path, content: bytes) -> None:
    opened(tmp_path).close()
    (tmp_path / "lake" / "id").write_bytes(content)
    with pytest.raises(LiqtruthError):
        opened(tmp_path)


def test_a_data_directory_may_be_moved(tmp_path: Path) -> None:
    with_files(tmp_path / "data")
    shutil.move(tmp_path / "data", tmp_path / "moved")
    with opened(tmp_path / "moved") as store:
        rows: pl.DataFrame = store.lake.read_series("funding", "hyperliquid", "BTC", SCHEMA)
    assert rows.height == 24


def emptied(file: Path) -> None:
    """A database with tables and nothing in them, as an opening of before left it."""
    file.unlink()
    Database(f"sqlite:///{file}").close()


@pytest.mark.parametrize("harm", [Path.unlink, lambda file: file.write_bytes(b""), emptied])
@pytest.mark.parametrize("has_mark", [True, False])
@pytest.mark.parametrize("is_named", [True, False])
def test_a_database_that_is_gone_or_empty_beside_a_lake_is_reported_as_that(
    tmp_path: Path, harm: Callable[[Path], object], has_mark: bool, is_named: bool
) -> None:
    data, file = tmp_path / "data", tmp_path / "data" / "liqtruth.db"
    before = with_files(data)
    if not has_mark:
        without_ids(data, file)
    harm(file)
    was_there = file.exists()
    for _ in range(2):
        with pytest.raises(OtherDatabase) as found:
            opened(data, file if is_named else None)
        assert file.name in str(found.value)
        assert ("LIQTRUTH_DATABASE_URL" in str(found.value)) == is_named
        assert file.exists() == was_there
    assert files_of(data) == before
    shutil.move(data / "lake", tmp_path / "away")
    opened(data, file if is_named else None).close()
