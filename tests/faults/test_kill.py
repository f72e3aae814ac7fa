"""kill -9 at any instant: what the manifest lists is whole, and what is not listed does not exist for readers."""

import random
import time
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from sqlmodel import select
from writers import ACCOUNTS, COINS, RATES, opened, processes, started, write_readings

from liqtruth.storage.database.tables import Partition, Reading
from liqtruth.storage.store import Store

KILLS = 8


def assert_whole(store: Store) -> int:
    """Every reading has all its rows, and they are of one writing; returns the number of readings."""
    with store.database.session() as session:
        known = {row.id: row for row in session.exec(select(Reading)).all()}
        listed = {row.reading_id for row in session.exec(select(Partition)).all() if row.reading_id}
    assert listed == set(known)
    for name, row in known.items():
        holdings = store.lake.read_snapshots("positions", [name])
        assert holdings.height == ACCOUNTS * len(COINS)
        assert holdings["as_of"].unique().to_list() == [row.as_of]
        assert holdings["szi"].n_unique() == 1
        assert store.lake.read_snapshots("positions", [name], "ETH").height == ACCOUNTS
        assert store.lake.read_snapshots("accounts", [name])["equity"].unique().to_list() == [
            holdings["szi"][0]
        ]
    hourly = store.lake.read_series("funding", "hyperliquid", "BTC", RATES)
    assert hourly.height == hourly["ts"].n_unique() in (0, 24)
    assert hourly["rate"].n_unique() <= 1
    return len(known)


def files_of(store: Store) -> set[Path]:
    return {
        path for path in store.lake.root.rglob("*") if path.is_file() and path.name not in (".lock", "id")
    }


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
def test_a_writer_that_is_killed_at_any_instant_leaves_whole_readings_only(
    tmp_path: Path, database_url: str
) -> None:
    chance = random.Random(20260906)
    first = written = 0
    for _ in range(KILLS):
        ready = processes().Event()
        writer = started(write_readings, tmp_path, database_url, first, ready)
        assert ready.wait(300)
        time.sleep(chance.uniform(0, 0.15))
        writer.kill()
        writer.join()
        with opened(tmp_path, database_url) as store:
            now = assert_whole(store)
        assert now > written
        first, written = first + 1000, now
    with opened(tmp_path, database_url) as store:
        store.lake.tidy(older_than=timedelta(seconds=-1))
        assert assert_whole(store) == written
        assert all(pl.read_parquet_metadata(path) is not None for path in files_of(store))


def test_what_a_kill_left_behind_is_swept_up_once_it_is_old(tmp_path: Path) -> None:
    from writers import frames, reading

    with opened(tmp_path, None) as store:
        store.lake.write_reading(reading("r1", 1), frames(1))
        kept = files_of(store)
        folder = next(path.parent for path in kept)
        for name in ("orphan.parquet", ".r2.parquet.4711.tmp"):
            (folder / name).write_bytes(b"half of it")
        (folder / "notes.txt").write_text("not the lake's")
        assert store.lake.tidy().files == 0, "what was touched within the hour may be about to be listed"
        planned = store.lake.tidy(older_than=timedelta(seconds=-1), dry=True)
        assert (folder / "orphan.parquet").exists(), "a dry run removes nothing"
        swept = store.lake.tidy(older_than=timedelta(seconds=-1))
        assert (swept.files, swept.bytes) == (planned.files, planned.bytes) == (2, 20)
        assert {Path(path).name for path in swept.paths} == {"orphan.parquet", ".r2.parquet.4711.tmp"}
        assert files_of(store) == kept | {folder / "notes.txt"}
        assert assert_whole(store) == 1
