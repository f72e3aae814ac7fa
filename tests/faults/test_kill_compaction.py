"""kill -9 while books are put together and given up: the store reads as before, and the next run goes on from there."""

import random
import time
from datetime import timedelta
from multiprocessing.synchronize import Event
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from sqlmodel import select
from writers import START, frames, opened, processes, rates, started

from liqtruth.storage.database.tables import Partition, Reading, Scope
from liqtruth.storage.lake.manifest import file_of
from liqtruth.storage.store import Store
from liqtruth.storage.upkeep.compaction import compact
from liqtruth.storage.upkeep.retention import Keep

KILLS = 4
DAYS, BOOKS, OTHERS = 4, 6, 3
NOW = START + timedelta(days=DAYS + 40)
Reads = dict[tuple[str, str], pl.DataFrame]


def book(number: int) -> Reading:
    as_of = START + timedelta(days=number // BOOKS, minutes=20 * (number % BOOKS))
    return Reading(
        id=f"book-{number:03}", venue="hyperliquid", source="writer", scope=Scope.BOOK, as_of=as_of,
        accounts=40, positions=120,
    )  # fmt: skip


def other(number: int) -> Reading:
    """A reading of accounts, or a census, beside the books of each day."""
    scope = Scope.ACCOUNTS if number % 2 else Scope.CENSUS
    as_of = START + timedelta(days=number // OTHERS, hours=5, minutes=number % OTHERS)
    return Reading(
        id=f"other-{number:03}", venue="hyperliquid", source="writer", scope=scope, as_of=as_of,
        accounts=40, positions=120,
    )  # fmt: skip


def fill(store: Store) -> None:
    for number in range(DAYS * BOOKS):
        store.lake.write_reading(book(number), frames(number))
    for number in range(DAYS * OTHERS):
        store.lake.write_reading(other(number), frames(number))
    for day in range(DAYS):
        store.lake.merge_series("funding", "okx", "BTC", rates(range(24 * day, 24 * day + 24), 1.0), ["ts"])


def reads_of(store: Store) -> Reads:
    with store.database.session() as session:
        ids = session.exec(select(Reading.id)).all()
    reads = {
        (one, name): store.lake.read_snapshots(name, [one])
        for one in ids
        for name in ("positions", "accounts")
    }
    series = store.lake.read_series(
        "funding", "okx", "BTC", {"ts": pl.Datetime("ms", "UTC"), "rate": pl.Float64()}
    )
    return {**reads, ("series", "funding"): series}


def compact_again(data_dir: Path, keep: Keep, ready: Event) -> None:
    with opened(data_dir, None) as store:
        ready.set()
        compact(store.lake, keep, now=NOW)


def assert_part_of(found: Reads, before: Reads) -> None:
    for key, frame in found.items():
        assert_frame_equal(frame, before[key], check_exact=True)


@pytest.mark.parametrize("keep", [Keep(), Keep(timedelta(days=1))], ids=["all", "hourly"])
def test_a_compaction_that_is_killed_at_any_instant_leaves_a_store_that_reads_as_before(
    tmp_path: Path, keep: Keep
) -> None:
    chance = random.Random(20260906)
    with opened(tmp_path, None) as store:
        fill(store)
        before = reads_of(store)
    for _ in range(KILLS):
        ready = processes().Event()
        worker = started(compact_again, tmp_path, keep, ready)
        assert ready.wait(300)
        time.sleep(chance.uniform(0, 0.35))
        worker.kill()
        worker.join()
        with opened(tmp_path, None) as store:
            found = reads_of(store)
            assert_part_of(found, before)
            assert keep.everything is not None or found.keys() == before.keys()
    with opened(tmp_path, None) as store:
        compact(store.lake, keep, now=NOW)
        assert compact(store.lake, keep, now=NOW).archives == 0
        after = reads_of(store)
        assert_part_of(after, before)
        kept = {name for name, _ in after if name.startswith("book")}
        assert len({name for name, _ in after}) == len(kept) + DAYS * OTHERS + 1, "and the series"
        assert len(kept) == (DAYS * BOOKS if keep.everything is None else DAYS * BOOKS // 3), (
            "the last of each hour"
        )
        store.lake.tidy(older_than=timedelta(seconds=-1))
        assert_part_of(reads_of(store), before)
        with store.database.session() as session:
            listed = {file_of(row) for row in session.exec(select(Partition)).all()}
        assert listed == {
            path.relative_to(store.lake.root).as_posix() for path in store.lake.root.rglob("*.parquet")
        }
