"""Every model accounts for the whole open interest and leaves nothing where prices have been."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.estimator.model.baselines import OF_SERIES, climatology, mean_price, persistence, plain_map
from liqtruth.estimator.model.brackets import LONG, Brackets, liquidation_factors
from liqtruth.estimator.model.cohort_model import estimate
from liqtruth.estimator.model.leverage import bell, tiers
from liqtruth.estimator.model.leverage_model import leverage_model_named
from liqtruth.estimator.model.maps import aggregated
from liqtruth.estimator.series.time_line import Bars
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.errors import BadInput, MissingData
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.levels import NOTHING
from liqtruth.heatmap.words.notes import of_codes
from tests.estimator.markets import START, bars_of, random_bars, series_of

OKX = venue_named("okx")
FLAT = Brackets.flat("X", 0.005, 125, "half a percent, for the test")
WEIGHTS = {"vintages": leverage_model_named("prior"), "tiers": tiers(), "bell": bell()}
MODELS = (*WEIGHTS, *OF_SERIES, "climatology", "persistence")


def earlier_map(bars: Bars) -> Heatmap:
    """Some map of the time before the first bar ended."""
    drawn = estimate(series_of(Bars(*(side[:1] for side in (bars.high, bars.low, bars.close)), bars.open_interest[:2])),
                     tiers(), OKX, "X", brackets=FLAT).heatmap  # fmt: skip
    return replace(drawn, as_of=START, breakdown=None)


def drawn(model: str, bars: Bars) -> Heatmap:
    series = series_of(bars)
    if model in WEIGHTS:
        return estimate(series, WEIGHTS[model], OKX, "X", brackets=FLAT).heatmap
    if model in OF_SERIES:
        return plain_map(model, series, OKX, "X", FLAT, 10.0)
    if model == "climatology":
        return climatology([earlier_map(bars)], series, OKX, "X", 10.0)
    return persistence(earlier_map(bars), series, OKX, "X", 10.0)


@given(random_bars(), st.sampled_from(MODELS))
def test_a_map_holds_what_is_seen_and_never_more_than_open_interest(bars: Bars, model: str) -> None:
    bars = replace(bars, volume=np.ones(len(bars.close)))
    made = drawn(model, bars)
    holdings = made.coverage.open_interest_usd
    dust = 1e-9 * holdings + 1e-10 * bars.open_interest.max() * made.mark_px
    assert holdings == pytest.approx(bars.open_interest[-1] * made.mark_px)
    for total, seen in zip(made.total_usd, made.coverage.seen_usd, strict=True):
        assert total == pytest.approx(seen, abs=dust)
        assert total <= holdings + dust


@given(random_bars(), st.sampled_from(MODELS))
def test_nothing_lies_where_the_last_bar_has_been(bars: Bars, model: str) -> None:
    """With nothing opened or traded in the last bar; bins that it touched only in part may hold the rest of theirs."""
    holdings = np.append(bars.open_interest[:-1], bars.open_interest[-2])
    volume = np.append(np.ones(len(bars.close) - 1), 0.0)
    if not volume.any():
        return
    made = drawn(model, replace(bars, open_interest=holdings, volume=volume))
    edges = made.grid.edges
    assert made.long_usd[edges[:-1] > bars.low[-1] * (1 + 1e-9)].sum() == 0
    assert made.short_usd[edges[1:] < bars.high[-1] * (1 - 1e-9)].sum() == 0


def test_uniform_is_even_in_log_price_over_thirty_percent() -> None:
    made = drawn("uniform", bars_of([(100, 100, 100)], [30, 30]))
    edges = made.grid.edges
    inside = (edges[:-1] > 100 * np.exp(-0.3)) & (edges[1:] <= 100)
    density = made.long_usd[inside] / np.diff(np.log(edges))[inside]
    assert density == pytest.approx(3000 / 0.3)
    assert made.total_usd == pytest.approx((3000, 3000))


def test_a_moving_average_holds_the_tiers_of_one_price() -> None:
    """At a mean of 100 with 1 % maintenance 5x longs are liquidated near 80: the mark's own move changes nothing."""
    calm = bars_of([(100, 100, 100)] * 71 + [(101, 101, 101)], [30] * 73)
    made = drawn("moving-average", calm)
    (about,) = of_codes(made.assumptions, ["opened_at_mean"])
    mean = (71 * 100 + 101) / 72
    assert about.values["px"] == pytest.approx(mean)
    assert about.values["window_s"] == 72 * 3600
    assert about.values["away"] == pytest.approx(mean / 101 - 1)
    assert "mean price of the last 3.0 days" in about.text
    levels = liquidation_factors(FLAT, tiers().leverage, LONG) * mean
    for level in levels[(levels > 0) & (levels < 101)]:
        near = slice(made.grid.bin_of(level) - 1, made.grid.bin_of(level) + 2)
        assert made.long_usd[near].sum() >= 30 * 101 / 6 * (1 - 1e-9)
    assert np.count_nonzero(made.long_usd) + np.count_nonzero(made.short_usd) <= 12


def test_a_moving_average_is_weighted_by_volume_where_it_is_known_and_forgets_after_three_days() -> None:
    bars = bars_of([(50, 50, 50)] * 10 + [(100, 100, 100)] * 36 + [(110, 110, 110)] * 36, [30] * 83)
    plain, _ = mean_price(series_of(bars))
    weighted, about = mean_price(series_of(replace(bars, volume=np.append(np.ones(46), np.full(36, 3.0)))))
    assert plain == pytest.approx(105)
    assert weighted == pytest.approx((100 + 3 * 110) / 4)
    assert about.values["by_volume"]
    assert "weighted by volume" in about.text


@given(random_bars())
def test_the_mean_price_lies_within_what_the_bars_have_seen(bars: Bars) -> None:
    px, about = mean_price(series_of(bars))
    assert bars.low.min() * (1 - 1e-9) <= px <= bars.high.max() * (1 + 1e-9)
    assert about.values["window_s"] <= 72 * 3600


def test_volume_profile_without_volume_is_refused_with_the_reason() -> None:
    with pytest.raises(MissingData, match="volume-profile needs volume, and the series of okx X have none"):
        drawn("volume-profile", bars_of([(100, 100, 100)], [30, 30]))


def test_the_persistence_map_keeps_prices_and_loses_what_was_reached() -> None:
    """A long level at half the first mark stays there when the mark has fallen to 80; what lay above 80 is gone."""
    first = bars_of([(100, 100, 100), (80, 100, 80)], [30, 30, 30])
    before = earlier_map(first)
    mass = np.zeros(before.grid.bins)
    mass[before.grid.bin_of(60.0)], mass[before.grid.bin_of(90.0)] = 1500, 1500
    known = replace(before, long_usd=mass, short_usd=0 * mass, never_usd=NOTHING, beyond_usd=NOTHING)
    made = persistence(known, series_of(first), OKX, "X", 10.0)
    assert made.total_usd.long == pytest.approx(1500 * 0.8)
    near = slice(made.grid.bin_of(60.0) - 1, made.grid.bin_of(60.0) + 2)
    assert made.long_usd[near].sum() == pytest.approx(1200)


def test_a_shape_is_copied_by_distance() -> None:
    """The same market at twice the price holds twice the dollars at the same bins."""
    flat = bars_of([(100, 100, 100)], [0, 30])
    before = earlier_map(flat)
    twice = bars_of([(200, 200, 200)], [30, 30])
    made = climatology([before, before], series_of(twice), OKX, "X", 10.0)
    assert made.long_usd == pytest.approx(2 * before.long_usd, abs=1e-6)
    with pytest.raises(BadInput, match="at least one exact map"):
        climatology([], series_of(twice), OKX, "X", 10.0)


@given(random_bars(), random_bars())
def test_venues_are_added_and_stay_apart_in_the_breakdown(one: Bars, other: Bars) -> None:
    if one.open_interest[-1] + other.open_interest[-1] == 0:
        return
    maps = [
        replace(drawn("tiers", bars), venue=name, as_of=START) for name, bars in (("a", one), ("b", other))
    ]
    maps = [replace(m, breakdown=m.breakdown.with_columns(venue=pl.lit(m.venue))) for m in maps]  # type: ignore[union-attr]
    both = aggregated(maps)
    assert both.long_usd == pytest.approx(maps[0].long_usd + maps[1].long_usd)
    assert both.part({"venue": ["b"]}).short_usd == pytest.approx(maps[1].short_usd)
    assert min(m.mark_px for m in maps) <= both.mark_px * (1 + 1e-9)
    assert any(note.code == "venue_share" and note.values["venue"] == "a" for note in both.coverage.notes)
