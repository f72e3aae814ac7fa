"""What once gave wrong series: prices that looked like openings, steps that nobody rounded to, bars that were lost."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from liqtruth.estimator.errors import StaleSeries
from liqtruth.estimator.model.turnover import turn_over
from liqtruth.estimator.series.series import align
from liqtruth.estimator.series.time_line import pick_bars, rounding_usd
from tests.estimator.markets import HOUR, START, candles, holdings

DAY = timedelta(days=1)
QUARTER = timedelta(minutes=15)


def hours(*numbers: float) -> list:
    return [START + number * HOUR for number in numbers]


def test_a_moving_price_is_no_birth_between_two_readings_of_open_interest_in_usd() -> None:
    """Hourly USD at the price of their own moment: 1,000 coins all along, whatever the bars between do."""
    bars = candles(START, 900, 16)
    moved = bars.with_columns(close=100.0 + 20 * np.sin(np.arange(16.0)))
    moved = moved.with_columns(
        open=pl.col("close").shift(1).fill_null(100.0),
        high=pl.lit(130.0),
        low=pl.lit(70.0),
    )
    ends = moved["ts"] + QUARTER
    close = dict(zip(ends, moved["close"], strict=True)) | {START: 100.0}
    usd = [1000 * close[at] for at in hours(0, 1, 2, 3, 4)]
    readings = holdings(hours(0, 1, 2, 3, 4), None, usd)
    series = align(moved, readings, START, START + 4 * HOUR)
    assert series.bars.open_interest == pytest.approx(np.full(17, 1000.0))
    lots = turn_over(series.bars.open_interest, np.zeros(16), np.zeros(1))
    assert lots.openings.sum() == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("values", "px", "step_usd"),
    [([101234.567, 101300.123], 77_000.0, 0.0), ([120.0, 130.0], 50.0, 500.0), ([0.0, 0.0], 50.0, 0.0)],
)
def test_a_step_larger_than_the_values_themselves_is_none(
    values: list[float], px: float, step_usd: float
) -> None:
    assert rounding_usd(holdings(hours(0, 1), values), px) == pytest.approx(step_usd)


def test_where_two_lengths_overlap_beside_the_base_the_better_one_is_kept_whole() -> None:
    stored = pl.concat([candles(START, 900, 8), candles(START, 3600, 2), candles(START + 2 * HOUR, 300, 288)])
    picked = pick_bars(stored, START, START + 9 * DAY)
    counts = dict(picked["interval_s"].value_counts().iter_rows())
    assert counts == {900: 8, 300: 288}


def test_open_interest_that_ended_a_day_before_is_refused() -> None:
    with pytest.raises(StaleSeries, match=r"the last open interest is of 2026-08-01T01:00Z, 47\.0 h before"):
        align(candles(START, 3600, 48), holdings(hours(0, 1), [5.0, 6.0]), START, START + 2 * DAY)
