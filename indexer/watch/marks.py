"""What the whole market says of itself while a watch runs: the exchange's clock, and marks, open interest and funding.

Marks are pushed on the tape's own connection (`allDexsAssetCtxs`), at no weight, and taken once a minute. A dex of
which nothing was pushed since the last time, or whose contexts are not those of its listed coins, is asked for them,
and so is each once an hour: what is pushed lists no coins and no margin tables. A dex that does not answer and a coin
without a mark keep their last ones, with their age. Funding is paid at every full hour that has struck, for a day at
most: rates of one moment say nothing of a longer pause, and a clock that jumps years ahead is no reason to count its
hours.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
import polars as pl

from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.heatmap.files import NOT_DECODED
from liqtruth.heatmap.words.text import CLOCK_AHEAD, EARLIEST
from liqtruth.indexer.errors import WireError
from liqtruth.indexer.frames import MARKETS, empty
from liqtruth.indexer.info.client import InfoClient, read_dexes
from liqtruth.indexer.info.wire import DexAnswer
from liqtruth.indexer.margin.reconcile import HOUR
from liqtruth.indexer.margin.tables import MarginTables
from liqtruth.indexer.positions.markets import carried_on, markets_of_dexes, universe_row
from liqtruth.indexer.positions.watch_state import WatchState
from liqtruth.indexer.watch.live_book import LiveBook
from liqtruth.storage.database.records import Universe

MOST_UNPAID: Final = timedelta(hours=24)
NEVER: Final = datetime.min.replace(tzinfo=UTC)
LISTED_S: Final = 3600.0
"""How long the coins and margin tables of a dex are taken to be what they were."""


class _Pushed(msgspec.Struct):
    ctxs: list[tuple[str, msgspec.Raw]]


@dataclass
class ExchangeClock:
    """`offset_s` is the exchange's clock less ours; `is_reported` whether the endpoint reports its time at all."""

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
        """No answer is from the future; where the endpoint reports no time, the newest answer is its current time."""
        if _may_be(answer_s) and (not self.is_reported or answer_s > self.now_s):
            self.offset_s = answer_s - time.time()


def _may_be(reported_s: float) -> bool:
    return EARLIEST.timestamp() <= reported_s <= time.time() + CLOCK_AHEAD.total_seconds()


@dataclass
class Marks:
    """`markets` (`MARKETS`) are the last of every coin; `paid_until` is when funding was paid last."""

    state: WatchState
    on_markets: Callable[[pl.DataFrame, Sequence[Universe]], None]
    clock: ExchangeClock = field(default_factory=ExchangeClock)
    markets: pl.DataFrame = field(default_factory=lambda: empty(MARKETS))
    paid_until: datetime = NEVER
    _pushed: bytes = b""
    _pushed_s: float = 0.0
    _listed: dict[str, tuple[DexAnswer, float]] = field(default_factory=dict)

    @property
    def coins(self) -> list[str]:
        """Every coin that is listed, or was."""
        return self.markets["coin"].to_list()

    async def set_clock(self, client: InfoClient) -> None:
        """Go by the time that the exchange reports, where that can be believed."""
        asked_s = time.time()
        self.clock.set(await client.reported_time_s(), asked_s)
        if client.clock_warning:
            self.state.faults.note("clock", client.clock_warning)

    def note_pushed(self, raw: bytes) -> None:
        """Keep the last message of contexts until it is their turn; each one is of all dexes."""
        self._pushed, self._pushed_s = raw, time.time()

    async def read(self, client: InfoClient, dexes: Sequence[str], book: LiveBook) -> None:
        """Marks of every dex, pushed or asked for; raises where neither brings any."""
        await self.set_clock(client)
        pushed = self._from_pushed(dexes, client.shown_url)
        asked = await self._asked(client, [dex for dex in dexes if dex not in pushed], bool(pushed))
        new = [
            universe_row(answer.meta_json, dex, self.clock.now)
            for dex, answer in asked.items()
            if dex not in book.tables
        ]
        self.state.marks_pushed += len(pushed)
        self.state.marks_asked += len(asked)
        self.state.marks_from = "pushed" if pushed else "asked for"
        fresh = markets_of_dexes({**pushed, **asked}, self.clock.offset_s)
        self.on_markets(fresh, new)
        book.tables |= {dex: MarginTables.from_meta(answer.meta) for dex, answer in asked.items()}
        self.markets = carried_on(self.markets, fresh)

    async def _asked(
        self, client: InfoClient, dexes: Sequence[str], are_others: bool
    ) -> dict[str, DexAnswer]:
        """Contexts, coins and margin tables of these dexes; raises where none answers and none was pushed."""
        try:
            answers, lost = await read_dexes(client, dexes)
        except LiqtruthError as error:
            if not are_others:
                raise
            answers, lost = {}, dict.fromkeys(dexes, str(error))
        for dex, why in lost.items():
            self.state.faults.note(f"marker: dex {dex or 'main'}", why)
        self._listed |= {dex: (answer, time.monotonic()) for dex, answer in answers.items()}
        return answers

    def _from_pushed(self, dexes: Sequence[str], origin: str) -> dict[str, DexAnswer]:
        """As if asked for, of the dexes whose pushed contexts are new and fit the coins that were last listed."""
        raw, self._pushed = self._pushed, b""
        try:
            contexts = dict(msgspec.json.decode(raw, type=_Pushed).ctxs) if raw else {}
        except NOT_DECODED as error:
            self.state.faults.note("marker: pushed contexts", str(error))
            return {}
        found = {}
        for dex in dexes:
            listed, listed_s = self._listed.get(dex, (None, 0.0))
            if listed is None or dex not in contexts or time.monotonic() - listed_s > LISTED_S:
                continue
            answer = b"[" + listed.meta_json + b"," + bytes(contexts[dex]) + b"]"
            try:
                found[dex] = DexAnswer.of(answer, origin, self._pushed_s)
                self.state.faults.note_all("coins of pushed contexts", found[dex].meta.left_out)
            except WireError as error:
                self.state.faults.note("marker: pushed contexts", str(error))
        return found

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
