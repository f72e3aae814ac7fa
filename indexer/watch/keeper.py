"""What a watch has not stored yet, and how it is stored: every few seconds what was read, now and then the whole book.

Everything waits here until the database has it, however long that takes; of an account that is read again meanwhile
only the last reading stays then, so that what waits cannot grow without end. The first book is stored after a minute,
the next ones at doubling intervals, so that there is an answer soon.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, TypeVar

import polars as pl
import structlog

from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.indexer.discovery import address_book
from liqtruth.indexer.frames import MARKETS, empty
from liqtruth.indexer.positions.accounts import AccountReading, accounts_frame, positions_frame
from liqtruth.indexer.positions.markets import market_rows
from liqtruth.indexer.positions.remembered import reads_of
from liqtruth.indexer.sweep.batches import SweepParts
from liqtruth.indexer.watch.live_book import LiveBook
from liqtruth.storage.database.markets import store_markets, store_universe
from liqtruth.storage.database.records import Reading, Universe
from liqtruth.storage.errors import FileDamaged
from liqtruth.storage.net.long_runs import aside
from liqtruth.storage.store import Store

NAME: Final = ("watch",)
MOST_WAITING: Final = 20_000
"""Readings that may wait before all but the last of each account and dex are let go; rows of markets as well."""

Item = TypeVar("Item")

log = structlog.get_logger("liqtruth.watch")


@dataclass
class Keeper:
    """Stores what a watch over `dexes` at `base_url` read; `book_s` is the longest interval between books, s.

    Memory belongs to the event loop: methods that wait write in a thread, and take away what is stored afterwards.
    """

    store: Store
    base_url: str
    dexes: Sequence[str]
    first_book_s: float
    book_s: float
    source: str = ""
    book_id: str = ""
    batch: list[AccountReading] = field(default_factory=list)
    traded: dict[str, datetime] = field(default_factory=dict)
    damaged: list[FileDamaged] = field(default_factory=list)
    """Batches of earlier runs that cannot be read; their accounts are read again."""
    _unnoted: list[AccountReading] = field(default_factory=list)
    _markets: list[pl.DataFrame] = field(default_factory=list)
    _universes: list[Universe] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._booked_s = time.monotonic()
        self._book_wait_s = min(self.first_book_s, self.book_s)

    @property
    def batches(self) -> str:
        """Names what is stored since the last book."""
        return self.parts.sweep.id

    @property
    def waiting(self) -> int:
        """Readings that are not stored yet."""
        return len(self.batch)

    def resume(self, shown_url: str) -> LiveBook:
        """What earlier runs stored: the last book, and the batches after it to be laid over."""
        self._shown_url = shown_url
        self.parts = self._next_parts()
        return LiveBook.load(self.store)

    def _next_parts(self) -> SweepParts:
        return SweepParts.resume(
            self.store, NAME, ",".join(self.dexes), self.base_url, self._shown_url, damaged=self.damaged
        )

    def read(self, readings: Sequence[AccountReading]) -> None:
        """To be stored."""
        self.batch += readings
        if len(self.batch) > MOST_WAITING:
            self.batch = _last_of_each(self.batch)

    def marked(self, markets: pl.DataFrame, new: Sequence[Universe] = ()) -> None:
        """Marks of a minute (`MARKETS`) to be stored, and `meta` answers of dexes met for the first time."""
        self._markets.append(markets)
        self._universes += new
        while len(self._markets) > 1 and sum(one.height for one in self._markets) > MOST_WAITING:
            del self._markets[0]

    def traded_at(self, address: str, at: datetime) -> None:
        """The account's last trade, for the address book."""
        known = self.traded.get(address)
        self.traded[address] = at if known is None else max(at, known)

    async def store_read(self) -> None:
        """Write what was read and the marks, then note both in the address book.

        What the database is away for is written the next time. Marks and notes for the address book that it refuses are
        let go, for the next ones to be stored.
        """
        batch = list(self.batch)
        if batch:
            await aside(self._write_batch, batch)
            self.batch = _without(self.batch, batch)
            self._unnoted = _last_of_each([*self._unnoted, *batch])
        await self._store_markets()
        await self._note_in_address_book()

    def _write_batch(self, batch: Sequence[AccountReading]) -> None:
        self.parts.add(positions_frame(batch), accounts_frame(batch))

    async def _store_markets(self) -> None:
        markets, new = list(self._markets), list(self._universes)
        if not markets and not new:
            return
        with _let_go_unless_retried(lambda: self._markets_are_done(markets, new)):
            await aside(self._write_markets, pl.concat([empty(MARKETS), *markets]), new)

    def _markets_are_done(self, markets: Sequence[pl.DataFrame], new: Sequence[Universe]) -> None:
        self._markets = _without(self._markets, markets)
        self._universes = _without(self._universes, new)

    def _write_markets(self, markets: pl.DataFrame, new: Sequence[Universe]) -> None:
        for row in new:
            store_universe(self.store.database, row)
        last = markets.unique(["dex", "coin", "as_of"], keep="last", maintain_order=True)
        store_markets(self.store.database, market_rows(last))

    async def _note_in_address_book(self) -> None:
        read, traded = list(self._unnoted), dict(self.traded)
        with _let_go_unless_retried(lambda: self._notes_are_done(read, traded)):
            if read:
                await aside(address_book.note_reads, self.store, reads_of(read, accounts_frame(read)))
            await aside(address_book.note_trades, self.store, traded)

    def _notes_are_done(self, read: Sequence[AccountReading], traded: Mapping[str, datetime]) -> None:
        self._unnoted = _without(self._unnoted, read)
        self.traded = {who: at for who, at in self.traded.items() if traded.get(who) != at}

    def book_is_due(self) -> bool:
        return time.monotonic() - self._booked_s >= self._book_wait_s

    async def store_book(self, book: LiveBook, now: datetime) -> None:
        """One reading of everything; the batches that it contains are not needed any more."""
        if book.accounts.is_empty():
            return
        last = book.accounts["as_of"].max()
        assert isinstance(last, datetime)
        reading = await aside(self._write_book, replace(book), max(last, now))
        self._booked_s = time.monotonic()
        self._book_wait_s = min(2 * self._book_wait_s, self.book_s)
        log.info(
            "snapshot written", reading=reading.id, accounts=reading.accounts, positions=reading.positions
        )

    def _write_book(self, book: LiveBook, as_of: datetime) -> Reading:
        reading = book.write(self.store, as_of, self.source)
        self.book_id = reading.id
        self.parts.finish()
        self.parts = self._next_parts()
        return reading


@contextmanager
def _let_go_unless_retried(done: Callable[[], None]) -> Iterator[None]:
    """Call `done` after the block, unless it failed in a way that the same may not the next time."""
    try:
        yield
    except LiqtruthError as error:
        if not error.retryable:
            done()
        raise
    except Exception:
        done()
        raise
    done()


def _last_of_each(readings: Sequence[AccountReading]) -> list[AccountReading]:
    """The last reading of each account and dex, in the order in which they came."""
    return list({(one.address, one.dex): one for one in readings}.values())


def _without(items: Sequence[Item], done: Sequence[Item]) -> list[Item]:
    """`items` without those that are `done`, by identity: some may have been let go, others come, meanwhile."""
    stored = {id(one) for one in done}
    return [one for one in items if id(one) not in stored]
