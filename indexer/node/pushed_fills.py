"""Realised liquidations as a provider pushes them, for as long as it is wanted.

A connection that drops, or on which nothing comes although pings are sent, is made again with growing waits; what was
pushed meanwhile is lost, so spans of listening end there. A span begins with the answer to the subscription. A
liquidation is many fills, which may come in several messages: fills of the last minutes are grouped anew each time.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
import polars as pl
import structlog
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus

from liqtruth.heatmap.errors import LeftOut, one_line
from liqtruth.heatmap.words.notes import source_of
from liqtruth.heatmap.words.text import counted, usd
from liqtruth.indexer.frames import LIQUIDATIONS
from liqtruth.indexer.info.budget import Budget, Patience
from liqtruth.indexer.info.client import InfoClient
from liqtruth.indexer.node.events import Fill
from liqtruth.indexer.node.fill_streams import LARGEST_MESSAGE, FillStream, StreamRefused, pushed
from liqtruth.indexer.node.fills import COLUMNS, DATASET, KEY, ONE_FILL, Found, unnamed
from liqtruth.indexer.node.public_fills import larger, liquidations_of
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.storage.lake.listening import LISTENING, SPAN_KEY, SPANS
from liqtruth.storage.net.keys import KEY_REFUSED, without_key
from liqtruth.storage.net.long_runs import FAULTS, Waits, beat, stay_connected, stopping, together, unless
from liqtruth.storage.store import Store

FLUSH_S: Final = 10.0
HEARTBEAT_S: Final = 20.0
TOGETHER: Final = timedelta(minutes=5)
"""Fills of one liquidation come within seconds of each other."""
BRIEF: Final = Patience(attempts=2, total_s=5.0)

log = structlog.get_logger("liqtruth.liquidations")


@dataclass
class PushedLiquidations:
    """What a provider pushed while it was listened to: `fills`, out of which `added` liquidations are new; in all
    `liquidations` are stored of that time. `connects` and `drops` are of the connection, `unnamed` fills are of
    liquidations of nobody."""

    provider: str
    source: str
    coverage: str
    since: datetime | None = None
    until: datetime | None = None
    fills: int = 0
    liquidations: int = 0
    added: int = 0
    notional_usd: float = 0.0
    coins: set[str] = field(default_factory=set)
    connects: int = 0
    drops: int = 0
    unnamed: int = 0
    left_out: LeftOut = field(default_factory=LeftOut)

    def raise_if_partly(self) -> None:
        """Raise `PartlyRead` where a message or a fill could not be read."""
        self.left_out.raise_any("what could be read is stored")

    def describe(self) -> list[str]:
        """Lines for people."""
        if self.since is None or self.until is None:
            return [
                f"{self.provider} at {self.source}: the subscription was never answered; nothing is stored"
            ]
        span = f"{self.since:%Y-%m-%d %H:%M:%S} to {self.until:%Y-%m-%d %H:%M:%S} UTC"
        lines = [
            f"{self.provider} at {self.source}, {span}: {counted(self.liquidations, 'liquidation')} of "
            f"{usd(self.notional_usd)} in {counted(len(self.coins), 'coin')}, {self.added:,} new, out of "
            f"{counted(self.fills, 'fill')}",
            f"  coverage: {self.coverage}; connected {self.connects} times, dropped {self.drops}",
        ]
        if self.unnamed:
            lines.append(
                f"  {counted(self.unnamed, 'fill')} with a liquidation of no named account, left out"
            )
        return [*lines, *(f"  {line}" for line in self.left_out.describe())]


def listen(
    store: Store,
    stream: FillStream,
    exchange_url: str,
    for_s: float | None = None,
    base_url: str | None = None,
    flush_s: float = FLUSH_S,
    on_ready: Callable[["Listener"], None] = lambda listener: None,
) -> PushedLiquidations:
    """Listen until a signal (or `for_s`) ends it; `exchange_url` tells the time.

    Raises `BadInput` without a key or where it would go over the net in the clear, `StreamRefused` where the provider
    takes it not.
    """
    key = stream.key(store.settings)
    listener = Listener(store, stream, key, base_url, flush_s)
    return asyncio.run(_listened(listener, exchange_url, for_s, on_ready))


async def _listened(
    listener: "Listener", exchange_url: str, for_s: float | None, on_ready: Callable[["Listener"], None]
) -> PushedLiquidations:
    stop = listener.stop = stopping(for_s)
    async with InfoClient(
        exchange_url, Budget(None), listener.store.settings.request_timeout_s, patience=BRIEF
    ) as info:
        listener.info = info
        await info.reported_time_s()
        listener.report.source = source_of(listener.shown, info.headers.get("server", ""))
        on_ready(listener)
        try:
            await unless(stop, listener.run())
        finally:
            await listener.flush()
            listener.summarise()
    return listener.report


class Listener:
    """One provider's stream; `report` is what came so far."""

    def __init__(
        self,
        store: Store,
        stream: FillStream,
        key: str,
        base_url: str | None = None,
        flush_s: float = FLUSH_S,
    ) -> None:
        self.store, self.stream = store, stream
        self.shown = stream.shown(base_url)
        self.report = PushedLiquidations(stream.name, self.shown, stream.coverage)
        self.info: InfoClient | None = None
        self._key, self._url, self._flush_s = key, stream.url(base_url, key), flush_s
        self._found = Found()
        self._recent = pl.DataFrame(schema=dict(COLUMNS))
        self.stop = asyncio.Event()
        self._since: datetime | None = None
        self._is_down = False

    @property
    def now_s(self) -> float:
        """The exchange's clock as it was last reported, else ours."""
        return time.time() if self.info is None else self.info.now_s

    async def run(self) -> None:
        """Until cancelled; ends with `StreamRefused` where the provider refuses."""
        await stay_connected(
            self._url,
            self._talk,
            self._note,
            Waits(),
            max_size=LARGEST_MESSAGE,
            ping_interval=HEARTBEAT_S,
            ping_timeout=HEARTBEAT_S,
        )

    async def _talk(self, connection: ClientConnection) -> None:
        await connection.send(msgspec.json.encode(self.stream.subscription).decode())
        self.report.connects += 1
        work = [self._hear(connection), self._flushing()]
        if self.stream.ping is not None:
            work.append(beat(connection, self.stream.ping, HEARTBEAT_S))
        try:
            await together(work)
        finally:
            await self.flush()
            self._since = None

    async def _hear(self, connection: ClientConnection) -> None:
        while True:
            message = pushed(
                await connection.recv(decode=False), self.report.left_out, max(self.now_s, time.time())
            )  # a replayed exchange's clock runs faster than ours
            if message.answer is not None:
                await connection.send(message.answer)
            if message.acknowledged and self._since is None:
                self._since = self._now()
                self.report.since = self.report.since or self._since
                self._is_down = False
                log.info("stream connected", provider=self.stream.name, coverage=self.stream.coverage)
            self.report.fills += message.fills
            for address, fill in message.liquidations:
                self._keep(address, fill)

    def _keep(self, address: str, fill: Fill) -> None:
        assert fill.liquidation is not None
        self._found.add(address, fill, fill.liquidation)

    async def _flushing(self) -> None:
        while True:
            await asyncio.sleep(self._flush_s)
            await self.flush()
            log.info("stored", fills=self.report.fills, new=self.report.added)

    async def flush(self) -> None:
        """Store what came, and until when the stream was listened to."""
        if self.info is not None:
            await self.info.reported_time_s()
        fresh, self._found = self._found.frame(), Found()
        self.report.unnamed += unnamed(fresh)
        if fresh.height:
            both = pl.concat([self._recent, fresh]).unique(list(ONE_FILL), keep="first", maintain_order=True)
            own, opposite = liquidations_of(both)
            self._store(pl.concat([own, opposite.join(own, on=list(KEY), how="anti")]).sort(*KEY))
            newest = int(both["ts"].max())  # type: ignore[arg-type]
            self._recent = both.filter(pl.col("ts") >= newest - int(TOGETHER.total_seconds() * 1000))
        self._store_spans()

    def _store(self, rows: pl.DataFrame) -> None:
        for (coin,), of_coin in rows.group_by("coin", maintain_order=True):
            whole = larger(self.store, str(coin), of_coin)
            self.report.added += self.store.lake.merge_series(
                DATASET, VENUE, str(coin), whole, KEY, self.report.source
            )
            self.report.coins.add(str(coin))

    def _store_spans(self) -> None:
        """Of every coin of which liquidations are stored: where there were none meanwhile, silence is known."""
        if self._since is None:
            return
        self.report.until = max(self._now(), self._since)
        known = {coin for venue, coin in self.store.lake.series_coins(DATASET) if venue == VENUE}
        span = pl.DataFrame(
            {"ts": [self._since], "until": [self.report.until], "coverage": [self.stream.coverage]},
            schema=SPANS,
        )
        for coin in sorted(known | self.report.coins):
            self.store.lake.merge_series(LISTENING, VENUE, coin, span, SPAN_KEY, self.report.source)

    def summarise(self) -> None:
        """How many liquidations are stored of the time from the first answer to the last message, and of how much."""
        if self.report.since is None or self.report.until is None:
            return
        for coin in self.report.coins:
            rows = self.store.lake.read_series(
                DATASET, VENUE, coin, LIQUIDATIONS, self.report.since - TOGETHER, self.report.until + TOGETHER
            )
            self.report.liquidations += rows.height
            self.report.notional_usd += float(rows["notional_usd"].sum())

    def _now(self) -> datetime:
        return datetime.fromtimestamp(int(self.now_s * 1000) / 1000, UTC)

    def _note(self, error: Exception) -> None:
        """Faults of the network are worth another try; a refusal, and what is no fault of theirs, is raised."""
        if isinstance(error, InvalidStatus) and error.response.status_code in KEY_REFUSED:
            status = error.response.status_code
            raise StreamRefused(
                f"{self.shown}: HTTP {status}, the key is refused: {self.stream.variable}"
            ) from None
        if isinstance(error, StreamRefused):
            words = without_key(str(error), self._key)
            raise StreamRefused(
                f"{self.shown}: {self.stream.name} refused the subscription: {words}"
            ) from None
        if not isinstance(error, FAULTS):
            raise error
        self.report.drops += 1
        if not self._is_down:
            reason = without_key(one_line(str(error), 200), self._key) or type(error).__name__
            log.warning("stream down", provider=self.stream.name, reason=reason)
        self._is_down = True
