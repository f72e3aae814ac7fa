"""What a check reads: accounts, largest first, and the venues' series side by side, as long as there is time.

Whatever is not there by the end is named. What was read is stored, so that the next check begins with it.
"""

import asyncio
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field

from liqtruth.compare.check import CheckPlan
from liqtruth.estimator.feeds.fetch import FetchReport, all_of, fetchable, fetching
from liqtruth.heatmap.errors import LiqtruthError, SourceUnreachable
from liqtruth.heatmap.words.notes import any_synthetic
from liqtruth.indexer.discovery.find import Discovery
from liqtruth.indexer.info.budget import Budget, RequestRefused
from liqtruth.indexer.info.client import InfoClient
from liqtruth.indexer.sweep.largest import Endpoint, LargestReport, read_largest
from liqtruth.indexer.sweep.order_book import store_books
from liqtruth.indexer.sweep.report import Sight
from liqtruth.storage.net.answers import shown_url
from liqtruth.storage.net.stops import Stop, on_signal
from liqtruth.storage.store import HYPERLIQUID_URL, Store


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
    """A synthetic exchange has venues of its own, at the same endpoint: those of the world are other markets. Raises
    `SourceUnreachable` where the endpoint does not answer: the world is not asked in place of it."""
    if endpoint.url == HYPERLIQUID_URL:
        return None
    budget = Budget.shared(endpoint.weight_per_minute, endpoint.url, store.settings.data_dir)
    async with InfoClient(
        endpoint.url, budget, store.settings.request_timeout_s, 1, endpoint.patience
    ) as client:
        with suppress(RequestRefused):  # whoever refuses the question is there
            await client.post("exchangeStatus")
        return endpoint.url if any_synthetic([client.source]) else None


async def _books(store: Store, plan: CheckPlan, endpoint: Endpoint) -> list[str]:
    """The order book of each coin as it is once its accounts are read."""
    budget = Budget.shared(endpoint.weight_per_minute, endpoint.url, store.settings.data_dir)
    async with InfoClient(
        endpoint.url, budget, store.settings.request_timeout_s, 4, endpoint.patience
    ) as client:
        return await store_books(store, client, plan.coins)


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
