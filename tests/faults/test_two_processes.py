"""Two processes on one data directory lose nothing of each other's, and store nothing twice."""

from multiprocessing.process import BaseProcess
from pathlib import Path

from sqlmodel import select
from writers import (
    ACCOUNTS,
    COINS,
    RATES,
    merge_hours,
    only_open,
    opened,
    started,
    write_same_reading,
)

from liqtruth.storage.database.markets import last_markets
from liqtruth.storage.database.tables import Partition, Reading


def assert_ended(*running: BaseProcess) -> None:
    for process in running:
        process.join(300)
        assert process.exitcode == 0


def test_hours_merged_into_one_day_by_two_processes_are_all_there(tmp_path: Path, database_url: str) -> None:
    odd, even = range(1, 24, 2), range(0, 24, 2)
    assert_ended(*(started(merge_hours, tmp_path, database_url, hours) for hours in (odd, even)))
    with opened(tmp_path, database_url) as store:
        hourly = store.lake.read_series("funding", "hyperliquid", "BTC", RATES)
        with store.database.session() as session:
            day = session.exec(select(Partition)).one()
        files = list(store.lake.root.rglob("*.parquet"))
    assert hourly["rate"].to_list() == [float(hour) for hour in range(24)]
    assert day.rows == 24
    assert [path.name for path in files] == [Path(day.path).name], "replaced files are removed"


def test_one_reading_written_by_two_processes_is_one_of_theirs_whole(
    tmp_path: Path, database_url: str
) -> None:
    assert_ended(*(started(write_same_reading, tmp_path, database_url, range(n, n + 20)) for n in (0, 1000)))
    with opened(tmp_path, database_url) as store:
        holdings = store.lake.read_snapshots("positions", ["shared"])
        with store.database.session() as session:
            as_of = session.exec(select(Reading)).one().as_of
        marks = {row.mark_px for row in last_markets(store.database, "hyperliquid").values()}
        files = {path.name for path in store.lake.root.rglob("*.parquet")}
    assert holdings.height == ACCOUNTS * len(COINS)
    assert holdings["as_of"].unique().to_list() == [as_of]
    assert holdings["szi"].unique().to_list() in ([19.0], [1019.0])
    assert marks in ({19.0}, {1019.0})
    assert len(files) <= 2, "one of positions and one of accounts"


def test_a_reader_beside_a_writer_always_sees_a_whole_series(tmp_path: Path, database_url: str) -> None:
    with opened(tmp_path, database_url) as store:
        writer = started(merge_hours, tmp_path, database_url, range(24))
        seen = [0]
        while writer.is_alive():
            hourly = store.lake.read_series("funding", "hyperliquid", "BTC", RATES)
            assert hourly["rate"].to_list() == [float(hour) for hour in range(hourly.height)]
            seen.append(hourly.height)
        assert_ended(writer)
        assert seen == sorted(seen)


def test_a_new_database_is_made_by_one_of_those_who_open_it(tmp_path: Path) -> None:
    assert_ended(*(started(only_open, tmp_path, None) for _ in range(4)))
    with opened(tmp_path, None) as store:
        assert store.lake.series_coins("funding") == []
