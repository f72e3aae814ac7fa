"""Exact maps over time: each moment as it was known then, on one grid."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.series import HeatmapSeries
from liqtruth.indexer.errors import UnknownCoin
from liqtruth.indexer.maps.exact import exact_map, exact_series
from liqtruth.indexer.maps.views import exact_history, exact_view
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


SEEN = pl.when(pl.col("szi") < 0).then(pl.lit(NOON + 2 * HOUR, pl.Datetime("ms", "UTC")))


@pytest.fixture
def opened(store: Store) -> Store:
    """One long from the beginning, a short that was opened between two readings."""
    stow(store, [LONG], NOON)
    stow(store, [LONG, SHORT], NOON + 2 * HOUR, held_since=SEEN)
    stow(store, [LONG, SHORT], NOON + 6 * HOUR, held_since=SEEN)
    return store


def total(series: HeatmapSeries) -> np.ndarray:
    """All that has a place at each moment, longs and shorts."""
    rest = [
        [sum(pair) for pair in zip(*both, strict=True)]
        for both in zip(series.beyond_usd, series.never_usd, strict=True)
    ]
    return np.stack([series.long_usd.sum(axis=1), series.short_usd.sum(axis=1)], axis=1) + np.array(rest)


def test_filters_hold_over_time_and_parts_add_up(opened: Store) -> None:
    def part(**filters: str) -> np.ndarray:
        chosen = {name: [value] for name, value in filters.items()}
        return total(exact_history(opened, "BTC", 6 * HOUR, HOUR, NOON + 6 * HOUR, filters=chosen))

    whole = part()
    bands = [part(position_age=one) for one in ("<150m", ">150m", "unknown")]
    assert sum(bands) == pytest.approx(whole)
    assert bands[0][:, 1] == pytest.approx([0, 0, 50_000, 50_000, 50_000, 0, 0]), "it ages with the moments"
    assert part(margin_mode="cross") == pytest.approx(whole)


def test_since_stays_where_it_is_while_ages_move_along(opened: Store) -> None:
    """The short was first seen two hours after noon: it stays in what was opened since noon."""
    since = exact_history(opened, "BTC", 6 * HOUR, HOUR, NOON + 6 * HOUR, since=NOON)
    young = exact_history(opened, "BTC", 6 * HOUR, HOUR, NOON + 6 * HOUR, filters={"position_age": ["<6h"]})
    assert total(since)[:, 1] == pytest.approx([0, 0, 50_000, 50_000, 50_000, 50_000, 50_000])
    assert total(since)[-1] == pytest.approx(total(young)[-1])
    assert total(since)[:, 0] == pytest.approx(0), "how long the other one has been open is not known"
    assert since.only == {"since": (f"{NOON:%Y-%m-%dT%H:%MZ}",)}
    known = since.coverage[-1]
    assert known is not None
    assert known.notes[0].values["count"] == 1
    assert known.seen_usd == exact_map(opened, "BTC").coverage.seen_usd
    alone = exact_view(opened, "BTC", since=NOON)
    assert alone.total_usd == pytest.approx(tuple(total(since)[-1]))


def test_a_part_that_is_empty_at_every_moment_is_refused(opened: Store) -> None:
    with pytest.raises(
        NothingStored, match="no position of BTC passes at any moment: only position age >20d"
    ):
        exact_history(opened, "BTC", 6 * HOUR, HOUR, NOON + 6 * HOUR, filters={"position_age": [">20d"]})
