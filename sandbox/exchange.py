"""The running synthetic exchange: what one request is answered, and the clock.

The clock stands at the end of the history unless the market was simulated further (`MarketSpec.live_hours`): then
`live_speed` simulated seconds pass in a real one, or `advance` moves the clock by hand. All answers are as of the last
full minute of the clock; at the end of what was simulated the clock stands for good. Every answer says that it is
synthetic in its `Server` header.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import msgspec
import polars as pl
from aiohttp import web

from sandbox.binance import BinanceApi
from sandbox.binance_query import Rejected
from sandbox.errors import SandboxRefused
from sandbox.faults import Faults
from sandbox.hyperliquid import InfoEndpoint, Unprocessable, items_of
from sandbox.live import Live
from sandbox.market import Market
from sandbox.sockets import Sockets
from sandbox.truth import HYPERLIQUID, true_liquidations, true_positions
from sandbox.weights import WeightBudget, weight_of

SERVER_NAME: Final = "liqtruth-sandbox (synthetic)"
JSON: Final = "application/json"
LEADERBOARD: Final = "/Mainnet/leaderboard"
STATS: Final = (LEADERBOARD, "/Mainnet/vaults")
MINUTE_MS: Final = 60_000
TICK_S: Final = 0.05
PAGE: Final = b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1>synthetic fault</body></html>"


@dataclass
class SandboxServer:
    """A running synthetic exchange and its counters. `faults` may be changed while it runs; `market` is the market as
    of the clock's last full minute."""

    market: Market
    weight_per_minute: int | None
    faults: Faults
    host: str = "127.0.0.1"
    port: int = 0
    requests: Counter[str] = field(default_factory=Counter)
    count_429: int = 0
    live_speed: float | None = None
    socket_idle_s: float = 60.0

    def __post_init__(self) -> None:
        self._budget = WeightBudget(self.weight_per_minute)
        self._live = Live(self.market)
        self.market = self._live.market
        self._now_ms = float(self.market.as_of_ms)
        self._info = InfoEndpoint(self.market, lambda: int(self._now_ms))
        self._binance = BinanceApi(self.market)
        self.sockets = Sockets(lambda: self._info, lambda: self.faults, self.socket_idle_s)
        self.loop: asyncio.AbstractEventLoop | None = None

    @property
    def as_of(self) -> datetime:
        """The last full minute of the clock, of which all answers are."""
        return self.market.as_of

    @property
    def now(self) -> datetime:
        """The clock."""
        return datetime.fromtimestamp(self._now_ms / 1000, UTC)

    @property
    def ends_ms(self) -> int:
        """Where the clock will stand for good."""
        return self.market.as_of_ms + MINUTE_MS * (self._live.last_point - self.market.point)

    def true_positions(self, venue: str = HYPERLIQUID) -> pl.DataFrame:
        """`sandbox.truth.true_positions` as of the clock."""
        return true_positions(self.market, venue)

    def true_liquidations(self, venue: str = HYPERLIQUID) -> pl.DataFrame:
        """`sandbox.truth.true_liquidations` as of the clock."""
        return true_liquidations(self.market, venue)

    def advance(self, seconds: float) -> None:
        """Let simulated time pass; what happens in it is traded, told on the sockets and in all answers on return.

        From any thread. Refuses to pass the end of what was simulated.
        """
        if seconds < 0 or self._now_ms + 1000 * seconds > self.ends_ms:
            left_s = (self.ends_ms - self._now_ms) / 1000
            raise SandboxRefused(
                f"cannot advance by {seconds:g} s, {left_s:g} s are left; MarketSpec(live_hours=...) simulates more"
            )
        loop = self.loop
        if loop is None or _runs_here(loop):
            self._pass(1000 * seconds)
        else:
            asyncio.run_coroutine_threadsafe(self._pass_in_loop(1000 * seconds), loop).result()

    async def _pass_in_loop(self, milliseconds: float) -> None:
        self._pass(milliseconds)

    def _pass(self, milliseconds: float) -> None:
        """Move the clock, at most to its end, and the market with it."""
        before = self.market
        self._now_ms = min(self._now_ms + milliseconds, self.ends_ms)
        point = before.point + int(self._now_ms - before.as_of_ms) // MINUTE_MS
        if point == before.point:
            return
        traded = before.trades.size
        self.market = self._live.advance_to(point)
        self._info, self._binance = self._info.at(self.market), self._binance.at(self.market)
        self.sockets.publish(self.market, range(traded, self.market.trades.size))

    async def keep_time(self) -> None:
        """Let time pass at `live_speed` until cancelled or the end."""
        loop = asyncio.get_running_loop()
        last = loop.time()
        while self.live_speed is not None and self._now_ms < self.ends_ms:
            await asyncio.sleep(TICK_S)
            now, before = loop.time(), last
            last = now
            self._pass(1000 * (now - before) * self.live_speed)

    @property
    def base_url(self) -> str:
        """Hyperliquid: requests go to `{base_url}/info`."""
        return f"http://{self.host}:{self.port}"

    @property
    def binance_url(self) -> str:
        return self.base_url

    @property
    def weight_spent(self) -> int:
        return self._budget.spent_total

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request: delay, fault or answer; a request for the socket becomes one."""
        if request.path == "/ws":
            return await self.sockets.handle(request)
        if self.faults.delay_s > 0:
            await asyncio.sleep(self.faults.delay_s)
        status, body = await self._answer(request)
        fault = self.faults.next()
        if fault is not None:
            return await self._faulty(fault, request, body)
        self.count_429 += status == 429
        return _response(status, body)

    async def _answer(self, request: web.BaseRequest) -> tuple[int, bytes]:
        if request.path == "/info":
            return self._answer_info(request.method, await request.read())
        if request.path in STATS:
            return self._answer_stats(request.path)
        return self._answer_binance(request.path, dict(request.query))

    def _answer_info(self, method: str, raw: bytes) -> tuple[int, bytes]:
        if method != "POST":
            return 405, b""
        try:
            body = msgspec.json.decode(raw)
        except msgspec.DecodeError:
            return 400, b"Failed to parse the request body as JSON"
        if not isinstance(body, dict):
            return 422, b"Failed to deserialize the JSON body into the target type"
        kind = str(body.get("type"))
        self.requests[kind] += 1
        try:
            answer = self._info.answer(body)
        except Unprocessable as error:
            return 422, str(error).encode()
        weight = weight_of(kind, items_of(kind, answer))
        if not self._budget.spend(weight, asyncio.get_running_loop().time()):
            return 429, b"null"
        return 200, msgspec.json.encode(answer)

    def _answer_stats(self, path: str) -> tuple[int, bytes]:
        """What stats-data serves on a host of its own, with no weight."""
        self.requests[path] += 1
        directory = self._info.directory
        answer = directory.leaderboard() if path == LEADERBOARD else directory.all_vaults()
        return 200, msgspec.json.encode(answer)

    def _answer_binance(self, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        self.requests[path] += 1
        try:
            return 200, msgspec.json.encode(self._binance.answer(path, query))
        except Rejected as error:
            return 400, msgspec.json.encode({"code": error.code, "msg": str(error)})
        except KeyError:
            return 404, b"<html><body>404 Not found</body></html>"

    async def _faulty(self, fault: str, request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        if fault == "429":
            self.count_429 += 1
            return _response(429, b"null")
        if fault == "500":
            return _response(500, b"Internal Server Error")
        if fault == "html":
            return web.Response(body=PAGE, content_type="text/html", headers={"Server": SERVER_NAME})
        return await self._cut_off(request, body if fault == "truncated" else b"")

    async def _cut_off(self, request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        """Close the connection, for a truncated answer after half of the promised body."""
        response = web.StreamResponse(headers={"Server": SERVER_NAME, "Content-Type": JSON})
        if body:
            response.content_length = len(body)
            await response.prepare(request)
            await response.write(body[: len(body) // 2])
        if request.transport is not None:
            request.transport.close()
        return response


def _response(status: int, body: bytes) -> web.Response:
    is_json = body[:1] in (b"{", b"[", b'"') or body == b"null"
    kind = JSON if is_json else "text/plain"
    return web.Response(status=status, body=body, content_type=kind, headers={"Server": SERVER_NAME})


def _runs_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
