"""The exchange's WebSocket on the sandbox: subscriptions, trades as they happen, contexts, ping and pong, and faults.

Served are `trades` (per coin), `activeAssetCtx` (per coin) and `allDexsAssetCtxs`; anything else is answered on the
channel `error`. A connection is closed when its client says nothing for `idle_s`; protocol pings do not count, the
exchange's own `{"method": "ping"}` does. Trades of one coin and one minute come in messages of at most ten.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

import msgspec
from aiohttp import WSMsgType, web

from sandbox.faults import Faults
from sandbox.hyperliquid import InfoEndpoint, Unprocessable
from sandbox.market import Market
from sandbox.trades import trade_rows

Json = dict[str, Any]
Subscription = tuple[str, str]
TRADES_PER_MESSAGE: Final = 10
MOST_WAITING: Final = 50_000
PER_COIN: Final = ("trades", "activeAssetCtx")
GLOBAL: Final = ("allDexsAssetCtxs",)


class NotSubscribable(Exception):
    """What a client asked for that is answered on the channel `error`."""


@dataclass
class Session:
    """One connection: what it wants to hear, and what waits to be sent."""

    socket: web.WebSocketResponse
    request: web.BaseRequest
    faults: Callable[[], Faults]
    subscriptions: set[Subscription] = field(default_factory=set)
    is_silent: bool = False
    _outbox: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    _held_back: str | None = None
    _to_lose: int = 0

    def say(self, channel: str, data: Any = None) -> None:
        """Queue a message as it is; what a fault held back follows it. Silence falls on whatever is said."""
        if self.faults().silence:
            self.fall_silent()
        if self.is_silent:
            return
        message = {"channel": channel} if data is None else {"channel": channel, "data": data}
        self._send(msgspec.json.encode(message).decode())

    def say_trades(self, rows: list[Json]) -> None:
        """Queue a trade message, which may meet a fault."""
        fault = self.faults().next_on_socket() if not self._to_lose else None
        if fault == "gap":
            self._to_lose = self.faults().gap_messages
        if fault == "silent":
            self.fall_silent()
        elif fault == "drop":
            self.cut()
        elif self._to_lose:
            self._to_lose -= 1
        elif fault == "reorder" and self._held_back is None:
            self._held_back = msgspec.json.encode({"channel": "trades", "data": rows}).decode()
        else:
            for _ in range(2 if fault == "duplicate" else 1):
                self.say("trades", rows)

    def _send(self, text: str) -> None:
        self._outbox.put_nowait(text)
        if self._held_back is not None:
            self._outbox.put_nowait(self._held_back)
            self._held_back = None
        if self._outbox.qsize() > MOST_WAITING:
            self.cut()

    def fall_silent(self) -> None:
        """Neither read nor write any more, so that protocol pings and a close go unanswered as well."""
        if not self.is_silent and self.request.transport is not None:
            self.request.transport.pause_reading()
        self.is_silent = True

    def cut(self) -> None:
        """End the connection as a broken line does, without a close frame."""
        self.is_silent = True
        if self.request.transport is not None:
            self.request.transport.abort()

    async def send_queued(self) -> None:
        """Send what is queued, for as long as the connection lasts."""
        with suppress(ConnectionError, RuntimeError):
            while True:
                await self.socket.send_str(await self._outbox.get())


@dataclass
class Sockets:
    """All connections of one server; `info` gives the endpoint as of now."""

    info: Callable[[], InfoEndpoint]
    faults: Callable[[], Faults]
    idle_s: float = 60.0
    opened: int = 0
    sessions: list[Session] = field(default_factory=list)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """One connection from the handshake to its end."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        session = Session(socket, request, self.faults)
        self.sessions.append(session)
        self.opened += 1
        sender = asyncio.create_task(session.send_queued())
        try:
            await self._listen(session)
        finally:
            sender.cancel()
            self.sessions.remove(session)
        return socket

    async def _listen(self, session: Session) -> None:
        while True:
            try:
                message = await asyncio.wait_for(session.socket.receive(), self.idle_s)
            except TimeoutError:
                if session.is_silent:
                    continue
                await session.socket.close(code=1000, message=b"Inactive")
                return
            if message.type is not WSMsgType.TEXT:
                return
            self._take(session, message.data)

    def _take(self, session: Session, text: str) -> None:
        try:
            self._obey(session, text)
        except (NotSubscribable, Unprocessable) as error:
            session.say("error", str(error))

    def _obey(self, session: Session, text: str) -> None:
        told = _told(text)
        if told["method"] == "ping":
            session.say("pong")
            return
        wanted = self._subscription(told.get("subscription"))
        shown = {key: value for key, value in zip(("type", "coin"), wanted, strict=True) if value}
        changes = told["method"] == "subscribe"
        if changes == (wanted in session.subscriptions):
            word = "Already subscribed" if changes else "Already unsubscribed"
            raise NotSubscribable(f"{word}: {msgspec.json.encode(shown).decode()}")
        session.say("subscriptionResponse", {"method": told["method"], "subscription": shown})
        if changes:
            session.subscriptions.add(wanted)
            self._say_contexts(session, [wanted])
        else:
            session.subscriptions.remove(wanted)

    def _subscription(self, asked: object) -> Subscription:
        kind, coin = (asked.get("type"), asked.get("coin")) if isinstance(asked, dict) else (None, None)
        if kind in GLOBAL:
            return str(kind), ""
        if kind not in PER_COIN or self.info().market.coin_index(str(coin)) is None:
            raise NotSubscribable(f"Invalid subscription {msgspec.json.encode(asked).decode()}")
        return str(kind), str(coin)

    def _say_contexts(self, session: Session, wanted: Iterable[Subscription]) -> None:
        info = self.info()
        for kind, coin in wanted:
            if kind == "activeAssetCtx":
                session.say(kind, {"coin": coin, "ctx": info.context(coin)})
            elif kind == "allDexsAssetCtxs":
                session.say(kind, {"ctxs": [[dex, info.contexts(dex)] for dex in info.dexes]})

    def publish(self, market: Market, rows: range) -> None:
        """Tell every session the trades `rows` of the market's, and the contexts as they are now."""
        sessions = [session for session in self.sessions if session.subscriptions]
        if not sessions:
            return
        for coin, message in _messages(market, rows, self.faults().clock_skew_ms):
            for session in sessions:
                if ("trades", coin) in session.subscriptions and not session.is_silent:
                    session.say_trades(message)
        for session in sessions:
            self._say_contexts(session, sorted(session.subscriptions))

    async def close(self) -> None:
        """End every connection, with a close frame where somebody may hear it."""
        for session in list(self.sessions):
            if session.is_silent:
                session.cut()
            else:
                with suppress(ConnectionError, RuntimeError, TimeoutError):
                    await asyncio.wait_for(session.socket.close(code=1001), 0.5)


def _told(text: str) -> Json:
    """A request that can be obeyed."""
    try:
        told = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        told = None
    if not isinstance(told, dict) or told.get("method") not in ("ping", "subscribe", "unsubscribe"):
        raise NotSubscribable(f"Error parsing JSON into valid websocket request: {text[:200]}")
    return told


def _messages(market: Market, rows: range, skew_ms: int) -> Iterable[tuple[str, list[Json]]]:
    """Trade messages in order: consecutive trades of one coin and minute, at most ten in each."""
    written = trade_rows(market, rows, skew_ms)
    for (coin, _), group in groupby(written, key=lambda row: (row["coin"], row["time"])):
        of_coin = list(group)
        for start in range(0, len(of_coin), TRADES_PER_MESSAGE):
            yield coin, of_coin[start : start + TRADES_PER_MESSAGE]
