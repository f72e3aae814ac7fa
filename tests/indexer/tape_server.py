"""A trade tape on a real socket, with the faults that the real one has."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from tests.loopback import answering_in_thread

NOW_MS = 1_788_000_000_000
COINS = 3


def trade(number: int, coin: str = "BTC", **other: Any) -> dict[str, Any]:
    """The `number`th trade: one coin bought by address 1 from address 2, a second after the one before."""
    return {
        "coin": coin,
        "side": "B",
        "px": "80000.0",
        "sz": "1.0",
        "time": NOW_MS + 1000 * number,
        "hash": "0x0",
        "tid": number,
        "users": ["0x" + "1" * 40, "0x" + "2" * 40],
        **other,
    }


@dataclass
class TapeServer:
    """Sends what `plan` holds to each connection in turn, once its three coins are subscribed; then as `then` says."""

    plan: list[list[Any]] = field(default_factory=list)
    then: str = "listen"
    subscribed: list[set[str]] = field(default_factory=list)
    pings: int = 0
    base_url: str = ""
    turns_away: list[web.Response] = field(default_factory=list)
    """What the first handshakes are answered with instead."""
    turned_away: int = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self.turned_away < len(self.turns_away):
            self.turned_away += 1
            return self.turns_away[self.turned_away - 1]
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        number = len(self.subscribed)
        self.subscribed.append(set())
        sent = False
        async for message in socket:
            if message.type != WSMsgType.TEXT:
                continue
            reported = msgspec.json.decode(message.data)
            if reported["method"] == "ping":
                self.pings += 1
                if self.then != "die" or number > 0:
                    await socket.send_str('{"channel":"pong"}')
                continue
            self.subscribed[number].add(reported["subscription"]["coin"])
            if not sent and len(self.subscribed[number]) == COINS:
                sent = True
                for batch in self.plan[number] if number < len(self.plan) else []:
                    if isinstance(batch, bytes):
                        await socket.send_frame(batch, WSMsgType.TEXT)
                    else:
                        await socket.send_str(batch if isinstance(batch, str) else _trades(batch))
                if self.then == "drop" and number < len(self.plan) - 1:
                    await asyncio.sleep(0.05)
                    break
        return socket


def _trades(batch: list[dict[str, Any]]) -> str:
    return msgspec.json.encode({"channel": "trades", "data": batch}).decode()


@contextmanager
def serving_tape(server: TapeServer) -> Iterator[TapeServer]:
    """On a loopback port, from a thread of its own."""
    app = web.Application()
    app.router.add_get("/ws", server.handle)
    with answering_in_thread(app) as server.base_url:
        yield server
