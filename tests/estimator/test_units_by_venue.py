"""Every venue tells the same market in its own way; what is read is the same coins and USD.

Payloads are specified, not recorded: the format is that of ccxt's parsing code, the numbers are invented
(`specified.py`). They go over a real socket and through ccxt, so a wrong path or unit shows.
"""

import asyncio
from functools import cache
from typing import Any

import polars as pl
import pytest

from liqtruth.estimator.frames import DATASETS, LONG_SHORT_ACCOUNTS, TAKER_BUY_SELL, TOP_LONG_SHORT_POSITIONS
from liqtruth.estimator.venues.exchange import Exchange, Patience
from liqtruth.estimator.venues.requests import READERS, Asked, Page, read_open_interest_now
from liqtruth.estimator.venues.table import VENUES
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.words.text import of_ms
from tests.estimator.specified import BAR_MS, BY_VENUE, HOUR_MS, NOW_MS, Routes, serving_routes

QUICK = Patience(timeout_s=2.0, attempts=1, total_s=3.0, first_wait_s=0.01)
STEPS_S = {"funding": 3600, "liquidations": 1}
FETCHED = [(name, dataset) for name in BY_VENUE for dataset in VENUES[name].feeds]


def giving(dataset: str) -> list[str]:
    return [name for name, given in FETCHED if given == dataset]


@cache
def all_of(name: str, coin: str = "BTC") -> dict[str, pl.DataFrame]:
    """The hour's page of every dataset, and the present open interest as `now`."""
    return asyncio.run(_all_of(name, coin, BY_VENUE[name]))


async def _all_of(name: str, coin: str, routes: Routes) -> dict[str, pl.DataFrame]:
    venue = VENUES[name]
    async with serving_routes(routes) as served, Exchange(venue, served.base_url, QUICK) as exchange:
        await exchange.now_ms()
        pages = {dataset: await hour(exchange, dataset, coin) for dataset in venue.feeds}
        return {**pages, "now": await read_open_interest_now(exchange, coin)}


async def hour(exchange: Exchange, dataset: str, coin: str) -> pl.DataFrame:
    feed = exchange.venue.feeds[dataset]
    step_s = STEPS_S.get(dataset, feed.step_s(3600))
    page = Page(BAR_MS, BAR_MS + (HOUR_MS - 1000 if dataset == "liquidations" else 0), 1000 * step_s)
    market, contract = await exchange.market(coin), await exchange.contract(coin)
    return await READERS[dataset](Asked(exchange, contract, market, dataset, feed, step_s, NOW_MS, page))


def read(name: str, dataset: str, coin: str = "BTC") -> pl.DataFrame:
    return all_of(name, coin)[dataset]


def now(name: str, coin: str = "BTC") -> dict[str, Any]:
    return all_of(name, coin)["now"].row(0, named=True)


@pytest.mark.parametrize(("name", "dataset"), FETCHED)
def test_every_dataset_of_every_venue_has_its_columns(name: str, dataset: str) -> None:
    rows = read(name, dataset)
    assert dict(rows.schema) == dict(DATASETS[dataset].schema)
    assert rows.height >= 1


@pytest.mark.parametrize("name", giving("candles"))
def test_the_hour_is_the_same_hour_and_its_volume_the_same_coins(name: str) -> None:
    """2,000 coins: 2,000,000 contracts of 0.001 at KuCoin, 200,000 of 0.01 at MEXC, 20,000,000 of 0.0001 at Gate, 4,000
    bought and sold at HTX."""
    bar = read(name, "candles").row(0, named=True)
    assert bar["ts"] == of_ms(BAR_MS)
    assert [bar[column] for column in ("open", "high", "low", "close")] == [100, 110, 90, 105]
    assert (bar["volume"], bar["interval_s"]) == (pytest.approx(2000), 3600)


def test_only_binance_reports_what_takers_bought_in_its_candles() -> None:
    found = {name: read(name, "candles")["taker_buy_volume"][0] for name in giving("candles")}
    assert {name: bought for name, bought in found.items() if bought is not None} == {"binance": 1200.0}


@pytest.mark.parametrize("name", giving("mark_candles"))
def test_mark_candles_are_asked_for_as_marks(name: str) -> None:
    bar = read(name, "mark_candles").row(0, named=True)
    assert (bar["ts"], bar["high"], bar["low"]) == (of_ms(BAR_MS), 110, 90)


@pytest.mark.parametrize("name", giving("open_interest"))
def test_open_interest_is_the_same_coins_whatever_the_unit(name: str) -> None:
    """Bybit, HTX and Gate report both sides: 10,000 coins are 5,000 positions."""
    row = read(name, "open_interest").row(0, named=True)
    assert (row["ts"], row["open_interest"]) == (of_ms(BAR_MS), pytest.approx(5000))
    assert row["open_interest_usd"] in (None, 525_000), "the venue's own value, or none"


@pytest.mark.parametrize("name", BY_VENUE)
def test_the_present_open_interest_is_the_same_too(name: str) -> None:
    """BingX tells USDT and Deribit's inverse perpetual USD: at which price these were coins, nobody says."""
    row = now(name)
    if name in ("bingx", "deribit"):
        assert (row["open_interest"], row["open_interest_usd"]) == (None, 525_000)
    else:
        assert row["open_interest"] == pytest.approx(5000)


@pytest.mark.parametrize("name", giving("funding"))
def test_funding_is_a_fraction_per_interval(name: str) -> None:
    """Not OKX's estimate but what was realised; not Kraken's USD but the relative rate; Deribit's hour, not its 8."""
    assert read(name, "funding")["rate"].to_list() == [0.0002]


def test_ratios_are_longs_over_shorts_of_the_kinds_that_a_venue_reports() -> None:
    found = {
        name: dict(read(name, "ratios").select("kind", "ratio").iter_rows()) for name in giving("ratios")
    }
    three = {LONG_SHORT_ACCOUNTS: 1.5, TOP_LONG_SHORT_POSITIONS: 1.25, TAKER_BUY_SELL: 0.8}
    assert found["binance"] == found["okx"] == three
    assert found["bybit"] == found["bitget"] == {LONG_SHORT_ACCOUNTS: pytest.approx(1.5)}
    assert found["htx"] == {TOP_LONG_SHORT_POSITIONS: pytest.approx(1.5)}
    assert found["gate"] == {LONG_SHORT_ACCOUNTS: 1.5, TAKER_BUY_SELL: 0.8}, "zero is no ratio"


def test_liquidations_name_the_position_that_was_closed() -> None:
    """Gate's size is the position's, of which a part is ordered and of that some may be left; HTX gives the position's
    side and its turnover."""
    gate = read("gate", "liquidations").select("side", "px", "coins", "notional_usd").rows()
    assert gate == [
        ("short", 108, pytest.approx(3), pytest.approx(324)),
        ("long", 92, pytest.approx(1.5), pytest.approx(138)),
    ]
    htx = read("htx", "liquidations").row(0, named=True)
    assert (htx["side"], htx["px"], htx["coins"], htx["notional_usd"], htx["id"]) == (
        "short",
        108,
        3,
        324,
        "77",
    )


@pytest.mark.parametrize(
    ("name", "least", "most", "rate", "leverage"),
    [
        ("bybit", 0, 2_000_000, 0.005, 100),
        ("okx", 0, 1000 * 0.01 * 105, 0.004, 100),
        ("bitget", 0, 150_000, 0.004, 125),
        ("gate", 0, 1_000_000, 0.004, 125),
        ("kucoin", 0, 300_000, 0.004, 125),
        ("kraken", 0, 500_000, 0.01, 50),
    ],
)
def test_tiers_are_bounded_in_usd(name: str, least: float, most: float, rate: float, leverage: float) -> None:
    """OKX gives its bounds in contracts, which are money at the price of the reading."""
    tier = read(name, "tiers").row(0, named=True)
    assert tier["ts"] == of_ms(NOW_MS)
    assert (tier["min_notional_usd"], tier["max_notional_usd"]) == (least, pytest.approx(most))
    assert (tier["maintenance_margin_rate"], tier["max_leverage"]) == (rate, leverage)


# -------------------------------------------------------------------------------------- inverse, thousands


@pytest.mark.parametrize(("name", "coin"), [("bybit", "ETH"), ("okx", "ETH"), ("kraken", "ETH")])
def test_volume_of_an_inverse_market_is_coins(name: str, coin: str) -> None:
    """Kraken's contracts are one USD each: 210,000 of them at 105."""
    assert read(name, "candles", coin)["volume"].to_list() == [pytest.approx(2000)]


def test_open_interest_of_an_inverse_market_is_usd() -> None:
    rows = [read(name, "open_interest", "ETH").row(0, named=True) for name in ("bybit", "okx")]
    assert [(row["open_interest"], row["open_interest_usd"]) for row in rows] == [(None, 525_000)] * 2
    assert now("kraken", "ETH")["open_interest_usd"] == 525_000


def test_a_linear_perpetual_of_deribit_reports_coins_where_ccxt_states_value() -> None:
    row = now("deribit", "SOL")
    assert (row["open_interest"], row["open_interest_usd"]) == (5000, None)


def test_an_inverse_market_whose_units_are_not_known_is_refused() -> None:
    from liqtruth.estimator.venues.spec import Contract
    from liqtruth.estimator.venues.with_history import GATE

    with pytest.raises(BadInput, match="BTC/USD:BTC is inverse"):
        Contract("BTC", "BTC/USD:BTC", "BTC_USD", 1.0, inverse=True).unit(GATE.feeds["candles"])


@pytest.mark.parametrize(
    ("name", "coin", "close", "volume"),
    [
        ("binance", "kPEPE", 105, 2000),
        ("binance", "1000PEPE", 105, 2000),
        ("binance", "PEPE", 0.105, 2_000_000),
        ("okx", "kPEPE", 105_000, 2),
        ("okx", "PEPE", 105, 2000),
        ("hyperliquid", "kPEPE", 105, 2000),
        ("hyperliquid", "PEPE", 0.105, 2_000_000),
    ],
)
def test_a_thousand_coins_are_a_thousand_coins(name: str, coin: str, close: float, volume: float) -> None:
    """Binance lists 1000PEPE, OKX single PEPE, Hyperliquid kPEPE: price and volume go with what was asked for."""
    bar = read(name, "candles", coin).row(0, named=True)
    assert (bar["close"], bar["volume"]) == (pytest.approx(close), pytest.approx(volume))
