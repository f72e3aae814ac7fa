"""Bounds of held-out maps hold as often as they promise, and are withheld where they would tell nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.compare.statistics.conformal import Conformal, conformal, covered, held_on_others
from liqtruth.heatmap.bounds import NOT_HELD, NOTHING_BELOW

COINS = ("BTC", "ETH", "SOL", "HYPE", "XRP")


def residuals(seed: int, days: int = 17, by_coin: float = 0.2) -> tuple[np.ndarray, list[str]]:
    """Of one distance: coins differ by `by_coin`, days of a coin by 0.3."""
    rng = np.random.default_rng(seed)
    own = np.repeat(rng.normal(0, by_coin, len(COINS)), days)
    return (own + rng.normal(0, 0.3, own.size))[:, None], [coin for coin in COINS for _ in range(days)]


def test_four_of_five_residuals_lie_within() -> None:
    found = np.random.default_rng(0).normal(size=(2000, 3))
    low, high = conformal(found)
    assert covered(low, high, found).mean() == pytest.approx(0.8, abs=0.01)


def test_new_draws_of_the_same_kind_are_covered_at_least_as_promised() -> None:
    rng = np.random.default_rng(1)
    inside = [
        covered(*conformal(rng.normal(size=(30, 1))), rng.normal(size=(200, 1))).mean() for _ in range(200)
    ]
    assert 0.79 <= float(np.mean(inside)) <= 0.86


def test_a_coin_that_no_bounds_have_seen_is_covered_as_promised_where_coins_differ() -> None:
    """Over many markets of five coins, bounds of four, judged on the fifth."""
    inside = []
    for seed in range(200):
        found, coins = residuals(seed)
        new = np.array(coins) == COINS[-1]
        bounds = Conformal.of(
            found[~new], np.ones_like(found[~new]), [coin for coin in coins if coin != COINS[-1]]
        )
        inside.append(np.nanmean(bounds.covers(found[new], np.ones_like(found[new]))))
    assert 0.74 <= float(np.mean(inside)) <= 0.86


@given(st.integers(0, 50))
def test_where_a_lower_end_would_be_nothing_bounds_are_withheld(seed: int) -> None:
    """Half of the maps hold nothing within the first distance, where the model draws a tenth of a percent."""
    found, coins = residuals(seed)
    empty = np.log(0.005 / 0.006) * (np.arange(len(coins)) % 2)[:, None]
    drawn = np.tile([0.001, 0.2], (len(coins), 1))
    bounds = Conformal.of(np.hstack([empty, found]), drawn, coins)
    assert bounds.withheld == (NOTHING_BELOW, None)
    assert np.isnan(bounds.covers(np.zeros((3, 2)), drawn[:3])).tolist() == [[True, False]] * 3
    assert np.isnan(bounds.covers(np.zeros((1, 2)), np.zeros((1, 2)))).all()


def test_where_coins_have_nothing_in_common_bounds_are_withheld() -> None:
    found, coins = residuals(0)
    apart = found + np.where(np.array(coins) == "BTC", 5.0, -5.0)[:, None]
    two = np.isin(coins, ["BTC", "ETH"])
    names = [coin for coin in coins if coin in ("BTC", "ETH")]
    assert Conformal.of(apart[two], np.full((two.sum(), 1), 1e9), names).withheld == (NOT_HELD,)
    assert Conformal.of(found[two], np.full((two.sum(), 1), 1e9), names).withheld == (None,)


def test_of_a_single_coin_nothing_is_said_about_others() -> None:
    assert held_on_others(np.zeros((20, 1)), ["BTC"] * 20)[0] == 1.0
