"""The live door of the feeds: public series of one or several venues through ccxt, into the lake.

All venues and all series of a market are read side by side; each page is stored as it comes, so a fetch that breaks
off is gone on with by the next one. A venue that fails stops no other, a series that fails stops no other.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from liqtruth.estimator.errors import SourceUnreachable, UnknownChoice, UnknownMarket
from liqtruth.estimator.feeds.backfill import FetchedSeries, SeriesJob
from liqtruth.estimator.venues.exchange import Exchange, Patience
from liqtruth.estimator.venues.spec import PERIODS, Venue
from liqtruth.estimator.venues.table import VENUES, venue_named
from liqtruth.heatmap.errors import ROWS, BadInput, LiqtruthError, PartlyRead
from liqtruth.heatmap.words.text import parse_duration
from liqtruth.storage.store import Store

T = TypeVar("T")
FINE_DAYS: Final = 5
"""Up to here the default bar is five minutes, beyond it an hour."""

Progress = Callable[[str, float], None]
"""Takes the venue's name and the share of its pages that is done."""


@dataclass(frozen=True)
class FetchReport:
    """What was brought of one market of one venue; `failed` states of each series that broke off why, which rows were
    left out, or of the venue why nothing came. `exit_code` is null where nothing failed."""

    venue: str
    coin: str
    source: str
    interval: str
    series: tuple[FetchedSeries, ...]
    remarks: tuple[str, ...]
    failed: tuple[str, ...] = ()
    exit_code: int | None = None

    def describe(self) -> list[str]:
        """Lines for a terminal; of what failed only how much, the reasons are in `failed`."""
        head = f"{self.venue} {self.coin}, {self.interval} bars from {self.source}"
        return [
            head if self.series else f"{self.venue} {self.coin}: nothing came",
            *(f"  {series.line()}" for series in self.series),
            *(f"  {remark}" for remark in self.remarks),
            *([f"  not whole: {len(self.failed)} failed"] if self.failed else []),
        ]


@dataclass(frozen=True)
class FetchSummary:
    """Reports of all venues that were asked, in their order."""

    reports: tuple[FetchReport, ...]

    def describe(self) -> list[str]:
        """Lines for a terminal."""
        return [line for report in self.reports for line in report.describe()]

    @property
    def failures(self) -> list[str]:
        """One line per failure."""
        return [reason for report in self.reports for reason in report.failed]

    @property
    def exit_code(self) -> int:
        """Zero where all came; else the gravest of the failures, of which a source that did not answer is 3."""
        return max((report.exit_code or 0 for report in self.reports), default=0)


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
    """All series that one venue gives, of the last `days`; `on_progress` takes the share that is done.

    Raises `UnknownChoice` for a venue or interval that is not offered, `UnknownMarket`, and `SourceUnreachable` where
    a series could not be read to its end; what had come until then is stored.
    """
    market = fetchable(venue)
    step_s = _step_asked(market, days, interval)

    async def run() -> FetchReport:
        def progress(_: str, share: float) -> None:
            (on_progress or _ignore_share)(share)

        report, errors = await _fetch(store, market, coin, days, step_s, base_url, patience, progress)
        _raise_first(report, errors)
        return report

    return asyncio.run(run())


def fetch_all(
    store: Store,
    venues: Sequence[Venue],
    coin: str,
    days: int,
    *,
    interval: str | None = None,
    base_url: str | None = None,
    patience: Patience | None = None,
    on_progress: Progress | None = None,
    unlisted_fails: bool = True,
) -> FetchSummary:
    """As `fetch`, of several venues at once; what goes wrong at one is in its report and stops no other.

    `unlisted_fails=False` makes a remark of a venue that has no such market. Raises `UnknownChoice` and `BadInput` for
    what cannot be asked of any of them.
    """
    asked = partial(
        fetching, store, venues, coin, days, interval=interval, base_url=base_url, patience=patience
    )
    return asyncio.run(asked(on_progress=on_progress, unlisted_fails=unlisted_fails))


async def fetching(
    store: Store,
    venues: Sequence[Venue],
    coin: str,
    days: int,
    *,
    interval: str | None = None,
    base_url: str | None = None,
    patience: Patience | None = None,
    on_progress: Progress | None = None,
    unlisted_fails: bool = True,
) -> FetchSummary:
    """`fetch_all` in a running loop; what had come stays stored where it is cancelled."""
    steps = [(fetchable(venue.name), _step_asked(venue, days, interval)) for venue in venues]

    async def one(venue: Venue, step_s: int) -> FetchReport:
        progress = on_progress or _ignore
        try:
            report, _ = await _fetch(store, venue, coin, days, step_s, base_url, patience, progress)
        except UnknownMarket as error:
            failed = (str(error),) if unlisted_fails else ()
            remarks = () if unlisted_fails else (str(error),)
            report = _nothing(
                venue, coin, step_s, remarks, failed, error.exit_code if unlisted_fails else None
            )
        except LiqtruthError as error:
            report = _nothing(venue, coin, step_s, (), (str(error),), error.exit_code)
        progress(venue.name, 1.0)
        return report

    return FetchSummary(tuple(await all_of([one(*step) for step in steps])))


async def all_of(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """What they give, at once. Where it is cancelled or one fails, all have ended, and closed their connections, before
    it raises; `gather` alone waits for the first."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    except Exception:
        for task in tasks:
            task.cancel()
        raise
    finally:
        if tasks:  # a second cancel would break off their closing
            await asyncio.wait(tasks)


def _nothing(
    venue: Venue,
    coin: str,
    step_s: int,
    remarks: tuple[str, ...],
    failed: tuple[str, ...],
    exit_code: int | None,
) -> FetchReport:
    return FetchReport(venue.name, coin, "", PERIODS[step_s], (), remarks, failed, exit_code)


def fetchable(name: str) -> Venue:
    """A venue that can be asked; raises `UnknownChoice`, or `BadInput` where its series only come from files."""
    venue = venue_named(name)
    if not venue.fetchable:
        offered = ", ".join(other.name for other in VENUES.values() if other.fetchable)
        raise BadInput(f"{name} cannot be fetched ({venue.note}); fetched are: {offered}")
    return venue


def step_named(venue: Venue, interval: str) -> int:
    """Seconds of a bar length such as `1h`; raises `UnknownChoice`."""
    steps = venue.feeds["candles"].periods
    asked = [step_s for step_s in steps if _same_length(interval, step_s)]
    if not asked:
        raise UnknownChoice(f"interval of {venue.name}", interval, [PERIODS[step_s] for step_s in steps])
    return asked[0]


def _same_length(text: str, seconds: int) -> bool:
    try:
        return parse_duration(text).total_seconds() == seconds
    except BadInput:
        return False


def _step_asked(venue: Venue, days: int, interval: str | None) -> int:
    if days < 1:
        raise BadInput(f"days must be at least 1, got {days}")
    return step_named(venue, interval or ("5m" if days <= FINE_DAYS else "1h"))


async def _fetch(
    store: Store,
    venue: Venue,
    coin: str,
    days: int,
    step_s: int,
    base_url: str | None,
    patience: Patience | None,
    on_progress: Progress,
) -> tuple[FetchReport, list[BaseException]]:
    """The report, and the errors behind its `failed`; raises where the market cannot be found at all."""
    async with Exchange(venue, base_url, patience) as exchange:
        now_ms = await exchange.now_ms()
        market, contract = await exchange.market(coin), await exchange.contract(coin)
        jobs = [
            SeriesJob(store, exchange, contract, market, dataset, step_s, now_ms, days)
            for dataset in venue.datasets
        ]
        total, done = sum(len(job.pages) for job in jobs), 0

        def advance() -> None:
            nonlocal done
            done += 1
            on_progress(venue.name, done / total)

        outcomes = await asyncio.gather(*(job.run(advance) for job in jobs), return_exceptions=True)
        errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        for error in errors:
            if not isinstance(error, LiqtruthError):
                raise error
        series = tuple(outcome for outcome in outcomes if isinstance(outcome, FetchedSeries))
        failed = (*(str(error) for error in errors), *_left_out_of(exchange, coin, jobs))
        codes = [error.exit_code for error in errors if isinstance(error, LiqtruthError)]
        return FetchReport(
            venue=venue.name,
            coin=coin,
            source=exchange.source,
            interval=PERIODS[step_s],
            series=series,
            remarks=(
                *_market_remarks(contract.symbol, contract.inverse),
                *_depth_remarks(venue, step_s, days),
            ),
            failed=tuple(dict.fromkeys(failed)),
            exit_code=max((*codes, *[PartlyRead.exit_code] * bool(failed)), default=None),
        ), errors


def _left_out_of(exchange: Exchange, coin: str, jobs: Sequence[SeriesJob]) -> Iterator[str]:
    """What of the answers could not be stored, a line per series and reason."""
    for job in jobs:
        for line in job.left_out.describe(ROWS):
            yield f"{exchange.venue.name} ({exchange.shown_url}) {job.dataset} of {coin}: {line}"


def _raise_first(report: FetchReport, errors: Sequence[BaseException]) -> None:
    """Raise what stopped a dataset, naming the datasets that are stored whole."""
    if not errors:
        return
    first, whole = errors[0], [series.dataset for series in report.series]
    if isinstance(first, SourceUnreachable) and whole:
        stored = ", ".join(whole)
        raise type(first)(
            f"{first}; stored whole of {report.venue} {report.coin}: {stored}; run again to go on"
        ) from first
    raise first


def _market_remarks(symbol: str, inverse: bool) -> tuple[str, ...]:
    return (f"{symbol} is inverse: margin and profit are in the coin",) if inverse else ()


def _depth_remarks(venue: Venue, step_s: int, days: int) -> tuple[str, ...]:
    """Which series the venue does not keep for as long as was asked, those of one depth on one line."""
    kept: dict[float, list[str]] = {}
    for dataset, feed in venue.feeds.items():
        depth_s = feed.depth_s(feed.step_s(step_s))
        if depth_s is not None and depth_s < 86_400 * days:
            kept.setdefault(depth_s / 86_400, []).append(dataset)
    return tuple(
        f"{venue.name} keeps {' and '.join(names)} for {depth:.3g} days: asked for {days}, got those"
        for depth, names in sorted(kept.items())
    )


def _ignore(venue: str, share: float) -> None:
    """No progress is wanted."""


def _ignore_share(share: float) -> None:
    """No progress is wanted."""
