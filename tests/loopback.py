"""Applications of tests on loopback."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from aiohttp import web

from liqtruth.sandbox.http.connections import listening


@asynccontextmanager
async def answering(app: web.Application, **options: Any) -> AsyncIterator[str]:
    """The base URL of `app` in the running loop."""
    runner = web.AppRunner(app, shutdown_timeout=0.1, **options)
    await runner.setup()
    assert runner.server is not None
    try:
        async with listening(runner.server, shutdown_s=0.1) as port:
            yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@contextmanager
def answering_in_thread(app: web.Application, **options: Any) -> Iterator[str]:
    """The base URL of `app` in a thread of its own."""
    ready, urls = threading.Event(), list[str]()
    stops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def run() -> None:
        async with answering(app, **options) as url:
            urls.append(url)
            stops.append((asyncio.get_running_loop(), asyncio.Event()))
            ready.set()
            await stops[0][1].wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield urls[0]
    finally:
        loop, stop = stops[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
