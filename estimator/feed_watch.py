"""Collecting what venues do not keep: open interest by polling, candles behind it, liquidations as they are pushed.

Every venue has a task of its own: one that fails waits longer and longer, says so once, and stops no other. All is
stored as it comes, under keys that make a second writing of the same row the same row; so a watch that was killed is
gone on with by the next one.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl
import structlog

from estimator.errors import UnknownMarket
from estimator.exchange import Exchange, Patience
from estimator.frames import DATASETS, conform
from estimator.liquidation_stream import Listener
from estimator.liquidations import STREAMS
from estimator.readers import read_open_interest_now
from estimator.series_job import SeriesJob
from estimator.units import Contract
from estimator.venue_spec import Venue
from heatmap.errors import BadInput, LiqtruthError
from storage.errors import NotWritten
from storage.long_runs import stopping
from storage.store import Store

log = structlog.get_logger()

POLLED: Final = ("candles", "mark_candles", "open_interest", "liquidations")
"""Series that are followed from where they ended, at venues that have them."""
BACK_DAYS: Final = 1
STEP_S: Final = 300
LONGEST_BACK_OFF: Final = 8.0
"""A venue that fails is asked again after so many rounds at most."""
PATIENCE: Final = Patience(timeout_s=10.0, attempts=2, total_s=30.0)


@dataclass(frozen=True)
class FeedWatchPlan:
    """What to collect: `every_s` between two polls, ending by itself after `for_s` or so many `rounds`."""

    venues: tuple[Venue, ...]
    coins: tuple[str, ...]
    every_s: float = 300.0
    for_s: float | None = None
    rounds: int | None = None
    base_url: str | None = None
    patience: Patience = PATIENCE
    first_wait_s: float = 0.5
    flush_s: float = 5.0
    heartbeat_s: float = 20.0


@dataclass
class VenueWatch:
    """What came of one venue: rounds of polling, rows, liquidations, and what went wrong."""

    venue: str
    rounds: int = 0
    failed_rounds: int = 0
    new_rows: dict[str, int] = field(default_factory=dict)
    connects: int = 0
    drops: int = 0
    malformed: int = 0
    last_error: str = ""
    remarks: list[str] = field(default_factory=list)

    def line(self) -> str:
        rows = ", ".join(f"{count} {dataset}" for dataset, count in sorted(self.new_rows.items()) if count)
        failed = f", {self.failed_rounds} of them failed ({self.last_error})" if self.failed_rounds else ""
        heard = f"; stream connected {self.connects} times, dropped {self.drops}" if self.connects else ""
        return f"{self.venue}: {self.rounds} rounds{failed}; {rows or 'nothing new'}{heard}"


@dataclass(frozen=True)
class FeedWatchReport:
    """What a watch collected, per venue."""

    venues: tuple[VenueWatch, ...]

    def describe(self) -> list[str]:
        """Lines for a terminal."""
        return [
            line for venue in self.venues for line in (venue.line(), *(f"  {said}" for said in venue.remarks))
        ]

    @property
    def exit_code(self) -> int:
        """3 where no venue ever answered."""
        return 3 if all(venue.rounds == venue.failed_rounds for venue in self.venues) else 0


def watch_feeds(
    store: Store, plan: FeedWatchPlan, on_start: Callable[[], None] | None = None
) -> FeedWatchReport:
    """Collect until a signal or `for_s` ends it. Raises `BadInput` for a venue that only comes from files."""
    for venue in plan.venues:
        if not venue.fetchable:
            raise BadInput(f"{venue.name} cannot be watched ({venue.note})")
    return asyncio.run(_watch(store, plan, on_start))


async def _watch(store: Store, plan: FeedWatchPlan, on_start: Callable[[], None] | None) -> FeedWatchReport:
    collectors = [Collector(store, plan, venue) for venue in plan.venues]
    stop = stopping(plan.for_s)
    tasks = [asyncio.create_task(collector.run()) for collector in collectors]
    collecting = asyncio.gather(*tasks)
    ending = asyncio.create_task(stop.wait())
    if on_start is not None:
        on_start()
    try:
        either: tuple[asyncio.Future[Any], ...] = (collecting, ending)
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (*tasks, ending):
            task.cancel()
        outcomes = await asyncio.gather(collecting, *tasks, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
    return FeedWatchReport(tuple(collector.seen for collector in collectors))


class Collector:
    """One venue's task."""

    def __init__(self, store: Store, plan: FeedWatchPlan, venue: Venue) -> None:
        self.store, self.plan, self.venue = store, plan, venue
        self.seen = VenueWatch(venue.name)
        self._log = log.bind(venue=venue.name)
        self._contracts: dict[str, Contract] = {}
        self._unlisted: set[str] = set()
        self._source = ""
        self._listener: Listener | None = None
        self._listening: asyncio.Task[None] | None = None
        self._is_failing = False

    async def run(self) -> None:
        """Poll and listen until cancelled; only what is wrong on this side ends it."""
        try:
            async with Exchange(self.venue, self.plan.base_url, self.plan.patience) as exchange:
                rounds_to_wait = 1.0
                while True:
                    ok = await self._round(exchange)
                    if self.seen.rounds == self.plan.rounds:
                        return
                    rounds_to_wait = 1.0 if ok else min(2 * rounds_to_wait, LONGEST_BACK_OFF)
                    await self._rest(rounds_to_wait * self.plan.every_s)
        finally:
            await self._stop_listening()

    async def _round(self, exchange: Exchange) -> bool:
        """Everything once; false where something went wrong at the venue, which is told once until it is well again."""
        self.seen.rounds += 1
        try:
            await self._poll(exchange)
        except NotWritten:
            raise
        except Exception as error:
            self._fail(error)
            return False
        if self._is_failing:
            self._log.info("venue_recovered")
        self._is_failing = False
        return True

    def _fail(self, error: Exception) -> None:
        reason = str(error) if isinstance(error, LiqtruthError) else f"{type(error).__name__}: {error}"
        self.seen.failed_rounds += 1
        self.seen.last_error = reason
        if not self._is_failing:
            self._log.warning("venue_failing", reason=reason)
        self._is_failing = True

    async def _rest(self, length_s: float) -> None:
        """Until the next round; what ended the listener ends the venue's task."""
        if self._listening is None:
            await asyncio.sleep(length_s)
            return
        done, _ = await asyncio.wait([self._listening], timeout=length_s)
        for task in done:
            task.result()

    async def _poll(self, exchange: Exchange) -> None:
        before = dict(self.seen.new_rows)
        now_ms = await exchange.now_ms()
        await self._find_contracts(exchange)
        self._source = exchange.source
        self._listen_once(exchange)
        for coin, contract in self._contracts.items():
            rows = await read_open_interest_now(exchange, coin)
            self._keep("open_interest", coin, rows)
            market = await exchange.market(coin)
            for dataset in POLLED:
                if dataset in self.venue.feeds:
                    job = SeriesJob(
                        self.store, exchange, contract, market, dataset, STEP_S, now_ms, BACK_DAYS
                    )
                    brought = await job.run(lambda: None)
                    self._count(dataset, brought.new_rows)
        new = {name: count - before.get(name, 0) for name, count in self.seen.new_rows.items()}
        self._log.info("polled", coins=len(self._contracts), new_rows=new)

    async def _find_contracts(self, exchange: Exchange) -> None:
        for coin in self.plan.coins:
            if coin not in self._contracts and coin not in self._unlisted:
                try:
                    self._contracts[coin] = await exchange.contract(coin)
                except UnknownMarket as error:
                    self._unlisted.add(coin)
                    self.seen.remarks.append(str(error))
                    self._log.warning("coin_not_listed", coin=coin, reason=str(error))

    def _listen_once(self, exchange: Exchange) -> None:
        stream = STREAMS.get(self.venue.name)
        if stream is None or self._listening is not None:
            return
        told = [one for one in self._contracts.values() if stream.tells(one)]
        if not told:
            return
        self._listener = Listener(
            stream=stream,
            contracts=told,
            coverage=self.venue.liquidation_stream or "the venue does not say how much it pushes",
            keep=self._keep,
            tell=self._tell,
            clock_ms=lambda: int(exchange.api.milliseconds()),
            base_url=self.plan.base_url,
            first_wait_s=self.plan.first_wait_s,
            flush_s=self.plan.flush_s,
            heartbeat_s=self.plan.heartbeat_s,
        )
        self._listening = asyncio.create_task(self._listener.run())

    async def _stop_listening(self) -> None:
        if self._listener is None or self._listening is None:
            return
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)
        counts = self._listener.counts
        self.seen.connects, self.seen.drops = counts.connects, counts.drops
        self.seen.malformed = counts.malformed

    def _keep(self, dataset: str, coin: str, rows: pl.DataFrame) -> int:
        known = DATASETS[dataset]
        added = self.store.lake.merge_series(
            dataset, self.venue.name, coin, conform(rows, dataset), known.key, source=self._source
        )
        if dataset != "listening":
            self._count(dataset, added)
        return added

    def _count(self, dataset: str, added: int) -> None:
        self.seen.new_rows[dataset] = self.seen.new_rows.get(dataset, 0) + added

    def _tell(self, event: str, **facts: Any) -> None:
        (self._log.warning if event in ("stream_down", "stream_malformed") else self._log.info)(
            event, **facts
        )
