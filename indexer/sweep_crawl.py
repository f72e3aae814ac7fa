"""The workers of a sweep: each takes the next account, reads it in all dexes wanted, and keeps it in the batch.

An account is kept whole or not at all. Its spot state is read once for all dexes, and only where it has cross
positions whose collateral is not remembered (`indexer.modes`). Whose prices contradict the memory is read again, after
the others, as if nothing were remembered.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from heatmap.errors import LiqtruthError, SourceUnreachable
from indexer.accounts import AccountReading, account_mode, accounts_frame
from indexer.address_book import note_reads
from indexer.client import InfoClient
from indexer.margin_tables import MarginTables
from indexer.modes import RememberedMode, doubted, reads_of, spot_needed
from indexer.sweep_parts import SweepParts

BATCH_S: Final = 10.0
FEWEST_FAILURES_IN_A_ROW: Final = 8


async def read_account(
    client: InfoClient,
    address: str,
    collateral_token: Mapping[str, int],
    source: str,
    known: RememberedMode | None,
    mode_max_age_s: float,
) -> list[AccountReading]:
    """One account in every dex of `collateral_token`; raises what the client raises."""
    states = [await client.clearinghouse_state(address, dex) for dex in collateral_token]
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


@dataclass
class Crawl:
    """Workers over one list; `failed`, `changed` and the batch are what they have brought so far."""

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
    began: datetime | None = None

    def __post_init__(self) -> None:
        self._token = {dex: tables.collateral_token for dex, tables in self.tables.items()}
        self._trusted: Mapping[str, RememberedMode] = self.memory

    async def run(self, addresses: Sequence[str]) -> None:
        """Read all; raises `SourceUnreachable` where the host is gone. What was read is stored either way."""
        await self._pass(addresses)
        if self.again:
            self._trusted = {}
            again, self.again = self.again, []
            await self._pass(again)

    async def _pass(self, addresses: Sequence[str]) -> None:
        todo = iter(addresses)
        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(min(self.concurrency, len(addresses))):
                    workers.create_task(self._work(todo))
        except BaseExceptionGroup as group:
            raise _first(group) from None
        finally:
            self._store_batch()

    async def _work(self, todo: Iterator[str]) -> None:
        for address in todo:
            known = self._trusted.get(address)
            try:
                readings = await read_account(
                    self.client, address, self._token, self.source, known, self.mode_max_age_s
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
        if len(self.batch) >= self.batch_accounts or time.monotonic() - self.stored_at_s > BATCH_S:
            self._store_batch()
        self.on_done()

    def _store_batch(self) -> None:
        """Store what is read but for the accounts whose mode is in doubt, and tell the address book."""
        batch, self.batch = self.batch, []
        flat = [reading for readings in batch for reading in readings]
        doubt = doubted(flat, self.tables)
        self.again += sorted(doubt)
        kept = [reading for reading in flat if reading.address not in doubt]
        self.parts.add(kept)
        if kept:
            note_reads(self.parts.store, reads_of(kept, accounts_frame(kept)))
        self.stored_at_s = time.monotonic()

    def _note_failure(self, address: str, error: LiqtruthError) -> None:
        self.failed[address] = str(error)
        self.failures_in_a_row += 1
        if self.failures_in_a_row >= max(FEWEST_FAILURES_IN_A_ROW, self.concurrency):
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
