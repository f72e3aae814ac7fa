"""The workers of a sweep: each takes the next account, reads it in all dexes wanted, and keeps it in the batch.

An account is stored whole or not at all. Its spot state is read once for all dexes, and only where it has cross
positions whose collateral is not remembered (`indexer.positions.remembered`). An account whose prices contradict what
is remembered is read again, after the others, as if nothing were.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Final

import polars as pl

from liqtruth.heatmap.errors import LiqtruthError, SourceUnreachable
from liqtruth.indexer.discovery.address_book import note_reads
from liqtruth.indexer.info.ahead import AccountSource, Ahead
from liqtruth.indexer.info.client import POSITIONS, InfoClient
from liqtruth.indexer.info.wire import ClearinghouseState
from liqtruth.indexer.margin.tables import MarginTables
from liqtruth.indexer.positions.accounts import AccountReading, account_mode, accounts_frame, positions_frame
from liqtruth.indexer.positions.remembered import RememberedMode, doubted, reads_of, spot_needed
from liqtruth.indexer.sweep.batches import SweepParts
from liqtruth.indexer.sweep.largest_first import LargestFirst

BATCH_S: Final = 10.0
FEWEST_FAILURES_IN_A_ROW: Final = 8

OnOutcome = Callable[[Mapping[str, LiqtruthError | None]], None]
"""Gets how the reading of an account went in each dex that was tried."""


async def read_account(
    client: AccountSource,
    address: str,
    collateral_token: Mapping[str, int],
    source: str,
    known: RememberedMode | None,
    mode_max_age_s: float,
    on_outcome: OnOutcome = lambda outcome: None,
) -> list[AccountReading]:
    """One account in every dex of `collateral_token`; raises what the client raises."""
    states = await _states(client, address, collateral_token, on_outcome)
    spot, mode = None, None
    if spot_needed(states, known, mode_max_age_s):
        spot = await client.spot_state(address)
    elif known is not None:
        newest = datetime.fromtimestamp(max(state.time for state in states) / 1000, UTC)
        mode = known.mode if known.is_fresh(newest, mode_max_age_s) else None
    return [
        AccountReading(address, state, source, dex, spot, mode, None, token)
        for state, (dex, token) in zip(states, collateral_token.items(), strict=True)
    ]


async def _states(
    client: AccountSource, address: str, dexes: Iterable[str], on_outcome: OnOutcome
) -> list[ClearinghouseState]:
    """The account in each dex; where one fails the others are tried, so that it is known which one it is."""
    states: list[ClearinghouseState] = []
    outcome: dict[str, LiqtruthError | None] = {}
    errors: list[LiqtruthError] = []
    for dex in dexes:
        try:
            states.append(await client.clearinghouse_state(address, dex))
            outcome[dex] = None
        except LiqtruthError as error:
            outcome[dex] = error
            errors.append(error)
            if len(errors) > 1:
                break
    on_outcome(outcome)
    if errors:
        raise errors[0]
    return states


@dataclass
class DexFailures:
    """Whom each dex failed for while another dex answered for them: `in_a_row` since it last answered itself."""

    in_a_row: dict[str, list[str]] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)

    def note(self, address: str, outcome: Mapping[str, LiqtruthError | None]) -> None:
        fine = {dex for dex, error in outcome.items() if error is None}
        self.answered |= fine
        for dex in outcome:
            if dex in fine:
                self.in_a_row.pop(dex, None)
            elif fine:
                self.in_a_row.setdefault(dex, []).append(address)

    def failing(self, most: int) -> list[str]:
        """Dexes that failed for `most` accounts one after the other."""
        return [dex for dex, failed in self.in_a_row.items() if len(failed) >= most]

    def silent(self) -> list[str]:
        """Dexes that failed for everyone."""
        return [dex for dex in self.in_a_row if dex not in self.answered]


@dataclass
class Crawl:
    """Workers over one list; `failed`, `changed` and the batch are what they have brought so far.

    A dex that fails for everyone is in `lost` with the reason; from then on accounts are read without it. `on_read`
    gets each account as it comes; once `stop` is set no further one is read. Where `ahead` is given, states come
    through it.
    """

    client: InfoClient
    parts: SweepParts
    tables: Mapping[str, MarginTables]
    concurrency: int
    source: str
    on_done: Callable[[], None]
    memory: Mapping[str, RememberedMode]
    mode_max_age_s: float
    batch_accounts: int
    failed: dict[str, str] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    batch: list[list[AccountReading]] = field(default_factory=list)
    again: list[str] = field(default_factory=list)
    stored_at_s: float = field(default_factory=time.monotonic)
    failures_in_a_row: int = 0
    lost: dict[str, str] = field(default_factory=dict)
    closed: int = 0
    began: datetime | None = None
    on_read: Callable[[Sequence[AccountReading]], None] = lambda readings: None
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    ahead: Ahead | None = None

    def __post_init__(self) -> None:
        self._token = {dex: tables.collateral_token for dex, tables in self.tables.items()}
        self._trusted: Mapping[str, RememberedMode] = self.memory
        self._most_failures = max(FEWEST_FAILURES_IN_A_ROW, self.concurrency)
        self._by_dex = DexFailures()

    async def run(self, addresses: LargestFirst) -> None:
        """Read all; raises `SourceUnreachable` where the host is gone. What was read is stored either way."""
        addresses.when_settled(self._expect)
        await self._pass(addresses)
        self._lose(self._by_dex.silent(), {})
        while self.again and not self.stop.is_set():
            self._trusted = {}
            again, self.again = self.again, []
            await self._pass(LargestFirst(again))

    def _expect(self, addresses: Sequence[str]) -> None:
        if self.ahead is not None:
            self.ahead.expect((address, dex) for address in addresses for dex in self._token)

    def described_ahead(self) -> tuple[str, ...]:
        """What reading ahead came to, for people."""
        return () if self.ahead is None else tuple(self.ahead.use.describe())

    async def _pass(self, todo: LargestFirst) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                workers = [
                    group.create_task(self._work(todo)) for _ in range(min(self.concurrency, len(todo)))
                ]
                group.create_task(self._end_when_stopped(workers))
        except BaseExceptionGroup as group:
            raise _first(group) from None
        finally:
            self._store_batch()

    async def _end_when_stopped(self, workers: Sequence[asyncio.Task[None]]) -> None:
        """Workers may be waiting for the budget: whoever is stopped is stopped in the middle of an account."""
        stopped = asyncio.create_task(self.stop.wait())
        try:
            while not (stopped.done() or all(one.done() for one in workers)):
                waited = [stopped, *(one for one in workers if not one.done())]
                await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
        for worker in workers:
            worker.cancel()

    async def _work(self, todo: LargestFirst) -> None:
        async for address in todo:
            known = self._trusted.get(address)
            try:
                readings = await read_account(
                    self.ahead or self.client,
                    address,
                    self._token,
                    self.source,
                    known,
                    self.mode_max_age_s,
                    partial(self._note_outcome, address),
                )
            except LiqtruthError as error:
                self._note_failure(address, error)
                self.on_done()
            else:
                self._keep(address, readings)

    def _keep(self, address: str, readings: list[AccountReading]) -> None:
        moment = datetime.fromtimestamp(min(reading.state.time for reading in readings) / 1000, UTC)
        self.began = moment if self.began is None else min(self.began, moment)
        self.failures_in_a_row = 0
        known = self.memory.get(address)
        if known is not None and readings[0].spot is not None and account_mode(readings[0]) != known.mode:
            self.changed.add(address)
        self.batch.append(readings)
        self.on_read(readings)
        if len(self.batch) >= self.batch_accounts or time.monotonic() - self.stored_at_s > BATCH_S:
            self._store_batch()
        self.on_done()

    def _store_batch(self) -> None:
        """Store what is read but for the accounts whose mode is in doubt, and note it in the address book."""
        batch, self.batch = self.batch, []
        flat = [reading for readings in batch for reading in readings]
        positions, accounts = positions_frame(flat), accounts_frame(flat)
        doubt = doubted(flat, positions, self.tables)
        self.again += sorted(doubt)
        kept = [reading for reading in flat if reading.address not in doubt]
        if doubt:
            positions, accounts = (
                rows.filter(~pl.col("address").is_in(list(doubt))) for rows in (positions, accounts)
            )
        self.client.left_out.forget(
            POSITIONS, sum(len(one.state.left_out) for one in flat if one.address in doubt)
        )
        self.parts.add(positions, accounts)
        self.closed += sum(reading.state.closed for reading in kept)
        if kept:
            note_reads(self.parts.store, reads_of(kept, accounts))
        self.stored_at_s = time.monotonic()

    def _note_outcome(self, address: str, outcome: Mapping[str, LiqtruthError | None]) -> None:
        self._by_dex.note(address, outcome)
        self._lose(self._by_dex.failing(self._most_failures), outcome)
        if any(error is not None and dex in self.lost for dex, error in outcome.items()):
            self.again.append(address)

    def _lose(self, dexes: Iterable[str], outcome: Mapping[str, LiqtruthError | None]) -> None:
        """Go on without dexes that fail for everyone; whoever failed because of them is read again without them."""
        for dex in dexes:
            failed = self._by_dex.in_a_row.pop(dex)
            if dex not in self._token or len(self._token) == 1:
                continue
            self._token = {name: token for name, token in self._token.items() if name != dex}
            reported = outcome.get(dex)
            self.lost[dex] = (
                str(reported) if reported else self.failed.get(failed[0], "no account could be read")
            )
            self.failures_in_a_row = 0
            for address in failed:
                if self.failed.pop(address, None) is not None:
                    self.again.append(address)

    def _note_failure(self, address: str, error: LiqtruthError) -> None:
        if address in self.again:
            return  # it failed because of a dex that is lost
        self.failed[address] = str(error)
        self.failures_in_a_row += 1
        if self.failures_in_a_row >= self._most_failures:
            self._store_batch()
            raise SourceUnreachable(
                f"{error}; {self.failures_in_a_row} accounts in a row failed, {len(self.parts.stored):,} of "
                f"{self.parts.sweep.accounts:,} are stored: the same command goes on from there"
            )


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that ended the group: ours before any other."""
    ours, others = group.split(LiqtruthError)
    leaf: BaseException = ours or others or group
    while isinstance(leaf, BaseExceptionGroup):
        leaf = leaf.exceptions[0]
    return leaf
