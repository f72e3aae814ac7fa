"""Exact maps over time: each moment as it was known then, on one grid."""

from datetime import datetime, timedelta

import numpy as np
import pytest

from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.series import HeatmapSeries
from liqtruth.indexer.errors import UnknownCoin
from liqtruth.indexer.maps.exact import exact_map, exact_series
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Store
from tests.indexer.margined import MARKS, NOON, Holder, Holding, stow

HOUR = timedelta(hours=1)
BTC = MARKS["BTC"]
LONG = Holder("0x1", "standard", 10_000.0, (Holding("BTC", 100_000.0),))
SHORT = Holder("0x2", "standard", 5_000.0, (Holding("BTC", -50_000.0),))
FAR = Holder("0x3", "standard", 95_000.0, (Holding("BTC", 100_000.0),))
SAFE = Holder("0x4", "standard", 1e6, (Holding("BTC", 70_000.0),))


@pytest.fixture
def stowed(store: Store) -> Store:
    stow(store, [LONG, FAR], NOON)
    stow(store, [LONG, SHORT, SAFE], NOON + 2 * HOUR, mark_px=1.02 * BTC)
    return store


def series_of(store: Store, start: datetime = NOON - HOUR, end: datetime = NOON + 3 * HOUR) -> HeatmapSeries:
    return exact_series(store, "BTC", start, end, HOUR)


def test_every_moment_is_the_exact_map_of_that_moment(stowed: Store) -> None:
    series = series_of(stowed)
    for row, time in list(enumerate(series.times))[1:]:
        drawn = exact_map(stowed, "BTC", time)
        assert series.mark_px[row] == drawn.mark_px
        assert series.long_usd[row].sum() == pytest.approx(drawn.in_grid_usd.long)
        assert series.short_usd[row].sum() == pytest.approx(drawn.in_grid_usd.short)
        assert tuple(series.beyond_usd[row]) == pytest.approx(tuple(drawn.beyond_usd))
        assert tuple(series.never_usd[row]) == pytest.approx(tuple(drawn.never_usd))
        holdings = series.coverage[row]
        assert holdings is not None
        assert holdings.seen_usd == drawn.coverage.seen_usd
    assert series.mark_px[[1, 3]] == pytest.approx([BTC, 1.02 * BTC])


def test_the_grid_is_one_and_holds_each_position_at_its_price_all_the_time(stowed: Store) -> None:
    series = series_of(stowed)
    px = BTC * (1 - 10_000 / 100_000 / (1 - 1 / 80))
    at = int(series.grid.bin_of(px))
    # The same coins at the later, higher mark.
    assert series.long_usd[1:, at] == pytest.approx([1e5, 1e5, 1.02e5, 1.02e5])
    assert series.grid.mark_px == pytest.approx(1.02 * BTC)


def test_before_the_first_reading_nothing_is_known_and_none_of_it_is_zero(stowed: Store) -> None:
    series = series_of(stowed)
    assert np.isnan(series.long_usd[0]).all()
    assert np.isnan(series.mark_px[0])
    assert series.coverage[0] is None
    assert series.known.tolist() == [0, 1, 1, 1, 1]
    assert "4 of 5 moments known" in series.describe()[0]


def test_ages_count_back_from_each_moment(stowed: Store) -> None:
    ages = [holdings.oldest_age_s for holdings in series_of(stowed).coverage if holdings is not None]
    assert ages == [0.0, 3600.0, 0.0, 3600.0]


def test_what_the_mark_has_passed_lies_next_to_it_on_its_own_side(store: Store) -> None:
    stow(store, [LONG, SHORT], NOON, mark_px=0.8 * BTC)
    stow(store, [SHORT, LONG], NOON + HOUR, mark_px=1.2 * BTC)
    series = series_of(store, NOON, NOON + HOUR)
    for row, mass in enumerate((series.long_usd, series.short_usd)):
        (at,) = np.flatnonzero(mass[row])
        assert abs(np.log(series.grid.centers[at] / series.mark_px[row])) <= series.grid.log_width


def test_times_that_are_no_series_are_refused(stowed: Store) -> None:
    naive = NOON.replace(tzinfo=None)
    for start, end, step, reported in (
        (NOON, NOON - HOUR, HOUR, "before it starts"),
        (NOON, NOON + HOUR, 0 * HOUR, "step above zero"),
        (NOON, NOON + 9_999 * HOUR, HOUR, "longer step"),
        (naive, NOON, HOUR, "with a zone"),
    ):
        with pytest.raises(BadInput, match=reported):
            exact_series(stowed, "BTC", start, end, step)
    with pytest.raises(UnknownCoin):
        exact_series(stowed, "BTX", NOON, NOON, HOUR)
    with pytest.raises(NothingStored, match="no positions of BTC are stored by"):
        exact_series(stowed, "BTC", NOON - 2 * HOUR, NOON - HOUR, HOUR)
