"""A model over time from stored series: all mass is accounted for, filters are parts, unknown stays unknown."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liqtruth.estimator.errors import UnknownChoice
from liqtruth.estimator.feeds.imports import import_feed
from liqtruth.estimator.model.brackets import POSITION_USD, Brackets
from liqtruth.estimator.model.leverage_model import MAINTENANCE, leverage_model_named
from liqtruth.estimator.model.node_shares import NodeShares, node_shares
from liqtruth.estimator.over_time.price_time import drawn_series, model_series
from liqtruth.estimator.over_time.time_grid import clock_of
from liqtruth.estimator.series.series import MarketSeries
from liqtruth.estimator.series.time_line import Bars
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.series import HeatmapSeries
from liqtruth.heatmap.words.notes import note, of_codes, sentence, texts
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Settings, Store
from tests.estimator.markets import HOUR, bars_of, random_bars, series_of

OKX = venue_named("okx")
FLAT = Brackets.flat("SOLUSDT", 0.01, 50.0, "one flat bracket, for the test")
MODELS = ("tiers", "bell", "vintages")


def shares_of(model: str) -> NodeShares:
    """All of `prior` has an age; part of the default leverage model follows the mark and has none."""
    return node_shares(model, "prior" if model == "vintages" else None, FLAT, POSITION_USD)


def drawn(market: MarketSeries, model: str = "tiers", hours: int = 12, **more: object) -> HeatmapSeries:
    shares = more.pop("shares", None) or shares_of(model)
    assert isinstance(shares, NodeShares)
    return drawn_series(market, shares, FLAT, OKX, "SOL", hours * HOUR, HOUR, **more)  # type: ignore[arg-type]


def holdings(series: HeatmapSeries) -> np.ndarray:
    """Everything of each side that has a place, shape (times, 2, bins + 2)."""
    sides = (series.long_usd, series.short_usd)
    extra = np.array([[[*pair] for pair in zip(*both, strict=True)] for both in zip(
        series.beyond_usd, series.never_usd, strict=True)])  # fmt: skip
    return np.concatenate([np.stack(sides, axis=1), extra], axis=2)


def a_day_of_bars() -> MarketSeries:
    """48 synthetic hours around 100 with a slow wave, open interest growing and shrinking."""
    hour = np.arange(49)
    close = 100 + 5 * np.sin(hour / 5)
    before, after = close[:-1], close[1:]
    bars = Bars(
        np.maximum(before, after) + 0.3, np.minimum(before, after) - 0.3, after, 1e4 + 2e3 * np.sin(hour / 3)
    )
    return series_of(bars)


@settings(max_examples=12)
@given(random_bars(at_most=15), st.sampled_from(MODELS))
def test_what_has_a_place_is_what_the_coverage_states(bars: Bars, model: str) -> None:
    series = drawn(series_of(bars), model, len(bars.close))
    for coverage, row in zip(series.coverage, holdings(series), strict=True):
        assert coverage is not None
        assert row.sum(axis=1) == pytest.approx([*coverage.seen_usd], rel=1e-9, abs=1e-6)
        assert coverage.open_interest_usd is not None
        assert max(coverage.seen_usd) <= coverage.open_interest_usd * (1 + 1e-9)


def test_bands_of_leverage_sum_to_the_whole_map() -> None:
    market, shares = a_day_of_bars(), shares_of("tiers")
    bands = [holdings(drawn(market, shares=shares.only([value]))) for value in (1, 5, 10, 25, 50)]
    assert sum(bands) == pytest.approx(holdings(drawn(market)))
    assert not np.allclose(bands[2], 0)


def test_bands_of_age_sum_to_the_whole_map() -> None:
    market = a_day_of_bars()
    for names in (("<4h", "4-24h", "1-7d", ">7d"), ("fresh", "stale")):
        bands = [holdings(drawn(market, "vintages", age=name)) for name in names]
        assert sum(bands) == pytest.approx(holdings(drawn(market, "vintages")))
        assert bands[0].sum() > 0
    both = holdings(drawn(market, age="4-24h,<4h"))
    assert both == pytest.approx(holdings(drawn(market, age="fresh")))


def test_it_ends_at_the_last_bar_and_shows_as_many_steps_as_the_span_holds() -> None:
    market = a_day_of_bars()
    series = drawn(market, hours=12)
    assert len(series.times) == 12
    assert series.times[-1] == market.as_of
    assert series.times[0] == market.as_of - 11 * HOUR
    assert series.mark_px.tolist() == market.bars.close[-12:].tolist()
    assert series.candles is not None
    assert series.candles.high.tolist() == market.bars.high[-12:].tolist()
    assert series.candles.open.tolist() == market.bars.close[-13:-1].tolist()
    assert any(
        "1.5 days" in message or "36.0 h before the first column" in message
        for message in texts(series.assumptions)
    )


def test_a_span_that_is_not_stored_shows_what_is() -> None:
    assert len(drawn(a_day_of_bars(), hours=100).times) == 48


def test_a_moment_inside_a_gap_is_not_known() -> None:
    market = a_day_of_bars()
    end_ms = market.end_ms.copy()
    end_ms[-5:] += 3 * 3_600_000
    series = drawn(replace(market, end_ms=end_ms, as_of=market.as_of + 3 * HOUR), hours=12)
    unknown = [at for at, coverage in enumerate(series.coverage) if coverage is None]
    assert unknown == [4, 5, 6]
    assert np.isnan(series.long_usd[unknown]).all()
    assert np.isnan(series.mark_px[unknown]).all()
    assert series.describe()[0].startswith("9 of 12 moments known")


@pytest.mark.parametrize(
    ("span", "step", "message"),
    [(6, 12, "does not fit a span"), (6, 0, "does not fit a span"), (6, 0.5, "at least a bar")],
)
def test_a_step_that_does_not_fit_is_refused(span: float, step: float, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        clock_of(a_day_of_bars(), span * HOUR, step * HOUR)


def test_a_step_that_is_not_given_makes_at_most_360_columns() -> None:
    five_minutes = series_of(bars_of([(1, 1, 1)] * 600, [1.0] * 601), timedelta(minutes=5))
    assert clock_of(five_minutes, 24 * HOUR, None).step == timedelta(minutes=5)
    assert clock_of(five_minutes, 48 * HOUR, None).step == timedelta(minutes=10)
    assert clock_of(a_day_of_bars(), 24 * HOUR, None).step == HOUR


def test_names_and_ages_that_are_not_offered_are_refused() -> None:
    market = a_day_of_bars()
    with pytest.raises(UnknownChoice, match="unknown age 'old'; known: <4h"):
        drawn(market, age="old")
    three_hours = clock_of(market, 12 * HOUR, 3 * HOUR)
    with pytest.raises(BadInput, match="needs a --step that divides 4 h"):
        three_hours.age_bands("<4h")
    assert three_hours.age_bands("fresh")[0].oldest == 8
    with pytest.raises(BadInput, match="ages '<4h,fresh' overlap"):
        drawn(market, age="<4h,fresh")
    with pytest.raises(UnknownChoice, match="unknown model of a price-time heatmap 'guess'"):
        node_shares("guess", None, FLAT, POSITION_USD)
    with pytest.raises(BadInput, match="has its own weights"):
        node_shares("tiers", "prior", FLAT, POSITION_USD)
    with pytest.raises(UnknownChoice, match="unknown leverage of tiers '40x'"):
        shares_of("tiers").only([40.0])


@pytest.mark.parametrize(("reach", "bound"), [(None, 50.0), (MAINTENANCE, 100.0)])
def test_leverage_beyond_the_models_reach_is_null_mass_and_reported(
    reach: float | None, bound: float
) -> None:
    """Without a reach of its own a model ends at the venue's highest leverage."""
    model = msgspec.structs.replace(leverage_model_named("prior"), reach=reach)
    shares = node_shares("vintages", model, FLAT, POSITION_USD)
    assert not shares.long[:, shares.leverage > bound].any()
    assert shares.long[:, (shares.leverage > bound / 2) & (shares.leverage <= bound)].sum() > 0
    assert any(
        message.code == "above_highest" and message.values["highest"] == bound for message in shares.notes
    )


def test_the_clock_without_volume_is_reported() -> None:
    market = a_day_of_bars()
    assert any("volume is not known" in message for message in texts(drawn(market, "vintages").assumptions))
    known = replace(market.bars, volume=np.full(48, 5.0))
    assert not any(
        "volume is" in message
        for message in texts(drawn(replace(market, bars=known), "vintages").assumptions)
    )
    assert not any("volume is" in message for message in texts(drawn(market, "tiers").assumptions))


def test_what_was_found_wrong_and_what_is_synthetic_is_carried() -> None:
    market = replace(
        a_day_of_bars(),
        notes=(note("synthetic_series"),),
        quality=(sentence("2 bars dropped"),),
        synthetic=True,
    )
    series = drawn(market)
    assert series.quality == (sentence("2 bars dropped"),)
    assert {note("synthetic_series").text, "input: 2 bars dropped"} <= set(series.describe())


@pytest.mark.recorded
class TestRecorded:
    """SOL on OKX: five-minute candles, hourly open interest, June 2026."""

    @pytest.fixture(scope="class")
    @classmethod
    def okx(cls, recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
        store = Store.open(Settings(data_dir=tmp_path_factory.mktemp("okx")))
        for name in ("ohlcv_5m.csv.gz", "open_interest.csv"):
            import_feed(store, recorded / "cex" / "okx-sol" / name, "okx", "SOL")
        return store

    @pytest.mark.parametrize("days", [1, 7, 20])
    @pytest.mark.parametrize("model", MODELS)
    def test_each_model_comes_out_with_its_mass_and_nothing_at_the_mark(
        self, okx: Store, model: str, days: int
    ) -> None:
        series = model_series(okx, "SOL", "okx", model, timedelta(days=days), timedelta(hours=2))
        assert len(series.times) == 12 * days
        assert series.mark_px[-1] == pytest.approx(71.67)
        for row, coverage in zip(holdings(series), series.coverage, strict=True):
            assert coverage is not None
            assert row.sum(axis=1) == pytest.approx([*coverage.seen_usd], rel=1e-9)
        bins = series.grid.bin_of(series.mark_px)
        for at, bin_ in enumerate(bins):
            assert not series.long_usd[at, bin_ + 1 :].any()
            assert not series.short_usd[at, : bin_ - 1].any()

    def test_no_map_of_the_past_knows_what_came_later(self, okx: Store) -> None:
        """Both begin where history begins; their grids lie around different marks, so other bins are cut in part."""
        two_hours = timedelta(hours=2)
        whole = model_series(okx, "SOL", "okx", "vintages", timedelta(days=20), two_hours)
        at = whole.times[-49]
        early = model_series(okx, "SOL", "okx", "vintages", timedelta(days=20), two_hours, at=at)
        late, then = whole.coverage[-49], early.coverage[-1]
        assert late is not None
        assert then is not None
        assert early.times[-1] == at
        assert late.open_interest_usd == pytest.approx(then.open_interest_usd)
        assert [*late.seen_usd] == pytest.approx([*then.seen_usd], rel=1e-2)

    def test_all_venues_are_those_that_are_stored(self, okx: Store) -> None:
        alone, every = (model_series(okx, "SOL", name, "tiers", timedelta(days=1)) for name in ("okx", "all"))
        assert np.array_equal(every.long_usd, alone.long_usd)
        assert every.venue == "okx"
        with pytest.raises(NothingStored, match="binance"):
            model_series(okx, "SOL", "okx,binance", "tiers", timedelta(days=1))

    def test_a_span_that_is_none_is_refused(self, okx: Store) -> None:
        with pytest.raises(BadInput, match=r"a series of 200\.0 days must be longer than zero"):
            model_series(okx, "SOL", "okx", "tiers", timedelta(days=200))
        with pytest.raises(BadInput, match="more than 16,000,000: take --step"):
            model_series(okx, "SOL", "okx", "vintages", timedelta(days=20), timedelta(minutes=5))


@settings(max_examples=12, deadline=None)
@given(random_bars(at_most=15), st.integers(1, 12), st.sampled_from(MODELS))
def test_an_age_of_any_length_and_its_complement_are_the_whole(bars: Bars, hours: int, model: str) -> None:
    market = series_of(bars)
    young, old = (drawn(market, model, len(bars.close), age=age) for age in (f"<{hours}h", f">{hours}h"))
    whole = holdings(drawn(market, model, len(bars.close)))
    assert holdings(young) + holdings(old) == pytest.approx(
        whole, rel=1e-9, abs=1e-9 * float(whole.max()) + 1e-9
    )


@settings(max_examples=12, deadline=None)
@given(random_bars(at_most=15), st.integers(0, 14), st.sampled_from(MODELS))
def test_what_opened_since_a_moment_is_younger_than_the_time_since_then(
    bars: Bars, hours: int, model: str
) -> None:
    """At the last moment; before it the anchor stays where it is, while an age moves along."""
    market, count = series_of(bars), len(bars.close)
    if hours >= count:
        return
    since = market.as_of - (hours + 1) * HOUR
    anchored = drawn(market, model, count, since=since)
    young = drawn(market, model, count, age=f"<{hours + 1}h")
    whole = holdings(drawn(market, model, count))
    dust = 1e-9 * float(whole.max()) + 1e-9
    assert holdings(anchored)[-1] == pytest.approx(holdings(young)[-1], rel=1e-9, abs=dust)
    before = sum(moment <= since for moment in anchored.times)
    assert not holdings(anchored)[:before].any()
    assert np.all(holdings(anchored) <= whole + dust)
    assert anchored.coverage[-1].open_interest_usd == pytest.approx(  # type: ignore[union-attr]
        bars.open_interest[-1] * bars.close[-1]
    )


def test_a_moment_that_is_not_before_the_series_ends_is_refused() -> None:
    market = a_day_of_bars()
    with pytest.raises(BadInput, match="--since must be before the map's moment"):
        drawn(market, since=market.as_of)
    (noted,) = of_codes(drawn(market, since=market.as_of - HOUR).assumptions, ["only_since"])
    assert noted.text in drawn(market, since=market.as_of - HOUR).describe()
