"""What a watch knows of the exchange as a whole: its clock, marks, open interest and funding of every dex, each minute.

A dex that does not answer and a coin without a mark keep their last ones, with their age. Funding is paid at every full
hour that has struck, for a day at most: rates of one moment say nothing of a longer pause, and a clock that jumps years
ahead is no reason to count its hours.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import polars as pl

from liqtruth.heatmap.text import CLOCK_AHEAD, EARLIEST
from liqtruth.indexer.frames import MARKETS, empty
from liqtruth.indexer.info.client import InfoClient
from liqtruth.indexer.info.dexes import read_dexes
from liqtruth.indexer.margin.funding import HOUR
from liqtruth.indexer.margin.tables import MarginTables
from liqtruth.indexer.positions.live_book import LiveBook
from liqtruth.indexer.positions.universe import carried_on, markets_of_dexes, universe_row
from liqtruth.indexer.positions.watch_state import WatchState
from liqtruth.indexer.watch.keeper import Keeper

MOST_UNPAID: Final = timedelta(hours=24)
NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass
class ExchangeClock:
    """`offset_s` is the exchange's clock less ours; `is_reported` whether the endpoint tells its time at all."""

    offset_s: float = 0.0
    is_reported: bool = False

    @property
    def now_s(self) -> float:
        """Epoch seconds by the exchange's clock."""
        return time.time() + self.offset_s

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.now_s, UTC)

    def set(self, reported_s: float | None, asked_s: float) -> None:
        """Go by what was reported in answer to a question of `asked_s` (our clock); null, where nothing that can be
        believed was reported, leaves the clock as it was."""
        self.is_reported = reported_s is not None
        if reported_s is not None:
            self.offset_s = reported_s - (asked_s + time.time()) / 2

    def note(self, answer_s: float) -> None:
        """No answer is from the future; where the endpoint tells no time, what it answers is of its now."""
        if _may_be(answer_s) and (not self.is_reported or answer_s > self.now_s):
            self.offset_s = answer_s - time.time()


def _may_be(reported_s: float) -> bool:
    return EARLIEST.timestamp() <= reported_s <= time.time() + CLOCK_AHEAD.total_seconds()


@dataclass
class Marks:
    """`markets` (`MARKETS`) are the last of every coin; `paid_until` is when funding was paid last."""

    keeper: Keeper
    state: WatchState
    clock: ExchangeClock = field(default_factory=ExchangeClock)
    markets: pl.DataFrame = field(default_factory=lambda: empty(MARKETS))
    paid_until: datetime = NEVER

    @property
    def coins(self) -> list[str]:
        """Every coin that is listed, or was."""
        return self.markets["coin"].to_list()

    async def set_clock(self, client: InfoClient) -> None:
        """Go by what the exchange tells of its time, where that can be believed."""
        asked_s = time.time()
        self.clock.set(await client.reported_time_s(), asked_s)
        if client.clock_warning:
            self.state.faults.note("clock", client.clock_warning)

    async def read(self, client: InfoClient, dexes: Sequence[str], book: LiveBook) -> None:
        """Marks and margin tables of every dex that answers; raises where none does."""
        await self.set_clock(client)
        answers, lost = await read_dexes(client, dexes)
        for dex, why in lost.items():
            self.state.faults.note(f"marker: dex {dex or 'main'}", why)
        new = [
            universe_row(answer.meta_json, dex, self.clock.now)
            for dex, answer in answers.items()
            if dex not in book.tables
        ]
        fresh = markets_of_dexes(answers, self.clock.offset_s)
        self.keeper.marked(fresh, new)
        book.tables |= {dex: MarginTables.from_meta(answer.meta) for dex, answer in answers.items()}
        self.markets = carried_on(self.markets, fresh)

    def move(self, book: LiveBook) -> None:
        """Pay the book's funding, and move it to the last marks."""
        self.pay_funding(book)
        book.remark(self.markets)

    def pay_funding(self, book: LiveBook) -> None:
        """Every hour that has struck since the last payment, for whoever was read before it."""
        now = self.clock.now
        last = max(self.paid_until, now - MOST_UNPAID)
        hour = last.replace(minute=0, second=0, microsecond=0) + HOUR
        while hour <= now:
            book.pay_funding(self.markets, hour)
            self.state.funding_hours += 1
            hour += HOUR
        self.paid_until = max(last, now)  # a clock that is set back pays no hour twice
