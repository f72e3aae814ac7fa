"""A venue is a row of a table: what it offers, how it calls a coin, what it cannot be asked for."""

import pytest

from estimator.errors import UnknownChoice
from estimator.frames import DATASETS, RATIO_KINDS
from estimator.venues import VENUES, venue_named


@pytest.mark.parametrize(
    ("coin", "symbol"),
    [("BTC", "BTCUSDT"), ("kPEPE", "1000PEPEUSDT"), ("k", "kUSDT"), ("kas", "kasUSDT"), ("0G", "0GUSDT")],
)
def test_only_a_small_k_before_capitals_is_a_thousand(coin: str, symbol: str) -> None:
    assert venue_named("binance").symbol(coin) == symbol


def test_an_unknown_venue_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownChoice, match=r"unknown venue 'Binance'; known: binance, okx"):
        venue_named("Binance")


@pytest.mark.parametrize("name", VENUES)
def test_a_venue_says_all_that_fetching_it_needs(name: str) -> None:
    venue = VENUES[name]
    assert venue.name == name
    assert set(venue.datasets) <= set(DATASETS)
    assert set(venue.limits) == set(venue.datasets)
    assert set(venue.depth_days) <= set(venue.datasets)
    assert venue.fetchable == bool(venue.datasets) == bool(venue.api_host)
    assert set(venue.ratio_methods) == (set(RATIO_KINDS) if venue.fetchable else set())
