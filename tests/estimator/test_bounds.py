"""What cannot be is left out row by row, counted and named; what can be stays as it is."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.estimator.frames import DATASETS
from liqtruth.estimator.venues.bounds import possible
from liqtruth.heatmap.errors import MOST_KINDS, ROWS, LeftOut

NOW = datetime(2026, 8, 1, 12, tzinfo=UTC)
CANDLE = {"interval_s": 60, "open": 100.0, "high": 110.0, "low": 90.0, "close": 105.0}
SOUND: Mapping[str, Mapping[str, Any]] = {
    "candles": {**CANDLE, "volume": 10.0, "taker_buy_volume": 4.0},
    "mark_candles": CANDLE,
    "open_interest": {"open_interest": 5.0, "open_interest_usd": 500.0},
    "funding": {"rate": -0.0001},
    "ratios": {"kind": "taker_buy_sell", "ratio": 0.0},
    "liquidations": {"id": "1", "side": "long", "px": 100.0, "coins": 0.5, "notional_usd": 50.0},
    "tiers": {
        "min_notional_usd": 0.0,
        "max_notional_usd": 1e5,
        "maintenance_margin_rate": 0.01,
        "max_leverage": 50.0,
    },
}
NO_NUMBER = (float("nan"), float("inf"), float("-inf"), 1e308, -1e308)
WRONG = [
    *(
        (name, column, value)
        for name in SOUND
        for column in ("ts",)
        for value in (
            None,
            datetime(1970, 1, 1, tzinfo=UTC),
            datetime(2286, 11, 20, tzinfo=UTC),
            NOW + timedelta(minutes=6),
        )
    ),
    *(
        (name, column, value)
        for name, row in SOUND.items()
        for column, usual in row.items()
        if isinstance(usual, float)
        for value in NO_NUMBER
        if (column, value > 0) != ("max_notional_usd", True)
    ),
    *(
        ("candles", column, value)
        for column in ("open", "high", "low", "close")
        for value in (None, 0.0, -1.0)
    ),
    ("candles", "high", 104.0),
    ("mark_candles", "low", 101.0),
    ("candles", "volume", -1.0),
    ("candles", "taker_buy_volume", 11.0),
    ("open_interest", "open_interest", -5.0),
    ("open_interest", "open_interest_usd", -5.0),
    ("funding", "rate", 1.01),
    ("funding", "rate", None),
    ("ratios", "ratio", -0.5),
    ("liquidations", "side", "both"),
    ("liquidations", "side", None),
    ("liquidations", "coins", 0.0),
    ("tiers", "maintenance_margin_rate", 0.0),
    ("tiers", "max_notional_usd", 0.0),
]


def frame(dataset: str, *rows: Mapping[str, Any]) -> pl.DataFrame:
    whole = [{"ts": NOW - timedelta(minutes=5 * at), **SOUND[dataset], **row} for at, row in enumerate(rows)]
    return pl.DataFrame(whole, schema=dict(DATASETS[dataset].schema))


@pytest.mark.parametrize(("dataset", "column", "value"), WRONG)
def test_a_row_that_cannot_be_is_left_out_and_its_neighbours_stay(
    dataset: str, column: str, value: object
) -> None:
    left_out = LeftOut()
    kept = possible(frame(dataset, {}, {column: value}, {}), dataset, NOW, left_out)
    assert kept.equals(frame(dataset, {}, {}, {})[[0, 2]])
    assert left_out.total == 1
    [line] = left_out.describe(ROWS)
    assert f"{dataset}, " in line
    assert line.isprintable()


@given(st.sampled_from(list(SOUND)), st.integers(0, 10))
def test_what_can_be_is_kept_as_it_is(dataset: str, count: int) -> None:
    left_out = LeftOut()
    rows = frame(dataset, *[{}] * count)
    assert possible(rows, dataset, NOW, left_out).equals(rows)
    assert left_out.total == 0


@given(st.lists(st.integers(-(2**62), 2**62), max_size=8))
def test_any_time_in_milliseconds_is_kept_or_named(times: list[int]) -> None:
    rows = pl.DataFrame(
        {"ts": times, "rate": [0.0] * len(times)}, schema={"ts": pl.Int64, "rate": pl.Float64}
    )
    found = rows.with_columns(pl.col("ts").cast(pl.Datetime("ms", "UTC")))
    left_out = LeftOut()
    kept = possible(found, "funding", NOW, left_out)
    assert kept.height + left_out.total == len(times)
    assert all(line.isprintable() and len(line) < 300 for line in left_out.describe(ROWS))


def test_what_fits_no_unit_of_a_row_is_wrong_once_however_many_columns_are() -> None:
    left_out = LeftOut()
    assert possible(
        frame("candles", {"open": -1.0, "high": 0.0, "volume": -3.0}), "candles", NOW, left_out
    ).is_empty()
    assert left_out.total == 1


def test_the_account_of_what_is_left_out_does_not_grow_without_end() -> None:
    left_out = LeftOut()
    for at in range(10 * MOST_KINDS):
        left_out.note(f"reason {at}", "x" * 10_000)
    assert left_out.total == 10 * MOST_KINDS
    assert len(left_out.describe(ROWS)) <= MOST_KINDS + 1
