"""What runs for days: how it ends, how it logs, how its loop goes on while a thread works, how it stays connected.

A websocket is connected again for as long as it is wanted. Waits between connections double, and are short again after
a connection that lasted. A dead connection does not report it: `beat` sends pings of the application, and `within` ends
a wait for a message that does not come. A redirect is a refusal, wherever it leads.
"""

import asyncio
import logging
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

Done = TypeVar("Done")
FAULTS: Final = (OSError, EOFError, WebSocketException)
"""What the network and whoever is at its other end can do to a connection."""
LASTING_S: Final = 60.0
"""A connection that lasted this long makes the next wait short again."""


def stopping(for_s: float | None) -> asyncio.Event:
    """An event that SIGINT, SIGTERM or the end of `for_s` sets; a second signal ends the process as usual."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def end() -> None:
        stop.set()
        for signum in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(signum)

    for signum in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError, RuntimeError):
            loop.add_signal_handler(signum, end)
    if for_s is not None:
        loop.call_later(for_s, stop.set)
    return stop


def log_to_stderr(as_json: bool, quiet: bool = False) -> None:
    """One line per event: for people on a terminal, JSON otherwise or where it is asked for."""
    render = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING if quiet else logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


async def aside(work: Callable[..., Done], *args: Any) -> Done:
    """What `work` gives, done by a thread; whoever is cancelled meanwhile still waits for its end."""
    return await whole(asyncio.to_thread(work, *args))


async def whole(work: Coroutine[Any, Any, Done]) -> Done:
    """What `work` gives; it is brought to its end even where the caller is cancelled meanwhile."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise


async def unless(stop: asyncio.Event, work: Coroutine[Any, Any, Done]) -> Done | None:
    """What `work` gives; null where `stop` is set first, which cancels it."""
    task, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([task, stopping], return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        await _ended([task, stopping])


async def together(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do all of it until one fails, which cancels the others; what it failed by is raised."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        await _ended(tasks)
    for task in done:
        task.result()


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do it during the block, whose end cancels it."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        await _ended([task])


async def _ended(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(frozen=True)
class Waits:
    """Between connections, in seconds: doubling from `first_s` to `longest_s`, each half of that more or less."""

    first_s: float = 0.5
    longest_s: float = 30.0


class Straight(connect):
    """A connection to the host that was asked for and no other."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def stay_connected(
    url: str,
    talk: Callable[[ClientConnection], Awaitable[None]],
    on_fault: Callable[[Exception], None],
    waits: Waits,
    **options: Any,
) -> None:
    """Connect to `url` and `talk`, over and over until cancelled; `options` are those of `websockets.connect`.

    `on_fault` gets what ended a connection, or kept it from being made; what it raises ends this.
    """
    wait_s = waits.first_s
    while True:
        began_s = time.monotonic()
        try:
            async with Straight(url, close_timeout=1, **options) as connection:
                await talk(connection)
        except Exception as error:
            on_fault(error)
        if time.monotonic() - began_s > LASTING_S:
            wait_s = waits.first_s
        await asyncio.sleep(wait_s * random.uniform(0.5, 1.5))
        wait_s = min(2 * wait_s, waits.longest_s)


async def beat(connection: ClientConnection, message: str, every_s: float) -> None:
    """Send `message` every `every_s` until the connection closes."""
    with suppress(ConnectionClosed):
        while True:
            await asyncio.sleep(every_s)
            await connection.send(message)


async def within(seconds: float, connection: ClientConnection) -> bytes:
    """The next message; raises `TimeoutError` where none comes within that time."""
    async with asyncio.timeout(seconds):
        return await connection.recv(decode=False)
