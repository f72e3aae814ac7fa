"""Compaction changes how the past lies on the disk, never how it reads; what is not kept is given up as stated."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from sqlmodel import col, select
from test_archives import COINS, accounts_of, assert_same, drawn, everything, stored

from liqtruth.compare.scoring.visits.major_zones import reading_times
from liqtruth.estimator.frames import DATASETS, conform
from liqtruth.heatmap.errors import BadInput, LiqtruthError
from liqtruth.indexer.evm.sizing import SIZES
from liqtruth.indexer.positions.readings import positions_as_of
from liqtruth.storage.database.markets import last_market, store_markets
from liqtruth.storage.database.tables import Market, Partition, Reading, Scope
from liqtruth.storage.lake.manifest import file_of
from liqtruth.storage.lock import alone
from liqtruth.storage.store import Settings, Store
from liqtruth.storage.upkeep.compaction import Compacted, compact
from liqtruth.storage.upkeep.retention import Keep

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
START = datetime(2026, 8, 20, tzinfo=UTC)
NOW = START + 2 * DAY + 2.5 * HOUR
SCHEMA = DATASETS["open_interest"].schema


EVERYONE = accounts_of(pl.concat([drawn(number, 6) for number in range(9)]))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(Settings(data_dir=tmp_path)) as opened:
        yield opened


def write_book(store: Store, at: datetime, number: int = 0, positions: pl.DataFrame | None = None) -> None:
    rows = drawn(number, 6) if positions is None else positions
    reading = Reading(
        id=f"book-{at:%dT%H%M}", venue="hyperliquid", source="test", scope=Scope.BOOK, as_of=at,
        accounts=6, positions=rows.height,
    )  # fmt: skip
    listed = EVERYONE if positions is None else accounts_of(rows)
    store.lake.write_reading(reading, {"positions": rows, "accounts": listed})


def fill(store: Store, until: datetime = NOW, step: timedelta = 6 * HOUR, days: float = 2) -> None:
    """Books of two days, and three of each hour of today."""
    for number in range(int(days * DAY / step)):
        write_book(store, START + number * step, number)
    for number in range(int((until - START - 2 * DAY) / HOUR * 3)):
        write_book(store, START + 2 * DAY + number * HOUR / 3, 100 + number)


def write_alone(store: Store, at: datetime, number: int, scope: Scope) -> None:
    """A sweep of some accounts, who are read one after the other until `at`, or everyone's positions in a coin."""
    rows = drawn(number, 6).with_columns(as_of=pl.lit(at, pl.Datetime("ms", "UTC")))
    if scope == Scope.CENSUS:
        rows = rows.filter(coin=COINS[number % 2])
    else:
        who = pl.col("address").str.slice(-1).str.to_integer(base=16)
        rows = rows.filter((who + number) % 3 > 0).with_columns(pl.col("as_of") - pl.duration(minutes=who))
    reading = Reading(
        id=f"{scope}-{at:%dT%H%M}", venue="hyperliquid", source=f"test {scope}", scope=scope, as_of=at,
        accounts=rows["address"].n_unique(), positions=rows.height,
    )  # fmt: skip
    store.lake.write_reading(reading, {"positions": rows, "accounts": accounts_of(rows)})


def fill_with_all_kinds(store: Store) -> None:
    """Two days of which each kind of reading is every few hours, and an hour of today."""
    fill(store, until=START + 2 * DAY)
    for number in range(12):
        at = START + number * 4 * HOUR + timedelta(minutes=7)
        write_alone(store, at, number, Scope.CENSUS)
        write_alone(store, at + HOUR, number, Scope.ACCOUNTS)
    for number in range(4):
        write_alone(store, START + 2 * DAY + number * HOUR / 2, number, Scope.ACCOUNTS)


def listing(store: Store) -> list[tuple[object, ...]]:
    """What the manifest says of readings that are no books: by it they are found."""
    with store.database.session() as session:
        rows = session.exec(select(Partition).where(col(Partition.reading_id).is_not(None))).all()
    return sorted(
        (str(one.reading_id), one.dataset, one.coin, one.rows, one.first_at, one.last_at, one.source)
        for one in rows
        if not str(one.reading_id).startswith("book")
    )


def all_reads(store: Store) -> dict[tuple[str, str, str | None], pl.DataFrame]:
    """Each reading's rows, of all coins and of each that it has, read together; of some also by itself."""
    ids = [one.id for one in stored(store)]
    alone = [[one] for one in ids if one[-4:-2] in ("00", "04", "05")]
    return {
        (f"{part['reading_id'][0]}{' alone' * (len(asked) == 1)}", dataset, coin): part
        for asked in (ids, *alone)
        for dataset, coins in (("positions", (None, *COINS)), ("accounts", (None,)))
        for coin in coins
        for part in store.lake.snapshots(dataset, asked, None if coin is None else (coin,))
    }


def known_over_time(store: Store) -> list[pl.DataFrame]:
    """What is known at moments between all readings, of everything and of each coin."""
    return [
        positions_as_of(store, START + number * 5 * HOUR, coin)
        for number in range(2, 11, 2)
        for coin in (None, *COINS)
    ]


def archives_of(store: Store) -> dict[str, str | None]:
    return {one.id: one.archive for one in stored(store)}


def listed_files(store: Store) -> set[str]:
    with store.database.session() as session:
        return {file_of(row) for row in session.exec(select(Partition)).all()}


def files(store: Store) -> set[str]:
    return {path.relative_to(store.lake.root).as_posix() for path in store.lake.root.rglob("*.parquet")}


def test_a_day_is_one_archive_an_hour_of_today_another_and_the_current_hour_stays(store: Store) -> None:
    fill(store)
    before = everything(store)
    done = compact(store.lake, now=NOW)
    assert_same(everything(store), before)
    archives = archives_of(store)
    by_archive: dict[str | None, list[str]] = {}
    for name, archive in archives.items():
        by_archive.setdefault(archive, []).append(name)
    open_hour = by_archive.pop(None)
    assert open_hour == ["book-22T0200"], "the hour that is not over, its last book among them"
    assert sorted(map(len, by_archive.values())) == [3, 3, 4, 4]
    assert (done.books, done.archives) == (14, 4)
    assert files(store) == listed_files(store)


def test_hours_become_a_day_and_what_was_done_is_not_done_again(store: Store) -> None:
    fill(store)
    before = everything(store)
    compact(store.lake, now=NOW)
    again = compact(store.lake, now=NOW)
    assert (again.books, again.archives, again.series) == (0, 0, 0)
    later = compact(store.lake, now=NOW + DAY)
    assert later.archives == 1
    assert_same(everything(store), before)
    assert len({archive for archive in archives_of(store).values() if archive}) == 3
    assert archives_of(store)["book-22T0200"] is None, "the last book is what questions about now read"


def test_a_book_that_comes_late_is_put_to_its_day(store: Store) -> None:
    fill(store)
    compact(store.lake, now=NOW)
    write_book(store, START + 3 * HOUR, 77)
    before = everything(store)
    compact(store.lake, now=NOW)
    assert_same(everything(store), before)
    assert len(set(list(archives_of(store).values())[:5])) == 1


def test_a_day_of_more_rows_than_an_archive_takes_is_several(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store)
    before = everything(store)
    monkeypatch.setattr("liqtruth.storage.upkeep.compaction.MOST_ROWS", 35)
    compact(store.lake, now=NOW)
    assert compact(store.lake, now=NOW).archives == 0
    assert_same(everything(store), before)


def test_a_dry_run_counts_and_changes_nothing(store: Store) -> None:
    fill(store)
    before, there = archives_of(store), files(store)
    keep = Keep(everything=12 * HOUR)
    planned = compact(store.lake, keep, dry=True, now=NOW)
    assert (archives_of(store), files(store)) == (before, there)
    done = compact(store.lake, keep, now=NOW)
    assert (planned.books, planned.archives, planned.given_up) == (done.books, done.archives, done.given_up)
    assert planned.dry
    assert not done.dry


def test_censuses_and_readings_of_accounts_are_put_together_and_found_as_before(store: Store) -> None:
    fill_with_all_kinds(store)
    before, listed, known = all_reads(store), listing(store), known_over_time(store)
    times, was = reading_times(store, COINS[0], None, None, HOUR), len(files(store))
    done = compact(store.lake, now=NOW)
    assert (done.readings, done.archives) == (28, 2 + 2 + 2), "books and others by day, the hours of today"
    assert_same(all_reads(store), before)
    assert listing(store) == listed
    assert reading_times(store, COINS[0], None, None, HOUR) == times
    for found, expected in zip(known_over_time(store), known, strict=True):
        assert_frame_equal(found, expected, check_exact=True)
    assert len(files(store)) < was / 3
    assert files(store) == listed_files(store)
    assert compact(store.lake, now=NOW).archives == 0
    assert compact(store.lake, now=NOW + DAY).readings == 4
    assert_same(all_reads(store), before)


def test_a_reading_in_an_archive_can_be_forgotten_or_stored_again_and_the_others_stay(store: Store) -> None:
    fill_with_all_kinds(store)
    compact(store.lake, now=NOW)
    before = all_reads(store)
    store.lake.forget("census-20T0007", lambda session: None)
    write_alone(store, START + 4 * HOUR + timedelta(minutes=7), 1, Scope.CENSUS)
    assert archives_of(store)["census-20T0407"] is None
    kept = {key: frame for key, frame in before.items() if not key[0].startswith("census-20T0007")}
    assert_same(all_reads(store), kept)
    compact(store.lake, now=NOW)
    assert_same(all_reads(store), kept)
    assert files(store) == listed_files(store)


def test_the_last_reading_of_an_archive_takes_its_files_with_it(store: Store) -> None:
    for number in range(2):
        write_alone(store, START + number * HOUR, number, Scope.ACCOUNTS)
    compact(store.lake, now=NOW)
    store.lake.forget("accounts-20T0000", lambda session: None)
    assert files(store) == listed_files(store) != set()
    write_alone(store, START + HOUR, 1, Scope.ACCOUNTS)
    assert len(files(store)) == 2, "positions and accounts of the one that was stored again"
    assert files(store) == listed_files(store)


def test_it_can_be_ended_and_begun_again(store: Store) -> None:
    fill(store)
    before = everything(store)
    steps = iter([False, False, True])
    first = compact(store.lake, now=NOW, is_over=lambda: next(steps))
    second = compact(store.lake, now=NOW)
    assert (first.archives, second.archives) == (2, 2)
    assert_same(everything(store), before)


def test_two_do_not_compact_the_same_lake(store: Store) -> None:
    with alone(store.lake.root / "compact.lock", "a compaction"), pytest.raises(LiqtruthError):
        compact(store.lake, now=NOW)


def test_a_damaged_book_stays_with_its_day_and_the_others_are_done(store: Store) -> None:
    fill(store)
    [path] = store.lake.root.glob("positions/**/book-20T0600.parquet")
    path.write_bytes(b"PAR1")
    done = compact(store.lake, now=NOW)
    assert len(done.damaged) == 1
    assert done.archives == 3
    assert archives_of(store)["book-20T0000"] is None
    assert path.exists()


# --------------------------------------------------------------------------------------- retention


def test_beyond_what_is_kept_one_book_an_hour_stays_then_one_a_day(store: Store) -> None:
    rows = drawn(1, 6)
    for day in range(3):
        for minute in (0, 30, 60, 90, 120):
            write_book(store, START + day * DAY + timedelta(minutes=minute), positions=rows)
    compact(store.lake, Keep(DAY, 2 * DAY), now=START + 3 * DAY)
    kept = [(one.as_of - START).total_seconds() / 3600 for one in stored(store)]
    assert kept == [2, 24.5, 25.5, 26, 48, 48.5, 49, 49.5, 50]


def test_what_is_kept_reads_as_before(store: Store) -> None:
    fill(store, step=HOUR / 2, days=0.25)
    before = everything(store)
    compact(store.lake, now=NOW)
    compact(store.lake, Keep(DAY, DAY), now=NOW)
    after = everything(store)
    assert 0 < len(after) < len(before)
    assert_same(after, {key: before[key] for key in after})


def test_a_book_with_the_only_reading_of_an_account_stays(store: Store) -> None:
    alone_in_it = drawn(1, 6)
    others = alone_in_it.filter(pl.col("address") != alone_in_it["address"][0])
    for minute, rows in ((0, others), (10, alone_in_it), (20, others), (30, others)):
        write_book(store, START + timedelta(minutes=minute), positions=rows)
    write_book(store, NOW, positions=others)
    compact(store.lake, Keep(DAY), now=NOW + DAY)
    assert {one.id for one in stored(store)} == {"book-20T0010", "book-20T0030", f"book-{NOW:%dT%H%M}"}


def test_marks_are_thinned_to_the_same_moments_and_those_beside_a_reading_stay(store: Store) -> None:
    book_at = START + timedelta(minutes=20.5)
    write_book(store, book_at)
    write_book(store, NOW)
    marks = [START + timedelta(minutes=minute) for minute in range(180)]
    store_markets(
        store.database,
        [
            Market(venue="hyperliquid", dex="", coin="BTC", as_of=at, mark_px=float(n))
            for n, at in enumerate(marks)
        ],
    )
    beside = last_market(store.database, "hyperliquid", "BTC", book_at)
    planned = compact(store.lake, Keep(DAY), dry=True, now=NOW + DAY)
    done = compact(store.lake, Keep(DAY), now=NOW + DAY)
    with store.database.session() as session:
        kept = sorted(session.exec(select(Market.as_of)).all())
    assert kept == [marks[20], marks[59], marks[119], marks[179]]
    assert planned.removed_marks == done.removed_marks == 176
    assert last_market(store.database, "hyperliquid", "BTC", book_at) == beside


@pytest.mark.parametrize(("everything_", "hourly"), [(None, DAY), (2 * DAY, DAY)])
def test_hours_must_be_kept_for_longer_than_everything(
    everything_: timedelta | None, hourly: timedelta
) -> None:
    with pytest.raises(BadInput):
        Keep(everything_, hourly)


# ------------------------------------------------------------------------------------------ series


def interest(first: datetime, days: int, value: float = 1.0) -> pl.DataFrame:
    ts = [first + timedelta(hours=hour) for hour in range(24 * days)]
    return conform(
        pl.DataFrame({"ts": ts, "open_interest": [value + hour for hour in range(24 * days)]}),
        "open_interest",
    )


def merge(store: Store, rows: pl.DataFrame, source: str = "a") -> int:
    return store.lake.merge_series("open_interest", "okx", "BTC", rows, DATASETS["open_interest"].key, source)


def read(store: Store) -> pl.DataFrame:
    return store.lake.read_series("open_interest", "okx", "BTC", SCHEMA)


def test_a_series_is_one_file_a_month_once_it_is_over(store: Store) -> None:
    merge(store, interest(datetime(2026, 6, 25, tzinfo=UTC), 60))
    merge(store, interest(datetime(2026, 7, 3, tzinfo=UTC), 1), "b")
    before, sources = read(store), store.lake.series_sources("open_interest", "okx", "BTC")
    done = compact(store.lake, now=NOW)
    assert done.series == 2
    assert_frame_equal(read(store), before, check_exact=True)
    assert store.lake.series_sources("open_interest", "okx", "BTC") == sources == ["a", "b"]
    assert len(files(store)) == 2 + 23, "June, July, and the days of August"
    assert files(store) == listed_files(store)
    assert compact(store.lake, now=NOW).series == 0


def test_rows_of_a_month_that_was_compacted_are_laid_over_it(store: Store) -> None:
    for number, compacted in ((0, False), (1, True)):
        with Store.open(Settings(data_dir=store.settings.data_dir / str(number))) as other:
            merge(other, interest(datetime(2026, 7, 2, tzinfo=UTC), 20))
            if compacted:
                compact(other.lake, now=NOW)
            added = merge(other, interest(datetime(2026, 7, 20, tzinfo=UTC), 5, value=7.0))
            if number == 0:
                expected, wanted = added, read(other)
    assert added == expected == 24 * 3
    with Store.open(Settings(data_dir=store.settings.data_dir / "1")) as other:
        assert_frame_equal(read(other), wanted, check_exact=True)
        assert len(files(other)) == 1


def test_of_sizes_the_last_of_each_account_in_a_month_stays(store: Store) -> None:
    for day in range(1, 21):
        ts = datetime(2026, 7, day, tzinfo=UTC)
        rows = [
            {"address": who, "dex": "", "ts": ts, "notional_usd": float(day)} for who in ("a", f"only-{day}")
        ]
        frame = pl.DataFrame(rows, schema=SIZES)
        store.lake.merge_series("sizes", "hyperliquid", "_all", frame, ("address", "dex"), "test")
    compact(store.lake, now=NOW)
    kept = store.lake.read_series("sizes", "hyperliquid", "_all", SIZES)
    assert kept.height == 21
    assert kept.filter(address="a")["notional_usd"].to_list() == [20.0]
    assert len(files(store)) == 1


def test_liquidations_stay_by_day(store: Store) -> None:
    kind = DATASETS["liquidations"]
    rows = pl.DataFrame({"ts": [START - 40 * DAY, START - 39 * DAY]}).pipe(
        lambda frame: conform(frame, "liquidations")
    )
    store.lake.merge_series("liquidations", "okx", "BTC", rows, kind.key, "a")
    assert compact(store.lake, now=NOW).series == 0
    assert len(files(store)) == 2


def test_it_says_what_it_did() -> None:
    done = Compacted(books=14, archives=4, series=1, files_before=10, bytes_before=2_000_000)
    assert all(line.isprintable() for line in done.describe())
