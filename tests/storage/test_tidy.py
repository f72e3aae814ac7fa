"""What nothing points to is set aside for a week before it is removed, and what is stored is never touched."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlmodel import select
from test_lake import SCHEMA, series

from liqtruth.storage.database.tables import Partition
from liqtruth.storage.lake.tidy import ASIDE, KEPT
from liqtruth.storage.store import Store

NOW = timedelta(seconds=-1)
"""However lately it was written to."""
ORPHANS = {
    "funding/binance/BTC/2026-08-21/series.0123456789ab.parquet": b"orphan",
    "funding/binance/BTC/.series.parquet.4711.tmp": b"scrap",
}


@pytest.fixture
def root(store: Store) -> Path:
    """The lake of a store with a stored series and two files that nothing points to."""
    for coin in ("BTC", "..", "a/b"):
        store.lake.merge_series("funding", "binance", coin, series([2, 3], 0.1), ["ts"])
    for path, content in ORPHANS.items():
        (store.lake.root / path).write_bytes(content)
    return store.lake.root


def day(age: timedelta) -> str:
    return (datetime.now(UTC) - age).date().isoformat()


def set_aside(root: Path) -> dict[str, bytes]:
    folder = root.parent / ASIDE
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_files_are_moved_not_removed(store: Store, root: Path) -> None:
    before = day(timedelta(0))
    found = store.lake.tidy(older_than=NOW)
    assert found.files == 2
    assert set(found.paths) == set(ORPHANS)
    assert any(
        set_aside(root) == {f"{on}/{path}": it for path, it in ORPHANS.items()} for on in (before, day(NOW))
    )
    assert any(found.aside in line and f"{KEPT.days} days" in line for line in found.describe())
    for coin in ("BTC", "..", "a/b"):
        assert store.lake.read_series("funding", "binance", coin, SCHEMA).height == 2
    assert store.lake.tidy(older_than=NOW).files == 0


def test_a_dry_run_moves_and_removes_nothing(store: Store, root: Path) -> None:
    expired = root.parent / ASIDE / day(KEPT + timedelta(days=2))
    expired.mkdir(parents=True)
    (expired / "old.parquet").write_bytes(b"old")
    found = store.lake.tidy(older_than=NOW, dry=True)
    assert (found.files, found.removed_files, found.removed_bytes) == (2, 1, 3)
    assert all((root / path).exists() for path in ORPHANS)
    assert (expired / "old.parquet").exists()


@pytest.mark.parametrize(("days", "is_kept"), [(0, True), (6, True), (7, True), (9, False), (400, False)])
def test_what_was_set_aside_is_removed_after_a_week(store: Store, days: int, is_kept: bool) -> None:
    folder = store.lake.root.parent / ASIDE / day(timedelta(days=days))
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "old.parquet").write_bytes(b"old")
    assert store.lake.tidy().removed_files == (not is_kept)
    assert folder.exists() == is_kept


@pytest.mark.parametrize("name", ["mine", "2026-13-40", "2026-01-01-mine"])
def test_a_folder_that_tidy_did_not_make_stays(store: Store, name: str) -> None:
    folder = store.lake.root.parent / ASIDE / name
    folder.mkdir(parents=True)
    store.lake.tidy()
    assert folder.exists()


def test_a_file_of_the_same_name_does_not_take_the_place_of_one_set_aside(store: Store, root: Path) -> None:
    for content in (b"first", b"second", b"third"):
        for path in ORPHANS:
            (root / path).write_bytes(content)
        store.lake.tidy(older_than=NOW)
    assert sorted(set_aside(root).values()) == sorted([b"first", b"second", b"third"] * 2)


def test_what_a_coin_called_dot_dot_left_outside_its_folder_is_still_known(store: Store, root: Path) -> None:
    """An earlier liqtruth let that name lead one folder up."""
    with store.database.session() as session:
        old = root / session.exec(select(Partition.path).where(Partition.coin == "..")).one()
    moved = root / "funding" / "2026-08-21" / old.name
    moved.parent.mkdir()
    old.rename(moved)
    with store.database.engine.begin() as connection:
        connection.execute(
            text('UPDATE "partition" SET path = :path WHERE coin = :coin'),
            {"path": f"funding/binance/../2026-08-21/{old.name}", "coin": ".."},
        )
    assert set(store.lake.tidy(older_than=NOW).paths) == set(ORPHANS)
    assert store.lake.read_series("funding", "binance", "..", SCHEMA).height == 2
