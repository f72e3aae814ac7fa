"""Listening to one liquidation stream, for as long as it is wanted: reconnected, resubscribed, its gaps on record.

A connection that drops, or does not answer pings, is made again with growing waits. What was pushed meanwhile cannot
be had again: the spans in which the stream was heard are kept, so that silence and deafness can be told apart. An
event that is sent twice is stored once, by its key; memory is bounded by flushing.
"""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import msgspec
import polars as pl
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

from estimator.errors import BadAnswer
from estimator.liquidations import LiquidationStream
from estimator.moments import of_ms
from estimator.transport import Malformed
from estimator.units import Contract

HEARTBEAT_S: Final = 20.0
FLUSH_S: Final = 5.0
MOST_HELD: Final = 5_000
FIRST_WAIT_S: Final = 0.5
LONGEST_WAIT_S: Final = 60.0
LASTING_S: Final = 60.0
"""A connection that lasted this long makes the next wait short again."""

FAULTS: Final = (OSError, EOFError, InvalidHandshake, InvalidMessage, ConnectionClosed, BadAnswer)

Keep = Callable[[str, str, pl.DataFrame], int]
"""Stores rows of a dataset of a coin; returns how many are new."""
Tell = Callable[..., None]
"""Takes an event's name and its facts."""


@dataclass
class StreamCounts:
    """What one listener heard; `malformed` messages are left out."""

    connects: int = 0
    drops: int = 0
    liquidations: int = 0
    malformed: int = 0


@dataclass
class Listener:
    """One stream for some markets of a venue; `keep` and `tell` are called from the loop.

    `clock_ms` is the venue's clock.
    """

    stream: LiquidationStream
    contracts: Sequence[Contract]
    coverage: str
    keep: Keep
    tell: Tell
    clock_ms: Callable[[], int]
    base_url: str | None = None
    first_wait_s: float = FIRST_WAIT_S
    flush_s: float = FLUSH_S
    heartbeat_s: float = HEARTBEAT_S
    counts: StreamCounts = field(default_factory=StreamCounts)
    _held: dict[str, list[pl.DataFrame]] = field(default_factory=dict)
    _since_ms: int | None = None
    _is_down: bool = False

    async def run(self) -> None:
        """Until cancelled; faults of the network never end it."""
        wait_s = self.first_wait_s
        while True:
            began_s = time.monotonic()
            try:
                await self._connected()
            except FAULTS as error:
                self._note(error)
            finally:
                self._end_span()
            if time.monotonic() - began_s > LASTING_S:
                wait_s = self.first_wait_s
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.5))
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    async def _connected(self) -> None:
        url = self.stream.url(self.base_url)
        pings = {"ping_interval": self.heartbeat_s, "ping_timeout": self.heartbeat_s}
        async with connect(url, close_timeout=1, max_size=16 * 2**20, **pings) as connection:  # type: ignore[arg-type]
            for subscription in self.stream.subscriptions([one.market_id for one in self.contracts]):
                await connection.send(msgspec.json.encode(subscription).decode())
            self._begin_span()
            beside = [asyncio.create_task(self._beat(connection)), asyncio.create_task(self._flushing())]
            try:
                while True:
                    self._take(await connection.recv())
            finally:
                for task in beside:
                    task.cancel()
                await asyncio.gather(*beside, return_exceptions=True)

    async def _beat(self, connection: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            while self.stream.ping is not None:
                await asyncio.sleep(self.heartbeat_s)
                await connection.send(self.stream.ping)

    async def _flushing(self) -> None:
        while True:
            await asyncio.sleep(self.flush_s)
            self.flush()

    def _take(self, message: str | bytes) -> None:
        try:
            events = self.stream.events(message)
            frames = {contract.coin: self.stream.frame(events, contract) for contract in self.contracts}
        except Malformed as error:
            self.counts.malformed += 1
            if self.counts.malformed == 1:
                self.tell("stream_malformed", reason=str(error))
            return
        for coin, frame in frames.items():
            if frame.height:
                self._held.setdefault(coin, []).append(frame)
        if sum(len(parts) for parts in self._held.values()) >= MOST_HELD:
            self.flush()

    def flush(self) -> None:
        """Store what is held, and until when the stream was heard."""
        held, self._held = self._held, {}
        for coin, parts in held.items():
            self.counts.liquidations += self.keep("liquidations", coin, pl.concat(parts))
        if self._since_ms is not None:
            for contract in self.contracts:
                self.keep("listening", contract.coin, self._span(self._since_ms))

    def _span(self, since_ms: int) -> pl.DataFrame:
        until = of_ms(max(self.clock_ms(), since_ms))
        return pl.DataFrame({"ts": [of_ms(since_ms)], "until": [until], "coverage": [self.coverage]})

    def _begin_span(self) -> None:
        self.counts.connects += 1
        self._since_ms = self.clock_ms()
        if self._is_down or self.counts.connects == 1:
            self.tell("stream_connected", coverage=self.coverage)
        self._is_down = False

    def _end_span(self) -> None:
        self.flush()
        self._since_ms = None

    def _note(self, error: Exception) -> None:
        """A fault is told once until the stream is heard again."""
        self.counts.drops += self._since_ms is not None
        if not self._is_down:
            self.tell("stream_down", reason=" ".join(str(error).split())[:200] or type(error).__name__)
        self._is_down = True
