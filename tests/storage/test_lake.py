"""The lake keeps what it was given: whole files, one row per key, nothing half-written."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liqtruth.storage.database.tables import Partition, Reading, Scope
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.lake.lake import write_parquet
from liqtruth.storage.store import Settings, Store

START = datetime(2026, 8, 20, 22, tzinfo=UTC)
SCHEMA = {"ts": pl.Datetime("ms", "UTC"), "rate": pl.Float64()}


def series(hours: list[int], rate: float) -> pl.DataFrame:
    rows = {"ts": [START + timedelta(hours=hour) for hour in hours], "rate": [rate] * len(hours)}
    return pl.DataFrame(rows, schema=SCHEMA)


def reading(name: str, as_of: datetime) -> Reading:
    return Reading(
        id=name, venue="hyperliquid", source="test", scope=Scope.CENSUS, as_of=as_of, accounts=1, positions=1
    )


def positions(coin: str, as_of: datetime) -> pl.DataFrame:
    return pl.DataFrame({"coin": [coin], "szi": [1.5], "as_of": [as_of]}).with_columns(
        pl.col("as_of").cast(pl.Datetime("ms", "UTC"))
    )


def test_a_series_is_read_back_as_it_was_written_across_days(store: Store) -> None:
    store.lake.merge_series("funding", "binance", "BTC", series([0, 1, 2, 3], 0.1), ["ts"])
    assert store.lake.read_series("funding", "binance", "BTC", SCHEMA).equals(series([0, 1, 2, 3], 0.1))


def test_importing_the_same_rows_twice_adds_none_and_the_later_value_wins(store: Store) -> None:
    assert store.lake.merge_series("funding", "binance", "BTC", series([0, 1, 2], 0.1), ["ts"]) == 3
    assert store.lake.merge_series("funding", "binance", "BTC", series([2, 3], 0.2), ["ts"]) == 1
    assert store.lake.read_series("funding", "binance", "BTC", SCHEMA)["rate"].to_list() == [
        0.1,
        0.1,
        0.2,
        0.2,
    ]


def test_start_and_end_are_both_included(store: Store) -> None:
    store.lake.merge_series("funding", "binance", "BTC", series([0, 1, 2, 3], 0.1), ["ts"])
    hour = timedelta(hours=1)
    found = store.lake.read_series("funding", "binance", "BTC", SCHEMA, START + hour, START + 2 * hour)
    assert found["ts"].to_list() == [START + hour, START + 2 * hour]


def test_a_series_that_was_never_stored_is_empty_with_its_schema(store: Store) -> None:
    frame = store.lake.read_series("funding", "binance", "ETH", SCHEMA)
    assert frame.is_empty()
    assert dict(frame.schema) == SCHEMA


def test_coins_with_a_dex_prefix_have_their_own_folder(store: Store) -> None:
    store.lake.merge_series("funding", "hyperliquid", "xyz:TSLA", series([0], 0.1), ["ts"])
    assert store.lake.series_coins("funding") == [("hyperliquid", "xyz:TSLA")]
    assert all(":" not in part for path in store.lake.root.rglob("*") for part in path.parts)


def test_a_reading_is_found_by_its_coin_and_replaces_itself(store: Store) -> None:
    frames = {"positions": pl.concat([positions("BTC", START), positions("ETH", START)])}
    for _ in range(2):
        store.lake.write_reading(reading("r1", START), frames)
    assert store.lake.read_snapshots("positions", ["r1"], "BTC")["coin"].to_list() == ["BTC"]
    assert store.lake.read_snapshots("positions", ["r1"]).height == 2


def test_a_reading_is_one_file_per_dataset_however_many_coins_it_has(store: Store) -> None:
    frames = {"positions": pl.concat([positions(f"xyz:#{n}", START) for n in range(50)])}
    store.lake.write_reading(reading("r1", START), frames)
    assert len(list(store.lake.root.rglob("*.parquet"))) == 1
    assert store.lake.read_snapshots("positions", ["r1"], "xyz:#7")["coin"].to_list() == ["xyz:#7"]
    with pytest.raises(NothingStored):
        store.lake.read_snapshots("positions", ["r1"], "xyz:")


def test_a_column_that_earlier_readings_lack_is_null_in_them(store: Store) -> None:
    store.lake.write_reading(reading("r1", START), {"positions": positions("BTC", START)})
    later = positions("BTC", START).with_columns(held_since=pl.col("as_of"))
    store.lake.write_reading(reading("r2", START), {"positions": later})
    both = store.lake.read_snapshots("positions", ["r1", "r2"])
    assert both["held_since"].to_list() == [None, START]


def test_a_reading_stored_with_a_file_per_coin_is_read_and_replaced_as_any_other(store: Store) -> None:
    """The layout of liqtruth 0.1."""
    store.lake.write_reading(reading("r1", START), {})
    with store.database.session() as session:
        for coin in ("BTC", "ETH"):
            path = f"positions/hyperliquid/{coin}/2026-08-20/r1.parquet"
            write_parquet(positions(coin, START), store.lake.root / path)
            session.add(
                Partition(
                    path=path,
                    dataset="positions",
                    venue="hyperliquid",
                    coin=coin,
                    day=START.date(),
                    rows=1,
                    first_at=START,
                    last_at=START,
                    reading_id="r1",
                )
            )
    assert store.lake.read_snapshots("positions", ["r1"])["coin"].to_list() == ["BTC", "ETH"]
    assert store.lake.read_snapshots("positions", ["r1"], "ETH")["coin"].to_list() == ["ETH"]
    store.lake.write_reading(reading("r1", START), {"positions": positions("SOL", START)})
    assert store.lake.read_snapshots("positions", ["r1"])["coin"].to_list() == ["SOL"]
    assert len(list(store.lake.root.rglob("*.parquet"))) == 1


def test_a_file_without_a_manifest_row_does_not_exist_for_readers(store: Store) -> None:
    """What a kill between the rename and the commit leaves behind."""
    store.lake.write_reading(reading("r1", START), {"positions": positions("BTC", START)})
    orphan = next(store.lake.root.rglob("r1.parquet")).with_name("orphan.parquet")
    write_parquet(positions("BTC", START), orphan)
    assert store.lake.read_snapshots("positions", ["r1"]).height == 1
    with pytest.raises(NothingStored, match="orphan"):
        store.lake.read_snapshots("positions", ["orphan"])


def test_a_write_that_fails_leaves_the_old_file_and_no_scrap(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write_parquet(pl.DataFrame({"a": [1]}), path)
    with pytest.raises(pl.exceptions.PolarsError):
        write_parquet(pl.DataFrame({"a": [object()]}), path)
    assert pl.read_parquet(path)["a"].to_list() == [1]
    assert [found.name for found in tmp_path.iterdir()] == ["a.parquet"]


def test_a_kill_in_the_middle_of_writing_leaves_whole_rows_only(tmp_path: Path) -> None:
    writer = (
        "import sys; sys.path.insert(0, 'tests/storage'); from test_lake import *\n"
        f"store = Store.open(Settings(data_dir=Path({str(tmp_path)!r})))\n"
        "for n in range(10_000):\n"
        "    store.lake.merge_series('funding', 'binance', 'BTC', series(list(range(200)), float(n)), ['ts'])\n"
        "    print(n, flush=True)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", writer], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for _ in range(3):
        child.stdout.readline()
    os.kill(child.pid, signal.SIGKILL)
    child.wait(timeout=30)
    child.stdout.close()
    with Store.open(Settings(data_dir=tmp_path)) as store:
        found = store.lake.read_series("funding", "binance", "BTC", SCHEMA)
    assert found.height == 200
    assert found["ts"].n_unique() == 200


@settings(max_examples=12)
@given(st.lists(st.lists(st.integers(0, 60), min_size=1, max_size=8, unique=True), min_size=1, max_size=4))
def test_any_order_of_merges_ends_with_the_union_of_their_hours(batches: list[list[int]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as place, Store.open(Settings(data_dir=Path(place))) as store:
        added = sum(
            store.lake.merge_series("funding", "binance", "BTC", series(hours, 0.1), ["ts"])
            for hours in batches
        )
        stored = store.lake.read_series("funding", "binance", "BTC", SCHEMA)
    union = sorted({hour for hours in batches for hour in hours})
    assert added == len(union)
    assert stored["ts"].to_list() == [START + timedelta(hours=hour) for hour in union]
