"""Collecting what venues do not keep: open interest by polling, candles behind it, liquidations as they are pushed.

Every venue has a task of its own: one that fails waits longer and longer, logs it once, and stops no other. All is
stored as it comes, under keys that make a second writing of the same row the same row; so a watch that was killed is
gone on with by the next one.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl
import structlog

from liqtruth.estimator.errors import BadAnswer, SourceUnreachable, UnknownMarket
from liqtruth.estimator.feeds.backfill import SeriesJob
from liqtruth.estimator.feeds.liquidation_stream import Listener
from liqtruth.estimator.feeds.liquidations import STREAMS
from liqtruth.estimator.frames import DATASETS, conform
from liqtruth.estimator.venues.exchange import Exchange, Patience
from liqtruth.estimator.venues.requests import read_open_interest_now
from liqtruth.estimator.venues.spec import Contract, Venue
from liqtruth.heatmap.errors import ROWS, BadInput, LeftOut, LiqtruthError, PartlyRead, one_line
from liqtruth.storage.errors import NotWritten
from liqtruth.storage.net.long_runs import stopping
from liqtruth.storage.store import Store

log = structlog.get_logger()

POLLED: Final = ("candles", "mark_candles", "open_interest", "liquidations")
"""Series that are followed from where they ended, at venues that have them."""
NOW: Final = "open interest of now"
ALL: Final = "everything"
BACK_DAYS: Final = 1
STEP_S: Final = 300
LONGEST_BACK_OFF: Final = 8.0
"""A venue that fails is asked again after so many rounds at most."""
MOST_UNANSWERED: Final = 3
"""A round ends where so many calls in a row were not answered: the venue is down, not one of its series."""
RELIST_ROUNDS: Final = 12
"""Coins that are not listed are looked for again after so many rounds at most."""
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
    """What came of one venue: rounds of polling, rows, liquidations, and what went wrong.

    `failed_rounds` are those of which a part could not be read, `unread` the parts that could not be read when they
    were last asked for, with the reason; `left_out` counts rows and messages.
    """

    venue: str
    rounds: int = 0
    failed_rounds: int = 0
    new_rows: dict[str, int] = field(default_factory=dict)
    connects: int = 0
    drops: int = 0
    malformed: int = 0
    last_error: str = ""
    remarks: list[str] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=lambda: {ALL: "no round came to its end"})
    left_out: LeftOut = field(default_factory=LeftOut)

    @property
    def is_whole(self) -> bool:
        """Whether all that was asked for was read in the end, and nothing left out."""
        return not self.unread and not self.left_out.total

    def line(self) -> str:
        rows = ", ".join(f"{count} {dataset}" for dataset, count in sorted(self.new_rows.items()) if count)
        failed = f", {self.failed_rounds} of them failed ({self.last_error})" if self.failed_rounds else ""
        connected = f"; stream connected {self.connects} times, dropped {self.drops}" if self.connects else ""
        return f"{self.venue}: {self.rounds} rounds{failed}; {rows or 'nothing new'}{connected}"

    def lines(self) -> list[str]:
        """The line, and below it what is to be known of it."""
        unread = [f"not read when last asked for: {what} ({reason})" for what, reason in self.unread.items()]
        return [
            self.line(),
            *(f"  {line}" for line in (*self.remarks, *unread, *self.left_out.describe(ROWS))),
        ]


@dataclass(frozen=True)
class FeedWatchReport:
    """What a watch collected, per venue."""

    venues: tuple[VenueWatch, ...]

    def describe(self) -> list[str]:
        """Lines for a terminal."""
        return [line for venue in self.venues for line in venue.lines()]

    @property
    def exit_code(self) -> int:
        """3 where a part of what was asked for could not be read."""
        return 0 if all(venue.is_whole for venue in self.venues) else PartlyRead.exit_code


def watch_feeds(store: Store, plan: FeedWatchPlan) -> FeedWatchReport:
    """Collect until a signal or `for_s` ends it. Raises `BadInput` for a venue that only comes from files."""
    for venue in plan.venues:
        if not venue.fetchable:
            raise BadInput(f"{venue.name} cannot be watched ({venue.note})")
    return asyncio.run(_watch(store, plan))


async def _watch(store: Store, plan: FeedWatchPlan) -> FeedWatchReport:
    collectors = [Collector(store, plan, venue) for venue in plan.venues]
    stop = stopping(plan.for_s)
    tasks = [asyncio.create_task(collector.run()) for collector in collectors]
    collecting = asyncio.gather(*tasks)
    ending = asyncio.create_task(stop.wait())
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
        self._unlisted: dict[str, str] = {}
        self._relist_in = self._relist_rounds = 1
        self._source = ""
        self._listener: Listener | None = None
        self._listening: asyncio.Task[None] | None = None
        self._is_failing = False

    async def run(self) -> None:
        """Poll and listen until cancelled; only what cannot be written ends it."""
        try:
            async with Exchange(self.venue, self.plan.base_url, self.plan.patience) as exchange:
                rounds_to_wait = 1.0
                while True:
                    answered = await self._round(exchange)
                    if self.seen.rounds == self.plan.rounds:
                        return
                    rounds_to_wait = 1.0 if answered else min(2 * rounds_to_wait, LONGEST_BACK_OFF)
                    await self._rest(rounds_to_wait * self.plan.every_s)
        finally:
            await self._stop_listening()
            self.seen.remarks.extend(self._unlisted.values())

    async def _round(self, exchange: Exchange) -> bool:
        """Everything once; false where the venue did not answer. A fault is logged once until it is over."""
        self.seen.rounds += 1
        was_answered = True
        try:
            await self._poll(exchange)
            self.seen.unread.pop(ALL, None)
        except NotWritten:
            raise
        except (Exception, pl.exceptions.PanicException) as error:
            self.seen.unread[ALL] = in_words(error)
            was_answered = False
        if self.seen.unread:
            self._fail()
        elif self._is_failing:
            self._is_failing = False
            self._log.info("venue_recovered")
        return was_answered

    def _fail(self) -> None:
        what, reason = list(self.seen.unread.items())[-1]
        self.seen.failed_rounds += 1
        self.seen.last_error = reason
        if not self._is_failing:
            self._log.warning("venue_failing", what=what, reason=reason)
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
        """Every part by itself; raises where the venue does not answer at all."""
        before = dict(self.seen.new_rows)
        now_ms = await exchange.now_ms()
        await self._find_contracts(exchange)
        self._source = exchange.source
        await self._listen(exchange)
        unanswered = 0
        for coin in list(self._contracts):
            for part in (NOW, *(name for name in POLLED if name in self.venue.feeds)):
                error = await self._read(exchange, coin, part, now_ms)
                unanswered = unanswered + 1 if isinstance(error, SourceUnreachable) and error.retryable else 0
                if error is not None and unanswered == MOST_UNANSWERED:
                    raise error
        new = {name: count - before.get(name, 0) for name, count in self.seen.new_rows.items()}
        self._log.info("polled", coins=len(self._contracts), new_rows=new)

    async def _read(self, exchange: Exchange, coin: str, part: str, now_ms: int) -> BaseException | None:
        """What went wrong with one series of one coin, which is then among the `unread`."""
        missed, what = LeftOut(), f"{part} of {coin}"
        try:
            if part == NOW:
                self._keep("open_interest", coin, await read_open_interest_now(exchange, coin, missed))
            else:
                await self._follow(exchange, coin, part, now_ms, missed)
        except NotWritten:
            raise
        except (Exception, pl.exceptions.PanicException) as error:
            self.seen.unread[what] = in_words(error)
            if isinstance(error, UnknownMarket):
                self._contracts.pop(coin, None)
            return error
        finally:
            self._left_out(missed)
        self.seen.unread.pop(what, None)
        return None

    async def _follow(
        self, exchange: Exchange, coin: str, dataset: str, now_ms: int, missed: LeftOut
    ) -> None:
        contract, market = self._contracts[coin], await exchange.market(coin)
        job = SeriesJob(self.store, exchange, contract, market, dataset, STEP_S, now_ms, BACK_DAYS)
        try:
            brought = await job.run(lambda: None)
        finally:
            missed.take(job.left_out)
        self._count(dataset, brought.new_rows)

    def _left_out(self, missed: LeftOut) -> None:
        for line in self.seen.left_out.take(missed, ROWS):
            self._report("left_out", reason=line)

    async def _find_contracts(self, exchange: Exchange) -> None:
        """Contracts of the coins that have none yet; the venue's list is read anew for them, at growing distances."""
        wanted = [coin for coin in self.plan.coins if coin not in self._contracts]
        if not wanted:
            return
        self._relist_in -= 1
        if any(coin in self._unlisted for coin in wanted):
            if self._relist_in > 0:
                return
            await exchange.list_again()
        self._relist_rounds = min(2 * self._relist_rounds, RELIST_ROUNDS)
        self._relist_in = self._relist_rounds
        for coin in wanted:
            try:
                self._contracts[coin] = await exchange.contract(coin)
            except (UnknownMarket, BadAnswer) as error:
                if coin not in self._unlisted:
                    self._log.warning("coin_not_listed", coin=coin, reason=str(error))
                self._unlisted[coin] = str(error)
                if isinstance(error, BadAnswer):
                    self.seen.unread[f"the market of {coin}"] = str(error)
            else:
                self._unlisted.pop(coin, None)
                self.seen.unread.pop(f"the market of {coin}", None)

    async def _listen(self, exchange: Exchange) -> None:
        """One listener for all contracts that are known; another one where there are more of them."""
        stream = STREAMS.get(self.venue.name)
        pushed = [one for one in self._contracts.values() if stream is not None and stream.covers(one)]
        if (
            stream is None
            or not pushed
            or (self._listener is not None and self._listener.contracts == pushed)
        ):
            return
        await self._stop_listening()
        self._listener = Listener(
            stream=stream,
            contracts=pushed,
            coverage=self.venue.liquidation_stream or "the venue does not say how much it pushes",
            keep=self._keep,
            report=self._report,
            clock_ms=lambda: int(exchange.api.milliseconds()),
            base_url=self.plan.base_url,
            first_wait_s=self.plan.first_wait_s,
            flush_s=self.plan.flush_s,
            heartbeat_s=self.plan.heartbeat_s,
            left_out=self.seen.left_out,
        )
        self._listening = asyncio.create_task(self._listener.run())

    async def _stop_listening(self) -> None:
        if self._listener is None or self._listening is None:
            return
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)
        counts = self._listener.counts
        self.seen.connects += counts.connects
        self.seen.drops += counts.drops
        self.seen.malformed += counts.malformed

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

    def _report(self, event: str, **facts: Any) -> None:
        (self._log.info if event == "stream_connected" else self._log.warning)(event, **facts)


def in_words(error: BaseException) -> str:
    """The reason on one line; of what is no error of ours with its kind."""
    return str(error) if isinstance(error, LiqtruthError) else one_line(f"{type(error).__name__}: {error}")
