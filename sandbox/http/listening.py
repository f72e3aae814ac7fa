"""A server on loopback that leaves no connection behind."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from liqtruth.sandbox.errors import SandboxRefused

SHUTDOWN_S: Final = 1.0
TURNS: Final = 3
"""Of the loop, from a client's being let in to its connection's being known, and from its abortion to its end."""


@asynccontextmanager
async def listening(
    server: web.Server, host: str = "127.0.0.1", port: int = 0, shutdown_s: float = SHUTDOWN_S
) -> AsyncIterator[int]:
    """The port at which `server` answers; port 0 takes a free one. Raises `SandboxRefused` where it is taken."""
    try:
        sockets = await asyncio.get_running_loop().create_server(server, host, port)
    except OSError as error:
        raise SandboxRefused(
            f"cannot listen on {host}:{port} ({error.strerror}); port 0 takes a free one"
        ) from error
    try:
        yield sockets.sockets[0].getsockname()[1]
    finally:
        await _take_no_more(sockets)
        await _let_go(server, shutdown_s)


async def _take_no_more(listening: asyncio.Server) -> None:
    """asyncio never closes a connection whose server's end overtakes it, so those let in get their turns first."""
    loop = asyncio.get_running_loop()
    for taking in listening.sockets:
        loop.remove_reader(taking.fileno())
    await _turns()
    listening.close()


async def _let_go(server: web.Server, shutdown_s: float) -> None:
    """aiohttp forgets a connection whose client reads no more before it is closed."""
    transports = [one.transport for one in server.connections]
    server.pre_shutdown()
    await server.shutdown(shutdown_s)
    for transport in transports:
        if transport is not None:
            transport.abort()
    await _turns()


async def _turns() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)
