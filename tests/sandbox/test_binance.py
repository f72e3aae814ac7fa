"""ccxt, unchanged but for its URLs, reads the second venue; its aggregates are those of the second ledger."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import numpy as np
import pytest
from ccxt.async_support import binanceusdm

from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.server import SandboxServer
from liqtruth.sandbox.truth import true_positions
from liqtruth.sandbox.venues.binance import BinanceApi

HOUR_MS = 3_600_000
SYMBOL = "BTC/USDT:USDT"


@pytest.fixture
async def exchange(server: SandboxServer) -> AsyncIterator[Any]:
    made = binanceusdm()
    for name, version in (("fapiPublic", 1), ("fapiPublicV2", 2), ("fapiPublicV3", 3)):
        made.urls["api"][name] = f"{server.binance_url}/fapi/v{version}"
    made.urls["api"]["fapiData"] = f"{server.binance_url}/futures/data"
    yield made
    await made.close()


@pytest.fixture(scope="module")
def api(market: Market) -> BinanceApi:
    return BinanceApi.of(market)


async def test_ccxt_loads_the_markets(exchange: Any, market: Market) -> None:
    markets = await exchange.load_markets()
    assert sorted(markets) == sorted(f"{coin}/USDT:USDT" for coin in market.spec.coins)
    assert markets[SYMBOL]["swap"]
    assert markets[SYMBOL]["linear"]


async def test_ccxt_reads_candles_open_interest_funding_and_ratios(exchange: Any, market: Market) -> None:
    since = market.as_of_ms - 24 * HOUR_MS
    candles = await exchange.fetch_ohlcv(SYMBOL, "1h", since=since, limit=100)
    assert len(candles) == 24
    assert candles[-1][4] == market.path.mark_px(market.spec.assets)[-1, 0]
    marks = await exchange.fetch_ohlcv(SYMBOL, "1h", since=since, params={"price": "mark"})
    assert [row[1:5] for row in marks] == [row[1:5] for row in candles]
    history = await exchange.fetch_open_interest_history(SYMBOL, "1h", since=since, limit=25)
    assert [row["timestamp"] for row in history] == list(range(since, market.as_of_ms + 1, HOUR_MS))
    assert (
        history[-1]["openInterestAmount"]
        == (await exchange.fetch_open_interest(SYMBOL))["openInterestAmount"]
    )
    rates = await exchange.fetch_funding_rate_history(SYMBOL, since=since, limit=10)
    assert [row["timestamp"] for row in rates] == [since + hour * HOUR_MS for hour in (0, 8, 16, 24)]
    ratios = await exchange.fetch_long_short_ratio_history(SYMBOL, "1h", limit=5)
    assert len(ratios) == 5
    assert (await exchange.fetch_funding_rate(SYMBOL))["markPrice"] == candles[-1][4]
    assert (await exchange.fetch_ticker(SYMBOL))["last"] == candles[-1][4]


async def test_ccxt_reads_the_statistics_it_has_no_method_for(exchange: Any) -> None:
    query = {"symbol": "ETHUSDT", "period": "1h", "limit": 12}
    taker = await exchange.fapiDataGetTakerlongshortRatio(query)
    top = await exchange.fapiDataGetTopLongShortPositionRatio(query)
    accounts = await exchange.fapiDataGetTopLongShortAccountRatio(query)
    assert [len(rows) for rows in (taker, top, accounts)] == [12, 12, 12]
    assert all(float(row["buyVol"]) > 0 and float(row["sellVol"]) > 0 for row in taker)
    assert all(0 < float(row["longAccount"]) < 1 for row in top + accounts)


def test_open_interest_is_one_side_of_the_second_ledger(api: BinanceApi, market: Market) -> None:
    longs = true_positions(market, "binance").filter(coin="ETH")["szi"].clip(lower_bound=0).sum()
    shown = api.answer("/fapi/v1/openInterest", {"symbol": "ETHUSDT"})
    assert float(shown["openInterest"]) == pytest.approx(longs, rel=1e-9)


def test_the_long_share_of_accounts_is_the_ledgers(api: BinanceApi, market: Market) -> None:
    rows = api.answer(
        "/futures/data/globalLongShortAccountRatio", {"symbol": "BTCUSDT", "period": "5m", "limit": "1"}
    )
    sizes = true_positions(market, "binance").filter(coin="BTC")["szi"].to_numpy()
    assert float(rows[0]["longAccount"]) == pytest.approx(float(np.mean(sizes > 0)), abs=1e-4)


def test_taker_volume_of_the_klines_is_that_of_the_statistics(api: BinanceApi, market: Market) -> None:
    kline = api.answer("/fapi/v1/klines", {"symbol": "BTCUSDT", "interval": "1h", "limit": "1"})[0]
    taker = api.answer(
        "/futures/data/takerlongshortRatio", {"symbol": "BTCUSDT", "period": "1h", "limit": "1"}
    )[0]
    assert kline[9] == taker["buyVol"]
    assert float(kline[5]) == pytest.approx(float(taker["buyVol"]) + float(taker["sellVol"]))
    assert kline[6] + 1 == taker["timestamp"] == market.as_of_ms


def test_klines_start_at_the_start_and_statistics_end_at_the_end(api: BinanceApi, market: Market) -> None:
    start, end = market.as_of_ms - 48 * HOUR_MS, market.as_of_ms - HOUR_MS
    window = {"symbol": "SOLUSDT", "startTime": str(start), "endTime": str(end), "limit": "3"}
    klines = api.answer("/fapi/v1/klines", {**window, "interval": "1h"})
    assert [row[0] for row in klines] == [start, start + HOUR_MS, start + 2 * HOUR_MS]
    history = api.answer("/futures/data/openInterestHist", {**window, "period": "1h"})
    assert [row["timestamp"] for row in history] == [end - 2 * HOUR_MS, end - HOUR_MS, end]


def test_limits_are_binances(api: BinanceApi) -> None:
    many = {"symbol": "BTCUSDT", "limit": "99999"}
    assert len(api.answer("/fapi/v1/klines", {**many, "interval": "1m"})) == 1500
    assert len(api.answer("/fapi/v1/klines", {"symbol": "BTCUSDT", "interval": "1m"})) == 500
    assert len(api.answer("/futures/data/openInterestHist", {**many, "period": "5m"})) == 500
    assert len(api.answer("/futures/data/openInterestHist", {"symbol": "BTCUSDT", "period": "5m"})) == 30


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/fapi/v1/klines?interval=1h", -1102),
        ("/fapi/v1/klines?interval=1h&symbol=NOPEUSDT", -1121),
        ("/fapi/v1/klines?interval=7m&symbol=BTCUSDT", -1120),
        ("/futures/data/openInterestHist?period=1m&symbol=BTCUSDT", -1130),
        ("/futures/data/openInterestHist?period=1h&symbol=BTCUSDT&startTime=1600000000000", -1130),
        ("/fapi/v1/fundingRate?symbol=BTCUSDT&startTime=soon", -1102),
    ],
)
def test_bad_requests_get_binances_codes(server: SandboxServer, path: str, code: int) -> None:
    answer = httpx.get(server.binance_url + path)
    assert answer.status_code == 400
    assert answer.json()["code"] == code


def test_an_unknown_path_is_not_found(server: SandboxServer) -> None:
    assert httpx.get(f"{server.binance_url}/fapi/v1/allForceOrders").status_code == 404
