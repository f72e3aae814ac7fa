"""The running synthetic exchange: what one request is answered, and the clock.

The clock stands at the end of the history unless the market was simulated further (`MarketSpec.live_hours`): then
`live_speed` simulated seconds pass in a real one, or `advance` moves the clock by hand. All answers are as of the last
full minute of the clock; at the end of what was simulated the clock stands for good. Every answer states that it is
synthetic in its `Server` header.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import msgspec
import polars as pl
from aiohttp import web

from liqtruth.heatmap.files import NOT_DECODED
from liqtruth.sandbox.errors import SandboxRefused
from liqtruth.sandbox.http.connections import Connections
from liqtruth.sandbox.http.faults import SERVER_NAME, Faults, faulty, response
from liqtruth.sandbox.http.misbehaviour import Misbehaviour, moved
from liqtruth.sandbox.hyperliquid.batches import PLACE, Batches
from liqtruth.sandbox.hyperliquid.evm import EvmEndpoint, EvmNode
from liqtruth.sandbox.hyperliquid.info import InfoEndpoint, Unprocessable, WeightBudget, items_of, weight_of
from liqtruth.sandbox.hyperliquid.protocol import ProtocolParts
from liqtruth.sandbox.hyperliquid.provider_streams import ProviderStreams, provider_at
from liqtruth.sandbox.hyperliquid.sockets import Sockets
from liqtruth.sandbox.live import Live
from liqtruth.sandbox.market.market import HYPERLIQUID, Market
from liqtruth.sandbox.market.population import BINANCE, BYBIT, OKX
from liqtruth.sandbox.public.forced_orders import forced_orders
from liqtruth.sandbox.truth import true_liquidations, true_positions
from liqtruth.sandbox.venues.binance import NOT_FOUND, BinanceApi
from liqtruth.sandbox.venues.bybit import BybitApi
from liqtruth.sandbox.venues.liquidation_streams import NEEDS_PINGS, STREAMS, venue_at
from liqtruth.sandbox.venues.okx import OkxApi

LEADERBOARD: Final = "/Mainnet/leaderboard"
EVM: Final = "/evm"
STATS: Final = (LEADERBOARD, "/Mainnet/vaults")
MINUTE_MS: Final = 60_000
TICK_S: Final = 0.05
EVM_PER_MINUTE: Final = 100


class VenueApi(Protocol):
    """A centralised venue's REST as of one moment."""

    @classmethod
    def of(cls, market: Market) -> "VenueApi": ...

    def at(self, market: Market) -> "VenueApi": ...

    def respond(self, path: str, query: Mapping[str, str]) -> tuple[int, Any]: ...


APIS: Final[Mapping[str, type[VenueApi]]] = {BINANCE: BinanceApi, BYBIT: BybitApi, OKX: OkxApi}
PREFIXES: Final = {"/v5/": BYBIT, "/api/v5/": OKX}


@dataclass
class SandboxServer:
    """A running synthetic exchange and its counters. `faults` and `misbehaviour` may be changed while it runs; `market`
    is the market as of the clock's last full minute."""

    market: Market
    weight_per_minute: int | None
    faults: Faults
    host: str = "127.0.0.1"
    port: int = 0
    requests: Counter[str] = field(default_factory=Counter)
    count_429: int = 0
    live_speed: float | None = None
    socket_idle_s: float = 60.0
    misbehaviour: Misbehaviour = field(default_factory=Misbehaviour)
    evm_node: EvmNode = field(default_factory=EvmNode)
    batches: Batches = field(default_factory=Batches)
    protocol: ProtocolParts = field(default_factory=ProtocolParts)

    def __post_init__(self) -> None:
        self._budget = WeightBudget(self.weight_per_minute)
        self._evm_budget = WeightBudget(None if self.weight_per_minute is None else EVM_PER_MINUTE)
        self._live = Live(self.market)
        self.market = self._live.market
        self._now_ms = float(self.market.as_of_ms)
        self.provider_streams = ProviderStreams(lambda: self.faults, self.protocol)
        self._info = InfoEndpoint(self.market, lambda: int(self._now_ms), self.batches, self.protocol)
        self._evm = EvmEndpoint(self._info.book, self.evm_node)
        self._apis = {name: api.of(self.market) for name, api in APIS.items() if name in self.market.venues}
        self.sockets = Sockets(lambda: self._info, lambda: self.faults, self.socket_idle_s)
        self.streams = {
            name: STREAMS[name](
                self.market.venue(name).rules.assets,
                lambda: self.faults,
                self.socket_idle_s if name in NEEDS_PINGS else None,
            )
            for name in self._apis
        }
        for stream in self.streams.values():
            stream.misbehaviour = self.misbehaviour
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
        """Let simulated time pass; what happens in it is traded, and is on the sockets and in all answers on return.

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
        self._info = self._info.at(self.market)
        self._evm = EvmEndpoint(self._info.book, self.evm_node)
        self._apis = {name: api.at(self.market) for name, api in self._apis.items()}
        for sockets in (self.sockets, self.provider_streams):
            sockets.publish(self.market, range(traded, self.market.trades.size))
        for name, stream in self.streams.items():
            if stream.sessions:
                stream.publish(forced_orders(self.market, name, before.point))

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
    def evm_url(self) -> str:
        """HyperEVM's JSON-RPC."""
        return f"{self.base_url}{EVM}"

    @property
    def batch_url(self) -> str:
        """A provider's batches by JSON-RPC, where they are served; with `/info` after it as the info endpoint's."""
        return f"{self.base_url}{PLACE}"

    def provider_url(self, name: str) -> str:
        """Where that provider's stream of fills is: alchemy, goldrush or hydromancer."""
        return f"{self.base_url}/{name}"

    @property
    def binance_url(self) -> str:
        """Requests go to `{binance_url}/fapi/...` and `{binance_url}/futures/data/...`."""
        return self.base_url

    @property
    def bybit_url(self) -> str:
        """Requests go to `{bybit_url}/v5/...`."""
        return self.base_url

    @property
    def okx_url(self) -> str:
        """Requests go to `{okx_url}/api/v5/...`."""
        return self.base_url

    @property
    def venue_urls(self) -> dict[str, str]:
        """Of the centralised venues that were simulated."""
        urls = {BINANCE: self.binance_url, BYBIT: self.bybit_url, OKX: self.okx_url}
        return {name: urls[name] for name in self._apis}

    @property
    def stream_url(self) -> str:
        """Where the sockets of all venues are, at the paths that `sandbox.venues.liquidation_streams` lists."""
        return f"ws://{self.host}:{self.port}"

    @property
    def weight_spent(self) -> int:
        return self._budget.spent_total

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request: delay, fault or answer; a request for the socket becomes one."""
        sockets = self._sockets_at(request)
        if sockets is not None and self.faults.turns_away():
            return response(307, b"", {"Location": self.faults.redirect_to})
        if sockets is not None:
            if sockets in self.streams.values() and self.misbehaviour.meets_a_redirect():
                return moved(request, SERVER_NAME)
            return await sockets.handle(request, {"Server": SERVER_NAME})
        if (delay_s := self.faults.next_delay_s()) > 0:
            await asyncio.sleep(delay_s)
        status, body = await self._answer(request)
        fault = self.faults.next()
        if fault is not None:
            self.count_429 += fault in ("429", "odd_retry_after")
            return await faulty(fault, self.faults, request, status, body)
        spoiled = await self._spoiled(request, body)
        if spoiled is not None:
            return spoiled
        self.count_429 += status == 429
        return response(status, body)

    def _sockets_at(self, request: web.BaseRequest) -> Connections | None:
        """Where a request for a socket belongs."""
        if request.path == "/ws":
            return self.sockets
        if provider_at(request.path) is not None:
            return self.provider_streams
        is_upgrade = request.headers.get("Upgrade", "").lower() == "websocket"
        return self.streams.get(venue_at(request.path) or "") if is_upgrade else None

    async def _answer(self, request: web.BaseRequest) -> tuple[int, bytes]:
        if request.path == "/info":
            return self._answer_info(request.method, await request.read())
        if request.path == EVM:
            return self._answer_evm(await request.read())
        if request.path.startswith(PLACE):
            return self._answer_batch(request, await request.read())
        if request.path in STATS:
            return self._answer_stats(request.path)
        return self._answer_venue(request.path, dict(request.query))

    async def _spoiled(self, request: web.BaseRequest, body: bytes) -> web.StreamResponse | None:
        """What a centralised venue gets wrong; Hyperliquid's faults are `faults` alone."""
        if request.path in ("/info", EVM, *STATS) or request.path.startswith(PLACE):
            return None
        return await self.misbehaviour.answer(request, body, SERVER_NAME)

    def _answer_info(self, method: str, raw: bytes) -> tuple[int, bytes]:
        if method != "POST":
            return 405, b""
        try:
            body = msgspec.json.decode(raw)
        except NOT_DECODED:
            return 400, b"Failed to parse the request body as JSON"
        if not isinstance(body, dict):
            return 422, b"Failed to deserialize the JSON body into the target type"
        kind = str(body.get("type"))
        self.requests[kind] += 1
        if (body.get("dex") or "") in self.faults.failing_dexes:
            return 500, b"Internal Server Error"
        try:
            answer = self._info.answer(body)
        except Unprocessable as error:
            return 422, str(error).encode()
        weight = weight_of(kind, items_of(kind, answer))
        if not self._budget.spend(weight, asyncio.get_running_loop().time()):
            return 429, b"null"
        return 200, msgspec.json.encode(answer)

    def _answer_evm(self, raw: bytes) -> tuple[int, bytes]:
        """Every request counts as one of the minute's, whatever it asks."""
        self.requests[EVM] += 1
        if not self._evm_budget.spend(1, asyncio.get_running_loop().time()):
            return 429, b"null"
        try:
            body = msgspec.json.decode(raw)
        except NOT_DECODED:
            return 400, b"Failed to parse the request body as JSON"
        return 200, msgspec.json.encode(self._evm.answer(body))

    def _answer_batch(self, request: web.BaseRequest, raw: bytes) -> tuple[int, bytes]:
        """A provider's batches, at no weight of the exchange's."""
        self.requests[PLACE] += 1
        try:
            body = msgspec.json.decode(raw, type=dict[str, Any])
        except NOT_DECODED:
            return 400, b"Failed to parse the request body as JSON"
        key = request.headers.get("Authorization", "")
        status, answer = self.batches.respond(request.path, body, key, self._info.book.clearinghouse)
        return status, msgspec.json.encode(answer)

    def _answer_stats(self, path: str) -> tuple[int, bytes]:
        """What stats-data serves on a host of its own, with no weight."""
        self.requests[path] += 1
        directory = self._info.directory
        answer = directory.leaderboard() if path == LEADERBOARD else directory.all_vaults()
        return 200, msgspec.json.encode(answer)

    def _answer_venue(self, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        """A centralised venue by its path; one that is not simulated is not found."""
        self.requests[path] += 1
        name = next((name for prefix, name in PREFIXES.items() if path.startswith(prefix)), BINANCE)
        api = self._apis.get(name)
        status, answer = api.respond(path, query) if api is not None else (404, NOT_FOUND)
        return status, answer.encode() if isinstance(answer, str) else msgspec.json.encode(answer)


def _runs_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
