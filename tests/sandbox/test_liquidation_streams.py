"""Each venue's liquidation stream over a real socket: what it tells is the ledger's, what it leaves out is its rule."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import ccxt.pro
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from liqtruth.sandbox.http.faults import Faults
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.public.forced_orders import ForcedOrders, forced_orders, latest_per_second
from liqtruth.sandbox.server import SandboxServer, serving
from liqtruth.sandbox.truth import true_liquidations

Json = Any
FOUR_HOURS_S = 4 * 3600.0
BYBIT_TOPICS = [f"allLiquidation.{coin}USDT" for coin in ("BTC", "ETH", "SOL")]
OKX_ARG = {"channel": "liquidation-orders", "instType": "SWAP"}
Row = tuple[str, int, str, float, float]


def opened(server: SandboxServer, path: str) -> AbstractAsyncContextManager[ClientConnection]:
    return connect(f"{server.stream_url}{path}", ping_interval=None, close_timeout=0.1, proxy=None)


async def answer_to(client: ClientConnection, message: Json) -> Json:
    await client.send(json.dumps(message))
    return json.loads(await asyncio.wait_for(client.recv(), 300))


async def up_to(client: ClientConnection, last: Callable[[str], bool]) -> list[Json]:
    """All messages before the one for which `last` holds."""
    messages = []
    while not last(text := str(await asyncio.wait_for(client.recv(), 300))):
        messages.append(json.loads(text))
    return messages


async def binance_events(client: ClientConnection) -> list[Json]:
    await client.send('{"method":"LIST_SUBSCRIPTIONS","id":99}')
    return await up_to(client, lambda text: json.loads(text).get("id") == 99)


async def bybit_events(client: ClientConnection) -> list[Json]:
    await client.send('{"op":"ping","req_id":"99"}')
    return await up_to(client, lambda text: json.loads(text).get("ret_msg") == "pong")


async def okx_events(client: ClientConnection) -> list[Json]:
    await client.send("ping")
    return await up_to(client, lambda text: text == "pong")


def truth(server: SandboxServer, venue: str) -> list[Row]:
    """(coin, ms, side of the position, coins, price) of every forced order since the end of the history."""
    done = server.true_liquidations(venue).filter(pl.col("time") > server.market.spec.ends)
    rows = done.with_columns(pl.col("time").dt.epoch("ms"), size=pl.col("notional_usd") / pl.col("px"))
    return sorted(rows.select("coin", "time", "side", pl.col("size").round(6), "px").rows())


def latest(rows: list[Row]) -> list[Row]:
    """The rule in plain Python: of each coin and second the order with the latest time."""
    kept: dict[tuple[str, int], Row] = {}
    for row in rows:
        key = (row[0], row[1] // 1000)
        kept[key] = max(kept.get(key, row), row, key=lambda one: one[1])
    return sorted(kept.values())


def from_binance(event: Json) -> Row:
    order = event["o"]
    side = {"SELL": "long", "BUY": "short"}[order["S"]]
    return order["s"].removesuffix("USDT"), order["T"], side, float(order["q"]), float(order["ap"])


def from_bybit(row: Json) -> Row:
    side = {"Buy": "long", "Sell": "short"}[row["S"]]
    return row["s"].removesuffix("USDT"), row["T"], side, float(row["v"]), float(row["p"])


def from_okx(row: Json, contract_sizes: dict[str, float]) -> Row:
    coin, detail = row["instId"].split("-")[0], row["details"][0]
    assert (detail["posSide"], detail["side"]) in (("long", "sell"), ("short", "buy"))
    size = round(float(detail["sz"]) * contract_sizes[coin], 6)
    return coin, int(detail["ts"]), detail["posSide"], size, float(detail["bkPx"])


# ------------------------------------------------------------------------------------- the rule alone


@given(
    orders=st.lists(
        st.tuples(st.integers(0, 5_000), st.integers(0, 2), st.integers(1, 100)), max_size=40
    ).map(sorted)
)
def test_the_latest_of_each_coin_and_second_is_kept_and_nothing_else(
    orders: list[tuple[int, int, int]],
) -> None:
    time, coin, lots = (
        (np.array(column, np.int64) for column in zip(*orders, strict=True))
        if orders
        else (np.zeros(0, np.int64),) * 3
    )
    kept = latest_per_second(ForcedOrders(time, coin, lots, lots, lots > 0))
    wanted = {(column, ms // 1000): (ms, column, size) for ms, column, size in orders}
    got = list(zip(kept.time_ms.tolist(), kept.coin.tolist(), kept.lots.tolist(), strict=True))
    assert sorted(got) == sorted(wanted.values())
    assert kept.time_ms.tolist() == sorted(kept.time_ms.tolist())


def test_orders_lie_in_the_minute_that_the_ledger_booked_them_in(three_venues: Market) -> None:
    for venue in three_venues.spec.venues:
        tape = three_venues.venue(venue).tape
        orders = forced_orders(three_venues, venue, 0)
        minutes = Counter((-(-orders.time_ms // 60_000)).tolist())
        booked = three_venues.path.times_ms[tape.point[tape.kind == 1]] // 60_000
        assert minutes == Counter(booked.tolist())


def test_the_same_order_has_the_same_millisecond_whenever_it_is_asked(three_venues: Market) -> None:
    end = three_venues.ahead.end  # type: ignore[union-attr]
    now, later = true_liquidations(three_venues, "bybit"), true_liquidations(end, "bybit")
    assert later.height > now.height
    assert later.head(now.height).equals(now)


# --------------------------------------------------------------------------------------- raw protocols


async def test_bybit_reports_every_liquidation_of_the_ledger(three_venues: Market) -> None:
    async with serving(three_venues) as server, opened(server, "/v5/public/linear") as client:
        done = await answer_to(client, {"op": "subscribe", "req_id": "1", "args": BYBIT_TOPICS})
        assert done["success"]
        server.advance(FOUR_HOURS_S)
        messages = await bybit_events(client)
        got = [from_bybit(row) for message in messages for row in message["data"]]
        assert len(got) > 20
        assert sorted(got) == truth(server, "bybit")
        assert all(row["s"] in message["topic"] for message in messages for row in message["data"])
        assert all(row["T"] < message["ts"] for message in messages for row in message["data"])


async def test_binance_reports_only_the_latest_order_per_symbol_and_second(three_venues: Market) -> None:
    async with serving(three_venues) as server, opened(server, "/ws/!forceOrder@arr") as client:
        server.advance(FOUR_HOURS_S)
        got = [from_binance(event) for event in await binance_events(client)]
        every = truth(server, "binance")
        assert sorted(got) == latest(every)
        assert 0 < len(got) < len(every)
        assert not Counter(got) - Counter(every)


async def test_okx_reports_contracts_and_not_more_than_one_order_a_second(three_venues: Market) -> None:
    sizes = {"BTC": 0.01, "ETH": 0.1, "SOL": 1.0}
    async with serving(three_venues) as server, opened(server, "/ws/v5/public") as client:
        assert (await answer_to(client, {"op": "subscribe", "args": [OKX_ARG]}))["event"] == "subscribe"
        server.advance(FOUR_HOURS_S)
        got = [from_okx(row, sizes) for message in await okx_events(client) for row in message["data"]]
        assert got
        assert sorted(got) == latest(truth(server, "okx"))


async def test_the_streams_of_one_symbol_and_the_combined_ones_tell_the_same(three_venues: Market) -> None:
    streams = "/".join(f"{coin}usdt@forceOrder" for coin in ("btc", "eth", "sol"))
    async with (
        serving(three_venues) as server,
        opened(server, "/ws/!forceOrder@arr") as every,
        opened(server, f"/stream?streams={streams}") as combined,
        opened(server, "/ws/btcusdt@forceOrder") as single,
    ):
        server.advance(FOUR_HOURS_S)
        orders = await binance_events(every)
        wrapped = await binance_events(combined)
        assert [message["data"] for message in wrapped] == orders
        assert {message["stream"] for message in wrapped} <= set(streams.split("/"))
        assert await binance_events(single) == [order for order in orders if order["o"]["s"] == "BTCUSDT"]


async def test_binance_subscribes_and_unsubscribes_by_name(three_venues: Market) -> None:
    async with serving(three_venues) as server, opened(server, "/market/ws/0") as client:
        names = ["btcusdt@forceOrder", "ethusdt@forceOrder"]
        assert await answer_to(client, {"method": "SUBSCRIBE", "params": names, "id": 1}) == {
            "result": None,
            "id": 1,
        }
        await answer_to(client, {"method": "UNSUBSCRIBE", "params": names[:1], "id": 2})
        listed = await answer_to(client, {"method": "LIST_SUBSCRIPTIONS", "id": 3})
        assert names[1] in listed["result"]
        assert names[0] not in listed["result"]
        assert "error" in await answer_to(client, {"method": "DANCE", "id": 4})


async def test_what_cannot_be_subscribed_is_refused_in_each_venues_words(three_venues: Market) -> None:
    async with (
        serving(three_venues) as server,
        opened(server, "/v5/public/linear") as bybit,
        opened(server, "/ws/v5/public") as okx,
    ):
        refused = await answer_to(bybit, {"op": "subscribe", "args": ["allLiquidation.NOPEUSDT"]})
        assert (refused["success"], "handler not found" in refused["ret_msg"]) == (False, True)
        assert not (await answer_to(bybit, {"op": "dance"}))["success"]
        assert (await answer_to(okx, {"op": "subscribe", "args": [{"channel": "nothing"}]}))[
            "code"
        ] == "60018"
        assert (await answer_to(okx, "dance"))["code"] == "60012"


async def test_the_handshake_states_that_it_is_synthetic(three_venues: Market) -> None:
    async with serving(three_venues) as server:
        for path in ("/ws", "/ws/!forceOrder@arr", "/stream", "/v5/public/linear", "/ws/v5/public"):
            async with opened(server, path) as client:
                assert client.response is not None
                assert "synthetic" in client.response.headers["Server"]


async def test_a_venue_that_was_not_simulated_has_no_stream(market: Market) -> None:
    async with serving(market) as server:
        for path in ("/v5/public/linear", "/ws/v5/public"):
            with pytest.raises(InvalidStatus):
                await opened(server, path).__aenter__()


async def test_who_does_not_ping_is_closed_except_on_binance(three_venues: Market) -> None:
    async with (
        serving(three_venues, socket_idle_s=0.2) as server,
        opened(server, "/v5/public/linear") as bybit,
        opened(server, "/ws/!forceOrder@arr") as binance,
    ):
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(bybit.recv(), 300)
        assert await binance_events(binance) == []


async def test_faults_meet_these_streams_as_well(three_venues: Market) -> None:
    async with (
        serving(three_venues, faults=Faults(rate_duplicate=1.0)) as server,
        opened(server, "/ws/!forceOrder@arr") as client,
    ):
        server.advance(FOUR_HOURS_S)
        events = await binance_events(client)
        assert events[::2] == events[1::2]
        assert sorted(map(from_binance, events[::2])) == latest(truth(server, "binance"))


# --------------------------------------------------------------------------------------------- ccxt.pro

ORDER_SIDES = {"sell": "long", "buy": "short"}
POSITION_SIDES = {"buy": "long", "sell": "short"}
Watching = Callable[[Any, list[str]], list[Awaitable[Any]]]


async def watched(
    exchange: Any, server: SandboxServer, name: str, watching: Watching, sides: dict[str, str]
) -> list[Row]:
    """What ccxt.pro has in its cache of liquidations once four hours have passed, in coins: it keeps contracts."""
    try:
        await exchange.load_markets()
        tasks = [asyncio.ensure_future(one) for one in watching(exchange, sorted(exchange.markets))]
        await until(lambda: subscribed(server, name) >= len(tasks))
        server.advance(FOUR_HOURS_S)
        await asyncio.wait_for(asyncio.wait(tasks, return_when="FIRST_COMPLETED"), 300)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        every = truth(server, name)
        expected = len(every) if name == "bybit" else len(latest(every))
        await until(lambda: len(exchange.liquidations) >= expected)
        sizes = {symbol: market["contractSize"] for symbol, market in exchange.markets.items()}
        return sorted(from_ccxt(row, sides, sizes) for row in exchange.liquidations)
    finally:
        await exchange.close()


def subscribed(server: SandboxServer, name: str) -> int:
    return sum(len(session.subscriptions) for session in server.streams[name].sessions)


async def until(holds: Callable[[], bool], within_s: float = 300.0) -> None:
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def from_ccxt(row: Json, sides: dict[str, str], contract_sizes: dict[str, float]) -> Row:
    size = round(row["contracts"] * contract_sizes[row["symbol"]], 6)
    return row["symbol"].split("/")[0], row["timestamp"], sides[row["side"]], size, row["price"]


async def test_ccxt_pro_watches_bybit_whose_side_is_the_positions(three_venues: Market) -> None:
    async with serving(three_venues) as server:
        exchange = ccxt.pro.bybit({"enableRateLimit": False})
        exchange.urls["api"]["public"] = server.bybit_url
        exchange.urls["api"]["ws"]["public"]["linear"] = f"{server.stream_url}/v5/public/linear"
        got = await watched(
            exchange,
            server,
            "bybit",
            lambda api, symbols: [api.watch_liquidations(one) for one in symbols],
            POSITION_SIDES,
        )
        assert got == truth(server, "bybit")


async def test_ccxt_pro_watches_okx_in_contracts(three_venues: Market) -> None:
    async with serving(three_venues) as server:
        exchange = ccxt.pro.okx({"enableRateLimit": False})
        exchange.urls["api"]["rest"] = server.okx_url
        exchange.urls["api"]["ws"] = f"{server.stream_url}/ws/v5"
        got = await watched(
            exchange,
            server,
            "okx",
            lambda api, symbols: [api.watch_liquidations_for_symbols(symbols)],
            ORDER_SIDES,
        )
        assert got == latest(truth(server, "okx"))


async def test_ccxt_pro_watches_binance_and_cannot_see_what_was_not_pushed(three_venues: Market) -> None:
    async with serving(three_venues) as server:
        exchange = ccxt.pro.binanceusdm({"enableRateLimit": False})
        for name, version in (("fapiPublic", 1), ("fapiPublicV2", 2), ("fapiPublicV3", 3)):
            exchange.urls["api"][name] = f"{server.binance_url}/fapi/v{version}"
        exchange.urls["api"]["ws"]["linear"] = f"{server.stream_url}/ws"
        got = await watched(
            exchange,
            server,
            "binance",
            lambda api, symbols: [api.watch_liquidations_for_symbols(symbols)],
            ORDER_SIDES,
        )
        assert got == latest(truth(server, "binance"))
        assert len(got) < len(truth(server, "binance"))
