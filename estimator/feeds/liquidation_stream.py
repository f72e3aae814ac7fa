"""Listening to one liquidation stream, for as long as it is wanted: reconnected, resubscribed, its gaps on record.

A connection that drops, or does not answer pings, is made again with growing waits. What was pushed meanwhile cannot
be had again: the spans in which the stream was recorded are kept, so that a quiet market and a lost stream are
distinguished. An event that is sent twice is stored once, by its key; memory is bounded by flushing.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
import polars as pl
from websockets.asyncio.client import ClientConnection

from liqtruth.estimator.feeds.liquidations import Event, LiquidationStream
from liqtruth.estimator.venues.bounds import possible
from liqtruth.estimator.venues.spec import Contract
from liqtruth.estimator.venues.transport import UNREADABLE, Malformed
from liqtruth.heatmap.errors import ROWS, LeftOut, one_line
from liqtruth.heatmap.words.text import of_ms
from liqtruth.storage.errors import NotWritten
from liqtruth.storage.net.long_runs import Waits, beat, stay_connected, together

HEARTBEAT_S: Final = 20.0
FLUSH_S: Final = 5.0
MOST_BUFFERED: Final = 5_000
LARGEST_MESSAGE: Final = 2 * 2**20
"""Bytes, unpacked."""
FIRST_WAIT_S: Final = 0.5
LONGEST_WAIT_S: Final = 60.0
Keep = Callable[[str, str, pl.DataFrame], int]
"""Stores rows of a dataset of a coin; returns how many are new."""
Report = Callable[..., None]
"""Takes an event's name and its facts."""


@dataclass
class StreamCounts:
    """What one listener received; of `malformed` messages nothing could be read."""

    connects: int = 0
    drops: int = 0
    liquidations: int = 0
    malformed: int = 0


@dataclass
class Listener:
    """One stream for some markets of a venue; `keep` and `report` are called from the loop.

    `clock_ms` is the venue's clock. What cannot be read, or cannot be by that clock, is counted in `left_out` and
    logged once for each reason; the span of listening ends there, since nobody knows what was in it.
    """

    stream: LiquidationStream
    contracts: Sequence[Contract]
    coverage: str
    keep: Keep
    report: Report
    clock_ms: Callable[[], int]
    base_url: str | None = None
    first_wait_s: float = FIRST_WAIT_S
    flush_s: float = FLUSH_S
    heartbeat_s: float = HEARTBEAT_S
    counts: StreamCounts = field(default_factory=StreamCounts)
    left_out: LeftOut = field(default_factory=LeftOut)
    _buffer: dict[str, list[pl.DataFrame]] = field(default_factory=dict)
    _since_ms: int | None = None
    _is_down: bool = False

    async def run(self) -> None:
        """Until cancelled; only what cannot be written ends it (`NotWritten`)."""
        await stay_connected(
            self.stream.url(self.base_url),
            self._connected,
            self._note,
            Waits(self.first_wait_s, LONGEST_WAIT_S),
            max_size=LARGEST_MESSAGE,
            ping_interval=self.heartbeat_s,
            ping_timeout=self.heartbeat_s,
        )

    async def _connected(self, connection: ClientConnection) -> None:
        """One connection, to its end; what went wrong is raised, of several the first."""
        try:
            for subscription in self.stream.subscriptions([one.market_id for one in self.contracts]):
                await connection.send(msgspec.json.encode(subscription).decode())
            self._begin_span()
            work = [self._hear(connection), self._flushing()]
            if self.stream.ping is not None:
                work.append(beat(connection, self.stream.ping, self.heartbeat_s))
            await together(work)
        except Exception:
            self.counts.drops += self._since_ms is not None
            raise
        finally:
            self._end_span()

    async def _hear(self, connection: ClientConnection) -> None:
        while True:
            self._take(await connection.recv(decode=False))

    async def _flushing(self) -> None:
        while True:
            await asyncio.sleep(self.flush_s)
            self.flush()

    def _take(self, message: str | bytes) -> None:
        """Buffer what a message reports; what cannot be read is counted."""
        missed = LeftOut()
        try:
            self._hold(self.stream.events(message, missed), missed)
        except Malformed as error:
            self.counts.malformed += 1
            missed.note(str(error.args[0]), str(error.args[-1]))
        except UNREADABLE as error:
            self.counts.malformed += 1
            missed.note(f"a message that cannot be read ({type(error).__name__})", str(error))
        for line in self.left_out.take(missed, ROWS):
            self.report("stream_malformed", reason=line)
        if missed.total and self._since_ms is not None:
            self._since_ms = self.clock_ms()
        if sum(part.height for parts in self._buffer.values() for part in parts) >= MOST_BUFFERED:
            self.flush()

    def _hold(self, events: Sequence[Event], missed: LeftOut) -> None:
        named = {event[0] for event in events}
        now = of_ms(
            max(self.clock_ms(), int(1000 * time.time()))
        )  # a replayed venue's clock runs faster than ours
        for contract in self.contracts:
            if contract.market_id in named:
                frame = possible(self.stream.frame(events, contract), "liquidations", now, missed)
                if frame.height:
                    self._buffer.setdefault(contract.coin, []).append(frame)

    def flush(self) -> None:
        """Store the buffer, and until when the stream was recorded; what could not be stored stays in the buffer."""
        for coin in list(self._buffer):
            self.counts.liquidations += self.keep("liquidations", coin, pl.concat(self._buffer[coin]))
            del self._buffer[coin]
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
            self.report("stream_connected", coverage=self.coverage)
        self._is_down = False

    def _end_span(self) -> None:
        try:
            self.flush()
        finally:
            self._since_ms = None

    def _note(self, error: Exception) -> None:
        """A fault is reported once until the stream is connected again; one of our own disk is raised."""
        if isinstance(error, NotWritten):
            raise error
        if not self._is_down:
            self.report("stream_down", reason=one_line(str(error), 200) or type(error).__name__)
        self._is_down = True
