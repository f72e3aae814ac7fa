"""Pushed liquidations come out with the position's side, in coins and USD, each once, and deafness is on record."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from estimator.errors import BadAnswer
from estimator.exchange import Malformed
from estimator.frames import DATASETS
from estimator.liquidation_stream import Listener
from estimator.liquidations import STREAMS
from estimator.units import Contract
from storage.store import Store
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


def told(venue: str, message: str) -> list[tuple[Any, ...]]:
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
    assert told(venue, long) == [(NOON, "long", 60_000.0, 0.5, 30_000.0)]
    assert told(venue, short) == [(NOON, "short", 60_000.0, 0.5, 30_000.0)]


def test_a_forced_order_counts_what_was_filled_at_the_average_price() -> None:
    assert told("binance", binance(z="0.2"))[0][2:4] == (60_000.0, 0.2)
    assert told("binance", binance(ap="0", z="0"))[0][2:4] == (60_100.0, 0.5)


def test_two_equal_liquidations_in_one_message_are_two() -> None:
    stream = STREAMS["bybit"]
    frame = stream.frame(stream.events(bybit(ROW, ROW)), CONTRACTS["bybit"])
    assert frame.height == 2
    assert frame["id"].n_unique() == 2


def test_other_markets_are_left_out() -> None:
    assert told("binance", binance(symbol="ETHUSDT")) == []


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
def test_a_refused_subscription_says_why(venue: str, message: str) -> None:
    with pytest.raises(BadAnswer, match="the subscription was refused: no such topic"):
        STREAMS[venue].events(message)


# ------------------------------------------------------------------------------------- over a socket


class Listened:
    """A listener on a store, and what it told."""

    def __init__(self, store: Store, venue: str, server: PushServer) -> None:
        self.store, self.venue = store, venue
        self.told: list[str] = []
        self.now_ms = NOON_MS
        self.listener = Listener(
            STREAMS[venue],
            [CONTRACTS[venue]],
            "all of them",
            self.keep,
            lambda event, **facts: self.told.append(event),
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
    store: Store, venue: str, done: Callable[[Listened, PushServer], bool], *scripts: list[str]
) -> tuple[Listened, PushServer]:
    async def run() -> tuple[Listened, PushServer]:
        async with pushing(*scripts) as server:
            heard = Listened(store, venue, server)
            await heard.until(lambda: done(heard, server))
            return heard, server

    return asyncio.run(run())


def test_what_is_sent_again_after_a_reconnect_is_stored_once_and_the_gap_is_on_record(store: Store) -> None:
    first, second = binance(), binance("BUY", ms=NOON_MS + 5)
    heard, server = listen(
        store, "binance", lambda one, _: one.listener.counts.liquidations == 2, [first], [first, second]
    )
    assert server.paths == ["/ws/!forceOrder@arr"] * 2
    assert heard.stored("liquidations")["side"].to_list() == ["long", "short"]
    assert (heard.listener.counts.connects, heard.listener.counts.drops) == (2, 1)
    spans = heard.stored("listening")
    assert spans.height == 2
    assert (spans["ts"][1:] > spans["until"][:-1]).all()
    assert spans["coverage"].unique().to_list() == ["all of them"]
    assert heard.told == ["stream_connected", "stream_down", "stream_connected"]


@pytest.mark.parametrize("venue", ["bybit", "okx"])
def test_a_stream_is_subscribed_again_and_kept_open_by_its_own_pings(store: Store, venue: str) -> None:
    ping = STREAMS[venue].ping
    assert ping is not None
    message = bybit(ROW) if venue == "bybit" else okx()
    _, server = listen(
        store,
        venue,
        lambda one, server: ping in server.heard and one.listener.counts.liquidations == 1,
        [message],
        [message],
    )
    topic = "allLiquidation.BTCUSDT" if venue == "bybit" else "liquidation-orders"
    assert sum(topic in said for said in server.heard) == 2


def test_a_malformed_message_is_counted_told_once_and_ends_nothing(store: Store) -> None:
    heard, _ = listen(
        store,
        "binance",
        lambda one, _: one.listener.counts.liquidations == 1,
        ["<html>", "<html>", binance()],
    )
    assert heard.listener.counts.malformed == 2
    assert heard.told == ["stream_connected", "stream_malformed"]


def test_what_was_heard_before_the_stop_is_stored(store: Store) -> None:
    async def run() -> Listened:
        async with pushing([binance()]) as server:
            heard = Listened(store, "binance", server)
            heard.listener.flush_s = 60.0
            await heard.until(lambda: bool(heard.listener._held))
            return heard

    assert asyncio.run(run()).stored("liquidations").height == 1


def test_a_host_that_does_not_answer_is_told_once_however_often_it_is_tried(store: Store) -> None:
    async def run() -> Listened:
        heard = Listened(store, "binance", PushServer([[]], url="http://127.0.0.1:9"))
        task = asyncio.create_task(heard.listener.run())
        async with asyncio.timeout(300):
            while not heard.told:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)  # in which it is tried again
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return heard

    heard = asyncio.run(run())
    assert heard.told == ["stream_down"]
    assert heard.stored("listening").is_empty()
