"""Keeps the whole exchange read, for days: the tape says who moved, the scheduler whom to read, one budget pays.

Five tasks share one event loop. The tape moves running sizes and makes accounts dirty. Workers read what the scheduler
chooses. The follower lays what was read over the book in memory. The marker reads every dex's marks, open interest and
funding each minute and moves the book to them. The keeper stores what was read every few seconds, and the whole book
every hour. A kill at any instant loses what was not stored yet and nothing else: the next run takes up the last book
and the batches after it.

Memory belongs to the loop. What is written is written by a thread, so that a database that is away for a while holds up
the keeper and nobody else.
"""

import asyncio
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

import msgspec
import numpy as np
import polars as pl
import structlog

from heatmap.errors import LiqtruthError
from heatmap.grid import IntArray
from indexer import address_book
from indexer.accounts import AccountReading, accounts_frame
from indexer.budget import Budget
from indexer.client import InfoClient, Patience, told_time_s
from indexer.frames import MARKETS, empty
from indexer.frontier import SPOT_WEIGHT, STATE_WEIGHT, Frontier, Pair, dex_of
from indexer.funding import HOUR
from indexer.live_book import LiveBook
from indexer.margin_tables import MarginTables
from indexer.modes import MODE_MAX_AGE_S, RememberedMode, reads_of, remembered_modes
from indexer.sweep_crawl import read_account
from indexer.sweep_parts import SweepParts
from indexer.tape import Gap, Tape
from indexer.universe import market_rows, markets_of_dexes, universe_row
from indexer.watch_state import EARLY_S, LATE_S, WatchState, write_state
from indexer.wire import Trade
from storage.long_runs import aside, whole
from storage.markets import store_markets, store_universe
from storage.store import Store
from storage.tables import Reading, Universe

NAME: Final = ("watch",)
FAILURE_WAIT_S: Final = 60.0
HOST_GONE_WAIT_S: Final = 30.0
DEAREST_WEIGHT: Final = STATE_WEIGHT + SPOT_WEIGHT

log = structlog.get_logger("liqtruth.watch")


@dataclass(frozen=True)
class Pace:
    """How often, in seconds: the next reads are chosen, what was read is stored, marks are read, the book is stored."""

    plan_s: float = 2.0
    keep_s: float = 10.0
    mark_s: float = 60.0
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
    frontier: Frontier = field(default_factory=Frontier)
    state: WatchState = field(default_factory=WatchState)
    markets: pl.DataFrame = field(default_factory=lambda: empty(MARKETS))

    def __post_init__(self) -> None:
        self.budget = Budget.shared(self.weight_per_minute, self.base_url, self.store.settings.data_dir)
        self._queue: asyncio.Queue[Pair] = asyncio.Queue()
        self._arrived: list[AccountReading] = []
        self._batch: list[AccountReading] = []
        self._unnoted: list[AccountReading] = []
        self._traded: dict[str, datetime] = {}
        self._modes: dict[str, RememberedMode] = {}
        self._offset_s = 0.0
        self._clock_told = False
        self._newest_s = -math.inf
        self._source = ""
        self._paid_until: datetime | None = None
        self._booked_s = time.monotonic()
        self._resting_until_s = 0.0

    @property
    def now_s(self) -> float:
        """The exchange's clock: ours, corrected by what its answers said."""
        return time.time() + self._offset_s

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then store everything. Raises where the exchange cannot be read at the start."""
        async with InfoClient(
            self.base_url, self.budget, self.store.settings.request_timeout_s, self.concurrency, self.patience
        ) as client:
            await self._read_markets(client)
            await aside(self._take_up, client.shown_url)
            self._source = client.source
            tape = Tape(
                self.base_url,
                self.markets["coin"].to_list(),
                self._note_trades,
                self._note_gap,
                now_s=lambda: max(self.now_s, time.time()),
            )
            self.state.tape = tape.stats
            tasks = [
                asyncio.create_task(tape.run(), name="tape"),
                asyncio.create_task(self._plan(), name="planner"),
                asyncio.create_task(self._mark(client), name="marker"),
                asyncio.create_task(self._follow(), name="follower"),
                asyncio.create_task(self._keep(), name="keeper"),
                *(
                    asyncio.create_task(self._work(client), name=f"reader {n}")
                    for n in range(self.concurrency)
                ),
            ]
            stopping = asyncio.create_task(stop.wait())
            try:
                done, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (stopping, *tasks):
                    task.cancel()
                await asyncio.gather(stopping, *tasks, return_exceptions=True)
                await self._store_what_can_be()
        for task in done - {stopping}:
            task.result()

    async def _store_what_can_be(self) -> None:
        """At the end; where even that fails, what ended the run is what is told."""
        self._take_in()
        try:
            await self._store_batch()
            await self._store_book()
        except LiqtruthError as error:
            log.error("the last readings could not be stored", error=str(error))

    def meet(self, addresses: Iterable[str], leaders: pl.DataFrame | None = None) -> None:
        """Consider these accounts in every dex; the leaderboard hints at who holds much."""
        self.frontier.add(((address, dex) for address in addresses for dex in self.dexes), leaders)

    # ------------------------------------------------------------------------------------ beginning

    def _take_up(self, shown_url: str) -> None:
        """What earlier runs stored: the last book, the batches after it, and the address book."""
        self.parts = SweepParts.take_up(self.store, NAME, ",".join(self.dexes), self.base_url, shown_url)
        tables = self.book.tables
        self.book = LiveBook.load(self.store)
        self.book.tables = tables
        self.book.lay_over(self.parts.accounts(), self.parts.positions())
        self.frontier.note_reads(self.book.accounts, self.book.positions)
        self.meet(address_book.book(self.store)["address"])
        self._modes = remembered_modes(self.store)
        self.state.resumed_accounts = self.book.accounts.height
        log.info("taken up", accounts=self.book.accounts.height, positions=self.book.positions.height)

    # ---------------------------------------------------------------------------------------- tape

    def _note_trades(self, trades: list[Trade]) -> None:
        """A trade from the future is taken as of now; whether readings have one of long ago, nobody can tell."""
        self.state.tape_ahead_s = max(trade.time for trade in trades) / 1000 - self.now_s
        earliest_ms, latest_ms = 1000 * (self.now_s - LATE_S), int(1000 * (self.now_s + EARLY_S))
        trades = [
            one if one.time <= latest_ms else msgspec.structs.replace(one, time=latest_ms) for one in trades
        ]
        self.frontier.note_trades(trades)
        late = self._rows_of([one for one in trades if one.time < earliest_ms])
        self.frontier.sizes.note_doubt(late, self._newest_s)
        for trade in trades:
            at = datetime.fromtimestamp(trade.time / 1000, UTC)
            for address in trade.users:
                known = self._traded.get(address)
                self._traded[address] = at if known is None else max(at, known)

    def _rows_of(self, trades: Sequence[Trade]) -> IntArray:
        pairs = [(user.lower(), dex_of(trade.coin)) for trade in trades for user in trade.users]
        return np.array([self.frontier.rows[pair] for pair in pairs], dtype=np.int64)

    def _note_gap(self, gap: Gap) -> None:
        since_s = None if gap.since_ms is None else gap.since_ms / 1000
        self.frontier.note_gap(since_s, self.now_s)
        log.warning("trades may be missing", since_s=since_s)

    # ------------------------------------------------------------------------------------- reading

    async def _plan(self) -> None:
        """Keep as much chosen as the budget lets through until the next choice."""
        per_s = (self.weight_per_minute or 60_000) / 60
        while True:
            ahead = max(per_s * self.pace.plan_s * 2, DEAREST_WEIGHT * self.concurrency)
            wanted = ahead - DEAREST_WEIGHT * self._queue.qsize()
            if wanted > 0 and time.monotonic() > self._resting_until_s:
                for pair in self.frontier.next(wanted, self.now_s):
                    self._queue.put_nowait(pair)
            await asyncio.sleep(self.pace.plan_s)

    async def _work(self, client: InfoClient) -> None:
        while True:
            address, dex = await self._queue.get()
            token = {dex: self.book.tables[dex].collateral_token} if dex in self.book.tables else {}
            try:
                readings = await read_account(
                    client, address, token, client.source, self._modes.get(address), MODE_MAX_AGE_S
                )
            except LiqtruthError as error:
                self._note_failure((address, dex), error)
            else:
                self._arrived += readings
                self._note_clock(max(one.state.time for one in readings) / 1000)
                self.state.reads += 1
                self.state.failures_in_a_row = 0

    def _note_clock(self, state_s: float) -> None:
        """No reading is from the future; where the endpoint tells no time, what it answers is of its now."""
        self._newest_s = max(self._newest_s, state_s)
        if not self._clock_told or state_s > self.now_s:
            self._offset_s = state_s - time.time()

    def _note_failure(self, pair: Pair, error: LiqtruthError) -> None:
        """Try the account again later; where many fail in a row the host is gone, and everybody rests."""
        self.frontier.note_failure(pair, self.now_s + FAILURE_WAIT_S)
        self.state.failures += 1
        self.state.failures_in_a_row += 1
        self.state.last_error = str(error)
        if self.state.failures_in_a_row > self.concurrency:
            self._resting_until_s = time.monotonic() + HOST_GONE_WAIT_S
            log.error("the exchange does not answer; resting", error=str(error), rest_s=HOST_GONE_WAIT_S)

    # ------------------------------------------------------------------------------------- marking

    async def _mark(self, client: InfoClient) -> None:
        while True:
            await asyncio.sleep(self.pace.mark_s)
            try:
                await self._read_markets(client)
            except LiqtruthError as error:
                self.state.last_error = str(error)
                log.warning("marks could not be read", error=str(error))
                continue
            self._pay_funding()
            self.book.remark(self.markets)

    async def _read_markets(self, client: InfoClient) -> None:
        asked_s = time.time()
        told_s = await told_time_s(client)
        self._clock_told = told_s is not None
        if told_s is not None:
            self._offset_s = told_s - (asked_s + time.time()) / 2
        answers = {dex: await client.meta_and_asset_ctxs(dex) for dex in self.dexes}
        markets, now = markets_of_dexes(answers, self._offset_s), datetime.fromtimestamp(self.now_s, UTC)
        new = [
            universe_row(answer.meta_json, dex, now)
            for dex, answer in answers.items()
            if dex not in self.book.tables
        ]
        await aside(self._store_markets, markets, new)
        self.book.tables |= {dex: MarginTables.from_meta(answer.meta) for dex, answer in answers.items()}
        self.markets = markets

    def _store_markets(self, markets: pl.DataFrame, new: Sequence[Universe]) -> None:
        for row in new:
            store_universe(self.store.database, row)
        store_markets(self.store.database, market_rows(markets))

    def _pay_funding(self) -> None:
        """Every hour that has struck since the last payment, for whoever was read before it."""
        now = datetime.fromtimestamp(self.now_s, UTC)
        last = self._paid_until or now
        hour = last.replace(minute=0, second=0, microsecond=0) + HOUR
        while hour <= now:
            self.book.pay_funding(self.markets, hour)
            self.state.funding_hours += 1
            hour += HOUR
        self._paid_until = max(last, now)  # a clock that is set back pays no hour twice

    # ----------------------------------------------------------------------------------- following

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self.pace.keep_s)
            self._take_in()

    def _take_in(self) -> None:
        """Let book and frontier follow what arrived since, and the book the tape."""
        arrived, self._arrived = self._arrived, []
        if arrived:
            self._batch += arrived
            self.book.take(arrived)
            self.frontier.note_reads(*self.book.of(accounts_frame(arrived)))
            self._remember_modes(arrived)
        now = datetime.fromtimestamp(self.now_s, UTC)
        self.book.resize(self.frontier.take_changes(), self.markets, now)
        self.frontier.learn()

    def _remember_modes(self, batch: Sequence[AccountReading]) -> None:
        for row in accounts_frame([one for one in batch if one.spot is not None]).iter_rows(named=True):
            if row["account_mode"] is not None:
                self._modes[row["address"]] = RememberedMode(row["account_mode"], row["as_of"])

    # ------------------------------------------------------------------------------------- keeping

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self.pace.keep_s)
            try:
                await whole(self._store_batch())
                if time.monotonic() - self._booked_s >= self.pace.book_s:
                    await whole(self._store_book())
            except LiqtruthError as error:
                if not error.retryable:
                    raise
                self.state.last_error = str(error)
                log.error("could not be stored, trying again", error=str(error))

    async def _store_batch(self) -> None:
        """Write what was read, then tell the address book, then say where the watch stands."""
        batch = list(self._batch)
        if batch:
            await aside(self.parts.add, batch)
            del self._batch[: len(batch)]
            self._unnoted += batch
        await self._note_in_book()
        self._write_state(datetime.fromtimestamp(self.now_s, UTC))

    async def _note_in_book(self) -> None:
        """Tell the address book who was read and who traded; what could not be told is told the next time."""
        read, traded = list(self._unnoted), dict(self._traded)
        if read:
            await aside(address_book.note_reads, self.store, reads_of(read, accounts_frame(read)))
            del self._unnoted[: len(read)]
        await aside(address_book.note_trades, self.store, traded)
        self._traded = {who: at for who, at in self._traded.items() if traded.get(who) != at}

    async def _store_book(self) -> None:
        """One reading of everything; the batches that it contains are not needed any more."""
        if self.book.accounts.is_empty():
            return
        last = self.book.accounts["as_of"].max()
        assert isinstance(last, datetime)
        as_of = max(last, datetime.fromtimestamp(self.now_s, UTC))
        reading = await aside(self._write_book, replace(self.book), as_of)
        self._booked_s = time.monotonic()
        log.info("book stored", reading=reading.id, accounts=reading.accounts, positions=reading.positions)

    def _write_book(self, book: LiveBook, as_of: datetime) -> Reading:
        reading = book.write(self.store, as_of, self._source)
        self.parts.finish()
        self.parts = SweepParts.take_up(
            self.store, NAME, ",".join(self.dexes), self.base_url, self.parts.sweep.base_url
        )
        return reading

    def _write_state(self, now: datetime) -> None:
        self.state.clock_offset_s = self._offset_s
        self.state.take(self.budget, self.frontier, self.book, self._queue.qsize(), now)
        write_state(self.store, self.state)
        log.info("kept", **self.state.short())
