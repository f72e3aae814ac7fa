"""Pushed liquidations come out with the position's side, in coins and USD, each once, and deafness is on record."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.estimator.errors import BadAnswer
from liqtruth.estimator.feeds.liquidation_stream import Listener
from liqtruth.estimator.feeds.liquidations import STREAMS
from liqtruth.estimator.frames import DATASETS
from liqtruth.estimator.venues.bounds import possible
from liqtruth.estimator.venues.spec import Contract
from liqtruth.estimator.venues.transport import Malformed
from liqtruth.heatmap.errors import LeftOut
from liqtruth.storage.errors import DatabaseLost
from liqtruth.storage.store import Store
from tests.estimator.pushed import PushServer, pushing

NOON_MS = 1_785_585_600_000
NOON = datetime(2026, 8, 1, 12, tzinfo=UTC)


def binance(
    side: str = "SELL", coins: str = "0.5", ms: int = NOON_MS, symbol: str = "BTCUSDT", **more: str
) -> str:
    order = {"s": symbol, "S": side, "o": "LIMIT", "f": "IOC", "q": coins, "p": "60100", "ap": "60000"}
    return json.dumps(
        {"e": "forceOrder", "E": ms, "o": {**order, "X": "FILLED", "l": "0.1", "z": coins, "T": ms, **more}}
    )


def bybit(*rows: dict[str, Any]) -> str:
    return json.dumps({"topic": "allLiquidation.BTCUSDT", "type": "snapshot", "ts": NOON_MS, "data": rows})


def okx(**detail: str) -> str:
    usual = {
        "bkPx": "60000",
        "posSide": "long",
        "side": "sell",
        "sz": "50",
        "ts": str(NOON_MS),
        "ccy": "",
        "bkLoss": "0",
    }
    row = {"instId": "BTC-USDT-SWAP", "instType": "SWAP", "details": [{**usual, **detail}]}
    return json.dumps({"arg": {"channel": "liquidation-orders", "instType": "SWAP"}, "data": [row]})


ROW = {"T": NOON_MS, "s": "BTCUSDT", "S": "Buy", "v": "0.5", "p": "60000"}
CONTRACTS = {
    "binance": Contract("BTC", "BTC/USDT:USDT", "BTCUSDT", 1.0),
    "bybit": Contract("BTC", "BTC/USDT:USDT", "BTCUSDT", 1.0),
    "okx": Contract("BTC", "BTC/USDT:USDT", "BTC-USDT-SWAP", 0.01),
}


def liquidations_in(venue: str, message: str) -> list[tuple[Any, ...]]:
    stream = STREAMS[venue]
    frame = stream.frame(stream.events(message), CONTRACTS[venue])
    assert dict(frame.schema) == dict(DATASETS["liquidations"].schema)
    return frame.select("ts", "side", "px", "coins", "notional_usd").rows()


# -------------------------------------------------------------------------------- what a message says


@pytest.mark.parametrize(
    ("venue", "long", "short"),
    [
        ("binance", binance("SELL"), binance("BUY")),
        ("bybit", bybit(ROW), bybit({**ROW, "S": "Sell"})),
        ("okx", okx(), okx(posSide="short", side="buy")),
        ("okx", okx(posSide="net"), okx(posSide="net", side="buy")),
    ],
)
def test_half_a_coin_at_60000_is_30000_usd_of_the_positions_side(venue: str, long: str, short: str) -> None:
    assert liquidations_in(venue, long) == [(NOON, "long", 60_000.0, 0.5, 30_000.0)]
    assert liquidations_in(venue, short) == [(NOON, "short", 60_000.0, 0.5, 30_000.0)]


def test_a_forced_order_counts_what_was_filled_at_the_average_price() -> None:
    assert liquidations_in("binance", binance(z="0.2"))[0][2:4] == (60_000.0, 0.2)
    assert liquidations_in("binance", binance(ap="0", z="0"))[0][2:4] == (60_100.0, 0.5)


def test_two_equal_liquidations_in_one_message_are_two() -> None:
    stream = STREAMS["bybit"]
    frame = stream.frame(stream.events(bybit(ROW, ROW)), CONTRACTS["bybit"])
    assert frame.height == 2
    assert frame["id"].n_unique() == 2


def test_other_markets_are_left_out() -> None:
    assert liquidations_in("binance", binance(symbol="ETHUSDT")) == []


def test_a_thousand_of_the_venues_coins_are_one_of_ours() -> None:
    """`1000PEPE` at 0.01 is our kPEPE; `PEPE` at 0.00001 is a thousandth of it."""
    stream = STREAMS["binance"]
    events = stream.events(binance(symbol="PEPEUSDT", coins="5000", ap="0.00001"))
    frame = stream.frame(events, Contract("kPEPE", "PEPE/USDT:USDT", "PEPEUSDT", 1.0, coins_per_base=1e-3))
    assert frame.select("px", "coins", "notional_usd").row(0) == pytest.approx((0.01, 5.0, 0.05))


@pytest.mark.parametrize(
    ("venue", "message"),
    [
        ("binance", '{"result":null,"id":1}'),
        ("bybit", '{"success":true,"op":"subscribe"}'),
        ("bybit", '{"op":"pong"}'),
        ("okx", '{"event":"subscribe","arg":{"channel":"liquidation-orders","instType":"SWAP"}}'),
        ("okx", "pong"),
    ],
)
def test_what_is_no_liquidation_is_none(venue: str, message: str) -> None:
    assert STREAMS[venue].events(message) == []


@pytest.mark.parametrize(
    ("venue", "message"),
    [
        ("binance", "<html>busy</html>"),
        ("binance", binance(side="HOLD")),
        ("binance", binance(ap="-1")),
        ("bybit", bybit({**ROW, "v": "0"})),
        ("bybit", bybit({**ROW, "p": "nan"})),
        ("okx", okx(ts="soon")),
        ("okx", "[]"),
    ],
)
def test_what_cannot_be_read_is_malformed(venue: str, message: str) -> None:
    with pytest.raises(Malformed):
        STREAMS[venue].events(message)


@pytest.mark.parametrize(
    ("venue", "message"),
    [
        ("bybit", '{"success":false,"ret_msg":"no such topic","op":"subscribe"}'),
        ("okx", '{"event":"error","code":"60018","msg":"no such topic"}'),
    ],
)
def test_a_refused_subscription_states_why(venue: str, message: str) -> None:
    with pytest.raises(BadAnswer, match="the subscription was refused: no such topic"):
        STREAMS[venue].events(message)


# ------------------------------------------------------------------------------------- over a socket


class Listened:
    """A listener on a store, and the events that it reports."""

    def __init__(self, store: Store, venue: str, server: PushServer) -> None:
        self.store, self.venue = store, venue
        self.reports: list[str] = []
        self.now_ms = NOON_MS
        self.listener = Listener(
            STREAMS[venue],
            [CONTRACTS[venue]],
            "all of them",
            self.keep,
            lambda event, **facts: self.reports.append(event),
            self.clock,
            base_url=server.url,
            first_wait_s=0.01,
            flush_s=0.02,
            heartbeat_s=0.05,
        )

    def clock(self) -> int:
        self.now_ms += 1
        return self.now_ms

    def keep(self, dataset: str, coin: str, rows: pl.DataFrame) -> int:
        return self.store.lake.merge_series(dataset, self.venue, coin, rows, DATASETS[dataset].key)

    def stored(self, dataset: str) -> pl.DataFrame:
        return self.store.lake.read_series(dataset, self.venue, "BTC", DATASETS[dataset].schema)

    async def until(self, done: Callable[[], bool]) -> None:
        """Listen until something has happened, then be stopped as a signal stops it."""
        task = asyncio.create_task(self.listener.run())
        async with asyncio.timeout(300):
            while not done():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def listen(
    store: Store, venue: str, done: Callable[[Listened, PushServer], bool], *scripts: list[Any]
) -> tuple[Listened, PushServer]:
    async def run() -> tuple[Listened, PushServer]:
        async with pushing(*scripts) as server:
            received = Listened(store, venue, server)
            await received.until(lambda: done(received, server))
            return received, server

    return asyncio.run(run())


def test_what_is_sent_again_after_a_reconnect_is_stored_once_and_the_gap_is_on_record(store: Store) -> None:
    first, second = binance(), binance("BUY", ms=NOON_MS + 5)
    received, server = listen(
        store, "binance", lambda one, _: one.listener.counts.liquidations == 2, [first], [first, second]
    )
    assert server.paths == ["/ws/!forceOrder@arr"] * 2
    assert received.stored("liquidations")["side"].to_list() == ["long", "short"]
    assert (received.listener.counts.connects, received.listener.counts.drops) == (2, 1)
    spans = received.stored("listening")
    assert spans.height == 2
    assert (spans["ts"][1:] > spans["until"][:-1]).all()
    assert spans["coverage"].unique().to_list() == ["all of them"]
    assert received.reports == ["stream_connected", "stream_down", "stream_connected"]


@pytest.mark.parametrize("venue", ["bybit", "okx"])
def test_a_stream_is_subscribed_again_and_kept_open_by_its_own_pings(store: Store, venue: str) -> None:
    ping = STREAMS[venue].ping
    assert ping is not None
    message = bybit(ROW) if venue == "bybit" else okx()
    _, server = listen(
        store,
        venue,
        lambda one, server: ping in server.received and one.listener.counts.liquidations == 1,
        [message],
        [message],
    )
    topic = "allLiquidation.BTCUSDT" if venue == "bybit" else "liquidation-orders"
    assert sum(topic in one for one in server.received) == 2


def test_a_malformed_message_is_counted_and_reported_once_and_ends_nothing(store: Store) -> None:
    received, _ = listen(
        store,
        "binance",
        lambda one, _: one.listener.counts.liquidations == 1,
        ["<html>", "<html>", binance()],
    )
    assert received.listener.counts.malformed == 2
    assert received.reports == ["stream_connected", "stream_malformed"]


LONG_PX = "9" * 400
WRONG: dict[str, list[Any]] = {
    "binance": [
        *(binance(ap=value) for value in (LONG_PX, "1e308", "1e-300", "nan", "n/a")),
        *(binance(ms=value) for value in (0, 9_999_999_999_999, 10**400, -5)),
        *(binance(side=value) for value in ("", "HOLD")),
        binance(z=LONG_PX),
        binance().replace('"60000"', "9" * 400),
        binance().replace('"60000"', "null").replace('"60100"', "null"),
        binance().replace('"BTCUSDT"', "null"),
    ],
    "bybit": [
        *(bybit({**ROW, "p": value}) for value in (LONG_PX, "1e308", None, [], {}, True, int("9" * 400))),
        *(bybit({**ROW, "T": value}) for value in (0, 9_999_999_999_999, 10**400, None, "soon", 1e300)),
        *(bybit(row) for row in (None, 5, "x", [], {})),  # type: ignore[arg-type]
        bybit({**ROW, "S": None}),
    ],
    "okx": [
        *(okx(bkPx=value) for value in (LONG_PX, "1e308", "-1", "")),
        *(okx(ts=value) for value in ("0", "9999999999999", LONG_PX)),
        okx(posSide="net", side="hold"),
        json.dumps({"arg": {"channel": "liquidation-orders"}, "data": [None, {"instId": "BTC-USDT-SWAP"}]}),
        json.dumps({"arg": {"channel": "liquidation-orders"}, "data": [{"instId": 5, "details": [{}]}]}),
    ],
}
ANYWHERE: list[Any] = [
    b"\xff\xfe",
    b'{"e": "\xff"}',
    b"\x00",
    "",
    "<html>busy</html>",
    "[" * 100_000,
    '{"a":' * 100_000,
    binance()[:40],
]


@pytest.mark.parametrize("venue", list(WRONG))
def test_no_message_ends_a_stream_and_each_that_cannot_be_read_is_counted_and_reported_once(
    store: Store, venue: str
) -> None:
    """All of them twice over one connection, then a sound one."""
    sound = {"binance": binance(), "bybit": bybit(ROW), "okx": okx()}[venue]
    wrong = [*ANYWHERE, *WRONG[venue]]
    received, server = listen(
        store, venue, lambda one, _: one.listener.counts.liquidations == 1, [*wrong, *wrong, sound]
    )
    assert len(server.paths) == 1
    assert received.stored("liquidations")["px"].to_list() == [60_000.0]
    assert received.listener.left_out.total >= 2 * len(wrong)
    found = received.reports.count("stream_malformed")
    assert 0 < found == len(received.listener.left_out.counts) < len(wrong), "a kind is reported once"


@pytest.mark.parametrize("venue", ["bybit", "okx"])
def test_a_row_that_cannot_be_read_leaves_the_others_of_its_message(store: Store, venue: str) -> None:
    if venue == "bybit":
        message = bybit({**ROW, "p": None}, ROW, {**ROW, "T": 0})
    else:
        found = json.loads(okx())
        found["data"][0]["details"].append({"bkPx": "1"})
        message = json.dumps({**found, "data": [None, *found["data"]]})
    received, _ = listen(store, venue, lambda one, _: one.listener.counts.liquidations == 1, [message])
    assert received.listener.left_out.total == 2
    assert received.listener.counts.malformed == 0


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(
        ["forceOrder", "allLiquidation.BTCUSDT", "BTCUSDT", "liquidation-orders", "Buy", LONG_PX]
    ),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["e", "o", "s", "S", "T", "p", "q", "z", "ap", "data", "topic", "arg", "channel"])
            | st.sampled_from(["details", "instId", "bkPx", "sz", "ts", "side", "event", "msg", "success"]),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)


@given(st.sampled_from(list(STREAMS)), st.binary() | _json.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_rows_or_a_named_fault(venue: str, message: bytes) -> None:
    stream, events = STREAMS[venue], []
    with suppress(Malformed, BadAnswer):
        events = stream.events(message)
    frame = possible(stream.frame(events, CONTRACTS[venue]), "liquidations", NOON, LeftOut())
    assert frame["notional_usd"].is_finite().all()


def test_what_is_lost_in_a_message_is_outside_the_span_of_listening(store: Store) -> None:
    """Nobody knows what was in it: coverage ends before it and begins anew behind it."""
    received, _ = listen(store, "binance", lambda one, _: one.listener.counts.malformed == 1, ["<html>"])
    begun = received.stored("listening")["ts"].to_list()
    [first, *_] = [moment for moment in begun if moment is not None]
    assert received.listener.counts.connects == 1
    assert first > NOON + timedelta(milliseconds=1), "the span that the connection began is not on record"


def test_a_handshake_that_is_redirected_is_reported_and_not_followed(store: Store) -> None:
    async def run() -> tuple[list[str], int]:
        asked = 0

        async def move(request: web.BaseRequest) -> web.Response:
            nonlocal asked
            asked += 1
            return web.Response(status=302, headers={"Location": f"{server.url}/ws"})

        runner = web.ServerRunner(web.Server(move))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with pushing([binance()]) as server:
            received = Listened(store, "binance", server)
            received.listener.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            await received.until(lambda: asked >= 2)
            await runner.cleanup()
            return received.reports, len(server.paths)

    assert asyncio.run(run()) == (["stream_down"], 0)


def test_what_cannot_be_stored_waits_until_it_can_be(store: Store) -> None:
    """A database that is away ends the connection, not the listening, and loses nothing that was received."""

    async def run() -> Listened:
        async with pushing([binance()], [binance("BUY", ms=NOON_MS + 5)]) as server:
            received = Listened(store, "binance", server)
            keep, lost = received.listener.keep, [DatabaseLost("away"), DatabaseLost("away")]

            def fails_first(dataset: str, coin: str, rows: pl.DataFrame) -> int:
                if dataset == "liquidations" and lost:
                    raise lost.pop()
                return keep(dataset, coin, rows)

            received.listener.keep = fails_first
            await received.until(lambda: received.listener.counts.liquidations == 2)
            return received

    assert asyncio.run(run()).stored("liquidations")["side"].to_list() == ["long", "short"]


def test_what_was_received_before_the_stop_is_stored(store: Store) -> None:
    async def run() -> Listened:
        async with pushing([binance()]) as server:
            received = Listened(store, "binance", server)
            received.listener.flush_s = 60.0
            await received.until(lambda: bool(received.listener._buffer))
            return received

    assert asyncio.run(run()).stored("liquidations").height == 1


def test_a_host_that_does_not_answer_is_reported_once_however_often_it_is_tried(store: Store) -> None:
    async def run() -> Listened:
        received = Listened(store, "binance", PushServer([[]], url="http://127.0.0.1:9"))
        task = asyncio.create_task(received.listener.run())
        async with asyncio.timeout(300):
            while not received.reports:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)  # in which it is tried again
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return received

    received = asyncio.run(run())
    assert received.reports == ["stream_down"]
    assert received.stored("listening").is_empty()
