"""Contracts, coins and USD are one thing in three units: whichever way an amount goes, it comes back."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.estimator.venues.spec import COINS, CONTRACTS, UNITS, USD, Contract, Feed, base_names

amounts = st.floats(1e-6, 1e9)
prices = st.floats(1e-6, 1e6)
contracts = st.builds(
    Contract,
    st.just("BTC"),
    st.just("BTC/USDT:USDT"),
    st.just("BTCUSDT"),
    st.sampled_from([1e-4, 0.01, 1.0, 10.0, 1e7]),
    st.booleans(),
    st.sampled_from([1e-3, 1.0, 1e3]),
)


def value(expression: pl.Expr) -> float:
    return float(pl.select(expression).item())


@given(contracts, amounts, prices, st.sampled_from(UNITS))
def test_coins_times_price_are_the_usd(contract: Contract, amount: float, px: float, unit: str) -> None:
    coins = value(contract.coins(pl.lit(amount), unit, pl.lit(px)))
    usd = value(contract.usd(pl.lit(amount), unit, pl.lit(px)))
    assert coins * px == pytest.approx(usd, rel=1e-9)


@given(contracts, amounts, prices)
def test_a_contract_is_its_size_in_coins_or_in_usd(contract: Contract, amount: float, px: float) -> None:
    if contract.inverse:
        usd = value(contract.usd(pl.lit(amount), CONTRACTS, pl.lit(px)))
        assert usd == pytest.approx(amount * contract.size)
    else:
        coins = value(contract.coins(pl.lit(amount), CONTRACTS, pl.lit(px)))
        assert coins == pytest.approx(
            value(contract.coins(pl.lit(amount * contract.size), COINS, pl.lit(px)))
        )


@given(amounts, prices, st.sampled_from([1e-3, 1e3]), st.sampled_from(UNITS))
def test_the_money_of_a_thousand_is_that_of_its_coins(
    amount: float, venue_px: float, per_base: float, unit: str
) -> None:
    """Price per our coin falls as the number of our coins rises."""
    single = Contract("PEPE", "s", "i", 5.0)
    thousand = Contract("PEPE", "s", "i", 5.0, coins_per_base=per_base)
    usd = [
        value(contract.usd(pl.lit(amount), unit, contract.px(pl.lit(venue_px))))
        for contract in (single, thousand)
    ]
    assert usd[0] == pytest.approx(usd[1], rel=1e-9)


@given(st.sampled_from(["BTC", "kPEPE", "PEPE", "1000PEPE", "0G"]))
def test_a_coins_own_name_is_looked_for_first(coin: str) -> None:
    assert next(base_names(coin)) == (coin, 1.0)


def test_names_for_a_thousand_are_tried_with_what_they_hold() -> None:
    """Hyperliquid's kPEPE is 1000PEPE at Binance, SHIB is SHIB1000 at Bybit, PEPE is single at OKX."""
    assert dict(base_names("kPEPE"))["1000PEPE"] == 1.0
    assert dict(base_names("kPEPE"))["PEPE"] == 1e-3
    assert dict(base_names("SHIB"))["SHIB1000"] == 1e3
    assert dict(base_names("PEPE"))["KPEPE"] == 1e3
    assert "as" not in dict(base_names("kas")), "only capitals after the k are a thousand"


def test_a_bar_length_that_is_not_offered_becomes_the_next_shorter_one() -> None:
    feed = Feed(100, unit=USD, periods={3600: "1h", 14400: "4h"})
    assert [feed.step_s(asked) for asked in (60, 3600, 7200, 86400)] == [3600, 3600, 3600, 14400]


def test_the_depth_is_the_nearer_of_days_and_rows() -> None:
    feed = Feed(100, depth_days=30, depth_rows=1440)
    assert (feed.depth_s(300), feed.depth_s(3600)) == (1440 * 300, 30 * 86_400)
    assert feed.depth_words() == "30 days or 1440 rows"
    assert Feed(100).depth_s(60) is None
