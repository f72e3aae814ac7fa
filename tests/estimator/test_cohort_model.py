"""A modelled map accounts for every coin of open interest, and draws nothing where the price has already been."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.estimator.errors import UnknownChoice
from liqtruth.estimator.model.ages import AGE_BANDS, age_bands
from liqtruth.estimator.model.brackets import Brackets
from liqtruth.estimator.model.cohort_model import (
    Balance,
    CohortModel,
    Estimate,
    estimate,
)
from liqtruth.estimator.model.leverage import LeverageWeights, bell, tiers
from liqtruth.estimator.model.maps import model_map
from liqtruth.estimator.series.time_line import Bars
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.errors import BadInput
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Store
from tests.estimator.markets import bars_of, random_bars, series_of

OKX = venue_named("okx")
FLAT = Brackets.flat("X", 0.005, 125, "half a percent, for the test")

models = st.sampled_from([tiers(), bell(), tiers([0, 0, 0, 0, 1, 1])])


def drawn(bars: Bars, weights: LeverageWeights | None = None, **options: float) -> Estimate:
    return estimate(series_of(bars), weights or tiers(), OKX, "X", brackets=FLAT, **options)


# ------------------------------------------------------------------------------------ conservation


@given(random_bars(), models)
def test_the_four_parts_of_each_side_are_the_open_interest(bars: Bars, weights: LeverageWeights) -> None:
    made = drawn(bars, weights)
    for side in (made.long, made.short):
        assert side.total == pytest.approx(bars.open_interest[-1], rel=1e-9, abs=1e-6)
        assert min(side.on_map, side.never, side.swept, side.before_window) >= 0
    assert made.long.before_window == made.short.before_window


@given(random_bars(), models, st.sampled_from([2.0, 10.0, 150.0]))
def test_the_map_holds_what_is_left_at_the_mark(
    bars: Bars, weights: LeverageWeights, width_bps: float
) -> None:
    made = drawn(bars, weights, width_bps=width_bps)
    mark = made.heatmap.mark_px
    for side in ("long", "short"):
        balance: Balance = made.of(side)
        seen = (balance.on_map + balance.never) * mark
        assert made.heatmap.total_usd.of(side) == pytest.approx(seen, rel=1e-9, abs=1e-4)
        assert made.heatmap.never_usd.of(side) == pytest.approx(balance.never * mark, rel=1e-9, abs=1e-4)
        assert made.heatmap.coverage.seen_usd.of(side) == pytest.approx(seen, abs=1e-4)
    assert made.heatmap.coverage.open_interest_usd == pytest.approx(bars.open_interest[-1] * mark)


@given(random_bars(), models)
def test_both_sides_are_opened_equally(bars: Bars, weights: LeverageWeights) -> None:
    made = drawn(bars, weights)
    long, short = (side.on_map + side.never + side.swept for side in (made.long, made.short))
    assert long == pytest.approx(short, rel=1e-9, abs=1e-6)


@given(random_bars(), models)
def test_nothing_is_drawn_at_prices_that_the_last_bar_has_seen(bars: Bars, weights: LeverageWeights) -> None:
    """With nothing opened in the last bar, its whole range is empty on both sides."""
    holdings = np.append(bars.open_interest[:-1], bars.open_interest[-2])
    made = drawn(Bars(bars.high, bars.low, bars.close, holdings), weights).heatmap
    edges = made.grid.edges
    assert made.long_usd[edges[:-1] > bars.low[-1] * (1 + 1e-9)].sum() == 0
    assert made.short_usd[edges[1:] < bars.high[-1] * (1 - 1e-9)].sum() == 0


@given(random_bars(), models, st.integers(2, 5))
def test_refining_the_grid_moves_no_mass(bars: Bars, weights: LeverageWeights, factor: int) -> None:
    coarse = drawn(bars, weights, width_bps=40.0).heatmap
    fine = drawn(bars, weights, width_bps=coarse.grid.refined(factor).width_bps).heatmap
    assert fine.total_usd == pytest.approx(coarse.total_usd, rel=1e-9, abs=1e-4)
    reach = min(coarse.grid.bins_each_way, fine.grid.bins_each_way // factor)
    steps = np.arange(-reach, reach + 1)
    shared = coarse.cumulative()[steps + coarse.grid.bins_each_way]
    again = fine.cumulative()[factor * steps + fine.grid.bins_each_way]
    assert again == pytest.approx(shared, rel=1e-9, abs=1e-4)


@given(random_bars())
def test_a_market_of_1x_can_lose_no_long(bars: Bars) -> None:
    made = drawn(bars, tiers([1, 0, 0, 0, 0, 0]))
    assert made.heatmap.in_grid_usd.long == made.long.swept == made.long.on_map == 0
    assert made.short.never == 0


def test_one_birth_lies_at_the_liquidation_prices_of_its_three_entries() -> None:
    """Opened in a bar from 1 to 64 at 2, 8 and 32; closed at 20, where 10x longs of 32 are gone, shorts of 2 and 8."""
    made = drawn(bars_of([(1, 64, 20)], [0, 30]), tiers([0, 0, 1, 0, 0, 0]))
    assert (made.long.on_map, made.long.swept) == (20, 10)
    assert (made.short.on_map, made.short.swept) == (10, 20)
    grid = made.heatmap.grid
    assert made.heatmap.beyond_usd == pytest.approx((20 * 20, 0))
    assert made.heatmap.short_usd[grid.bin_of(32 * 1.1 / 1.005)] == pytest.approx(200)


@given(random_bars(), models, st.integers(1, 26))
def test_an_age_of_any_length_and_its_complement_are_the_whole_map(
    bars: Bars, weights: LeverageWeights, hours: int
) -> None:
    model = CohortModel(weights, brackets=FLAT).fit(series_of(bars), OKX, "X")
    whole = model.heatmap()
    young, old = (model.heatmap(age=[f"{sign}{60 * hours}m"]) for sign in "<>")
    dust = 1e-9 * max(whole.total_usd)
    for mine, rest, all_of_it in zip(young.total_usd, old.total_usd, whole.total_usd, strict=True):
        assert mine + rest == pytest.approx(all_of_it, abs=dust)
    assert young.long_usd + old.long_usd == pytest.approx(whole.long_usd, abs=dust)
    assert young.coverage == whole.coverage
    assert young.only == {"age_band": (f"<{60 * hours}m",)}
    assert model.heatmap(age=["<4h"]).long_usd == pytest.approx(
        model.heatmap(age=["<240m"]).long_usd, abs=dust
    )


@given(random_bars(), models, st.integers(1, 26))
def test_since_a_moment_is_the_age_below_the_time_from_then(
    bars: Bars, weights: LeverageWeights, hours: int
) -> None:
    series = series_of(bars)
    model = CohortModel(weights, brackets=FLAT).fit(series, OKX, "X")
    since = model.heatmap(since=series.as_of - timedelta(hours=hours))
    young = model.heatmap(age=[f"<{hours}h"])
    dust = 1e-9 * max(model.heatmap().total_usd)
    assert since.long_usd == pytest.approx(young.long_usd, abs=dust)
    assert since.short_usd == pytest.approx(young.short_usd, abs=dust)
    assert since.total_usd == pytest.approx(tuple(young.total_usd), abs=dust)
    assert "since" in since.filtered_by


def test_filters_combine_and_what_is_none_is_refused() -> None:
    series = series_of(bars_of([(99, 101, 100)] * 8, [10, 20, 30, 40, 50, 60, 70, 80, 90]))
    model = CohortModel(tiers(), brackets=FLAT).fit(series, OKX, "X")
    both = model.heatmap(leverage=[5], age=["<90m"], since=series.as_of - timedelta(hours=3))
    assert set(both.only) == {"leverage_band", "age_band", "since"}
    assert 0 < both.total_usd.long < model.heatmap(age=["<90m"]).total_usd.long
    with pytest.raises(UnknownChoice, match="unknown age 'old'; known: <4h, 4-24h"):
        model.heatmap(age=["old"])
    with pytest.raises(BadInput, match="overlap"):
        model.heatmap(age=["<90m", "<4h"])
    with pytest.raises(BadInput, match="--since must be before"):
        model.heatmap(since=series.as_of)


def test_ages_are_counted_from_the_end_of_a_bar() -> None:
    series = series_of(bars_of([(1, 1, 1)] * 200, [1] * 201))
    ages = [AGE_BANDS[at] for at in age_bands(series)]
    assert {band: ages.count(band) for band in AGE_BANDS} == {"<4h": 4, "4-24h": 20, "1-7d": 144, ">7d": 32}
    late = replace(series, as_of=series.as_of + timedelta(hours=4))
    assert AGE_BANDS[age_bands(late)[-1]] == "4-24h"


def test_leverages_above_the_venues_highest_are_dropped_and_it_is_reported() -> None:
    """Without facts at most 50x is assumed."""
    made = estimate(series_of(bars_of([(9, 11, 10)], [0, 30])), tiers(), OKX, "NOSUCH")
    assert "100x" not in set(made.heatmap.breakdown["leverage_band"])
    assert "above the venue's highest of 50x dropped" in made.heatmap.assumptions[0].text
    assert made.long.total == pytest.approx(30)


def test_without_data_the_command_that_brings_it_is_reported(store: Store) -> None:
    with pytest.raises(NothingStored) as refused:
        model_map(store, "DOGE", "binance", "bell")
    assert str(refused.value) == (
        "no candles of binance DOGE: `liqtruth feed fetch binance DOGE` or "
        "`liqtruth feed import PATH --venue binance --coin DOGE` brings them"
    )
