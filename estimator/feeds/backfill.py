"""One series of one market from a venue: which pages are asked for, and how they are stored.

Of a page only the part whose rows are not all stored is asked for, so the same job goes on where an earlier one ended
and fills what it left open. What the venue itself does not have stays a gap and is reported.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import polars as pl

from liqtruth.estimator.errors import BadAnswer
from liqtruth.estimator.frames import DATASETS, conform
from liqtruth.estimator.venues.exchange import Exchange
from liqtruth.estimator.venues.requests import Asked, Page, read
from liqtruth.estimator.venues.spec import WINDOW, Contract, Feed
from liqtruth.estimator.venues.transport import Malformed
from liqtruth.heatmap.errors import ROWS, LeftOut
from liqtruth.heatmap.grid import IntArray
from liqtruth.heatmap.words.text import hours, of_ms, utc_text
from liqtruth.storage.errors import FileDamaged
from liqtruth.storage.lake.listening import LISTENING
from liqtruth.storage.store import Store

FUNDING_STEP_S: Final = 3600
"""The shortest interval at which a venue settles funding."""
LIQUIDATION_STEP_S: Final = 1
"""Windows of liquidations begin and end on whole seconds."""
RESERVE_S: Final = 60
"""Kept from the venue's own limit of how far back it answers: its clock goes on while we ask."""
SETTLED_WITHIN_MS: Final = 60_000
"""Venues stamp a funding settlement some milliseconds late."""
LONGEST_SPAN_MS: Final = 86_400_000
"""A span of listening that began earlier is not looked for."""
GAPS_LISTED: Final = 3

BARS: Final = ("candles", "mark_candles")
BY_STEP: Final = (*BARS, "open_interest", "ratios")


@dataclass(frozen=True)
class FetchedSeries:
    """One dataset after a fetch: pages asked for, pages that were stored before, new rows, and what is stored now.

    `gaps` are spans within it that the venue did not fill, the longest first, at most three; `left_out` states which
    rows could not be read or cannot be true, a line per reason.
    """

    dataset: str
    pages: int
    known_pages: int
    new_rows: int
    rows: int
    first: datetime | None
    last: datetime | None
    gaps: tuple[str, ...] = ()
    missing_rows: int = 0
    coverage: str = ""
    left_out: tuple[str, ...] = ()

    def line(self) -> str:
        span = (
            "nothing"
            if self.first is None or self.last is None
            else f"{utc_text(self.first)} to {utc_text(self.last)}"
        )
        gaps = f"; {self.missing_rows} rows missing: {', '.join(self.gaps)}" if self.gaps else ""
        coverage = f" ({self.coverage})" if self.coverage else ""
        return f"{self.dataset}: {self.new_rows} new rows, {self.rows} in all from {span}{gaps}{coverage}"


def pages_of(start_ms: int, end_ms: int, step_ms: int, limit: int) -> list[Page]:
    """Pages of at most `limit` rows on multiples of the step, from the first one within to the last."""
    first, last = -(-start_ms // step_ms) * step_ms, end_ms // step_ms * step_ms
    span = (limit - 1) * step_ms
    return [Page(at, min(at + span, last), step_ms) for at in range(first, last + 1, span + step_ms)]


def open_part(page: Page, stored_ms: IntArray) -> Page | None:
    """From the first to the last row of the page that is not among `stored_ms`; null where none is open."""
    due = np.arange(page.start_ms, page.end_ms + 1, page.step_ms)
    missing = due[~np.isin(due, stored_ms)]
    return None if missing.size == 0 else Page(int(missing[0]), int(missing[-1]), page.step_ms)


@dataclass
class SeriesJob:
    """One dataset of one market: its pages, and how they are read and stored."""

    store: Store
    exchange: Exchange
    contract: Contract
    market: dict[str, Any]
    dataset: str
    step_s: int
    now_ms: int
    days: int
    pages: list[Page] = field(init=False)
    left_out: LeftOut = field(default_factory=LeftOut)

    def __post_init__(self) -> None:
        steps = {"funding": FUNDING_STEP_S, "liquidations": LIQUIDATION_STEP_S}
        self.step_s = steps.get(self.dataset) or self.feed.step_s(self.step_s)
        self.pages = self._pages()

    @property
    def feed(self) -> Feed:
        return self.exchange.venue.feeds[self.dataset]

    @property
    def coin(self) -> str:
        return self.contract.coin

    def _pages(self) -> list[Page]:
        depth_s, span_s = self.feed.depth_s(self.step_s), float(self.days * 86_400)
        if depth_s is not None:
            span_s = min(span_s, depth_s - RESERVE_S)
        step_ms = 1000 * self.step_s
        # The candle that is still open is left out: its end is in the future.
        last_ms = self.now_ms - step_ms if self.dataset in BARS else self.now_ms
        start_ms = self.now_ms - int(1000 * span_s)
        if self.feed.paging != WINDOW:
            return [Page(start_ms, last_ms, step_ms)]
        rows = self.feed.limit if self.feed.span_s is None else self.feed.span_s // self.step_s
        if self.feed.span_s is not None:
            start_ms = start_ms // (1000 * self.feed.span_s) * 1000 * self.feed.span_s
        return pages_of(start_ms, last_ms, step_ms, rows)

    async def run(self, advance: Callable[[], None]) -> FetchedSeries:
        """Ask for what is not stored of every page, oldest first, and store it."""
        known, added = 0, 0
        for page in self.pages:
            part = self._open_part(page)
            if part is None:
                known += 1
            else:
                rows, is_whole = await self._read(part)
                added += self._store(self.dataset, rows)
                if self.dataset == "liquidations" and is_whole:
                    self._store(LISTENING, self._span_of(part))
            advance()
        return self._summary(known, added)

    def _stored(
        self, start_ms: int, end_ms: int, dataset: str | None = None, damaged: list[FileDamaged] | None = None
    ) -> pl.DataFrame:
        """Stored rows; those of a file that is damaged are not, so that they are asked for again."""
        name, venue = dataset or self.dataset, self.exchange.venue.name
        schema, start, end = DATASETS[name].schema, of_ms(start_ms), of_ms(end_ms)
        faults = [] if damaged is None else damaged
        return self.store.lake.read_series(name, venue, self.coin, schema, start, end, faults)

    def _open_part(self, page: Page) -> Page | None:
        """What is to be asked of a page; null where its rows are all stored."""
        if self.feed.paging != WINDOW:
            return page
        if self.dataset == "liquidations":
            return None if self._was_recorded(page) else page
        rows = self._stored(page.start_ms, page.end_ms)
        if self.dataset == "funding":
            return None if settled_throughout(page, epoch_ms(rows)) else page
        return open_part(page, self._complete_ms(rows))

    def _complete_ms(self, rows: pl.DataFrame) -> IntArray:
        """Times of rows of this length; of ratios those at which every kind is stored."""
        if self.dataset in BARS:
            rows = rows.filter(pl.col("interval_s") == self.step_s)
        if self.dataset == "ratios":
            rows = rows.group_by("ts").len().filter(pl.col("len") >= len(self.feed.calls)).sort("ts")
        return epoch_ms(rows)

    def _span_of(self, page: Page) -> pl.DataFrame:
        """The span of a window of liquidations that was read whole: a quiet one is known by nothing else."""
        span = {"ts": [of_ms(page.start_ms)], "until": [of_ms(page.end_ms)], "coverage": [self.feed.coverage]}
        return conform(pl.DataFrame(span), LISTENING)

    def _was_recorded(self, page: Page) -> bool:
        damaged: list[FileDamaged] = []
        self._stored(page.start_ms, page.end_ms, damaged=damaged)
        if damaged:
            return False
        spans = self._stored(page.start_ms - LONGEST_SPAN_MS, page.start_ms, LISTENING)
        return bool((spans["until"] >= of_ms(page.end_ms)).any())

    def _store(self, dataset: str, rows: pl.DataFrame) -> int:
        if rows.is_empty():
            return 0
        venue, key = self.exchange.venue.name, DATASETS[dataset].key
        return self.store.lake.merge_series(dataset, venue, self.coin, rows, key, source=self.exchange.source)

    async def _read(self, page: Page) -> tuple[pl.DataFrame, bool]:
        """The rows of a page, and whether none was left out."""
        asked = Asked(
            self.exchange,
            self.contract,
            self.market,
            self.dataset,
            self.feed,
            self.step_s,
            self.now_ms,
            page,
        )
        try:
            rows = await read(asked)
        except Malformed as error:
            place = f"{self.exchange.venue.name} ({self.exchange.shown_url})"
            raise BadAnswer(
                f"{place} gave {self.dataset} of {self.coin} that cannot be used: {error}"
            ) from error
        finally:
            self.left_out.take(asked.left_out)
        is_whole = not asked.left_out.total
        if self.dataset == "tiers":
            return self._unlike_the_last(rows), is_whole
        inside = pl.col("ts").is_between(of_ms(page.start_ms), of_ms(page.end_ms + page.step_ms - 1))
        return rows.filter(inside), is_whole

    def _unlike_the_last(self, tiers: pl.DataFrame) -> pl.DataFrame:
        """Nothing where the last reading is the same."""
        stored = self._stored(0, self.now_ms)
        last = stored.filter(pl.col("ts") == pl.col("ts").max())
        same = last.drop("ts").sort("min_notional_usd").equals(tiers.drop("ts").sort("min_notional_usd"))
        return tiers.clear() if same else tiers

    def _summary(self, known: int, added: int) -> FetchedSeries:
        start_ms = self.pages[0].start_ms if self.pages else self.now_ms
        stored = self._stored(start_ms, self.now_ms)
        first, last = (stored["ts"].min(), stored["ts"].max())
        due = self._complete_ms(stored) if self.dataset in BY_STEP else np.empty(0, np.int64)
        missing, gaps = gaps_in(due, 1000 * self.step_s)
        return FetchedSeries(
            dataset=self.dataset,
            pages=len(self.pages),
            known_pages=known,
            new_rows=added,
            rows=stored.height,
            first=first if isinstance(first, datetime) else None,
            last=last if isinstance(last, datetime) else None,
            gaps=gaps,
            missing_rows=missing,
            coverage=self.feed.coverage,
            left_out=tuple(self.left_out.describe(ROWS)),
        )


def epoch_ms(rows: pl.DataFrame) -> IntArray:
    return rows["ts"].dt.epoch("ms").to_numpy()


def settled_throughout(page: Page, stored_ms: IntArray) -> bool:
    """Whether settlements are stored at one interval from the page's start to its end."""
    if stored_ms.size < 2:
        return False
    apart = np.diff(stored_ms)
    interval = int(apart.min())
    return bool(
        apart.max() <= interval + SETTLED_WITHIN_MS
        and stored_ms[0] - page.start_ms < interval + SETTLED_WITHIN_MS
        and page.end_ms - stored_ms[-1] < interval
    )


def gaps_in(times_ms: IntArray, step_ms: int) -> tuple[int, tuple[str, ...]]:
    """Rows that are missing between the first and the last, and the longest spans without any."""
    times = np.unique(times_ms[times_ms % step_ms == 0])
    apart = np.diff(times)
    holes = np.flatnonzero(apart > step_ms)
    longest = holes[np.argsort(-apart[holes], kind="stable")][:GAPS_LISTED]
    missing = int((apart[holes] // step_ms - 1).sum())
    return missing, tuple(_span(int(times[at]) + step_ms, int(times[at + 1])) for at in longest)


def _span(start_ms: int, end_ms: int) -> str:
    return f"{hours(timedelta(milliseconds=end_ms - start_ms))} from {utc_text(of_ms(start_ms))}"
