"""ccxt, unchanged but for its URL, reads the OKX-like venue; sizes are contracts, and the ledger's once multiplied."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import httpx
import pytest
from ccxt.async_support import okx
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.sandbox.market.listings import listed
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.market.population import CENTRALISED
from liqtruth.sandbox.server import SandboxServer
from liqtruth.sandbox.truth import true_positions
from liqtruth.sandbox.venues.okx import OkxApi
from liqtruth.sandbox.venues.okx_query import CONTRACT_EXPONENT, Contract
from tests.sandbox.wire import longs_in_coins

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
SYMBOL = "BTC/USDT:USDT"
HISTORY = {"type": "HistoryCandles"}
COINS = st.sampled_from(listed(tuple(CONTRACT_EXPONENT)))


@pytest.fixture
async def exchange(venues_server: SandboxServer) -> AsyncIterator[Any]:
    made = okx({"enableRateLimit": False})
    made.urls["api"]["rest"] = venues_server.okx_url
    yield made
    await made.close()


@pytest.fixture(scope="module")
def api(three_venues: Market) -> OkxApi:
    return OkxApi.of(three_venues)


def data(api: OkxApi, path: str, **query: str) -> Any:
    status, answer = api.respond(f"/api/v5/{path}", {"instId": "BTC-USDT-SWAP", **query})
    assert (status, answer["code"]) == (200, "0")
    return answer["data"]


@given(asset=COINS, lots=st.integers(0, 10**12))
def test_contracts_times_their_size_are_the_coins_exactly(asset: Any, lots: int) -> None:
    contract = Contract(asset)
    assert Decimal(contract.contracts(lots)) * Decimal(contract.coins) == Decimal(contract.in_coins(lots))


async def test_ccxt_loads_the_markets_with_their_contract_sizes(exchange: Any, three_venues: Market) -> None:
    markets = await exchange.load_markets()
    sizes = {symbol: market["contractSize"] for symbol, market in markets.items()}
    assert sizes == {"BTC/USDT:USDT": 0.01, "ETH/USDT:USDT": 0.1, "SOL/USDT:USDT": 1}
    assert await exchange.fetch_time() == three_venues.as_of_ms


async def test_ccxt_reads_candles_and_mark_candles(exchange: Any, three_venues: Market) -> None:
    since = three_venues.as_of_ms - DAY_MS
    candles = await exchange.fetch_ohlcv(SYMBOL, "1h", since=since, limit=100, params=HISTORY)
    assert [row[0] for row in candles] == [since + hour * HOUR_MS for hour in range(24)]
    assert candles[-1][4] == three_venues.path.mark_px(three_venues.spec.assets)[-1, 0]
    marks = await exchange.fetch_ohlcv(
        SYMBOL, "1h", since=since, limit=100, params={"price": "mark", **HISTORY}
    )
    assert [row[:5] for row in marks] == [row[:5] for row in candles]
    assert (await exchange.fetch_ticker(SYMBOL))["last"] == candles[-1][4]


async def test_ccxt_reads_open_interest_in_contracts(exchange: Any, three_venues: Market) -> None:
    since = three_venues.as_of_ms - DAY_MS
    history = await exchange.fetch_open_interest_history(SYMBOL, "1h", since=since, limit=25)
    assert [row["timestamp"] for row in history] == list(range(since, three_venues.as_of_ms + 1, HOUR_MS))
    now = await exchange.fetch_open_interest(SYMBOL)
    longs = longs_in_coins(three_venues, "okx", "BTC")
    assert now["openInterestAmount"] * 0.01 == pytest.approx(longs, rel=1e-9)
    assert float(now["info"]["oiCcy"]) == pytest.approx(longs, rel=1e-9)
    assert history[-1]["openInterestAmount"] == now["openInterestAmount"]
    mark = three_venues.path.mark_px(three_venues.spec.assets)[-1, 0]
    assert now["openInterestValue"] == pytest.approx(longs * mark, rel=1e-9)


async def test_ccxt_reads_funding_and_ratios(exchange: Any, three_venues: Market) -> None:
    since = three_venues.as_of_ms - DAY_MS
    rates = await exchange.fetch_funding_rate_history(SYMBOL, since=since, limit=10)
    assert [row["timestamp"] for row in rates] == [since + hour * HOUR_MS for hour in (0, 8, 16, 24)]
    assert rates[-1]["fundingRate"] == pytest.approx(three_venues.path.funding[-8:, 0].sum(), abs=1e-9)
    assert (await exchange.fetch_funding_rate(SYMBOL))["interval"] == "8h"
    ratios = await exchange.fetch_long_short_ratio_history(SYMBOL, "1h", since=since, limit=100)
    sizes = true_positions(three_venues, "okx").filter(coin="BTC")["szi"].to_numpy()
    assert len(ratios) == 25
    assert float(ratios[-1]["longShortRatio"]) == pytest.approx(
        (sizes > 0).sum() / (sizes < 0).sum(), rel=1e-3
    )


async def test_ccxt_reads_tiers_in_contracts_where_it_states_notional(
    exchange: Any, three_venues: Market
) -> None:
    tiers = await exchange.fetch_market_leverage_tiers(SYMBOL)
    stated = CENTRALISED["okx"].tiers
    assert [row["maintenanceMarginRate"] for row in tiers] == [rate for _, rate in stated]
    mark = three_venues.path.mark_px(three_venues.spec.assets)[-1, 0]
    bounds_usd = [row["maxNotional"] * 0.01 * mark for row in tiers[:-1]]
    assert bounds_usd == pytest.approx([lower for lower, _ in stated[1:]], rel=1e-3)
    assert all(row["maxLeverage"] <= 50 for row in tiers)


def test_volume_in_contracts_coins_and_usd_is_one_volume(api: OkxApi) -> None:
    for _, _, high, low, _, contracts, coins, usd, _ in data(api, "market/history-candles", bar="1H"):
        assert Decimal(contracts) * Decimal("0.01") == Decimal(coins)
        assert Decimal(low) * Decimal(coins) <= Decimal(usd) <= Decimal(high) * Decimal(coins)


def test_taker_volume_ends_at_its_time_and_is_the_candles(api: OkxApi) -> None:
    candles = {
        int(row[0]): Decimal(row[5]) for row in data(api, "market/history-candles", bar="1H", limit="30")
    }
    rows = data(api, "rubik/stat/taker-volume-contract", period="1H", limit="24")
    assert len(rows) == 24
    for time, sold, bought in rows:
        assert Decimal(sold) + Decimal(bought) == candles[int(time) - HOUR_MS]


def test_after_walks_back_through_all_of_history(api: OkxApi, three_venues: Market) -> None:
    times: list[int] = []
    while page := data(api, "market/history-candles", bar="15m", after=str(times[-1]) if times else ""):
        times += [int(row[0]) for row in page]
    first = int(three_venues.path.times_ms[three_venues.first_point])
    assert times[::-1] == list(range(first, three_venues.as_of_ms, HOUR_MS // 4))


def test_before_alone_gives_the_newest(api: OkxApi, three_venues: Market) -> None:
    since = three_venues.as_of_ms - 48 * HOUR_MS
    rows = data(api, "market/history-candles", bar="1H", before=str(since), limit="5")
    assert [int(row[0]) for row in rows] == [three_venues.as_of_ms - hour * HOUR_MS for hour in range(1, 6)]


def test_bounds_are_exclusive(api: OkxApi, three_venues: Market) -> None:
    noon = three_venues.as_of_ms - 12 * HOUR_MS
    window = {"before": str(noon - 2 * HOUR_MS), "after": str(noon)}
    rows = data(api, "market/history-candles", bar="1H", **window)
    assert [int(row[0]) for row in rows] == [noon - HOUR_MS]
    holdings = data(
        api,
        "rubik/stat/contracts/open-interest-history",
        period="1H",
        begin=window["before"],
        end=window["after"],
    )
    assert [int(row[0]) for row in holdings] == [noon - HOUR_MS]


def test_limits_are_okxs(api: OkxApi) -> None:
    assert len(data(api, "market/candles", bar="1m", limit="9999")) == 300
    assert len(data(api, "market/candles", bar="1m")) == 100
    assert len(data(api, "market/mark-price-candles", bar="1m", limit="300")) == 100
    assert len(data(api, "rubik/stat/contracts/open-interest-history", limit="300")) == 100


def test_recent_candles_stop_after_1440_bars_and_history_goes_on(api: OkxApi, three_venues: Market) -> None:
    oldest = three_venues.as_of_ms - DAY_MS
    assert data(api, "market/candles", bar="1m", after=str(oldest)) == []
    assert len(data(api, "market/candles", bar="1m", after=str(oldest + 60_000))) == 1
    assert len(data(api, "market/history-candles", bar="1m", after=str(oldest))) == 100


def test_days_open_at_midnight_in_the_east_unless_they_state_utc(api: OkxApi) -> None:
    east = data(api, "market/history-candles", bar="1D")
    utc = data(api, "market/history-candles", bar="1Dutc")
    assert {int(row[0]) % DAY_MS for row in east} == {16 * HOUR_MS}
    assert {int(row[0]) % DAY_MS for row in utc} == {0}
    assert sum(Decimal(row[5]) for row in east) == sum(Decimal(row[5]) for row in utc)


def test_a_bar_is_confirmed_once_it_is_over(api: OkxApi) -> None:
    assert [row[-1] for row in data(api, "market/candles", bar="1H", limit="2")] == ["1", "1"]
    assert [row[-1] for row in data(api, "market/candles", bar="1D", limit="2")] == ["0", "1"]


def test_statistics_of_a_coin_are_in_usd_and_kept_for_days(api: OkxApi, three_venues: Market) -> None:
    rows = data(api, "rubik/stat/contracts/open-interest-volume", ccy="BTC", period="5m")
    assert len(rows) == 2 * 288 + 1
    mark = three_venues.path.mark_px(three_venues.spec.assets)[-1, 0]
    assert float(rows[0][1]) == pytest.approx(longs_in_coins(three_venues, "okx", "BTC") * mark, rel=1e-9)
    ratios = data(api, "rubik/stat/contracts/long-short-account-ratio", ccy="BTC", period="1H")
    contract = data(api, "rubik/stat/contracts/long-short-account-ratio-contract", period="1H")
    assert ratios[:100] == contract[:100]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("market/candles?bar=1H", 400, "50014"),
        ("market/candles?bar=1H&instId=NOPE-USDT-SWAP", 200, "51001"),
        ("market/candles?bar=1h&instId=BTC-USDT-SWAP", 400, "51000"),
        ("market/candles?bar=1H&instId=BTC-USDT-SWAP&after=soon", 400, "51000"),
        ("public/position-tiers?instType=SWAP&tdMode=cross", 400, "50014"),
        ("public/instruments", 400, "50014"),
        ("rubik/stat/contracts/open-interest-volume?ccy=NOPE", 400, "51000"),
        ("market/nothing", 404, "404"),
    ],
)
def test_bad_requests_get_okxs_codes(venues_server: SandboxServer, path: str, status: int, code: str) -> None:
    answer = httpx.get(f"{venues_server.okx_url}/api/v5/{path}")
    assert answer.status_code == status
    assert answer.json()["code"] == code
    assert "synthetic" in answer.headers["Server"]
