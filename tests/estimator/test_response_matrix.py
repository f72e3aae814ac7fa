"""The columns of a response matrix account for every lot, and equal a loop over lots."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.estimator.model.response_matrix import Columns, Lots, ResponseMatrix, build_response_matrix
from liqtruth.estimator.model.turnover import activity, turn_over
from liqtruth.estimator.series.time_line import Bars
from liqtruth.heatmap.grid import FloatArray, IntArray, PriceGrid
from tests.estimator.lots_one_by_one import columns_by_loop
from tests.estimator.markets import bars_of, random_bars

RATES = np.array([0.0, 1.0, 8.0])
LONGS = np.array([-0.1, 0.3, 0.7, 0.9, 0.99, 1.001])
SHORTS = np.array([3.0, 1.5, 1.2, 1.1, 1.01, 0.999])


def lots_of(bars: Bars) -> Lots:
    active = activity(bars.open_interest, bars.volume, 3600.0).coins
    return Lots.of(bars.open_interest, turn_over(bars.open_interest, active, RATES))


def dictionary_of(bars: Bars, width_bps: float = 50.0) -> tuple[ResponseMatrix, Lots, IntArray]:
    lots = lots_of(bars)
    age = np.arange(len(bars.close))[::-1] // 8 % 4
    grid = PriceGrid.around(float(bars.close[-1]), width_bps)
    return build_response_matrix(bars, lots, age, 4, (LONGS, SHORTS), grid), lots, age


def everything(columns: Columns) -> FloatArray:
    """Per class and node."""
    return columns.placed.sum(axis=(0, 2)).T + columns.swept + columns.before_window[:, None]


@given(random_bars())
def test_every_column_accounts_for_the_whole_open_interest(bars: Bars) -> None:
    made, _, _ = dictionary_of(bars)
    holdings = float(bars.open_interest[-1])
    for columns in (made.long, made.short):
        coins = holdings * everything(columns)
        assert coins == pytest.approx(
            holdings * np.ones((3, 6)), rel=1e-9, abs=1e-12 * bars.open_interest.max()
        )
        assert min(columns.placed.min(), columns.swept.min(), columns.before_window.min()) >= 0


@given(random_bars(at_most=12), st.booleans())
def test_the_columns_equal_a_loop_over_lots(bars: Bars, by_marks: bool) -> None:
    """Also where the mark's extremes differ from the last prices'."""
    if by_marks:
        bars = replace(bars, swept_low=bars.low * 1.01, swept_high=bars.high * 0.98)
    made, lots, age = dictionary_of(bars)
    for columns, factors, is_long in ((made.long, LONGS, True), (made.short, SHORTS, False)):
        looped = columns_by_loop(bars, lots, age, 4, factors, made.grid, is_long=is_long)
        assert columns.swept == pytest.approx(looped.swept, abs=1e-12)
        assert np.abs(columns.placed.sum(axis=2) - looped.placed.sum(axis=2)).max() < 1e-12
        risen, again = (mass.cumsum(axis=2) for mass in (columns.placed, looped.placed))
        assert np.abs(risen - again).max() < 1e-12


@given(random_bars())
def test_no_long_lies_above_the_mark_and_no_short_below_it(bars: Bars) -> None:
    made, _, _ = dictionary_of(bars)
    middle = made.grid.bins_each_way + 1
    assert made.long.placed[:, :, middle:-1].sum() == 0
    assert made.short.placed[:, :, :middle].sum() == 0


@given(random_bars(), st.floats(0, 1))
def test_a_map_is_linear_in_the_weights(bars: Bars, share: float) -> None:
    made, _, _ = dictionary_of(bars)
    rng = np.random.default_rng(1)
    one, other = rng.random((2, 3, 6))
    mixed = made.long.weighted(share * one + (1 - share) * other)
    parts = share * made.long.weighted(one) + (1 - share) * made.long.weighted(other)
    assert mixed == pytest.approx(parts, abs=1e-12)


def test_what_lies_below_the_grid_is_below_it_and_not_in_its_first_bin() -> None:
    """At a tenth of the entry price; truncation instead of floor would put near misses into bin 0."""
    bars = bars_of([(100, 100, 100)], [0, 30])
    grid = PriceGrid.around(100.0, 50.0)
    edge = float(grid.edges[0]) / 100
    factors = (np.array([0.1, edge * 0.999, edge * 1.001]), np.array([1.1]))
    lots = Lots.of(bars.open_interest, turn_over(bars.open_interest, np.zeros(1), np.zeros(1)))
    made = build_response_matrix(bars, lots, np.zeros(1, dtype=np.int64), 1, factors, grid)
    assert made.long.placed[0, :, 0, 0] == pytest.approx([1, 1, 0])
    assert made.long.placed[0, :, 1, 0] == pytest.approx([0, 0, 1])


def test_a_price_that_is_just_reached_is_swept() -> None:
    bars = bars_of([(100, 100, 100), (90, 100, 95)], [0, 30, 30])
    lots = Lots.of(bars.open_interest, turn_over(bars.open_interest, np.zeros(2), np.zeros(1)))
    grid = PriceGrid.around(95.0, 50.0)
    made = build_response_matrix(
        bars, lots, np.zeros(2, dtype=np.int64), 1, (np.array([0.899, 0.9]), np.ones(1)), grid
    )
    assert made.long.swept[0] == pytest.approx([0, 1])


def test_of_the_entry_bar_only_the_close_sweeps() -> None:
    """Nobody knows whether the low at 50 came before or after the entry; the next bar's low did come after."""
    for rows, holdings, swept in (
        ([(50, 100, 100)], [0, 30], 0),
        ([(50, 100, 100), (50, 100, 100)], [0, 30, 30], 1),
        ([(50, 100, 50)], [0, 30], 1),
    ):
        bars = bars_of(rows, holdings)  # type: ignore[arg-type]
        count = len(rows)
        lots = Lots.of(bars.open_interest, turn_over(bars.open_interest, np.zeros(count), np.zeros(1)))
        grid = PriceGrid.around(float(bars.close[-1]), 50.0)
        ages = np.zeros(count, dtype=np.int64)
        made = build_response_matrix(bars, lots, ages, 1, (np.array([0.9]), np.array([1.1])), grid)
        assert made.long.swept[0, 0] == pytest.approx(swept)
