"""Connections of the sandbox: a server on loopback that leaves none behind, and what its sockets send.

A session is one socket: what waits to be sent, silence, faults, and the loop that reads it.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from aiohttp import WSMsgType, web

from liqtruth.sandbox.errors import SandboxRefused
from liqtruth.sandbox.http.faults import SPOILINGS, Faults, spoiled

MOST_WAITING: Final = 50_000
SHUTDOWN_S: Final = 1.0
TURNS: Final = 3
"""Of the loop, from a client's being let in to its connection's being known, and from its abortion to its end."""
Json = dict[str, Any]


def check_free(host: str, port: int) -> None:
    """Raises `SandboxRefused` where the port is taken now: what is served takes longer to make than to ask."""
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        raise _taken(host, port, error) from error


def _taken(host: str, port: int, error: OSError) -> SandboxRefused:
    return SandboxRefused(f"cannot listen on {host}:{port} ({error.strerror}); port 0 takes a free one")


@asynccontextmanager
async def listening(
    server: web.Server, host: str = "127.0.0.1", port: int = 0, shutdown_s: float = SHUTDOWN_S
) -> AsyncIterator[int]:
    """The port at which `server` answers; port 0 takes a free one. Raises `SandboxRefused` where it is taken."""
    try:
        sockets = await asyncio.get_running_loop().create_server(server, host, port)
    except OSError as error:
        raise _taken(host, port, error) from error
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


@dataclass
class Session:
    """One connection: its subscriptions, and what waits to be sent. `place` is the path it was opened at."""

    socket: web.WebSocketResponse
    request: web.BaseRequest
    faults: Callable[[], Faults]
    subscriptions: set[Any] = field(default_factory=set)
    is_silent: bool = False
    _outbox: asyncio.Queue[str | bytes] = field(default_factory=asyncio.Queue)
    _delayed: str | bytes | None = None
    _to_lose: int = 0

    @property
    def place(self) -> str:
        return self.request.path

    def send(self, message: Json | str) -> None:
        """Queue a message as it is; what a fault delayed follows it. A fault of silence starts with any message."""
        if self.faults().silence:
            self.fall_silent()
        if not self.is_silent:
            self._enqueue(_text(message))

    def send_event(self, message: Json | str) -> None:
        """Queue a message of what happened in the market, which may meet a fault."""
        if self.is_silent:
            return
        fault = self.faults().next_on_socket() if not self._to_lose else None
        if fault == "gap":
            self._to_lose = self.faults().gap_messages
        if fault == "silent":
            self.fall_silent()
        elif fault == "drop":
            self.cut()
        elif self._to_lose:
            self._to_lose -= 1
        elif fault == "reorder" and self._delayed is None:
            self._delayed = _text(message)
        elif fault is not None and fault in SPOILINGS:
            self._enqueue(spoiled(fault, _text(message).encode()))
        else:
            for _ in range(2 if fault == "duplicate" else 1):
                self.send(message)

    def send_bytes(self, message: bytes) -> None:
        """Queue a text message of bytes that need not be text."""
        if not self.is_silent:
            self._outbox.put_nowait(message)

    def _enqueue(self, text: str | bytes) -> None:
        self._outbox.put_nowait(text)
        if self._delayed is not None:
            self._outbox.put_nowait(self._delayed)
            self._delayed = None
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
                message = await self._outbox.get()
                whole = message if isinstance(message, bytes) else message.encode()
                await self.socket.send_frame(whole, WSMsgType.TEXT)  # bytes that are no text stay as they are


@dataclass
class Connections:
    """All connections of one kind; what a client sends goes to `take`, which a subclass gives its protocol."""

    faults: Callable[[], Faults]
    idle_s: float | None = 60.0
    opened: int = 0
    sessions: list[Session] = field(default_factory=list)

    def welcome(self, session: Session) -> None:
        """What a connection subscribes to by its address."""

    def take(self, session: Session, text: str) -> None:
        """Do what the client asked, or answer why not."""
        raise NotImplementedError

    async def handle(self, request: web.BaseRequest, headers: dict[str, str]) -> web.StreamResponse:
        """One connection from the handshake, answered with `headers`, to its end."""
        socket = web.WebSocketResponse()
        socket.headers.update(headers)
        await socket.prepare(request)
        session = Session(socket, request, self.faults)
        self.welcome(session)
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
            self.take(session, message.data)

    async def close(self) -> None:
        """End every connection, with a close frame where somebody may read it."""
        for session in list(self.sessions):
            if session.is_silent:
                session.cut()
            else:
                with suppress(ConnectionError, RuntimeError, TimeoutError):
                    await asyncio.wait_for(session.socket.close(code=1001), 0.5)


def _text(message: Json | str) -> str:
    return message if isinstance(message, str) else msgspec.json.encode(message).decode()
