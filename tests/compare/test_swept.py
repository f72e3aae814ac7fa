"""Levels of a vendor's map where the price has just been: named where the truth and our models have none there."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from liqtruth.compare.divergence.measure import compare_maps
from liqtruth.compare.observed.reached import Reached, reached_prices
from liqtruth.estimator.frames import DATASETS, conform
from liqtruth.heatmap.heatmap import UNKNOWN_VENUE, Heatmap
from liqtruth.heatmap.words.notes import Note
from liqtruth.storage.store import Settings, Store
from tests.compare.maps import NOON, Level, crowd, map_of
from tests.compare.test_diagnosis import moved

REACHED = Reached(low=0.998, high=1.03)
"""The price was 3 % higher within hours: shorts up to there are gone."""
RISEN = 3.0
KEY = DATASETS["candles"].key


def standing(seed: int) -> list[Level]:
    """A crowd without those shorts; longs lie elsewhere than shorts."""
    levels = crowd(seed, positions=1800, middle_pct=6.0)
    return [(side, away, usd) for side, away, usd in levels if side == "long" or away > RISEN]


def before(seed: int) -> list[Level]:
    """The same with them."""
    return crowd(seed, positions=1800, middle_pct=6.0)


def file_of(levels: list[Level], venue: str = "binance") -> Heatmap:
    return replace(map_of(levels, venue=venue, model="theirs"), source="imported")


def found(
    theirs: Heatmap,
    *,
    seed: int = 0,
    reached: Reached | None = REACHED,
    beside: str | None = "binance",
) -> list[Note]:
    ours = [map_of(standing(seed + 200), venue=beside, model="tiers")] if beside else []
    [first, *_] = compare_maps(map_of(standing(seed)), [theirs, *ours], reached=reached).models
    return [one for one in first.diagnosis if one.code in ("swept_levels", "looks_moved", "looks_mirrored")]


@pytest.mark.parametrize("seed", range(4))
def test_a_file_of_before_is_named_with_the_prices_and_one_of_now_is_not(seed: int) -> None:
    [named] = found(file_of(before(seed + 100)), seed=seed)
    assert named.code == "swept_levels"
    assert named.values["side"] == "short"
    assert 100 < named.values["low_px"] < named.values["high_px"] == pytest.approx(103, rel=1e-6)
    assert named.values["share"] > 3 * named.values["beside"]
    assert not found(file_of(standing(seed + 100)), seed=seed)


def test_nothing_is_said_where_the_price_is_not_known_no_model_is_beside_or_the_moment_is_another() -> None:
    old = file_of(before(100))
    assert found(old)
    assert not found(old, reached=None)
    assert not found(old, beside=None)
    assert not found(replace(old, venue="okx")), "the model is of another venue"
    assert not found(replace(old, as_of=NOON - timedelta(hours=1))), "the headline states that"
    assert not found(replace(old, source="modelled")), "a model of ours has seen the price"


def test_of_a_map_without_a_venue_models_of_the_truths_own_say_nothing() -> None:
    """Its prices may have been elsewhere."""
    old = file_of(before(100), venue=UNKNOWN_VENUE)
    assert found(old)
    assert not found(old, beside="hyperliquid")


def test_a_move_that_clears_the_prices_is_named_and_the_levels_are_its_evidence() -> None:
    """The map of another draw of the crowd, moved down onto the prices that were swept."""
    notes = found(file_of(moved(standing(100), -3.0)))
    assert [one.code for one in notes if one.code == "looks_moved"] == ["looks_moved"]
    assert notes[0].values["value"] == pytest.approx(3.0, abs=1.0)


def candles(ends_before: timedelta, bars: int = 72) -> pl.DataFrame:
    """Of five minutes, at 100 but for one that reached 97 and 104."""
    start, px = NOON - ends_before - bars * timedelta(minutes=5), np.full(bars, 100.0)
    wick = np.arange(bars) == bars // 2
    rows = {
        "ts": [start + at * timedelta(minutes=5) for at in range(bars)],
        "interval_s": [300] * bars,
        "open": px,
        "high": np.where(wick, 104.0, px),
        "low": np.where(wick, 97.0, px),
        "close": px,
        "volume": np.ones(bars),
    }
    return conform(pl.DataFrame(rows), "candles")


def test_where_the_price_was_is_read_of_the_first_venue_whose_bars_cover_the_hours(tmp_path: Path) -> None:
    with Store.open(Settings(data_dir=tmp_path)) as store:
        store.lake.merge_series("candles", "okx", "BTC", candles(timedelta(hours=3)), KEY)
        store.lake.merge_series("candles", "binance", "BTC", candles(timedelta(0)), KEY)
        reached = reached_prices(store, "BTC", ["bybit", "okx", "binance"], NOON)
        assert reached == Reached(0.97, 1.04)
        assert reached_prices(store, "BTC", ["bybit", "okx"], NOON) is None
