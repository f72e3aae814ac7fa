"""The newest realised liquidations that are stored, of venues and of Hyperliquid, and their sums by the minute."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import polars as pl
from rich.console import Group
from rich.table import Table

from liqtruth.compare.observed.coverage import spans_observed
from liqtruth.estimator.frames import DATASETS
from liqtruth.heatmap.words.notes import any_synthetic
from liqtruth.heatmap.words.text import counted, price, usd
from liqtruth.indexer.frames import LIQUIDATIONS
from liqtruth.indexer.positions.markets import VENUE as HYPERLIQUID
from liqtruth.storage.lake.listening import LISTENING, SPANS
from liqtruth.storage.store import Store

DATASET: Final = "liquidations"
EVENTS: Final = {
    "ts": pl.Datetime("ms", "UTC"),
    "venue": pl.String(),
    "coin": pl.String(),
    "side": pl.String(),
    "px": pl.Float64(),
    "notional_usd": pl.Float64(),
}
SHOWN_MINUTES: Final = 15


@dataclass(frozen=True, eq=False)
class Recent:
    """`events` (`EVENTS`), newest first, since `since`; `minutes` has `ts`, `long_usd`, `short_usd`, `long`, `short`
    (counts), newest first, minutes without any left out; `coverage` says of each market what share is shown."""

    as_of: datetime
    since: datetime
    synthetic: bool
    events: pl.DataFrame
    minutes: pl.DataFrame
    coverage: tuple[str, ...]

    def describe(self) -> list[str]:
        """Lines for people, below the tables."""
        sums = {side: self.events.filter(pl.col("side") == side) for side in ("long", "short")}
        shown = ", ".join(
            f"{counted(rows.height, side)} of {usd(float(rows['notional_usd'].sum()))}"
            for side, rows in sums.items()
        )
        lines = [f"since {self.since:%Y-%m-%d %H:%M} UTC: {shown}", *self.coverage]
        return [*lines, "SYNTHETIC: of the sandbox, not of an exchange"] if self.synthetic else lines


def recent(
    store: Store, coins: Sequence[str], venues: Sequence[str], since: timedelta, now: datetime | None = None
) -> Recent:
    """What is stored of `coins` and `venues` (none: all that is stored) since `since` before now."""
    until = now or datetime.now(UTC)
    start = until - since
    markets = [
        (venue, coin)
        for venue, coin in sorted(store.lake.series_coins(DATASET))
        if (not coins or coin in coins) and (not venues or venue in venues)
    ]
    frames = [
        pl.DataFrame(schema=EVENTS),
        *(_events(store, venue, coin, start, until) for venue, coin in markets),
    ]
    events = pl.concat(frames).sort("ts", descending=True)
    sources = [source for market in markets for source in store.lake.series_sources(DATASET, *market)]
    return Recent(
        as_of=until,
        since=start,
        synthetic=any_synthetic(sources),
        events=events,
        minutes=_minutes(events),
        coverage=tuple(_coverage(store, markets, start)),
    )


def _events(store: Store, venue: str, coin: str, start: datetime, until: datetime) -> pl.DataFrame:
    """A node's and public fills of Hyperliquid have the mark beside the price."""
    schema = LIQUIDATIONS if venue == HYPERLIQUID else DATASETS[DATASET].schema
    rows = store.lake.read_series(DATASET, venue, coin, schema, start, until)
    px = "mean_px" if venue == HYPERLIQUID else "px"
    return rows.select(
        "ts",
        pl.lit(venue).alias("venue"),
        pl.lit(coin).alias("coin"),
        "side",
        pl.col(px).alias("px"),
        "notional_usd",
    ).cast(EVENTS)  # type: ignore[arg-type]


def _minutes(events: pl.DataFrame) -> pl.DataFrame:
    side = {name: pl.col("side") == name for name in ("long", "short")}
    return (
        events.group_by(pl.col("ts").dt.truncate("1m"))
        .agg(
            *(pl.col("notional_usd").filter(of).sum().alias(f"{name}_usd") for name, of in side.items()),
            *(of.sum().alias(name) for name, of in side.items()),
        )
        .sort("ts", descending=True)
    )


def _coverage(store: Store, markets: Sequence[tuple[str, str]], start: datetime) -> Iterator[str]:
    for venue, coin in markets:
        spans = store.lake.read_series(LISTENING, venue, coin, SPANS)
        known = spans_observed(store, venue, coin)
        until = datetime.fromtimestamp(known[-1, 1] / 1000, UTC) if known.size else None
        heard = "at no known time" if until is None else f"until {until:%Y-%m-%d %H:%M} UTC"
        share = str(spans["coverage"][-1]) if spans.height else "share not stated"
        if venue == HYPERLIQUID and spans.is_empty():
            share = "a node's fills, all of them"
        late = "" if until is None or until >= start else ", before what is shown"
        yield f"{venue} {coin}: {share}, recorded {heard}{late}"


def recent_view(found: Recent, most: int) -> Any:
    """The newest `most` liquidations, and the sums of the newest minutes that have any."""
    events = Table("time (UTC)", "venue", "coin", "side", box=None, pad_edge=False)
    for name in ("price", "USD"):
        events.add_column(name, justify="right")
    for ts, venue, coin, side, px, notional in found.events.head(most).iter_rows():
        events.add_row(f"{ts:%m-%d %H:%M:%S}", venue, coin, side, price(px), usd(notional))
    minutes = Table("minute (UTC)", box=None, pad_edge=False)
    for name in ("longs", "", "shorts", ""):
        minutes.add_column(name, justify="right")
    for ts, long_usd, short_usd, longs, shorts in found.minutes.head(SHOWN_MINUTES).iter_rows():
        minutes.add_row(f"{ts:%m-%d %H:%M}", usd(long_usd), f"{longs:,}", usd(short_usd), f"{shorts:,}")
    return Group(events, "", minutes)
