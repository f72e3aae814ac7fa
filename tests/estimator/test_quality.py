"""A sound market has no findings; whatever is wrong is found, dated, and repaired without inventing."""

from collections.abc import Callable
from datetime import datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liqtruth.estimator.errors import SeriesRefused
from liqtruth.estimator.frames import CANDLES
from liqtruth.estimator.series.quality import (
    checked,
    repaired_candles,
    repaired_open_interest,
    traded_between,
)
from liqtruth.estimator.series.series import MarketSeries, align
from liqtruth.heatmap.words.notes import texts
from liqtruth.heatmap.words.text import utc_text
from tests.estimator.markets import HOUR, START, candles, holdings

HOURS = 60
PRICES = ("open", "high", "low", "close")
seeds = st.integers(0, 2**32 - 1)
inner = st.integers(10, HOURS - 10)


def market(seed: int, coins_in_usd: bool = False) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A random walk of hourly bars, and open interest that moves by at most the volume; no fault in it."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, HOURS)))
    opened = np.append(100.0, close[:-1])
    volume = rng.uniform(50, 150, HOURS)
    coins = 10_000 + np.append(0.0, np.cumsum(volume * rng.uniform(-1, 1, HOURS)))
    bars = candles(START, 3600, HOURS).with_columns(
        open=opened,
        high=np.maximum(opened, close) * np.exp(rng.uniform(0.001, 0.02, HOURS)),
        low=np.minimum(opened, close) * np.exp(-rng.uniform(0.001, 0.02, HOURS)),
        close=close,
        volume=volume,
    )
    times = [START + n * HOUR for n in range(HOURS + 1)]
    usd = (coins * np.append(100.0, close)).tolist()
    return bars.cast(dict(CANDLES)), holdings(times, None if coins_in_usd else coins.tolist(), usd)  # type: ignore[arg-type]


def aligned(bars: pl.DataFrame, readings: pl.DataFrame) -> MarketSeries:
    return align(bars, readings, START, START + HOURS * HOUR)


def at(hour: int) -> datetime:
    return START + hour * HOUR


def with_value(rows: pl.DataFrame, row: int, **values: float | None) -> pl.DataFrame:
    """The frame with some cells of one row replaced."""
    place = pl.int_range(pl.len()) == row
    return rows.with_columns(
        pl.when(place).then(pl.lit(value)).otherwise(pl.col(name)).alias(name)
        for name, value in values.items()
    )


def scaled(readings: pl.DataFrame, first: int, factor: float, last: int = HOURS) -> pl.DataFrame:
    """Readings `first` to `last` in another unit, USD left as they are out of the way."""
    inside = pl.int_range(pl.len()).is_between(first, last)
    return readings.with_columns(
        open_interest=pl.col("open_interest") * pl.when(inside).then(factor).otherwise(1.0),
        open_interest_usd=pl.lit(None, pl.Float64),
    )


def raised(readings: pl.DataFrame, first: int, coins: float) -> pl.DataFrame:
    """Readings from `first` on with coins that nobody traded."""
    later = pl.int_range(pl.len()) >= first
    return readings.with_columns(
        open_interest=pl.col("open_interest") + pl.when(later).then(coins).otherwise(0.0),
        open_interest_usd=pl.lit(None, pl.Float64),
    )


# ------------------------------------------------------------------------------------- null model


@settings(max_examples=12)
@given(seeds, st.booleans())
def test_a_sound_market_has_no_findings_and_loses_nothing(seed: int, in_usd: bool) -> None:
    bars, readings = market(seed, in_usd)
    series = aligned(bars, readings)
    assert series.quality == ()
    assert series.bars.close.tolist() == bars["close"].to_list()
    assert series.bars.volume is not None
    assert series.bars.volume.tolist() == bars["volume"].to_list()
    coins = (
        readings["open_interest"]
        if not in_usd
        else readings["open_interest_usd"] / np.append(100.0, bars["close"])
    )
    assert series.bars.open_interest == pytest.approx(coins.to_numpy())


# ------------------------------------------------------------------------- every fault, anywhere

Injected = Callable[[pl.DataFrame, pl.DataFrame, int], tuple[pl.DataFrame, pl.DataFrame]]

FAULTS: dict[str, tuple[Injected, str]] = {
    "a price of zero": (
        lambda bars, oi, n: (with_value(bars, n, low=0.0), oi),
        "1 candles with a price of zero, below zero or none left out, the first of {}",
    ),
    "a missing price": (
        lambda bars, oi, n: (with_value(bars, n, close=None), oi),
        "1 candles with a price of zero, below zero or none left out, the first of {}",
    ),
    "a high below the close": (
        lambda bars, oi, n: (with_value(bars, n, high=1.0), oi),
        "1 candles whose high or low is inside their open and close left out, the first of {}",
    ),
    "a negative volume": (
        lambda bars, oi, n: (with_value(bars, n, volume=-1.0), oi),
        "1 candles with a volume below zero: it counts as unknown, the first of {}",
    ),
    "a repeated bar": (
        lambda bars, oi, n: (pl.concat([bars[: n + 1], bars[n:]]), oi),
        "1 candles stood twice, the first of {}: the last one counts",
    ),
    "a missing bar": (
        lambda bars, oi, n: (pl.concat([bars[: n - 1], bars[n:]]), oi),
        "1 gaps in the candles, 1.0 h in all, the widest 1.0 h before {}: prices inside them are unknown",
    ),
    "a wick": (
        lambda bars, oi, n: (with_value(bars, n, high=400.0), oi),
        "1 bars with a price spike that comes back, the largest of",
    ),
    "no open interest": (
        lambda bars, oi, n: (bars, with_value(oi, n, open_interest=0.0)),
        "1 readings of open interest of zero, below zero or none left out, the first of {}",
    ),
    "negative open interest": (
        lambda bars, oi, n: (bars, with_value(oi, n, open_interest=-5.0)),
        "1 readings of open interest of zero, below zero or none left out, the first of {}",
    ),
    "a repeated reading": (
        lambda bars, oi, n: (bars, pl.concat([oi[: n + 1], oi[n:]])),
        "1 readings of open interest stood twice, the first of {}: the last one counts",
    ),
    "a lone spike": (
        lambda bars, oi, n: (bars, scaled(oi, n, 1.5, n)),
        "1 lone spikes that come back left out, the first at {}",
    ),
    "a lone tenfold spike": (
        lambda bars, oi, n: (bars, scaled(oi, n, 10.0, n)),
        "1 lone spikes that come back left out, the first at {}",
    ),
    "a few readings in another unit": (
        lambda bars, oi, n: (bars, scaled(oi, n, 0.01, n + 3)),
        "open interest: 4 readings from {} in another unit left out",
    ),
    "a change of unit": (
        lambda bars, oi, n: (bars, scaled(oi, n, 1000.0)),
        "coins at {}, a factor of",
    ),
    "a jump that stays": (
        lambda bars, oi, n: (bars, raised(oi, n, 3000.0)),
        "open interest moves by more than was traded in 1 of 60 steps, most at {}",
    ),
    "coins and USD that disagree": (
        lambda bars, oi, n: (bars, with_value(oi, n, open_interest_usd=5.0)),
        "1 readings of open interest left out because coins and USD disagree",
    ),
    "a coin that is counted anew": (
        lambda bars, oi, n: (
            pl.concat([bars[:n], bars[n:].with_columns(pl.col(PRICES) / 1000)]),
            scaled(oi, n, 1000.0),
        ),
        "between two bars at {} (a factor of 0.001",
    ),
}


@pytest.mark.parametrize(("inject", "message"), FAULTS.values(), ids=FAULTS)
@settings(max_examples=6)
@given(seeds, inner)
def test_a_fault_anywhere_is_found_and_reported_with_its_moment(
    inject: Injected, message: str, seed: int, hour: int
) -> None:
    bars, readings = inject(*market(seed), hour)
    try:
        series = aligned(bars, readings)
    except SeriesRefused as refused:
        findings: tuple[str, ...] = (str(refused),)
    else:
        findings = texts(series.quality)
    wanted = message.format(utc_text(at(hour)))
    assert any(wanted in finding for finding in findings), findings


# ------------------------------------------------------------------ repairs leave out, never invent


@settings(max_examples=10)
@given(seeds, inner, st.sampled_from([0.01, 0.5, 1.5, 10.0, 1000.0]))
def test_in_place_of_a_spike_stands_what_was_known_before_it(seed: int, hour: int, factor: float) -> None:
    bars, readings = market(seed)
    sound = aligned(bars, readings).bars
    repaired = aligned(bars, scaled(readings, hour, factor, hour)).bars
    expected = sound.open_interest.copy()
    expected[hour] = expected[hour - 1]
    assert repaired.open_interest == pytest.approx(expected)
    assert repaired.close.tolist() == sound.close.tolist()


@settings(max_examples=10)
@given(seeds, inner, st.sampled_from([0.001, 0.01, 100.0, 1000.0]))
def test_a_change_of_unit_leaves_what_came_after_it_as_it_is(seed: int, hour: int, factor: float) -> None:
    bars, readings = market(seed)
    changed = scaled(readings, hour, factor)
    series = aligned(bars, changed)
    assert series.start == at(hour)
    assert series.bars.open_interest == pytest.approx(changed["open_interest"][hour:].to_numpy())
    assert series.bars.close.tolist() == bars["close"][hour:].to_list()


@settings(max_examples=10)
@given(seeds, inner)
def test_a_coin_that_is_counted_anew_begins_there(seed: int, hour: int) -> None:
    bars, readings = market(seed)
    anew = pl.concat([bars[:hour], bars[hour:].with_columns(pl.col(PRICES) / 1000)])
    series = aligned(anew, scaled(readings, hour, 1000.0))
    assert series.start == at(hour)
    assert series.bars.close.tolist() == anew["close"][hour:].to_list()


@settings(max_examples=10)
@given(seeds, st.permutations(range(HOURS)))
def test_the_order_of_rows_does_not_matter(seed: int, order: list[int]) -> None:
    bars, readings = market(seed)
    series = aligned(bars[order], readings)
    assert series.bars.close.tolist() == bars["close"].to_list()
    wanted = ("candles were not in order of time: sorted",) if order != sorted(order) else ()
    assert texts(series.quality) == wanted


def test_a_doubtful_last_reading_waits_for_the_next_one() -> None:
    bars, readings = market(1)
    doubtful = scaled(readings, HOURS, 1000.0)
    series = aligned(bars, doubtful)
    assert series.bars.open_interest[-1] == series.bars.open_interest[-2]
    assert "the last reading left out until another confirms it" in series.quality[0].text


def test_without_volume_only_a_threefold_step_is_a_change_of_unit() -> None:
    """Open interest may double in an hour; where nobody says what was traded that is no proof."""
    bars, readings = market(2)
    blind = bars.with_columns(volume=pl.lit(None, pl.Float64))
    assert aligned(blind, scaled(readings, 30, 2.0)).quality == ()
    assert "a factor of 5" in aligned(blind, scaled(readings, 30, 5.0)).quality[0].text


def test_a_doubling_that_was_traded_is_no_fault() -> None:
    bars, readings = market(3)
    busy = bars.with_columns(volume=pl.when(pl.int_range(pl.len()) == 29).then(1e5).otherwise("volume"))
    assert aligned(busy, scaled(readings, 30, 2.0)).bars.open_interest[0] == readings["open_interest"][0]


# ------------------------------------------------------------------------------- refused, or reported


def test_columns_that_contradict_each_other_throughout_are_refused_with_the_factor() -> None:
    """Contracts of 0.01 coins in the column of coins: USD are then 0.01 times coins at the price."""
    bars, readings = market(4)
    contracts = readings.with_columns(open_interest=pl.col("open_interest") * 100)
    with pytest.raises(
        SeriesRefused, match=r"in 61 of 61 readings, .*USD are 0\.01 times coins at the price"
    ):
        aligned(bars, contracts)


def test_a_frozen_feed_is_reported_with_its_span() -> None:
    bars, readings = market(5)
    still = pl.int_range(pl.len()).is_between(20, 40)
    frozen = readings.with_columns(
        open_interest=pl.when(still).then(readings["open_interest"][20]).otherwise("open_interest"),
        open_interest_usd=pl.lit(None, pl.Float64),
    )
    message = [one for one in texts(aligned(bars, frozen).quality) if "stands still" in one]
    assert message == [
        f"open interest stands still for 20.0 h from {utc_text(at(20))} to {utc_text(at(40))}: a frozen feed?"
    ]


def test_prices_that_stand_still_are_reported() -> None:
    bars, readings = market(6)
    still = pl.int_range(pl.len()).is_between(20, 40)
    frozen = bars.with_columns(
        pl.when(still).then(bars["close"][20]).otherwise(name).alias(name) for name in PRICES
    )
    assert any(
        one.startswith(f"prices stand still for 20.0 h from {utc_text(at(20))}")
        for one in texts(aligned(frozen, readings).quality)
    )


def test_rounded_values_that_repeat_are_not_frozen() -> None:
    """Billions with two decimals stay the same for a day at a time; that is the source's rounding."""
    bars, _ = market(7)
    rounded = holdings(
        [at(n) for n in range(HOURS + 1)], None, [6.3e9 + 1e7 * (n // 24) for n in range(HOURS + 1)]
    )
    still = checked(bars.with_columns(end=pl.col("ts") + HOUR), rounded, rounding_usd=1e7).findings
    assert not any(one.code == "stands_still" for one in still)


# ---------------------------------------------------------------------------------- what was traded


def test_what_was_traded_between_two_moments_is_that_of_all_bars_that_touch_them() -> None:
    bars = candles(START, 3600, 4).with_columns(
        volume=pl.Series([1.0, 2.0, 4.0, None]), end=pl.col("ts") + HOUR
    )
    moments = [at(0), at(1), at(1) + HOUR / 2, at(3), at(4), at(5)]
    at_ms = np.array([round(moment.timestamp() * 1000) for moment in moments])
    between = traded_between(bars, at_ms)
    assert between[:3].tolist() == [1.0, 2.0, 6.0]
    assert np.isnan(between[3:]).all()


def test_a_gap_in_the_bars_hides_what_was_traded() -> None:
    bars = pl.concat([candles(START, 3600, 1), candles(at(3), 3600, 1)]).with_columns(end=pl.col("ts") + HOUR)
    at_ms = np.array([round(at(n).timestamp() * 1000) for n in (0, 1, 2, 3, 4)])
    assert traded_between(bars, at_ms) == pytest.approx([1.0, np.nan, np.nan, 1.0], nan_ok=True)


def test_rows_alone_are_judged_without_neighbours() -> None:
    bars, readings = market(8)
    assert repaired_candles(bars)[0].equals(bars)
    assert repaired_open_interest(readings)[0].equals(readings)
    nothing = holdings([at(0), at(1)], [0.0, -1.0])
    assert repaired_open_interest(nothing)[0].is_empty()


def test_usd_from_before_the_first_bar_are_not_compared_with_its_price() -> None:
    """The price had fallen by a third until the first bar: nobody says what it was when these were read."""
    bars, readings = market(9)
    before = holdings([START - HOUR, START - HOUR / 2], [10_000.0] * 2, [1.5e6] * 2)
    assert aligned(bars, pl.concat([before, readings])).quality == ()
