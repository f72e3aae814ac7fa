"""Keeps the whole exchange read, for days: the tape shows who moved, the scheduler whom to read, one budget pays.

Five tasks share one event loop. The tape moves sizes and makes accounts dirty. Workers read what the scheduler
chooses. The follower lays what was read over the book in memory. The marker takes every dex's marks, open interest and
funding each minute and moves the book to them (`indexer.watch.marks`). The keeper (`indexer.watch.keeper`) stores
what was read every few seconds, and the whole book now and then. A kill at any instant loses what was not stored yet
and nothing else: the next run resumes from the last book and the batches after it.

Nothing that comes over the wire ends a watch once it has begun: what cannot be taken is left out, counted by its kind,
logged once, and the task that met it goes on. Memory belongs to the loop. What is written is written by a thread, so
that a database that is away for a while holds up the keeper and nobody else.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import msgspec
import numpy as np
import polars as pl
import structlog

from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.heatmap.grid import IntArray
from liqtruth.indexer.discovery import known_accounts
from liqtruth.indexer.errors import WireError
from liqtruth.indexer.frames import POOLED_MODES
from liqtruth.indexer.info.ahead import AccountSource, Ahead, reading_ahead
from liqtruth.indexer.info.batch_doors import BatchEndpoint
from liqtruth.indexer.info.budget import Budget, Patience
from liqtruth.indexer.info.client import InfoClient
from liqtruth.indexer.info.wire import Trade
from liqtruth.indexer.positions.accounts import AccountReading, accounts_frame
from liqtruth.indexer.positions.latest import last_book
from liqtruth.indexer.positions.remembered import MODE_MAX_AGE_S, RememberedMode, remembered_modes
from liqtruth.indexer.positions.watch_state import EARLY_S, LATE_S, WatchState, write_state
from liqtruth.indexer.sweep.crawl import read_account
from liqtruth.indexer.watch.crawl_queue import SPOT_WEIGHT, STATE_WEIGHT, CrawlQueue, Pair, dex_of
from liqtruth.indexer.watch.keeper import Keeper
from liqtruth.indexer.watch.live_book import LiveBook
from liqtruth.indexer.watch.marks import Marks
from liqtruth.indexer.watch.tape import Gap, Tape, is_possible
from liqtruth.storage.net.long_runs import aside, unless, whole
from liqtruth.storage.store import Store

FAILURE_WAIT_S: Final = 60.0
HOST_GONE_WAIT_S: Final = 30.0
REST_S: Final = 5.0
"""How long a task that met what nobody foresaw waits before it goes on."""
DEAREST_WEIGHT: Final = STATE_WEIGHT + SPOT_WEIGHT
FAULTS: Final = (Exception, pl.exceptions.PanicException)

log = structlog.get_logger("liqtruth.watch")


@dataclass(frozen=True)
class Pace:
    """How often, in seconds: the next reads are chosen, what was read is stored, marks are read, the book is stored.

    The first book is stored after `first_book_s`, the next ones at doubling intervals up to `book_s`.
    """

    plan_s: float = 2.0
    keep_s: float = 10.0
    mark_s: float = 60.0
    first_book_s: float = 60.0
    book_s: float = 3600.0


@dataclass
class Watch:
    """One run over `dexes` at `base_url`; what it has done so far is in `state`."""

    store: Store
    base_url: str
    dexes: Sequence[str] = ("",)
    weight_per_minute: float | None = 960
    concurrency: int = 16
    pace: Pace = field(default_factory=Pace)
    patience: Patience | None = None
    book: LiveBook = field(default_factory=LiveBook)
    crawl_queue: CrawlQueue = field(default_factory=CrawlQueue)
    state: WatchState = field(default_factory=WatchState)
    batch: BatchEndpoint | None = None

    def __post_init__(self) -> None:
        self.budget = Budget.shared(self.weight_per_minute, self.base_url, self.store.settings.data_dir)
        self.keeper = Keeper(self.store, self.base_url, self.dexes, self.pace.first_book_s, self.pace.book_s)
        self.marks = Marks(self.state, self.keeper.marked)
        self.clock = self.marks.clock
        self._queue: asyncio.Queue[Pair] = asyncio.Queue()
        self._arrived: list[AccountReading] = []
        self._modes: dict[str, RememberedMode] = {}
        self._newest_s = -math.inf
        self._resting_until_s = 0.0
        self._more_listed = asyncio.Event()
        self._ahead: Ahead | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then store everything. Raises where the exchange cannot be read at the start."""
        async with InfoClient(
            self.base_url, self.budget, self.store.settings.request_timeout_s, self.concurrency, self.patience
        ) as client:
            client.left_out = self.state.faults
            if not await unless(stop, self._begin(client)):
                return
            known = sorted({address for address, _ in self.crawl_queue.pairs})
            async with reading_ahead(
                self.store,
                client,
                self.batch,
                known,
                len(self.dexes),
                lambda problem: log.warning("batches given up", reason=problem),
            ) as self._ahead:
                await self._work_until(stop, client)
            log.info("read ahead", result=[] if self._ahead is None else self._ahead.use.describe())

    async def _work_until(self, stop: asyncio.Event, client: InfoClient) -> None:
        tasks = [
            self._task("tape", self._listen),
            self._task("planner", self._plan),
            self._task("marker", lambda: self._mark(client)),
            self._task("follower", self._follow),
            self._task("keeper", self._keep),
            *(self._task("reader", lambda: self._work(client)) for _ in range(self.concurrency)),
        ]
        try:
            await stop.wait()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._store_what_can_be()

    def _task(self, name: str, work: Callable[[], Awaitable[None]]) -> "asyncio.Task[None]":
        return asyncio.create_task(self._go_on(name, work), name=name)

    async def _go_on(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Work until cancelled; what ends the work is counted, and after a rest it begins again."""
        while True:
            try:
                await work()
            except FAULTS as error:
                self.note_fault(name, error)
            await asyncio.sleep(min(REST_S, self.pace.keep_s))

    def note_fault(self, where: str, error: BaseException) -> None:
        """Count it, and log the first of its kind."""
        if self.state.note_fault(where, error):
            log.error("fault", where=where, kind=type(error).__name__, error=str(error)[:300])

    async def _store_what_can_be(self) -> None:
        """At the end; where even that fails, it is logged."""
        try:
            self._take_in()
            await self.keeper.store_read()
            await self.keeper.store_book(self.book, self.clock.now)
            self._write_state()
        except FAULTS as error:
            log.error("checkpoint failed", error=str(error)[:300])

    def meet(self, addresses: Iterable[str], leaders: pl.DataFrame | None = None) -> None:
        """Consider these accounts in every dex; the leaderboard hints at who holds much."""
        self.crawl_queue.add(((address, dex) for address in addresses for dex in self.dexes), leaders)

    async def _begin(self, client: InfoClient) -> bool:
        """Marks of every dex that answers, and what earlier runs stored; raises where none answers."""
        await self.marks.read(client, self.dexes, self.book)
        self.keeper.source, self.keeper.dexes = client.source, self.dexes
        await aside(self._resume, client.shown_url)
        booked = await aside(last_book, self.store)
        self.marks.paid_until = self.clock.now if booked is None else booked.as_of
        return True

    def _resume(self, shown_url: str) -> None:
        """The last book, the batches after it, and the address book."""
        tables = self.book.tables
        self.book = self.keeper.resume(shown_url)
        for error in self.keeper.damaged:
            self.note_fault("resume", error)
        self.book.tables = tables
        self.book.lay_over(self.keeper.parts.accounts(), self.keeper.parts.positions())
        self.crawl_queue.note_reads(self.book.accounts, self.book.positions)
        self.meet(known_accounts.book(self.store)["address"])
        self._modes = remembered_modes(self.store)
        self.state.resumed_accounts = self.book.accounts.height
        log.info("resumed", accounts=self.book.accounts.height, positions=self.book.positions.height)

    async def _listen(self) -> None:
        """Listen to every coin that is listed; where more are listed meanwhile, to all of them anew."""
        while True:
            coins, self._more_listed = self.marks.coins, asyncio.Event()
            tape = Tape(
                self.base_url,
                coins,
                self._note_trades,
                self._note_gap,
                on_contexts=self.marks.note_pushed,
                now_s=lambda: max(self.clock.now_s, time.time()),
            )
            tape.stats = self.state.tape
            await unless(self._more_listed, tape.run())

    def _note_trades(self, trades: list[Trade]) -> None:
        """A trade from the future is taken as of now; whether readings have one of long ago, is unknown."""
        trades = [one for one in trades if self._may_be(one)]
        if not trades:
            return
        now_s = self.clock.now_s
        self.state.tape_ahead_s = max(trade.time for trade in trades) / 1000 - now_s
        earliest_ms, latest_ms = 1000 * (now_s - LATE_S), int(1000 * (now_s + EARLY_S))
        trades = [
            one if one.time <= latest_ms else msgspec.structs.replace(one, time=latest_ms) for one in trades
        ]
        try:
            self.crawl_queue.note_trades(trades)
            late = self._rows_of([one for one in trades if one.time < earliest_ms])
            self.crawl_queue.sizes.note_doubt(late, self._newest_s)
        except FAULTS as error:
            self.note_fault("tape", error)
            self.crawl_queue.note_gap(min(one.time for one in trades) / 1000, now_s)
        for trade in trades:
            at = datetime.fromtimestamp(trade.time / 1000, UTC)
            for address in trade.users:
                self.keeper.traded_at(address, at)

    def _may_be(self, trade: Trade) -> bool:
        """Whether it is a trade that can have happened in a coin that is watched; what is not is counted."""
        if dex_of(trade.coin) in self.dexes and is_possible(trade):
            return True
        text = f"{trade.coin} {trade.sz:g} at {trade.px:g} is no trade that can be"
        self.note_fault("tape", WireError("trade", "the tape", text))
        return False

    def _rows_of(self, trades: Sequence[Trade]) -> IntArray:
        pairs = [(user.lower(), dex_of(trade.coin)) for trade in trades for user in trade.users]
        return np.array([self.crawl_queue.rows[pair] for pair in pairs], dtype=np.int64)

    def _note_gap(self, gap: Gap) -> None:
        """Whoever was read before now may hold something else; at a start without history nothing was missed."""
        self._take_in()
        since_s = None if gap.since_ms is None else gap.since_ms / 1000
        self.crawl_queue.note_gap(since_s, self.clock.now_s)
        if gap.since_ms is not None or self.state.resumed_accounts:
            log.warning("tape gap", since_s=since_s)

    async def _plan(self) -> None:
        """Keep as much chosen as the budget lets through until the next choice."""
        per_s = (self.weight_per_minute or 60_000) / 60
        while True:
            together = 0 if self._ahead is None else self._ahead.beyond_weight
            ahead = max(per_s * self.pace.plan_s * 2, DEAREST_WEIGHT * max(self.concurrency, together))
            wanted = ahead - DEAREST_WEIGHT * self._queue.qsize()
            if wanted > 0 and time.monotonic() > self._resting_until_s:
                pairs = self.crawl_queue.next(wanted, self.clock.now_s)
                if self._ahead is not None:
                    self._ahead.expect(pairs)
                for pair in pairs:
                    self._queue.put_nowait(pair)
            await asyncio.sleep(self.pace.plan_s)

    async def _work(self, client: InfoClient) -> None:
        while True:
            pair = await self._queue.get()
            try:
                readings = await self._read(client, pair)
            except FAULTS as error:
                self._note_failure(pair, error)
            else:
                self._arrived += readings
                self.state.reads += 1
                self.state.failures_in_a_row = 0

    async def _read(self, client: InfoClient, pair: Pair) -> list[AccountReading]:
        """The account in the dex; raises what the client raises, and `WireError` for a dex that was never read."""
        address, dex = pair
        if dex not in self.book.tables:
            raise WireError("clearinghouseState", client.shown_url, f"no margin tables of the dex {dex!r}")
        token = {dex: self.book.tables[dex].collateral_token}
        source: AccountSource = self._ahead or client
        readings = await read_account(
            source, address, token, client.source, self._modes.get(address), MODE_MAX_AGE_S
        )
        newest_s = max(one.state.time for one in readings) / 1000
        self._newest_s = max(self._newest_s, newest_s)
        self.clock.note(newest_s)
        return readings

    def _note_failure(self, pair: Pair, error: BaseException) -> None:
        """Try the account again later; where many fail in a row the host is gone, and everybody rests."""
        self.crawl_queue.note_failure(pair, self.clock.now_s + FAILURE_WAIT_S)
        self.note_fault("reader", error)
        self.state.failures += 1
        self.state.failures_in_a_row += 1
        if self.state.failures_in_a_row > self.concurrency:
            self._resting_until_s = time.monotonic() + HOST_GONE_WAIT_S
            log.error("host down", error=str(error)[:300], rest_s=HOST_GONE_WAIT_S)

    async def _mark(self, client: InfoClient) -> None:
        begun_s = time.monotonic()  # of the reading at the start
        while True:
            await asyncio.sleep(max(self.pace.mark_s - (time.monotonic() - begun_s), 0.0))
            begun_s, known = time.monotonic(), set(self.marks.coins)
            try:
                await self.marks.read(client, self.dexes, self.book)
            except LiqtruthError as error:
                self.note_fault("marker", error)
                continue
            self.marks.move(self.book)
            if not known.issuperset(self.marks.coins):
                self._more_listed.set()

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self.pace.keep_s)
            self._take_in()

    def _take_in(self) -> None:
        """Let book and crawl queue follow what arrived since, and the book the tape."""
        arrived, self._arrived = self._arrived, []
        try:
            self._take(arrived)
        except FAULTS:
            for reading in arrived:
                self._take_alone(reading)
        self.book.resize(self.crawl_queue.take_changes(), self.marks.markets, self.clock.now)
        self.crawl_queue.learn()

    def _take_alone(self, reading: AccountReading) -> None:
        """One that cannot be taken holds up no other."""
        try:
            self._take([reading])
        except FAULTS as error:
            self._note_failure((reading.address.lower(), reading.dex), error)

    def _take(self, readings: Sequence[AccountReading]) -> None:
        if readings:
            self.book.take(readings)
            accounts = accounts_frame(readings)
            self.crawl_queue.note_reads(*self.book.of(accounts))
            self._note_cash(readings, accounts)
            self._remember_modes(readings)
            self.keeper.read(readings)

    def _note_cash(self, readings: Sequence[AccountReading], accounts: pl.DataFrame) -> None:
        pairs = list(accounts.select("address", "dex").iter_rows())
        pooled = accounts["account_mode"].is_in(POOLED_MODES).fill_null(value=False).to_numpy()
        raw_usd = np.array([one.state.margin_summary.total_raw_usd for one in readings])
        read_s = accounts["as_of"].dt.timestamp("ms").to_numpy() / 1000
        self.crawl_queue.note_cash(pairs, np.where(pooled, np.nan, raw_usd), read_s)

    def _remember_modes(self, batch: Sequence[AccountReading]) -> None:
        for row in accounts_frame([one for one in batch if one.spot is not None]).iter_rows(named=True):
            if row["account_mode"] is not None:
                self._modes[row["address"]] = RememberedMode(row["account_mode"], row["as_of"])

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self.pace.keep_s)
            try:
                await whole(self.keeper.store_read())
                if self.keeper.book_is_due():
                    await whole(self.keeper.store_book(self.book, self.clock.now))
            except LiqtruthError as error:
                self.note_fault("keeper", error)
            self._write_state()
            log.info("checkpoint written", **self.state.short())

    def _write_state(self) -> None:
        self.state.clock_offset_s = self.clock.offset_s
        self.state.unstored = self.keeper.waiting
        self.state.batches, self.state.book = self.keeper.batches, self.keeper.book_id
        self.state.take(
            self.budget,
            self.crawl_queue.sizes.read_s,
            self.crawl_queue.sizes.dirty_since_s,
            self.crawl_queue.sizes.size_usd,
            self.book.positions,
            self._queue.qsize(),
            self.clock.now,
            datetime.now(UTC),
        )
        write_state(self.store, self.state)
