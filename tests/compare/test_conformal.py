"""Bounds of held-out maps hold as often as they promise, and are withheld where they would tell nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.compare.statistics.conformal import (
    FEWEST_INDEPENDENT,
    STANDS_DAYS,
    Conformal,
    conformal,
    counted,
    covered,
    held_on_others,
    independent_maps,
)
from liqtruth.heatmap.bounds import NOT_HELD, NOTHING_BELOW

COINS = ("BTC", "ETH", "SOL", "HYPE", "XRP")


def residuals(
    seed: int, days: int = 17, by_coin: float = 0.2, from_day_to_day: float = 0.0
) -> tuple[np.ndarray, list[str], list[int]]:
    """Of one distance, with coin and day of each: coins differ by `by_coin`, days of a coin by 0.3, and a day
    resembles the one before as much as it is told."""
    rng = np.random.default_rng(seed)
    each = []
    for own in rng.normal(0, by_coin, len(COINS)):
        steps = rng.normal(0, 0.3, days)
        for day in range(1, days):
            steps[day] = from_day_to_day * steps[day - 1] + np.sqrt(1 - from_day_to_day**2) * steps[day]
        each.append(own + steps)
    coins = [coin for coin in COINS for _ in range(days)]
    return np.concatenate(each)[:, None], coins, [*range(days)] * len(COINS)


def everywhere(found: np.ndarray) -> np.ndarray:
    """Drawn curves whose lower ends are nowhere at zero."""
    return np.full_like(found, 1e9)


def test_four_of_five_residuals_lie_within() -> None:
    found = np.random.default_rng(0).normal(size=(2000, 3))
    low, high = conformal(found, len(found))
    assert covered(low, high, found).mean() == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize("count", [FEWEST_INDEPENDENT, 15, 30])
def test_new_draws_of_the_same_kind_are_covered_as_promised(count: int) -> None:
    rng = np.random.default_rng(1)
    inside = [
        covered(*conformal(rng.normal(size=(count, 1)), count), rng.normal(size=(200, 1))).mean()
        for _ in range(400)
    ]
    assert float(np.mean(inside)) == pytest.approx(0.8, abs=0.02)


def test_a_coin_that_no_bounds_have_seen_is_covered_as_promised_where_coins_differ() -> None:
    """Over many markets of five coins, bounds of four, judged on the fifth."""
    inside = []
    for seed in range(200):
        found, coins, days = residuals(seed)
        new = np.array(coins) == COINS[-1]
        seen = [place for place, name in enumerate(coins) if name != COINS[-1]]
        bounds = Conformal.of(
            found[~new], everywhere(found[~new]), [coins[at] for at in seen], [days[at] for at in seen]
        )
        inside.append(np.nanmean(bounds.covers(found[new])))
    assert 0.74 <= float(np.mean(inside)) <= 0.86


def test_days_that_resemble_each_other_do_not_count_as_many() -> None:
    """Bounds of the first five days of five coins, judged on the last five of seventeen: as many as all maps would be
    too narrow."""
    counting, not_counting = [], []
    for seed in range(300):
        found, coins, days = residuals(seed, from_day_to_day=0.6)
        early, late = (np.array([low <= day < low + 5 for day in days]) for low in (0, 12))
        seen = [(coin, day) for coin, day, is_early in zip(coins, days, early, strict=True) if is_early]
        block = independent_maps(*zip(*seen, strict=True))
        counting.append(covered(*conformal(found[early], counted(block)), found[late]).mean())
        not_counting.append(covered(*conformal(found[early], len(block)), found[late]).mean())
    assert float(np.mean(not_counting)) < 0.78
    assert 0.78 <= float(np.mean(counting)) <= 0.86


@given(st.integers(1, 4), st.integers(1, 30), st.integers(0, 1))
def test_maps_of_a_coin_within_two_days_count_as_one_however_many(coins: int, spans: int, first: int) -> None:
    """Hourly maps tell no more than daily ones."""
    for each in (1, 24):
        rows = [
            (COINS[coin], STANDS_DAYS * (first + span))
            for coin in range(coins)
            for span in range(spans)
            for _ in range(each)
        ]
        assert counted(independent_maps(*zip(*rows, strict=True))) == coins * spans


@given(st.integers(0, 50))
def test_where_a_lower_end_would_be_nothing_bounds_are_withheld(seed: int) -> None:
    """Half of the maps hold nothing within the first distance, where the model draws a tenth of a percent."""
    found, coins, days = residuals(seed)
    empty = np.log(0.005 / 0.006) * (np.arange(len(coins)) % 2)[:, None]
    drawn = np.tile([0.001, 0.2], (len(coins), 1))
    bounds = Conformal.of(np.hstack([empty, found]), drawn, coins, days)
    assert bounds.withheld == (NOTHING_BELOW, None)
    assert np.isnan(bounds.covers(np.zeros((3, 2)))).tolist() == [[True, False]] * 3


def test_where_coins_have_nothing_in_common_bounds_are_withheld() -> None:
    found, coins, days = residuals(0)
    two = [place for place, coin in enumerate(coins) if coin in ("BTC", "ETH")]
    names, moments = [coins[place] for place in two], [days[place] for place in two]
    apart = found[two] + np.where(np.array(names) == "BTC", 5.0, -5.0)[:, None]
    assert Conformal.of(apart, everywhere(apart), names, moments).withheld == (NOT_HELD,)
    assert Conformal.of(found[two], everywhere(apart), names, moments).withheld == (None,)


def test_of_a_single_coin_nothing_is_said_about_others() -> None:
    assert held_on_others(np.zeros((20, 1)), ["BTC"] * 20, np.arange(20))[0] == 1.0
