"""Several venues over time: their sum is each one's maps added, and what one of them does not know is not known."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from liqtruth.estimator.frames import DATASETS, conform
from liqtruth.estimator.model.maps import model_map
from liqtruth.estimator.over_time.price_time import model_series
from liqtruth.estimator.over_time.several_venues import added_series
from liqtruth.heatmap.errors import BadInput, MissingData
from liqtruth.heatmap.series import HeatmapSeries
from liqtruth.heatmap.words.notes import of_codes
from liqtruth.storage.store import Store
from tests.estimator.markets import HOUR, START, random_bars, series_of
from tests.estimator.test_price_time import a_day_of_bars, drawn, holdings

WAVES = {"binance": (100.0, 4e4, 1), "okx": (100.2, 1e4, 1), "bybit": (99.9, 2e4, 4)}
"""Price, coins of open interest, and quarters of an hour per bar of each venue."""


def market(store: Store, venue: str, hours: int = 96, skip: int = 0) -> None:
    """Bars on one wave with a basis of its own; `skip` hours of history are missing at the beginning."""
    px, coins, quarters = WAVES[venue]
    step = timedelta(minutes=15 * quarters)
    count = (hours - skip) * 4 // quarters
    begin = START + skip * HOUR
    starts = [begin + n * step for n in range(count)]
    hour = np.array([(at - START) / HOUR for at in [*starts, begin + count * step]])
    close = px * (1 + 0.03 * np.sin(hour / 7))
    bars = pl.DataFrame(
        {
            "ts": starts,
            "interval_s": round(step.total_seconds()),
            "open": close[:-1],
            "close": close[1:],
            "volume": coins / 10,
        }
    ).with_columns(
        high=pl.max_horizontal("open", "close") * 1.001, low=pl.min_horizontal("open", "close") / 1.001
    )
    times = [*starts, begin + count * step]
    known = pl.DataFrame({"ts": times, "open_interest": coins * (1 + 0.2 * np.sin(hour / 5))})
    for dataset, rows in (("candles", bars), ("open_interest", known)):
        key = DATASETS[dataset].key
        store.lake.merge_series(dataset, venue, "BTC", conform(rows, dataset), key, source="test")


@pytest.fixture
def venues(store: Store) -> Store:
    for name in WAVES:
        market(store, name)
    return store


def history(store: Store, venue: str, model: str = "tiers", **more: Any) -> HeatmapSeries:
    return model_series(store, "BTC", venue, model, 48 * HOUR, HOUR, **more)


@pytest.mark.parametrize("model", ["tiers", "vintages"])
@pytest.mark.parametrize(
    "part",
    [
        {},
        {"age": "<4h"},
        {"leverage": [25, 50]},
        {"since": START + 80 * HOUR},
        {"age": "<6h", "leverage": [5]},
    ],
)
def test_the_sum_of_venues_is_each_venues_maps_added(venues: Store, model: str, part: dict[str, Any]) -> None:
    every = history(venues, "all", model, **part)
    each = [history(venues, name, model, **part) for name in every.venue.split("+")]
    assert set(every.venue.split("+")) == set(WAVES)
    assert len(every.times) == 48
    assert_allclose(holdings(every), sum(holdings(one) for one in each), rtol=1e-9, atol=1e-6)
    assert holdings(every)[-1].sum() > 0
    marks = np.stack([one.mark_px for one in each])
    assert np.all(every.mark_px >= marks.min(axis=0) * 0.997)
    assert np.all(every.mark_px <= marks.max(axis=0) * 1.003)
    assert every.only == each[0].only


def test_the_last_moment_is_the_map_of_all_venues(venues: Store) -> None:
    """In steps of a bar the two accounts differ only in the bin that the path's extreme cuts."""
    every, alone = history(venues, "all"), model_map(venues, "BTC", "all", "tiers", "30d")
    assert every.times[-1] == alone.as_of
    assert every.mark_px[-1] == pytest.approx(alone.mark_px)
    known = every.coverage[-1]
    assert known is not None
    assert known.open_interest_usd == pytest.approx(alone.coverage.open_interest_usd)
    assert of_codes(known.notes, ["venue_share"]) == of_codes(alone.coverage.notes, ["venue_share"])
    assert [*known.seen_usd] == pytest.approx([*alone.coverage.seen_usd], rel=0.05)


def test_a_filter_and_its_complement_are_the_whole_of_all_venues(venues: Store) -> None:
    aged = {"weights": "prior"}  # part of the default leverage model follows the mark and has no age
    whole = holdings(history(venues, "all", "vintages", **aged))
    young, old = (holdings(history(venues, "all", "vintages", age=age, **aged)) for age in ("<6h", ">6h"))
    assert_allclose(young + old, whole, rtol=1e-9, atol=1e-6 * float(whole.max()))
    low, high = ([1, 5, 10], [25, 50])
    bands = [holdings(history(venues, "okx,bybit", "bell", leverage=part)) for part in (low, high)]
    both = holdings(history(venues, "okx,bybit", "bell", leverage=[*low, *high]))
    assert_allclose(sum(bands), both, rtol=1e-6, atol=1e-12)
    assert both.sum() > 0


def test_the_history_begins_where_the_shortest_one_does(store: Store) -> None:
    market(store, "binance")
    market(store, "okx", skip=70)
    both = history(store, "binance,okx")
    assert both.times[0] >= START + 70 * HOUR
    assert both.times[-1] == START + 96 * HOUR
    (cut,) = of_codes(both.assumptions, ["shortest_history"])
    assert cut.values["venue"] == "okx"
    assert cut.text in both.describe()


def test_venues_end_at_the_last_moment_that_all_of_them_reach(store: Store) -> None:
    market(store, "binance", hours=96)
    market(store, "bybit", hours=93)
    both = history(store, "binance,bybit")
    assert both.times[-1] == START + 93 * HOUR
    alone = history(store, "binance", at=START + 93 * HOUR)
    other = history(store, "bybit")
    assert holdings(both)[-1] == pytest.approx(holdings(alone)[-1] + holdings(other)[-1])


def test_a_step_is_no_shorter_than_the_longest_bar(venues: Store) -> None:
    found = model_series(venues, "BTC", "all", "tiers", 24 * HOUR)
    assert found.times[1] - found.times[0] == HOUR


@settings(max_examples=10, deadline=None)
@given(random_bars(at_most=12), st.integers(0, 11))
def test_a_moment_that_one_venue_does_not_know_is_not_known(bars: Any, missing: int) -> None:
    one = drawn(series_of(bars), hours=len(bars.close))
    gap = missing % len(one.times)
    coverage = tuple(None if at == gap else known for at, known in enumerate(one.coverage))
    other = replace(one, venue="bybit", coverage=coverage)
    if len(one.times) == 1:
        with pytest.raises(MissingData, match="no moment at which okx, bybit all have bars"):
            added_series([one, other])
        return
    both = added_series([one, other])
    assert [known is None for known in both.coverage] == [at == gap for at in range(len(one.times))]
    assert np.isnan(both.mark_px[gap])
    kept = np.arange(len(one.times)) != gap
    assert both.long_usd[kept] == pytest.approx(2 * one.long_usd[kept])
    assert both.mark_px[kept] == pytest.approx(one.mark_px[kept])
    (lacking,) = of_codes(both.assumptions, ["venues_lack"])
    assert lacking.values == {"count": 1, "moments": len(one.times)}


def test_series_that_do_not_fit_are_refused() -> None:
    one = drawn(a_day_of_bars(), hours=6)
    for other in (replace(one, coin="ETH"), replace(one, model="bell")):
        with pytest.raises(BadInput, match="one coin, model, step, end and grid"):
            added_series([one, other])


def test_a_leverage_that_some_venues_lack_is_drawn_of_those_that_have_it(venues: Store) -> None:
    """Of the tiers only Binance's brackets allow 100x, whichever venue is named first; none knows 40x."""

    def long_usd(names: str, *leverage: float) -> float:
        return model_map(venues, "BTC", names, "tiers", "3d", leverage=leverage).total_usd.long

    every = model_map(venues, "BTC", "okx,bybit,binance", "tiers", "3d", leverage=[50, 100])
    parts = (long_usd("binance", 50, 100), long_usd("bybit", 50), long_usd("okx", 50))
    assert every.total_usd.long == pytest.approx(sum(parts))
    assert set(every.only["leverage_band"]) == {"50x", "100x"}
    assert long_usd("all", 100) == pytest.approx(long_usd("binance", 100))
    lacking = of_codes(every.coverage.notes, ("leverage_lacking",))
    assert [(one.values["venue"], one.values["leverages"]) for one in lacking] == [
        ("okx", (100,)),
        ("bybit", (100,)),
    ]
    with pytest.raises(BadInput, match="40x"):
        long_usd("all", 40)
