"""The market around a map: Wilder's average true range of four-hour bars, funding and open interest of a day."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.compare.comparison.session import around_maps
from liqtruth.compare.modelled import map_facts
from liqtruth.compare.observed.surroundings import BAR_MS, PERIODS, atr_line, surroundings_of
from liqtruth.estimator.frames import DATASETS, conform
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.words.notes import texts
from liqtruth.storage.store import Store
from tests.compare.maps import MANY, NEAR, map_of

START = datetime(2026, 8, 1, tzinfo=UTC)
COIN = "BTC"


def candles(close: FloatArray, minutes: int, start: datetime = START) -> pl.DataFrame:
    """Bars without wicks, one after the other."""
    opened = np.append(close[0], close[:-1])
    return conform(
        pl.DataFrame(
            {
                "ts": [start + n * timedelta(minutes=minutes) for n in range(close.size)],
                "interval_s": [60 * minutes] * close.size,
                "open": opened,
                "high": np.maximum(opened, close),
                "low": np.minimum(opened, close),
                "close": close,
                "volume": np.ones(close.size),
            }
        ),
        "candles",
    )


def walk(seed: int, bars: int) -> FloatArray:
    return np.asarray(100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.004, bars))))


def wilder(bars: pl.DataFrame, per_bar: int) -> list[float]:
    """The book's recipe, bar by bar: average true range in percent of the close from the 15th bar on."""
    parts = [bars[n : n + per_bar] for n in range(0, bars.height, per_bar)]
    high, low = (
        [float(getattr(p[name], name_of)()) for p in parts]
        for name, name_of in (("high", "max"), ("low", "min"))
    )  # type: ignore[arg-type]
    close = [float(part["close"][-1]) for part in parts]
    ranges = [
        max(high[n] - low[n], abs(high[n] - close[n - 1]), abs(low[n] - close[n - 1]))
        for n in range(1, len(parts))
    ]
    averages = [sum(ranges[:PERIODS]) / PERIODS]
    for one in ranges[PERIODS:]:
        averages.append((averages[-1] * (PERIODS - 1) + one) / PERIODS)
    return [100 * found / close[n + PERIODS] for n, found in enumerate(averages)]


@given(st.integers(0, 2**16), st.integers(15, 24))
def test_the_average_is_the_one_of_the_book(seed: int, bars: int) -> None:
    stored = candles(walk(seed, 8 * bars), 30)
    line = atr_line(stored, START, START + timedelta(days=30))
    assert line.atr_pct == pytest.approx(wilder(stored, 8))
    assert line.end_ms[-1] == round(1000 * START.timestamp()) + bars * BAR_MS


def test_the_length_of_the_stored_bars_does_not_matter() -> None:
    """Bars of an hour and of 4 h, made of the same prices without wicks between the hours."""
    fine = candles(walk(1, 80), 60)
    coarse = fine.group_by_dynamic("ts", every="4h").agg(
        pl.col("interval_s").sum(), pl.col("open").first(), pl.col("high").max(), pl.col("low").min(),
        pl.col("close").last(), pl.col("volume").sum(),
    )  # fmt: skip
    ends = START + timedelta(days=30)
    assert atr_line(fine, START, ends).atr_pct == pytest.approx(
        atr_line(conform(coarse, "candles"), START, ends).atr_pct
    )


def test_a_gap_ends_the_line_and_the_average_begins_anew() -> None:
    late = START + timedelta(hours=4 * 20)
    stored = pl.concat([candles(walk(2, 4 * 18), 60), candles(walk(3, 4 * 16), 60, late)])
    line = atr_line(stored, START, START + timedelta(days=30))
    alone = atr_line(candles(walk(3, 4 * 16), 60, late), START, START + timedelta(days=30))
    assert line.atr_pct.size == (18 - PERIODS) + (16 - PERIODS)
    assert line.atr_pct[-alone.atr_pct.size :] == pytest.approx(alone.atr_pct)


def test_a_moment_sees_only_bars_that_have_ended_and_none_of_more_than_eight_hours_before() -> None:
    line = atr_line(candles(walk(4, 4 * 16), 60), START, START + timedelta(days=30))
    last = line.end_ms[-1]
    seen = line.at(np.array([last - 1, last, last + 2 * BAR_MS, last + 2 * BAR_MS + 1]))
    assert seen[:3] == pytest.approx([line.atr_pct[-2], line.atr_pct[-1], line.atr_pct[-1]])
    assert np.isnan(seen[3])
    assert np.isnan(line.at(line.end_ms[:1] - 1)).all()


def stored(store: Store, dataset: str, rows: pl.DataFrame, venue: str = "binance") -> None:
    known = DATASETS[dataset]
    store.lake.merge_series(dataset, venue, COIN, conform(rows, dataset), known.key, "a test")


def test_the_market_of_a_venue_and_what_is_not_stored_of_it(store: Store) -> None:
    at = START + timedelta(days=4)
    empty = surroundings_of(store, COIN, "binance", at)
    assert (empty.atr_pct, empty.funding_24h_pct, empty.open_interest_24h_pct) == (None, None, None)
    assert (
        texts(empty.lacking)[1]
        == "funding, open interest of binance over 24 h: empty, not stored for that time"
    )

    stored(store, "candles", candles(walk(5, 96), 60))
    moments = [at - timedelta(hours=h) for h in (32, 24, 16, 8, 0)]
    stored(store, "funding", pl.DataFrame({"ts": moments, "rate": [0.5, 0.5, 1e-4, 2e-4, -1e-4]}))
    interest = [100.0, 200.0, 210.0, 220.0, 230.0]
    stored(store, "open_interest", pl.DataFrame({"ts": moments, "open_interest": interest}))
    found = surroundings_of(store, COIN, "binance+okx", at)
    assert found.atr_pct == pytest.approx(wilder(candles(walk(5, 96), 60), 4)[-1])
    assert found.funding_24h_pct == pytest.approx(0.02)
    assert found.open_interest_24h_pct == pytest.approx(15.0)
    assert found.lacking == ()
    other = surroundings_of(store, COIN, "bybit", at)
    assert (other.atr_pct, other.atr_from) == (found.atr_pct, "binance")


def test_a_comparison_has_the_average_true_range_that_a_single_map_has(store: Store) -> None:
    """Of the first venue whose candles are stored, whether or not a map of it is compared."""
    at = START + timedelta(days=4)
    stored(store, "candles", candles(walk(5, 96), 60))
    maps = [
        map_of(MANY, coin=COIN, as_of=at),
        map_of(NEAR, venue="bybit", model="tiers", coin=COIN, as_of=at),
    ]
    around = around_maps(store, COIN, maps)
    single = map_facts(store, maps[0]).surroundings
    assert single.atr_pct is not None
    assert {one.atr_pct for one in around.markets.values()} == {single.atr_pct}
