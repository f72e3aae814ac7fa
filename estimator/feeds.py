"""The live door of the feeds: a venue's public series through ccxt, into the lake.

All series of a market are read side by side; each page is stored as it comes, so a fetch that breaks off is gone on
with by the next one.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from estimator.errors import SourceUnreachable, UnknownChoice
from estimator.exchange import Exchange, Patience
from estimator.series_job import FetchedSeries, SeriesJob
from estimator.venues import PERIODS, VENUES, Venue, venue_named
from heatmap.errors import BadInput
from storage.store import Store

FINE_DAYS: Final = 5
"""Up to here the default bar is five minutes, beyond it an hour."""


@dataclass(frozen=True)
class FetchReport:
    """What `fetch` brought of one market."""

    venue: str
    coin: str
    source: str
    interval: str
    series: tuple[FetchedSeries, ...]
    remarks: tuple[str, ...]

    def describe(self) -> list[str]:
        """Lines for a terminal."""
        head = f"{self.venue} {self.coin}, {self.interval} bars from {self.source}"
        return [
            head,
            *(f"  {series.line()}" for series in self.series),
            *(f"  {said}" for said in self.remarks),
        ]


def fetch(
    store: Store,
    venue: str,
    coin: str,
    days: int,
    *,
    interval: str | None = None,
    base_url: str | None = None,
    patience: Patience | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> FetchReport:
    """Candles, open interest, funding and ratios of the last `days`; `on_progress` takes the share that is done.

    Raises `UnknownChoice` for a venue or interval that is not offered, `UnknownMarket`, and `SourceUnreachable` where
    a series could not be read to its end; what had come until then is stored.
    """
    market = fetchable(venue)
    if days < 1:
        raise BadInput(f"{days} days: at least one is needed")
    step_s = step_named(market, interval or ("5m" if days <= FINE_DAYS else "1h"))
    return asyncio.run(_fetch(store, market, coin, days, step_s, base_url, patience, on_progress or _ignore))


def fetchable(name: str) -> Venue:
    """A venue that can be asked; raises `UnknownChoice`, or `BadInput` where its series only come from files."""
    venue = venue_named(name)
    if not venue.fetchable:
        offered = ", ".join(other.name for other in VENUES.values() if other.fetchable)
        raise BadInput(
            f"{name} cannot be fetched yet, its series come from files (liqtruth feed import); fetched are: {offered}"
        )
    return venue


def step_named(venue: Venue, interval: str) -> int:
    """Seconds of a bar length such as `1h`; raises `UnknownChoice`."""
    steps = {name: step_s for step_s, name in venue.periods.items()}
    if interval not in steps:
        raise UnknownChoice("interval", interval, steps)
    return steps[interval]


async def _fetch(
    store: Store,
    venue: Venue,
    coin: str,
    days: int,
    step_s: int,
    base_url: str | None,
    patience: Patience | None,
    on_progress: Callable[[float], None],
) -> FetchReport:
    async with Exchange(venue, base_url, patience) as exchange:
        now_ms = await exchange.now_ms()
        market = await exchange.market(coin)
        jobs = [
            SeriesJob(store, exchange, coin, market, dataset, step_s, now_ms, days)
            for dataset in venue.datasets
        ]
        total = sum(len(job.pages) for job in jobs)
        done = 0

        def advance() -> None:
            nonlocal done
            done += 1
            on_progress(done / total)

        outcomes = await asyncio.gather(*(job.run(advance) for job in jobs), return_exceptions=True)
        _raise_first(venue, coin, jobs, outcomes)
        remarks = _depth_remarks(venue, days)
        series = tuple(outcome for outcome in outcomes if isinstance(outcome, FetchedSeries))
        return FetchReport(venue.name, coin, exchange.source, PERIODS[step_s], series, remarks)


def _raise_first(venue: Venue, coin: str, jobs: Sequence[SeriesJob], outcomes: Sequence[object]) -> None:
    """Raise what stopped a dataset, naming the datasets that are stored whole."""
    errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    if not errors:
        return
    first = errors[0]
    whole = [
        job.dataset for job, outcome in zip(jobs, outcomes, strict=True) if isinstance(outcome, FetchedSeries)
    ]
    if isinstance(first, SourceUnreachable) and whole:
        stored = ", ".join(whole)
        raise type(first)(
            f"{first}; stored whole of {venue.name} {coin}: {stored}; run again to go on"
        ) from first
    raise first


def _depth_remarks(venue: Venue, days: int) -> tuple[str, ...]:
    short = sorted(name for name, depth in venue.depth_days.items() if depth < days)
    if not short:
        return ()
    depth = min(venue.depth_days[name] for name in short)
    return (f"{venue.name} keeps {' and '.join(short)} for {depth} days: asked for {days}, got those",)


def _ignore(share: float) -> None:
    """Nobody watches."""
