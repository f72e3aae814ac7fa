"""ccxt, unchanged but for its URL, reads the Bybit-like venue; its aggregates are those of that venue's ledger."""

from collections.abc import AsyncIterator
from decimal import Decimal
from itertools import pairwise
from typing import Any

import httpx
import numpy as np
import pytest
from ccxt.async_support import bybit

from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.market.population import CENTRALISED
from liqtruth.sandbox.server import SandboxServer
from liqtruth.sandbox.truth import true_positions
from liqtruth.sandbox.venues.bybit import BybitApi
from tests.sandbox.wire import longs_in_coins

HOUR_MS = 3_600_000
SYMBOL = "BTC/USDT:USDT"


@pytest.fixture
async def exchange(venues_server: SandboxServer) -> AsyncIterator[Any]:
    made = bybit({"enableRateLimit": False})
    made.urls["api"]["public"] = venues_server.bybit_url
    yield made
    await made.close()


@pytest.fixture(scope="module")
def api(three_venues: Market) -> BybitApi:
    return BybitApi.of(three_venues)


def result(api: BybitApi, path: str, **query: str) -> Any:
    status, answer = api.respond(f"/v5/market/{path}", {"category": "linear", "symbol": "ETHUSDT", **query})
    assert (status, answer["retCode"]) == (200, 0)
    return answer["result"]


async def test_ccxt_loads_the_markets(exchange: Any, three_venues: Market) -> None:
    markets = await exchange.load_markets()
    assert sorted(markets) == sorted(f"{coin}/USDT:USDT" for coin in three_venues.spec.coins)
    assert (markets[SYMBOL]["contractSize"], markets[SYMBOL]["limits"]["leverage"]["max"]) == (1, 100)
    assert await exchange.fetch_time() == three_venues.as_of_ms


async def test_ccxt_reads_candles_and_mark_candles(exchange: Any, three_venues: Market) -> None:
    since = three_venues.as_of_ms - 24 * HOUR_MS
    candles = await exchange.fetch_ohlcv(SYMBOL, "1h", since=since, limit=100)
    assert [row[0] for row in candles] == [since + hour * HOUR_MS for hour in range(24)]
    assert candles[-1][4] == three_venues.path.mark_px(three_venues.spec.assets)[-1, 0]
    marks = await exchange.fetch_ohlcv(SYMBOL, "1h", since=since, limit=100, params={"price": "mark"})
    assert [row[:5] for row in marks] == [row[:5] for row in candles]
    assert marks[0][5] is None


async def test_ccxt_reads_open_interest_as_both_sides(exchange: Any, three_venues: Market) -> None:
    since = three_venues.as_of_ms - 24 * HOUR_MS
    history = await exchange.fetch_open_interest_history(SYMBOL, "1h", since=since, limit=25)
    assert [row["timestamp"] for row in history] == list(range(since, three_venues.as_of_ms + 1, HOUR_MS))
    now = await exchange.fetch_open_interest(SYMBOL)
    longs = longs_in_coins(three_venues, "bybit", "BTC")
    assert now["openInterestAmount"] == pytest.approx(2 * longs, rel=1e-9)
    assert float(now["info"]["singleOpenInterest"]) == pytest.approx(longs, rel=1e-9)


async def test_ccxt_reads_funding_ratios_and_the_ticker(exchange: Any, three_venues: Market) -> None:
    since = three_venues.as_of_ms - 24 * HOUR_MS
    rates = await exchange.fetch_funding_rate_history(SYMBOL, since=since, limit=10)
    assert [row["timestamp"] for row in rates] == [since + hour * HOUR_MS for hour in (0, 8, 16, 24)]
    assert rates[-1]["fundingRate"] == pytest.approx(three_venues.path.funding[-8:, 0].sum(), abs=1e-8)
    ratios = await exchange.fetch_long_short_ratio_history(SYMBOL, "1h", limit=5)
    sizes = true_positions(three_venues, "bybit").filter(coin="BTC")["szi"].to_numpy()
    assert ratios[-1]["longShortRatio"] == pytest.approx((sizes > 0).sum() / (sizes < 0).sum(), rel=1e-3)
    ticker = await exchange.fetch_ticker(SYMBOL)
    assert ticker["last"] == three_venues.path.mark_px(three_venues.spec.assets)[-1, 0]


async def test_ccxt_reads_the_tiers_that_the_ledger_applies(exchange: Any) -> None:
    tiers = await exchange.fetch_market_leverage_tiers(SYMBOL)
    stated = CENTRALISED["bybit"].tiers
    assert [(row["minNotional"], row["maintenanceMarginRate"]) for row in tiers] == list(stated)
    assert [row["maxNotional"] for row in tiers[:-1]] == [lower for lower, _ in stated[1:]]
    assert [row["maxLeverage"] for row in tiers] == [100, 50, 25]


def test_the_deduction_makes_the_margin_continuous_across_bounds(api: BybitApi) -> None:
    rows = result(api, "risk-limit")["list"]
    for row, above in pairwise(rows):
        bound = Decimal(row["riskLimitValue"])
        due = [
            bound * Decimal(tier["maintenanceMargin"]) - Decimal(tier["mmDeduction"]) for tier in (row, above)
        ]
        assert due[0] == due[1]


def test_everything_comes_newest_first(api: BybitApi) -> None:
    lists = {
        "kline": [int(row[0]) for row in result(api, "kline", interval="5")["list"]],
        "mark-price-kline": [int(row[0]) for row in result(api, "mark-price-kline", interval="5")["list"]],
        "open-interest": [
            int(row["timestamp"]) for row in result(api, "open-interest", intervalTime="5min")["list"]
        ],
        "account-ratio": [
            int(row["timestamp"]) for row in result(api, "account-ratio", period="5min")["list"]
        ],
        "funding/history": [
            int(row["fundingRateTimestamp"]) for row in result(api, "funding/history")["list"]
        ],
    }
    for times in lists.values():
        assert len(times) > 5
        assert times == sorted(times, reverse=True)


def test_the_cursor_walks_to_the_beginning_without_gap_or_repetition(
    api: BybitApi, three_venues: Market
) -> None:
    times, cursor = [], ""
    while True:
        page = result(api, "open-interest", intervalTime="1h", limit="7", cursor=cursor)
        times += [int(row["timestamp"]) for row in page["list"]]
        cursor = page["nextPageCursor"]
        if not cursor:
            break
    first = int(three_venues.path.times_ms[three_venues.first_point])
    assert times[::-1] == list(range(first, three_venues.as_of_ms + 1, HOUR_MS))


def test_a_window_that_is_too_long_keeps_its_end_and_a_bare_start_its_start(
    api: BybitApi, three_venues: Market
) -> None:
    start, end = three_venues.as_of_ms - 48 * HOUR_MS, three_venues.as_of_ms - HOUR_MS
    window = result(api, "kline", interval="60", start=str(start), end=str(end), limit="3")["list"]
    assert [int(row[0]) for row in window] == [end, end - HOUR_MS, end - 2 * HOUR_MS]
    bare = result(api, "kline", interval="60", start=str(start), limit="3")["list"]
    assert [int(row[0]) for row in bare] == [start + 2 * HOUR_MS, start + HOUR_MS, start]


def test_a_start_within_a_candle_brings_that_candle(api: BybitApi, three_venues: Market) -> None:
    hour = three_venues.as_of_ms - 5 * HOUR_MS
    rows = result(api, "kline", interval="60", start=str(hour + 1), end=str(hour + HOUR_MS))["list"]
    assert [int(row[0]) for row in rows] == [hour + HOUR_MS, hour]


def test_limits_are_bybits(api: BybitApi) -> None:
    assert len(result(api, "kline", interval="1", limit="99999")["list"]) == 1000
    assert len(result(api, "kline", interval="1")["list"]) == 200
    assert len(result(api, "open-interest", intervalTime="5min", limit="999")["list"]) == 200
    assert len(result(api, "open-interest", intervalTime="5min")["list"]) == 50
    assert len(result(api, "account-ratio", period="5min", limit="999")["list"]) == 500


def test_volume_is_coins_and_turnover_is_its_value(api: BybitApi) -> None:
    rows = np.array(result(api, "kline", interval="60", limit="48")["list"], dtype=np.float64)
    low, high, volume, turnover = rows[:, 3], rows[:, 2], rows[:, 5], rows[:, 6]
    assert (turnover >= low * volume * (1 - 1e-9)).all()
    assert (turnover <= high * volume * (1 + 1e-9)).all()


@pytest.mark.parametrize(
    "path",
    [
        "kline?category=linear&symbol=NOPEUSDT&interval=60",
        "kline?category=linear&symbol=BTCUSDT&interval=7",
        "kline?category=inverse&symbol=BTCUSD&interval=60",
        "open-interest?category=linear&symbol=BTCUSDT&intervalTime=1min",
        "open-interest?category=linear&symbol=BTCUSDT&intervalTime=1h&startTime=soon",
        "account-ratio?category=linear&symbol=BTCUSDT&period=5m",
        "funding/history?category=linear&symbol=BTCUSDT&startTime=1787000000000",
        "tickers?symbol=BTCUSDT",
    ],
)
def test_bad_requests_get_status_200_and_a_code(venues_server: SandboxServer, path: str) -> None:
    answer = httpx.get(f"{venues_server.bybit_url}/v5/market/{path}")
    assert answer.status_code == 200
    assert answer.json()["retCode"] == 10001
    assert answer.json()["result"] == {}
    assert "synthetic" in answer.headers["Server"]


def test_an_unknown_path_and_a_venue_that_is_not_simulated_are_not_found(
    venues_server: SandboxServer, server: SandboxServer
) -> None:
    assert httpx.get(f"{venues_server.bybit_url}/v5/market/nothing").status_code == 404
    assert httpx.get(f"{server.bybit_url}/v5/market/time").status_code == 404
