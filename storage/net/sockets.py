"""A websocket that is connected again for as long as it is wanted, whatever the network and the other end do to it.

Waits between connections double, and are short again after a connection that lasted. A dead connection does not report
it: `beat` sends pings of the application, and `within` ends a wait for a message that does not come. A redirect is a
refusal, wherever it leads.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

FAULTS: Final = (OSError, EOFError, WebSocketException)
"""What the network and whoever is at its other end can do to a connection."""
LASTING_S: Final = 60.0
"""A connection that lasted this long makes the next wait short again."""


@dataclass(frozen=True)
class Waits:
    """Between connections, in seconds: doubling from `first_s` to `longest_s`, each half of that more or less."""

    first_s: float = 0.5
    longest_s: float = 30.0


class _Straight(connect):
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
            async with _Straight(url, close_timeout=1, **options) as connection:
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
