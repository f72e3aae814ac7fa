"""A file of aggregates becomes stored series, in our units and in order, and says what it was and what was repaired."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.estimator.feeds.imports import import_feed
from liqtruth.estimator.frames import RATIO_KINDS
from liqtruth.heatmap.words.notes import any_synthetic
from liqtruth.storage.store import Settings, Store
from tests.estimator.feed_files import BAR, CANDLES, bring, stored, write


def first_row(frame: pl.DataFrame) -> dict[str, Any]:
    return {name: value for name, value in frame.row(0, named=True).items() if value is not None}


# ---------------------------------------------------------------------------------- recorded files


@pytest.mark.recorded
@pytest.mark.parametrize(
    ("name", "dataset", "layout", "rows", "first"),
    [
        (
            "ohlcv_5m.csv.gz",
            "candles",
            "candles (volume in coins)",
            7498,
            {
                "interval_s": 300,
                "open": 82.06,
                "high": 82.06,
                "low": 81.84,
                "close": 81.9,
                "volume": 16749.71,
            },
        ),
        (
            "ohlcv_1h.csv",
            "candles",
            "candles (volume in coins)",
            625,
            {
                "interval_s": 3600,
                "open": 81.92,
                "high": 82.24,
                "low": 81.78,
                "close": 81.83,
                "volume": 167464.47,
            },
        ),
        (
            "open_interest.csv",
            "open_interest",
            "OKX open interest",
            625,
            {"open_interest_usd": 257766545.4815},
        ),
        ("funding_rate.csv", "funding", "OKX funding (fraction)", 78, {"rate": 3.80971947042e-05}),
        (
            "long_short_ratio.csv",
            "ratios",
            "OKX long/short ratio",
            625,
            {"kind": "long_short_accounts", "ratio": 3.44},
        ),
        (
            "taker_volume.csv",
            "ratios",
            "OKX taker volume (USD)",
            625,
            {"kind": "taker_buy_sell", "ratio": pytest.approx(18859576.6544 / 24924624.4943)},
        ),
    ],
)
def test_each_recorded_okx_file_is_recognised(
    recorded: Path, store: Store, name: str, dataset: str, layout: str, rows: int, first: dict[str, Any]
) -> None:
    summary = import_feed(store, recorded / "cex" / "okx-sol" / name, "okx", "SOL")
    brought = [(series.dataset, series.rows) for series in summary.series]
    assert (summary.layout, brought) == (layout, [(dataset, rows)])
    in_usd = "open interest stands as USD in both columns: no coins are given"
    assert (in_usd in summary.remarks) == (name == "open_interest.csv")
    row = first_row(stored(store, dataset))
    assert row.pop("ts") == summary.series[0].first
    assert row == first


def test_an_okx_table_whose_oi_is_in_coins_keeps_its_coins(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "open_interest.csv"
    path.write_text("ts,oi,oi_value\n1780000000000,1000,82000\n1780003600000,1100,91000\n")
    bring(store, path)
    rows = stored(store, "open_interest")
    assert rows["open_interest"].to_list() == [1000.0, 1100.0]
    assert rows["open_interest_usd"].to_list() == [82000.0, 91000.0]


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
def test_times_in_any_unit_of_the_epoch_are_read(store: Store, tmp_path: Path, unit: int) -> None:
    path = tmp_path / "funding.csv"
    path.write_text(f"ts,rate\n{1735689600 * unit},0.1\n{1735693200 * unit},0.2\n")
    bring(store, path)
    assert stored(store, "funding")["ts"][0] == datetime(2025, 1, 1, tzinfo=UTC)


@pytest.mark.recorded
def test_epoch_times_of_recorded_files_are_utc_although_a_column_beside_them_is_not(
    recorded: Path, store: Store
) -> None:
    bring(store, recorded / "cex" / "okx-sol" / "open_interest.csv")
    assert stored(store, "open_interest")["ts"][0] == datetime(2026, 5, 31, 15, tzinfo=UTC)


@pytest.mark.recorded
def test_the_recorded_aggregates_of_binance_are_three_series(recorded: Path, store: Store) -> None:
    path = recorded / "cex" / "binance-btc" / "oi_price_funding_hourly_2026-07_08.jsonl"
    summary = import_feed(store, path, "binance", "BTC")
    assert [(series.dataset, series.rows, series.new_rows) for series in summary.series] == [
        ("candles", 1175, 1175),
        ("open_interest", 1176, 1176),
        ("funding", 1176, 1176),
    ]
    start = datetime(2026, 7, 2, 7, 26, 12, tzinfo=UTC)
    assert first_row(stored(store, "candles", "binance", "BTC")) == {
        "ts": start,
        "interval_s": 12228,
        "open": 60119.0,
        "high": 61197.0,
        "low": 60119.0,
        "close": 61197.0,
    }
    assert first_row(stored(store, "open_interest", "binance", "BTC")) == {
        "ts": start,
        "open_interest_usd": pytest.approx(6.30e9),
    }
    assert first_row(stored(store, "funding", "binance", "BTC"))["rate"] == pytest.approx(8e-5)
    assert summary.remarks[0].startswith("bars made from price samples")
    assert summary.remarks[1] == "36 gaps wider than 1.5 of the usual 60 min; the widest is 5.2 h"


# ------------------------------------------------------------------------------ columns and times


@pytest.mark.parametrize(
    "times",
    [
        ("2026-08-01T00:00:00Z", "2026-08-01T01:00:00Z"),
        ("2026-08-01T08:00:00+08:00", "2026-08-01T09:00:00+08:00"),
        ("2026-08-01 00:00:00", "2026-08-01 01:00:00"),
        ("2026-08-01T00:00:00", "2026-08-01T01:00:00"),
        ("1785542400", "1785546000"),
        ("1785542400000", "1785546000000"),
    ],
)
def test_times_are_iso_or_epoch_and_utc_without_a_zone(
    store: Store, tmp_path: Path, times: tuple[str, str]
) -> None:
    bring(store, write(tmp_path, ["ts,rate", *(f"{time},0.01" for time in times)]))
    assert stored(store, "funding")["ts"].to_list() == [
        datetime(2026, 8, 1, hour, tzinfo=UTC) for hour in (0, 1)
    ]


def test_columns_of_any_name_are_read_through_a_mapping(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path, ["when,last,contracts", "1785542400,10,7", "1785546000,12,8"])
    message = bring(store, path, ts="when", price="last", open_interest="contracts")
    assert message[0].endswith("columns as given, okx SOL")
    assert stored(store, "candles")["high"].to_list() == [12]
    assert stored(store, "open_interest")["open_interest"].to_list() == [7, 8]


def test_archives_of_binance_are_read_with_what_takers_bought_and_all_ratios(
    store: Store, tmp_path: Path
) -> None:
    klines = [
        "open_time,open,high,low,close,volume,taker_buy_volume",
        "1785542400000,1,2,1,2,9,4",
        "1785542700000,2,3,1,2,8,3",
    ]
    metrics = [
        "create_time,sum_open_interest,sum_open_interest_value,count_long_short_ratio,"
        "sum_toptrader_long_short_ratio,sum_taker_long_short_vol_ratio",
        "2026-08-01 00:00:00,5,10,1.5,2.5,3.5",
        "2026-08-01 00:05:00,6,12,1.6,,3.6",
    ]
    bring(store, write(tmp_path, klines))
    assert stored(store, "candles")["taker_buy_volume"].to_list() == [4, 3]
    assert stored(store, "candles")["interval_s"].to_list() == [300, 300]
    bring(store, write(tmp_path, metrics))
    assert stored(store, "open_interest")["open_interest"].to_list() == [5, 6]
    ratios = stored(store, "ratios")
    assert set(ratios["kind"]) == set(RATIO_KINDS)
    assert ratios.height == 5, "an empty ratio is left out, not zero"


def test_price_samples_become_bars_from_one_to_the_next(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path, ["ts,price", "1785542400,10", "1785546000,8", "1785553200,9"])
    bring(store, path, price="price")
    bars = stored(store, "candles").select("interval_s", "open", "high", "low", "close", "volume")
    assert bars.rows() == [(3600, 10, 10, 8, 8, None), (7200, 8, 9, 8, 9, None)]


# ------------------------------------------------------------------------------------------ repair


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Path]]:
    """A store for all examples of a property, and a folder for their files."""
    folder = tmp_path_factory.mktemp("feed")
    with Store.open(Settings(data_dir=folder / "data")) as store:
        yield store, folder


COINS = (f"C{number}" for number in count())
"""A coin for each example."""


@given(st.permutations(range(6)), st.lists(st.integers(0, 5), max_size=4))
def test_disorder_and_repeated_rows_change_nothing(
    lasting: tuple[Store, Path], order: list[int], repeated: list[int]
) -> None:
    store, folder = lasting
    tidy, untidy = next(COINS), next(COINS)
    import_feed(store, write(folder, [CANDLES, *map(BAR.format, range(6))]), "okx", tidy)
    path = write(folder, [CANDLES, *map(BAR.format, [*order, *repeated])])
    repairs = import_feed(store, path, "okx", untidy).remarks
    assert stored(store, "candles", coin=untidy).equals(stored(store, "candles", coin=tidy))
    wanted = [f"{len(repeated)} repeated rows dropped"] if repeated else []
    assert list(repairs) == wanted + (
        ["rows were not in order of time: sorted"] if order != sorted(order) else []
    )


def test_of_two_rows_of_one_time_the_later_one_counts_and_it_is_reported(
    store: Store, tmp_path: Path
) -> None:
    path = write(tmp_path, ["ts,rate", "1785542400,0.1", "1785546000,0.2", "1785542400,0.3"])
    assert "  1 rows replaced by a later row of the same time" in bring(store, path)
    assert stored(store, "funding")["rate"].to_list() == [0.3, 0.2]


@pytest.mark.parametrize(("source", "synthetic"), [("synthetic: the sandbox", True), ("okx", False)])
def test_a_file_that_states_it_is_synthetic_stays_so(
    store: Store, tmp_path: Path, source: str, synthetic: bool
) -> None:
    bars = [f"{BAR.format(hour)},{source}" for hour in range(3)]
    bring(store, write(tmp_path, [f"{CANDLES},source", *bars]))
    assert any_synthetic(store.lake.series_sources("candles", "okx", "SOL")) is synthetic


def test_gaps_are_reported(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path, [CANDLES, *(BAR.format(hour) for hour in (0, 1, 2, 6, 7))])
    assert bring(store, path)[-1] == "  1 gaps wider than 1.5 of the usual 60 min; the widest is 4.0 h"


def test_importing_a_file_twice_adds_no_rows(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path, [CANDLES, *(BAR.format(hour) for hour in range(5))])
    assert "candles: 5 rows (5 new)" in bring(store, path)[1]
    assert "candles: 5 rows (0 new)" in bring(store, path)[1]
    assert stored(store, "candles").height == 5
