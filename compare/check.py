"""A map that people use, checked against the chain: read what it takes, as long as there is time, and compare.

Accounts (largest first) and the venues' series are read side by side; whatever is not there by the end is left out of
the comparison and named. What was read is stored, so that the next check begins with it.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from liqtruth.compare.comparison.comparison import Comparison, compared
from liqtruth.compare.comparison.session import (
    Files,
    around_maps,
    baseline_maps,
    make_map,
    of_another_coin,
    venues_of,
)
from liqtruth.compare.imported.read import names_file, picture_of, read_map
from liqtruth.compare.imported.vendor_map import PictureGiven
from liqtruth.compare.statistics.distances import HEADLINE_PCT
from liqtruth.estimator.feeds.fetch import FetchReport, all_of, fetchable, fetching
from liqtruth.estimator.model.maps import default_model
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.errors import LiqtruthError, MissingData, SourceUnreachable
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.notes import any_synthetic, note
from liqtruth.heatmap.text import counted, format_duration
from liqtruth.indexer.discovery.find import Discovery
from liqtruth.indexer.info.budget import Budget
from liqtruth.indexer.info.client import InfoClient
from liqtruth.indexer.maps.exact import whole_and_layer
from liqtruth.indexer.sweep.largest import Endpoint, LargestReport, read_largest
from liqtruth.indexer.sweep.order_book import store_book
from liqtruth.indexer.sweep.report import Sight
from liqtruth.storage.net.answers import shown_url
from liqtruth.storage.net.stops import Stop, on_signal
from liqtruth.storage.store import HYPERLIQUID_URL, Store

NAIVE: Final = "tiers"
BOOK_MAY_S: Final = 10.0
"""So long an order book may take."""
STOPPED: Final = "stopped before it was made"


@dataclass(frozen=True)
class CheckPlan:
    """What is checked and what it may take. `maps` are files, with the `mark_px` of those that state none, whose levels
    `shift` sees from the truth's mark, and what `picture` states of screenshots; `addresses` are lists of accounts
    beside those that are found; `venue_url` stands in for the hosts of all venues. `models` are compared in place of
    those of the venues, `at` is the moment of what is stored, by default the latest. Conclusions are drawn within
    `within_pct` of the mark; with `windows` every modelled map is made for 24 h, 7 d and 30 d too, to state which of
    them show a cluster."""

    coins: Sequence[str]
    maps: Sequence[str] = ()
    venues: Sequence[str] = ("binance", "bybit", "okx")
    within_s: float = 180.0
    coverage: float = 0.95
    days: int = 30
    venue_url: str | None = None
    addresses: Sequence[Path] = ()
    mark_px: float | None = None
    shift: bool = False
    picture: PictureGiven | None = None
    models: Sequence[str] = ()
    at: datetime | None = None
    within_pct: float = HEADLINE_PCT
    windows: bool = False

    @property
    def window(self) -> str:
        """How far back the venues are modelled."""
        return format_duration(timedelta(days=self.days))

    def files_of(self, coin: str) -> Files:
        """The maps to check of one coin: of several coins, a file that is of another one is left to that."""
        paths = [path for path in self.maps if not self._is_of_another(path, coin)]
        return Files(paths, self.mark_px, self.shift, self.picture)

    def _is_of_another(self, path: str, coin: str) -> bool:
        others = [one for one in self.coins if one != coin]
        return any(self._is_of(other, path) for other in others) and not self._is_of(coin, path)

    def _is_of(self, coin: str, path: str) -> bool:
        """Whether the file can be read as a map of the coin."""
        try:
            picture = picture_of(path, self.picture)
            return read_map(path, coin=coin, mark=self.mark_px, picture=picture).coin == coin
        except LiqtruthError:
            return False


@dataclass(frozen=True)
class Watching:
    """Whoever wants to see how it goes."""

    on_found: Callable[[Discovery, int], None] = lambda discovery, accounts: None
    on_read: Callable[[Sight], None] = lambda sight: None
    on_fetch: Callable[[FetchReport], None] = lambda report: None


@dataclass
class Gathered:
    """What was read: null where it came to nothing, and then `failed` has the reasons."""

    accounts: LargestReport | None = None
    series: list[FetchReport] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    books: list[str] = field(default_factory=list)
    """Of each coin, what came of its order book."""

    def describe(self) -> list[str]:
        """Lines for people."""
        return [*([] if self.accounts is None else self.accounts.describe()), *self.books]


@dataclass(frozen=True)
class Checked:
    """One coin: the comparison, and what it lacks."""

    coin: str
    comparison: Comparison
    lacking: tuple[str, ...]
    """Specs of the maps that could not be made; why is among the remarks."""
    unmade: tuple[str, ...] = ()
    """Those among them that a stop left unmade."""


def gather(
    store: Store, plan: CheckPlan, endpoint: Endpoint, watching: Watching, stop: Stop | None = None
) -> Gathered:
    """Read accounts and series until the plan's coverage, its time or a stop, by default by a signal; nothing that
    fails stops the rest.

    Raises `UnknownCoin` and `BadInput` for what cannot be asked, and what a map file is refused for: nobody should wait
    minutes to be told of a misspelt name.
    """
    venues = [fetchable(name) for name in dict.fromkeys(plan.venues)]
    for coin in plan.coins:
        plan.files_of(coin).read(coin)
    gathered = Gathered()

    async def series() -> None:
        url = plan.venue_url or await _own_url(store, endpoint)
        await all_of([one(venue.name, coin, url) for coin in plan.coins for venue in venues])

    async def one(venue: str, coin: str, url: str | None) -> None:
        summary = await fetching(
            store, [fetchable(venue)], coin, plan.days, base_url=url, unlisted_fails=False
        )
        for report in summary.reports:
            gathered.series.append(report)
            gathered.failed.extend(report.failed)
            watching.on_fetch(report)

    async def run(asked: Stop) -> None:
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + plan.within_s
        stopped = asyncio.Event()
        fetched = asyncio.create_task(series())
        stopping = asyncio.create_task(stopped.wait())
        try:
            with asked.calling(stopped.set):
                gathered.accounts = await _accounts(store, plan, endpoint, watching, gathered, asked)
                if gathered.accounts is not None and not asked.is_set:
                    gathered.books = await _books(store, plan, endpoint)
                left_s = 0.0 if stopped.is_set() else max(0.0, ends_s - loop.time())
                await asyncio.wait({fetched, stopping}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            gathered.failed.extend(await _ended(fetched, plan, by_hand=stopped.is_set()))

    with nullcontext(stop) if stop else on_signal() as asked:
        asyncio.run(run(asked))
    return gathered


async def _ended(fetched: asyncio.Task[None], plan: CheckPlan, *, by_hand: bool) -> list[str]:
    """Why series are not whole; ends the task. Raises its error where the question was wrong."""
    unfinished = not fetched.done()
    fetched.cancel()
    try:
        await fetched
    except asyncio.CancelledError:
        pass
    except LiqtruthError as error:
        if error.exit_code == 2:
            raise
        return [str(error)]
    if not unfinished:
        return []
    return [f"series not read to their end {'before the stop' if by_hand else f'within {plan.within_s:g} s'}"]


async def _own_url(store: Store, endpoint: Endpoint) -> str | None:
    """A synthetic exchange has venues of its own, at the same endpoint: those of the world are other markets."""
    if endpoint.url == HYPERLIQUID_URL:
        return None
    budget = Budget.shared(endpoint.weight_per_minute, endpoint.url, store.settings.data_dir)
    async with InfoClient(
        endpoint.url, budget, store.settings.request_timeout_s, 1, endpoint.patience
    ) as client:
        await client.reported_time_s()
        return endpoint.url if any_synthetic([client.source]) else None


async def _books(store: Store, plan: CheckPlan, endpoint: Endpoint) -> list[str]:
    """The order book of each coin as it is once its accounts are read; nothing else waits for one that does not
    come."""
    budget = Budget.shared(endpoint.weight_per_minute, endpoint.url, store.settings.data_dir)
    lines = []
    async with InfoClient(
        endpoint.url, budget, store.settings.request_timeout_s, 4, endpoint.patience
    ) as client:
        for coin in plan.coins:
            try:
                async with asyncio.timeout(BOOK_MAY_S):
                    prices = await store_book(store, client, coin)
                lines.append(f"order book of {coin}: {prices} prices")
            except (LiqtruthError, TimeoutError) as error:
                lines.append(f"no order book of {coin}: {error or f'no answer within {BOOK_MAY_S:g} s'}")
    return lines


async def _accounts(
    store: Store, plan: CheckPlan, endpoint: Endpoint, watching: Watching, gathered: Gathered, stop: Stop
) -> LargestReport | None:
    try:
        report = await read_largest(
            store,
            plan.coins,
            endpoint,
            files=plan.addresses,
            within_s=plan.within_s,
            target=plan.coverage,
            on_found=watching.on_found,
            on_change=watching.on_read,
            stop=stop,
        )
    except SourceUnreachable as error:
        gathered.failed.append(str(error))
        return None
    if report.swept is None and report.ended == "time":
        url = shown_url(endpoint.url)
        gathered.failed.append(f"no account was read from {url} within {plan.within_s:g} s")
    elif report.ended == "stopped":
        read = report.fresh + (0 if report.swept is None else report.swept.accounts)
        gathered.failed.append(
            f"stopped after {read:,} of {report.fresh + report.accounts:,} accounts were read"
        )
    gathered.failed.extend(report.lacking)
    return report


def check_coin(store: Store, plan: CheckPlan, coin: str, stop: Stop | None = None) -> Checked:
    """Compare what is stored of one coin; once `stop` is set and there is a map, no further model is made, and each is
    named as lacking.

    Raises `NothingStored` without positions, `MissingData` without any map.
    """
    asked = stop or Stop()
    view = store.view()
    truth, crowd = whole_and_layer(view, coin, "crowd", plan.at)
    maps, lacking = _maps(view, plan, coin, truth, asked)
    if not maps:
        raise MissingData(f"nothing to check of {coin}: {_why(lacking) or 'give --map or --venue'}")
    venues = venues_of(maps) if plan.models else plan.venues
    baselines, without = (
        ((), ())
        if asked.is_set
        else baseline_maps(view, coin, truth.as_of, plan.window, venues, (truth, *maps))
    )
    notes = [*(note("not_compared", missing=[one]) for one in lacking), *without]
    absent = _absent(plan.models or [f"{venue}:" for venue in plan.venues], maps)
    found = compared(
        truth,
        maps,
        crowd=crowd,
        notes=notes,
        caveats=[note("venues_gave_nothing", venues=absent)] if absent else [],
        baselines=baselines,
        around=around_maps(view, coin, (truth, *maps), of_windows=maps if plan.windows else ()),
        within_pct=plan.within_pct,
    )
    unmade = tuple(spec for spec, why in lacking if why == STOPPED)
    return Checked(coin, found, tuple(spec for spec, _ in lacking), unmade)


def _absent(specs: Iterable[str], maps: Sequence[Heatmap]) -> tuple[str, ...]:
    """Venues that were asked for and are in no modelled map."""
    named = (spec.partition(":")[0].split(",") for spec in specs if ":" in spec and not names_file(spec))
    asked = dict.fromkeys(venue_named(name).name for names in named for name in names if name != "all")
    there = set(venues_of(maps))
    return tuple(name for name in asked if name not in there)


def _why(lacking: Sequence[tuple[str, str]]) -> str:
    """The first reason, whole, and how many other maps could not be made; empty where none was asked for."""
    others = f"; nor could {counted(len(lacking) - 1, 'other map')} be made" if len(lacking) > 1 else ""
    return "".join(f"{spec} ({reason}){others}" for spec, reason in lacking[:1])


def _maps(
    store: Store, plan: CheckPlan, coin: str, truth: Heatmap, stop: Stop
) -> tuple[list[Heatmap], list[tuple[str, str]]]:
    """The given maps first; a model that cannot be made is named, with the reason."""
    maps, lacking = list[Heatmap](), list[tuple[str, str]]()
    files = plan.files_of(coin)
    for one in files.read(coin):
        if (why := of_another_coin(one, truth)) is None:
            maps.append(files.placed(one, truth))
        else:
            lacking.append((one.label, why))
    for spec in plan.models or _models(store, plan.venues):
        if stop.is_set and maps:
            lacking.append((spec, STOPPED))
            continue
        try:
            maps.append(make_map(store, coin, spec, truth.as_of, plan.window))
        except LiqtruthError as error:
            if error.exit_code == 2:
                raise
            lacking.append((spec, str(error)))
    return maps, lacking


def _models(store: Store, venues: Iterable[str]) -> list[str]:
    """The default, and the naive model beside it."""
    used = default_model(store.settings.data_dir)
    return [f"{venue}:{model}" for venue in venues for model in (used, NAIVE)]
