"""The synthetic exchange on loopback, one port: Hyperliquid's `POST /info`, its socket at `/ws` and its leaderboard,
and the public REST and liquidation streams of the centralised venues that were simulated.

`serving` is for asynchronous callers, `serving_in_thread` for the SDK and other synchronous ones, `serve_forever` for
the command line. `live_speed` is in simulated seconds per second; None leaves the clock to `SandboxServer.advance`.
"""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

from aiohttp import web

from liqtruth.sandbox.exchange import SandboxServer
from liqtruth.sandbox.http.connections import listening
from liqtruth.sandbox.http.faults import Faults
from liqtruth.sandbox.hyperliquid.batches import Batches
from liqtruth.sandbox.hyperliquid.protocol import ProtocolParts
from liqtruth.sandbox.market.market import Market

__all__ = ["SandboxServer", "serve_forever", "serving", "serving_in_thread"]


@asynccontextmanager
async def serving(
    market: Market,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    weight_per_minute: int | None = 1200,
    faults: Faults | None = None,
    live_speed: float | None = None,
    socket_idle_s: float = 60.0,
    batches: Batches | None = None,
    protocol: ProtocolParts | None = None,
) -> AsyncIterator[SandboxServer]:
    """Serve inside the running event loop; port 0 takes a free one; a socket whose client sends nothing for
    `socket_idle_s` is closed."""
    server = SandboxServer(
        market,
        weight_per_minute,
        faults or Faults(),
        host,
        live_speed=live_speed,
        socket_idle_s=socket_idle_s,
        batches=batches or Batches(),
        protocol=protocol or ProtocolParts(),
    )
    server.loop = asyncio.get_running_loop()
    async with listening(web.Server(server.handle, access_log=None), host, port) as server.port:
        try:
            async with _keeping_time(server):
                yield server
        finally:
            for sockets in (server.sockets, server.provider_streams, *server.streams.values()):
                await sockets.close()


@asynccontextmanager
async def _keeping_time(server: SandboxServer) -> AsyncIterator[None]:
    """The clock runs inside; what went wrong with it is raised at the end."""
    clock = asyncio.create_task(server.keep_time())
    try:
        yield
    finally:
        clock.cancel()
        with suppress(asyncio.CancelledError):
            await clock


@contextmanager
def serving_in_thread(
    market: Market,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    weight_per_minute: int | None = 1200,
    faults: Faults | None = None,
    live_speed: float | None = None,
    socket_idle_s: float = 60.0,
    batches: Batches | None = None,
    protocol: ProtocolParts | None = None,
) -> Iterator[SandboxServer]:
    """Serve from a thread of its own, for callers that block."""
    started: list[SandboxServer] = []
    failed: list[BaseException] = []
    loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
    ready = threading.Event()

    async def run() -> None:
        stop = asyncio.Event()
        settings: dict[str, Any] = {
            "weight_per_minute": weight_per_minute,
            "faults": faults,
            "live_speed": live_speed,
            "socket_idle_s": socket_idle_s,
            "batches": batches,
            "protocol": protocol,
        }
        async with serving(market, host=host, port=port, **settings) as server:
            started.append(server)
            loops.append((asyncio.get_running_loop(), stop))
            ready.set()
            await stop.wait()

    def guard() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:
            failed.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=guard, name="liqtruth-sandbox", daemon=True)
    thread.start()
    ready.wait()
    if failed:
        raise failed[0]
    try:
        yield started[0]
    finally:
        loop, stop = loops[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join()
    if failed:
        raise failed[0]


def serve_forever(
    market: Market,
    host: str = "127.0.0.1",
    port: int = 0,
    weight_per_minute: int | None = 1200,
    on_ready: Callable[[SandboxServer], None] | None = None,
    live_speed: float | None = None,
    batches: Batches | None = None,
    protocol: ProtocolParts | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; prints nothing, `on_ready` is called when requests are taken."""
    asyncio.run(
        _until_signalled(market, host, port, weight_per_minute, on_ready, live_speed, batches, protocol)
    )


async def _until_signalled(
    market: Market,
    host: str,
    port: int,
    weight_per_minute: int | None,
    on_ready: Callable[[SandboxServer], None] | None,
    live_speed: float | None,
    batches: Batches | None,
    protocol: ProtocolParts | None,
) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):
            loop.add_signal_handler(signum, stop.set)
    settings: dict[str, Any] = {
        "weight_per_minute": weight_per_minute,
        "live_speed": live_speed,
        "batches": batches,
        "protocol": protocol,
    }
    async with serving(market, host=host, port=port, **settings) as server:
        if on_ready is not None:
            on_ready(server)
        await stop.wait()
