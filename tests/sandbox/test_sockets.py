"""The socket speaks the exchange's protocol, its trades are the ledger's, and it has exactly the faults asked for."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hyperliquid.info import Info
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from liqtruth.sandbox.errors import SandboxRefused
from liqtruth.sandbox.http.faults import Faults
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.server import SandboxServer, serving, serving_in_thread

COINS = ("BTC", "ETH", "SOL", "HYPE", "xyz:TSLA")
HOUR_S = 3600.0
Json = Any


@asynccontextmanager
async def opened(server: SandboxServer, *coins: str, kind: str = "trades") -> AsyncIterator[ClientConnection]:
    """A client that is subscribed to the coins."""
    url = f"ws{server.base_url.removeprefix('http')}/ws"
    async with connect(url, ping_interval=None, close_timeout=0.1, proxy=None) as client:
        for coin in coins:
            await client.send(json.dumps(subscribe(coin, kind)))
            found = await received(client)
            assert found["channel"] == "subscriptionResponse"
        yield client


def subscribe(coin: str, kind: str = "trades", method: str = "subscribe") -> Json:
    return {"method": method, "subscription": {"type": kind, "coin": coin}}


async def received(client: ClientConnection, within_s: float = 300.0) -> Json:
    return json.loads(await asyncio.wait_for(client.recv(), within_s))


async def up_to_pong(client: ClientConnection) -> list[Json]:
    """All messages that the server sent before it answers a ping."""
    await client.send('{"method":"ping"}')
    messages = [await received(client)]
    while messages[-1]["channel"] != "pong":
        messages.append(await received(client))
    return messages[:-1]


def trades_in(messages: list[Json]) -> list[Json]:
    return [trade for message in messages if message["channel"] == "trades" for trade in message["data"]]


def test_positions_at_a_later_time_are_those_read_earlier_and_the_trades_received_between(
    going_on: Market,
) -> None:
    def read(server: SandboxServer) -> dict[tuple[str, str], Decimal]:
        holdings = {}
        with httpx.Client(base_url=server.base_url) as client:
            for user in server.market.addresses:
                for dex in ("", "xyz"):
                    asked = {"type": "clearinghouseState", "user": user, "dex": dex}
                    for row in client.post("/info", json=asked).json()["assetPositions"]:
                        holdings[user, row["position"]["coin"]] = Decimal(row["position"]["szi"])
        return holdings

    async def listen(server: SandboxServer) -> list[Json]:
        async with opened(server, *COINS) as client:
            await asyncio.to_thread(server.advance, 2 * HOUR_S)
            return trades_in(await up_to_pong(client))

    with serving_in_thread(going_on, weight_per_minute=None) as server:
        sizes = read(server)
        start_ms = server.market.as_of_ms
        found = asyncio.run(listen(server))
        for trade in found:
            buyer, seller = trade["users"]
            coin, size = trade["coin"], Decimal(trade["sz"])
            sizes[buyer, coin] = sizes.get((buyer, coin), Decimal(0)) + size
            sizes[seller, coin] = sizes.get((seller, coin), Decimal(0)) - size
            assert start_ms < trade["time"] <= server.market.as_of_ms
        assert len({trade["tid"] for trade in found}) == len(found) > 50
        assert {key: size for key, size in sizes.items() if size} == read(server)
        true = {(row["address"], row["coin"]): row["szi"] for row in server.true_positions().to_dicts()}
        assert {key: float(size) for key, size in sizes.items() if size} == true


async def test_only_what_was_subscribed_comes_and_nothing_after_unsubscribing(going_on: Market) -> None:
    async with serving(going_on) as server, opened(server, "ETH") as client:
        server.advance(HOUR_S)
        first = trades_in(await up_to_pong(client))
        assert {trade["coin"] for trade in first} == {"ETH"}
        await client.send(json.dumps(subscribe("ETH", method="unsubscribe")))
        answer = await received(client)
        assert answer == {"channel": "subscriptionResponse", "data": subscribe("ETH", method="unsubscribe")}
        server.advance(HOUR_S)
        assert await up_to_pong(client) == []


async def test_the_newest_trades_received_are_the_recent_trades(going_on: Market) -> None:
    async with (
        serving(going_on) as server,
        opened(server, "BTC") as client,
        httpx.AsyncClient() as http,
    ):
        server.advance(HOUR_S)
        found = trades_in(await up_to_pong(client))
        answer = await http.post(f"{server.base_url}/info", json={"type": "recentTrades", "coin": "BTC"})
        assert answer.json() == found[::-1][:10]
        assert set(found[0]) == {"coin", "side", "px", "sz", "hash", "time", "tid", "users"}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ('{"method":"subscribe","subscription":{"type":"trades","coin":"NOPE"}}', "Invalid subscription"),
        ('{"method":"subscribe","subscription":{"type":"everything"}}', "Invalid subscription"),
        ('{"method":"subscribe"}', "Invalid subscription"),
        ('{"method":"subscribe","subscription":{"type":"webData3","user":"BTC"}}', "no address"),
        ('{"method":"subscribe","subscription":{"type":["trades"],"coin":{}}}', "Invalid subscription"),
        ('{"method":"dance"}', "Error parsing JSON"),
        ('{"method":["ping"]}', "Error parsing JSON"),
        ("not json", "Error parsing JSON"),
        (json.dumps(subscribe("BTC")), "Already subscribed"),
        (json.dumps(subscribe("SOL", method="unsubscribe")), "Already unsubscribed"),
    ],
)
async def test_what_cannot_be_done_is_answered_on_the_error_channel_and_the_connection_lives(
    going_on: Market, message: str, expected: str
) -> None:
    async with serving(going_on) as server, opened(server, "BTC") as client:
        await client.send(message)
        answer = await received(client)
        assert answer["channel"] == "error"
        assert answer["data"].startswith(expected)
        assert await up_to_pong(client) == []


async def test_contexts_come_at_once_and_with_every_move_of_the_clock(going_on: Market) -> None:
    async with serving(going_on) as server, opened(server, "BTC", kind="activeAssetCtx") as client:
        first = await received(client)
        await client.send('{"method":"subscribe","subscription":{"type":"allDexsAssetCtxs"}}')
        answer, everything = await received(client), await received(client)
        assert answer["data"]["subscription"] == {"type": "allDexsAssetCtxs"}
        assert [dex for dex, _ in everything["data"]["ctxs"]] == ["", "xyz"]
        server.advance(60)
        found = {message["channel"]: message["data"] for message in await up_to_pong(client)}
        assert found["activeAssetCtx"]["coin"] == first["data"]["coin"] == "BTC"
        assert found["activeAssetCtx"]["ctx"] != first["data"]["ctx"]
        assert found["allDexsAssetCtxs"]["ctxs"][0][1][0] == found["activeAssetCtx"]["ctx"]


async def test_an_accounts_mode_is_pushed_as_the_info_endpoint_tells_it_and_no_position(
    going_on: Market,
) -> None:
    users = going_on.addresses[:60]
    async with serving(going_on) as server, opened(server) as client, httpx.AsyncClient() as http:
        shown = {}
        for user in users:
            asked = {"type": "webData3", "user": user}
            await client.send(json.dumps({"method": "subscribe", "subscription": asked}))
            answer, pushed = await received(client), await received(client)
            assert (answer["data"]["subscription"], pushed["channel"]) == (asked, "webData3")
            assert len(pushed["data"]["perpDexStates"]) == 2
            assert "assetPositions" not in json.dumps(pushed)
            shown[user] = pushed["data"]["userState"]["abstraction"]
        url = f"{server.base_url}/info"
        told = {
            user: (await http.post(url, json={"type": "userAbstraction", "user": user})).json()
            for user in users
        }
        assert shown == told
        assert len(set(shown.values())) > 1


async def test_a_client_that_sends_nothing_is_closed_and_one_that_pings_is_not(going_on: Market) -> None:
    async with (
        serving(going_on, socket_idle_s=1.5) as server,
        opened(server) as quiet,
        opened(server) as pinging,
    ):
        closed = asyncio.create_task(quiet.wait_closed())
        await quiet.ping()
        while not closed.done():
            assert await up_to_pong(pinging) == []
            await asyncio.sleep(0.1)
        assert await up_to_pong(pinging) == []


async def test_a_silent_death_leaves_the_connection_open_and_answers_nothing(going_on: Market) -> None:
    faults = Faults(rate_silent=1)
    async with serving(going_on, faults=faults) as server, opened(server, *COINS) as client:
        assert await up_to_pong(client) == []
        server.advance(HOUR_S)
        await client.send('{"method":"ping"}')
        answered = await client.ping()
        with pytest.raises(TimeoutError):
            await received(client, 0.3)
        assert not answered.done()
        faults.rate_silent = 0
        async with opened(server, *COINS) as again:
            server.advance(HOUR_S)
            assert trades_in(await up_to_pong(again))


async def test_silence_falls_on_every_open_connection_for_good(going_on: Market) -> None:
    async with serving(going_on) as server, opened(server, "BTC") as one, opened(server) as other:
        server.faults.silence = True
        for client in (one, other):
            await client.send('{"method":"ping"}')
            with pytest.raises(TimeoutError):
                await received(client, 0.2)
        server.faults.silence = False
        await one.send('{"method":"ping"}')
        with pytest.raises(TimeoutError):
            await received(one, 0.2)


async def test_a_drop_cuts_the_connection_without_a_close_frame(going_on: Market) -> None:
    async with serving(going_on, faults=Faults(rate_drop=1)) as server, opened(server, *COINS) as client:
        server.advance(HOUR_S)
        with pytest.raises(ConnectionClosed) as caught:
            await received(client)
        assert caught.value.rcvd is None


async def trades_with(market: Market, faults: Faults) -> list[list[tuple[int, int]]]:
    """Messages of two hours, each as the tid and time of its trades."""
    async with serving(market, faults=faults) as server, opened(server, *COINS) as client:
        server.advance(2 * HOUR_S)
        messages = [message for message in await up_to_pong(client) if message["channel"] == "trades"]
        return [[(trade["tid"], trade["time"]) for trade in message["data"]] for message in messages]


async def test_faulty_messages_are_those_of_a_faultless_line_doubled_swapped_or_lost(
    going_on: Market,
) -> None:
    clean = await trades_with(going_on, Faults())
    counted = Counter(map(tuple, clean))
    assert max(counted.values()) == 1
    doubled = Counter(map(tuple, await trades_with(going_on, Faults(rate_duplicate=0.3, seed=1))))
    assert set(doubled) == set(counted)
    assert set(doubled.values()) == {1, 2}
    swapped = await trades_with(going_on, Faults(rate_reorder=0.3, seed=1))
    assert swapped != clean
    assert sorted(swapped) == sorted(clean)
    faults = Faults(rate_gap=0.1, gap_messages=2, seed=1)
    lost = await trades_with(going_on, faults)
    assert len(lost) == pytest.approx(len(clean) - 2 * faults.met["gap"], abs=1)
    assert lost == [message for message in clean if message in lost]


async def test_the_same_seed_gives_the_same_faults_on_the_socket(going_on: Market) -> None:
    rates = {"rate_duplicate": 0.1, "rate_reorder": 0.1, "rate_gap": 0.1}
    first = await trades_with(going_on, Faults(**rates, seed=4))
    assert await trades_with(going_on, Faults(**rates, seed=4)) == first
    assert await trades_with(going_on, Faults(**rates, seed=5)) != first


async def test_a_skewed_clock_moves_the_times_of_trades_and_nothing_else(going_on: Market) -> None:
    clean = await trades_with(going_on, Faults())
    skewed = await trades_with(going_on, Faults(clock_skew_ms=-2500))
    assert skewed == [[(tid, time - 2500) for tid, time in message] for message in clean]


def test_socket_faults_do_not_disturb_those_of_requests() -> None:
    plain, mixed = Faults(rate_500=0.3, seed=2), Faults(rate_500=0.3, rate_gap=0.5, seed=2)
    assert [plain.next() for _ in range(50)] == [(mixed.next_on_socket(), mixed.next())[1] for _ in range(50)]


async def test_the_clock_runs_at_its_speed_and_stands_at_the_end(going_on: Market) -> None:
    async with serving(going_on, live_speed=3600) as server, opened(server, *COINS) as client:
        begun = server.now
        assert (await received(client))["channel"] == "trades"
        assert server.now > begun
        server.live_speed = 1e6
        await asyncio.to_thread(_wait_until, lambda: server.now.timestamp() * 1000 >= server.ends_ms)
        assert server.as_of == server.now
        with pytest.raises(SandboxRefused, match=r"cannot advance by 1 s, 0 s are left"):
            server.advance(1)


async def test_within_a_minute_only_the_clock_moves(going_on: Market) -> None:
    async with serving(going_on) as server, httpx.AsyncClient() as client:
        ask = {"type": "exchangeStatus"}
        for _ in range(3):
            server.advance(20)
            await client.post(f"{server.base_url}/info", json=ask)
        assert server.market.point == going_on.point + 1
        server.advance(59.5)
        answer = (await client.post(f"{server.base_url}/info", json=ask)).json()
        assert answer["time"] == going_on.as_of_ms + 119_500
        assert server.market.point == going_on.point + 1


def test_without_live_hours_the_clock_does_not_move(market: Market) -> None:
    with serving_in_thread(market, live_speed=60) as server:
        assert server.now == market.as_of
        with pytest.raises(SandboxRefused, match="live_hours"):
            server.advance(60)


def test_the_exchanges_own_sdk_reads_a_market_that_has_moved(going_on: Market) -> None:
    with serving_in_thread(going_on, weight_per_minute=None) as server:
        server.advance(3 * HOUR_S)
        sdk = Info(server.base_url, skip_ws=True, timeout=120)
        row = server.true_positions().filter(dex="").row(0, named=True)
        shown = {
            p["position"]["coin"]: p["position"] for p in sdk.user_state(row["address"])["assetPositions"]
        }
        assert float(shown[row["coin"]]["szi"]) == row["szi"]
        assert float(sdk.all_mids()[row["coin"]]) == row["mark_px"]
        now = server.market.as_of_ms
        assert sdk.candles_snapshot("BTC", "1h", now - 3 * 3_600_000, now)[0]["t"] == going_on.as_of_ms
        assert len(sdk.funding_history("BTC", going_on.as_of_ms)) == 4
        assert sdk.user_role(row["address"])["role"] in {"user", "vault", "subAccount"}
        fills = sdk.user_fills_by_time(row["address"], 0)
        assert fills == sorted(fills, key=lambda fill: fill["time"])
        sdk.session.close()


def test_the_exchanges_own_sdk_hears_the_trades(going_on: Market) -> None:
    heard_trades: list[Json] = []
    with serving_in_thread(going_on, weight_per_minute=None) as server:
        sdk = Info(server.base_url, timeout=120)
        sdk.subscribe({"type": "trades", "coin": "BTC"}, lambda message: heard_trades.extend(message["data"]))
        _wait_until(lambda: any(session.subscriptions for session in server.sockets.sessions))
        server.advance(HOUR_S)
        _wait_until(lambda: bool(heard_trades))
        sdk.disconnect_websocket()
        sdk.session.close()
    assert {trade["coin"] for trade in heard_trades} == {"BTC"}


def _wait_until(holds: Any, within_s: float = 300.0) -> None:
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)
