"""How a page of each dataset is asked for and read: one function per dataset, and the table of them.

A page goes through ccxt's unified method, or through the raw calls that the venue's row names instead. Reads one
venue; stores nothing.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

import polars as pl

from liqtruth.estimator.errors import SourceUnreachable
from liqtruth.estimator.venues import parsing
from liqtruth.estimator.venues.bounds import HIGHEST_PX, LOWEST_PX, possible
from liqtruth.estimator.venues.exchange import Exchange
from liqtruth.estimator.venues.spec import NUMBERED, PERIODS, WINDOW, Call, Contract, Feed
from liqtruth.estimator.venues.transport import Malformed
from liqtruth.heatmap.errors import LeftOut
from liqtruth.heatmap.words.text import of_ms

MOST_NUMBERED_PAGES: Final = 500
"""A venue that gives page after page without end is not followed further."""

COUNTED_IN_SIDES: Final = ("volume", "taker_buy_volume", "amount", "value")


@dataclass(frozen=True)
class Page:
    """First and last time (ms) of the rows that one answer can hold, `step_ms` apart at least."""

    start_ms: int
    end_ms: int
    step_ms: int

    @property
    def rows(self) -> int:
        return (self.end_ms - self.start_ms) // self.step_ms + 1

    def halves(self) -> "tuple[Page, Page]":
        middle = self.start_ms + (self.rows // 2) * self.step_ms
        return replace(self, end_ms=middle - self.step_ms), replace(self, start_ms=middle)


@dataclass(frozen=True)
class Asked:
    """A page of one dataset of one market; `left_out` counts what of the answers could not be read."""

    exchange: Exchange
    contract: Contract
    market: Mapping[str, Any]
    dataset: str
    feed: Feed
    step_s: int
    now_ms: int
    page: Page
    left_out: LeftOut = field(default_factory=LeftOut)

    @property
    def unit(self) -> str:
        return self.contract.unit(self.feed)

    @property
    def limit(self) -> int:
        return min(self.page.rows, self.feed.limit)

    def facts(self, number: int = 1) -> dict[str, Any]:
        """What a `$name` in a query of the venue's row stands for. `until_ms` is as late as the row at the page's end
        can be reached without the next one: venues differ in whether an end is still inside."""
        page = self.page
        until_ms = max(page.end_ms, min(page.end_ms + page.step_ms - 1, self.now_ms))
        return {
            "$id": self.market["id"],
            "$settle": self.market.get("settleId"),
            "$category": "inverse" if self.contract.inverse else "linear",
            "$period": self.feed.periods.get(self.step_s),
            "$start_ms": page.start_ms,
            "$before_ms": page.start_ms - 1,
            "$end_ms": page.end_ms,
            "$until_ms": until_ms,
            "$start_s": page.start_ms // 1000,
            "$end_s": page.end_ms // 1000,
            "$rows": self.limit,
            "$page": number,
        }

    def query(self, template: Mapping[str, Any], number: int = 1) -> dict[str, Any]:
        facts = self.facts(number)
        return {name: facts.get(value, value) for name, value in template.items()}

    def one_side(self, raw: pl.DataFrame) -> pl.DataFrame:
        """Volumes and open interest counted once where the venue adds up buyers and sellers."""
        counted = [name for name in COUNTED_IN_SIDES if name in raw.columns]
        return raw.with_columns(pl.col(counted) / self.feed.sides)

    async def table(
        self, method: Callable[[], Awaitable[Any]], read: Callable[[Any], pl.DataFrame]
    ) -> pl.DataFrame:
        """The answer as a table; one that cannot be read is asked for again."""
        return await self.exchange.ask(f"{self.dataset} of {self.contract.coin}", method, read)


Reader = Callable[[Asked], Awaitable[pl.DataFrame]]


async def read_candles(asked: Asked) -> pl.DataFrame:
    return await _bars(asked, {})


async def read_mark_candles(asked: Asked) -> pl.DataFrame:
    return await _bars(asked, {"price": "mark"})


async def _bars(asked: Asked, more: Mapping[str, Any]) -> pl.DataFrame:
    if asked.feed.calls:
        raw = await _called(asked, asked.feed.calls[""])
    else:
        lead = (asked.market["symbol"], PERIODS[asked.step_s])
        raw = await _unified(asked, "fetch_ohlcv", lead, parsing.OHLCV, more)
    return parsing.candles_of(asked.one_side(raw), asked.contract, asked.unit, asked.step_s, asked.dataset)


async def read_open_interest(asked: Asked) -> pl.DataFrame:
    lead = (asked.market["symbol"], PERIODS[asked.step_s])
    raw = await _unified(asked, "fetch_open_interest_history", lead, parsing.OPEN_INTEREST)
    return parsing.open_interest_of(asked.one_side(raw), asked.contract, asked.unit)


async def read_funding(asked: Asked) -> pl.DataFrame:
    if asked.feed.calls:
        return parsing.funding_of(await _called(asked, asked.feed.calls[""]))
    lead = (asked.market["symbol"],)
    return parsing.funding_of(await _unified(asked, "fetch_funding_rate_history", lead, parsing.FUNDING))


async def read_ratios(asked: Asked) -> pl.DataFrame:
    """Of the kinds that can be read; raises where none can."""
    parts, failed = [], {}
    for kind, call in asked.feed.calls.items():
        try:
            parts.append(parsing.ratios_of(await _called(asked, call), kind))
        except SourceUnreachable as error:
            failed[kind] = error
    if not parts:
        raise next(iter(failed.values()))
    for kind, reason in failed.items():
        asked.left_out.note(f"ratios, {kind} of a page", str(reason))
    return pl.concat(parts)


async def read_liquidations(asked: Asked) -> pl.DataFrame:
    """An answer that is full may have left out some: it is asked for again in halves."""
    raw = await _called(asked, asked.feed.calls[""])
    if raw.height >= asked.feed.limit and asked.page.rows > 1:
        parts = [await read_liquidations(replace(asked, page=half)) for half in asked.page.halves()]
        return pl.concat(parts)
    return parsing.liquidations_of(raw, asked.contract, asked.unit)


async def read_tiers(asked: Asked) -> pl.DataFrame:
    """One reading, as of now."""
    api, symbol = asked.exchange.api, asked.market["symbol"]
    read = parsing.unified(parsing.TIERS, asked.left_out)
    raw = await asked.table(lambda: api.fetch_market_leverage_tiers(symbol), read)
    px = await _last_px(asked) if parsing.needs_price(asked.contract, asked.unit) else 1.0
    return parsing.tiers_of(raw, asked.contract, asked.unit, px, of_ms(asked.now_ms))


READERS: Final[Mapping[str, Reader]] = {
    "candles": read_candles,
    "mark_candles": read_mark_candles,
    "open_interest": read_open_interest,
    "funding": read_funding,
    "ratios": read_ratios,
    "liquidations": read_liquidations,
    "tiers": read_tiers,
}


async def read(asked: Asked) -> pl.DataFrame:
    """The rows of a page with possible values; the others are counted in `asked.left_out`.

    Of tiers all or none: a table without one of them would be another table.
    """
    rows = possible(await READERS[asked.dataset](asked), asked.dataset, of_ms(asked.now_ms), asked.left_out)
    return rows.clear() if asked.dataset == "tiers" and asked.left_out.total else rows


async def read_open_interest_now(
    exchange: Exchange, coin: str, left_out: LeftOut | None = None
) -> pl.DataFrame:
    """The present open interest as one row of `open_interest`, at the venue's time; none where it cannot be.

    Venues whose history goes up to now have no call of their own: their last bar is given.
    """
    now_ms, market, contract = (
        await exchange.now_ms(),
        await exchange.market(coin),
        await exchange.contract(coin),
    )
    feed = exchange.venue.open_interest_now or exchange.venue.feeds["open_interest"]
    step_s = min(feed.periods)
    step_ms = 1000 * step_s
    last_ms = now_ms // step_ms * step_ms
    page = Page(last_ms - step_ms, last_ms, step_ms)
    counted = LeftOut() if left_out is None else left_out
    asked = Asked(exchange, contract, market, "open_interest", feed, step_s, now_ms, page, counted)
    if exchange.venue.open_interest_now is None:
        return (await read(asked)).sort("ts").tail(1)
    if feed.calls:
        raw = await _called(asked, feed.calls[""])
    else:
        now = parsing.unified(parsing.OPEN_INTEREST, counted, timestamp=now_ms)
        ask = partial(exchange.api.fetch_open_interest, market["symbol"], dict(feed.params))
        raw = await asked.table(ask, now)
    if "ts" not in raw.columns:
        raw = raw.with_columns(ts=pl.lit(of_ms(now_ms)))
    reading = parsing.open_interest_of(asked.one_side(raw), contract, asked.unit)
    return possible(reading, "open_interest", of_ms(now_ms), counted)


async def _last_px(asked: Asked) -> float:
    """USD per coin of the last minute."""
    api, symbol = asked.exchange.api, asked.market["symbol"]
    bars = await asked.table(lambda: api.fetch_ohlcv(symbol, "1m", None, 1), parsing.unified(parsing.OHLCV))
    if bars.is_empty():
        raise Malformed("no price to value the tiers at")
    px = float(bars.select(asked.contract.px(pl.col("close"))).item(-1, 0))
    if not LOWEST_PX <= px <= HIGHEST_PX:
        raise Malformed(f"{px:g} is no price to value the tiers at")
    return px


async def _unified(
    asked: Asked,
    method: str,
    lead: tuple[Any, ...],
    fields: Mapping[str, Any],
    more: Mapping[str, Any] | None = None,
) -> pl.DataFrame:
    """A unified method of ccxt whose arguments are `lead`, since, limit, params; pages by number are followed to the
    start of the window."""
    feed, call = asked.feed, getattr(asked.exchange.api, method)
    since = asked.page.start_ms if feed.paging == WINDOW else None
    limit = asked.limit if feed.states_limit else None
    parts: list[pl.DataFrame] = []
    for number in range(1, MOST_NUMBERED_PAGES + 1 if feed.paging == NUMBERED else 2):
        params = {**asked.query(feed.params, number), **(more or {})}
        ask, before = partial(call, *lead, since, limit, params), asked.left_out.total
        parts.append(await asked.table(ask, parsing.unified(fields, asked.left_out)))
        oldest, given = parts[-1]["ts"].min(), parts[-1].height + asked.left_out.total - before
        if given < asked.limit or oldest <= of_ms(asked.page.start_ms):  # type: ignore[operator]
            break
    return pl.concat(parts)


async def _called(asked: Asked, call: Call) -> pl.DataFrame:
    ask = partial(getattr(asked.exchange.api, call.method), asked.query(call.query))
    return await asked.table(ask, partial(parsing.called, call=call, left_out=asked.left_out))
