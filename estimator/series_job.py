"""One series of one market from a venue: which pages are asked for, and how each is read and stored.

A page is the largest span that one answer can hold. A page whose rows are all stored is not asked for again, so the
same job goes on where an earlier one ended and fills what it left open.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import polars as pl

from estimator.answers import candles_of_klines, candles_of_ohlcv, funding_of, open_interest_of, ratios_of
from estimator.exchange import Exchange, Rows
from estimator.frames import DATASETS
from estimator.venues import PERIODS
from storage.store import Store

FUNDING_STEP_S: Final = 3600
"""The shortest interval at which a venue settles funding."""
RESERVE_S: Final = 60
"""Kept from the venue's own limit of how far back it answers: its clock goes on while we ask."""


@dataclass(frozen=True)
class FetchedSeries:
    """One dataset after a fetch: pages asked for, pages that were stored before, new rows, and what is stored now."""

    dataset: str
    pages: int
    known_pages: int
    new_rows: int
    rows: int
    first: datetime | None
    last: datetime | None

    def line(self) -> str:
        span = (
            "nothing"
            if self.first is None
            else f"{self.first:%Y-%m-%dT%H:%MZ} to {self.last:%Y-%m-%dT%H:%MZ}"
        )
        return f"{self.dataset}: {self.new_rows} new rows, {self.rows} in all from {span}"


@dataclass(frozen=True)
class Page:
    """First and last time (ms) of the rows that one answer can hold, `step_ms` apart at least."""

    start_ms: int
    end_ms: int
    step_ms: int

    @property
    def rows(self) -> int:
        return (self.end_ms - self.start_ms) // self.step_ms + 1


def pages_of(start_ms: int, end_ms: int, step_ms: int, limit: int) -> list[Page]:
    """Pages of at most `limit` rows on multiples of the step, from the first one within to the last."""
    first, last = -(-start_ms // step_ms) * step_ms, end_ms // step_ms * step_ms
    span = (limit - 1) * step_ms
    return [Page(at, min(at + span, last), step_ms) for at in range(first, last + 1, span + step_ms)]


@dataclass
class SeriesJob:
    """One dataset of one market: its pages, and how a page is asked for and read."""

    store: Store
    exchange: Exchange
    coin: str
    market: dict[str, Any]
    dataset: str
    step_s: int
    now_ms: int
    days: int
    pages: list[Page] = field(init=False)

    def __post_init__(self) -> None:
        venue = self.exchange.venue
        span_s = self.days * 86_400
        if self.dataset in venue.depth_days:
            span_s = min(span_s, venue.depth_days[self.dataset] * 86_400 - RESERVE_S)
        step_ms = 1000 * (FUNDING_STEP_S if self.dataset == "funding" else self.step_s)
        # The candle that is still open is left out: its end is in the future.
        last_ms = self.now_ms - step_ms if self.dataset == "candles" else self.now_ms
        self.pages = pages_of(self.now_ms - 1000 * span_s, last_ms, step_ms, venue.limits[self.dataset])

    async def run(self, advance: Callable[[], None]) -> FetchedSeries:
        """Ask for every page that is not stored whole, oldest first, and store it."""
        known, added = 0, 0
        for page in self.pages:
            if self._stored_whole(page):
                known += 1
            else:
                added += self._store(await self._read(page))
            advance()
        return self._summary(known, added)

    def _stored(self, start_ms: int, end_ms: int) -> pl.DataFrame:
        venue, schema = self.exchange.venue.name, DATASETS[self.dataset].schema
        return self.store.lake.read_series(
            self.dataset, venue, self.coin, schema, moment(start_ms), moment(end_ms)
        )

    def _stored_whole(self, page: Page) -> bool:
        if self.dataset == "funding":  # settled at intervals that are not known beforehand
            return False
        rows = self._stored(page.start_ms, page.end_ms)
        if self.dataset == "candles":
            rows = rows.filter(pl.col("interval_s") == self.step_s)
        on_step = rows.filter(pl.col("ts").dt.epoch("ms") % page.step_ms == 0)
        kinds = max(len(self.exchange.venue.ratio_methods), 1) if self.dataset == "ratios" else 1
        return on_step.height >= page.rows * kinds

    def _store(self, rows: pl.DataFrame) -> int:
        if rows.is_empty():
            return 0
        venue, key = self.exchange.venue.name, DATASETS[self.dataset].key
        return self.store.lake.merge_series(
            self.dataset, venue, self.coin, rows, key, source=self.exchange.source
        )

    async def _read(self, page: Page) -> pl.DataFrame:
        rows = await getattr(self, f"_read_{self.dataset}")(page)
        within = pl.col("ts").is_between(moment(page.start_ms), moment(page.end_ms + page.step_ms - 1))
        return pl.DataFrame(rows).filter(within)

    async def _read_candles(self, page: Page) -> pl.DataFrame:
        api, method, period = self.exchange.api, self.exchange.venue.kline_method, PERIODS[self.step_s]
        if method is None:
            answer = await self._rows(
                lambda: api.fetch_ohlcv(
                    self.market["symbol"], period, page.start_ms, page.rows, {"until": page.end_ms}
                )
            )
            return candles_of_ohlcv(answer, self.step_s)
        query = {"symbol": self.market["id"], "interval": period, **self._span(page)}
        return candles_of_klines(await self._rows(lambda: getattr(api, method)(query)), self.step_s)

    async def _read_open_interest(self, page: Page) -> pl.DataFrame:
        symbol, period = self.market["symbol"], PERIODS[self.step_s]
        until = {"until": page.end_ms}
        return open_interest_of(
            await self._rows(
                lambda: self.exchange.api.fetch_open_interest_history(
                    symbol, period, page.start_ms, page.rows, until
                )
            )
        )

    async def _read_funding(self, page: Page) -> pl.DataFrame:
        symbol, until = self.market["symbol"], {"until": page.end_ms}
        return funding_of(
            await self._rows(
                lambda: self.exchange.api.fetch_funding_rate_history(symbol, page.start_ms, page.rows, until)
            )
        )

    async def _read_ratios(self, page: Page) -> pl.DataFrame:
        query = {"symbol": self.market["id"], "period": PERIODS[self.step_s], **self._span(page)}
        parts = []
        for kind, (method, name) in self.exchange.venue.ratio_methods.items():
            answer = await self._rows(lambda method=method: getattr(self.exchange.api, method)(query))  # type: ignore[misc]
            parts.append(ratios_of(answer, kind, name))
        return pl.concat(parts)

    async def _rows(self, method: Callable[[], Awaitable[Any]]) -> Rows:
        return await self.exchange.rows(f"{self.dataset} of {self.coin}", method)

    def _span(self, page: Page) -> dict[str, int]:
        return {"startTime": page.start_ms, "endTime": page.end_ms, "limit": page.rows}

    def _summary(self, known: int, added: int) -> FetchedSeries:
        stored = self._stored(self.pages[0].start_ms, self.now_ms)
        first, last = (stored["ts"].min(), stored["ts"].max())
        return FetchedSeries(
            dataset=self.dataset,
            pages=len(self.pages),
            known_pages=known,
            new_rows=added,
            rows=stored.height,
            first=first if isinstance(first, datetime) else None,
            last=last if isinstance(last, datetime) else None,
        )


def moment(epoch_ms: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=epoch_ms)
