"""A WebSocket server that speaks for a venue's liquidation stream: it says what the test wrote, and may hang up."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed


@dataclass
class PushServer:
    """Per connection: the text messages to send, after which it hangs up, or stays where it is the last.

    Bytes are sent as text too, whatever they are.
    """

    scripts: Sequence[Sequence[str | bytes]]
    received: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    url: str = ""

    async def handle(self, connection: ServerConnection) -> None:
        number = len(self.paths)
        assert connection.request is not None
        self.paths.append(connection.request.path)
        listening = asyncio.create_task(self._listen(connection))
        for message in self.scripts[min(number, len(self.scripts) - 1)]:
            await connection.send(message, text=True)
        if number >= len(self.scripts) - 1:
            await connection.wait_closed()
        await asyncio.sleep(0.05)  # what the client says on connecting is still on its way
        listening.cancel()

    async def _listen(self, connection: ServerConnection) -> None:
        try:
            async for message in connection:
                self.received.append(str(message))
        except ConnectionClosed:
            return


@asynccontextmanager
async def pushing(*scripts: Sequence[str | bytes]) -> AsyncIterator[PushServer]:
    """Serve on a free port of loopback."""
    spoken = PushServer(scripts)
    async with serve(spoken.handle, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        spoken.url = f"http://127.0.0.1:{port}"
        yield spoken
