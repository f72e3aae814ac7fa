"""A watch from its start to its end: find whom to watch, watch, find more and compact now and then, stop when asked.

The tape finds whoever trades; leaderboard and vaults find large holders that do not. Both are asked at the start and
every six hours, the first time for a while before anything is read, so that the first reads go where most is expected.
HyperEVM, where it is asked, shows every five minutes who deposited since.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Final, Literal

import polars as pl
import structlog

from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.indexer.discovery import address_book, known_accounts
from liqtruth.indexer.discovery.find import discover
from liqtruth.indexer.discovery.on_chain import deposits
from liqtruth.indexer.discovery.sources import Found, leaderboard, vaults
from liqtruth.indexer.evm.deposits import Deposits
from liqtruth.indexer.evm.sized import size_first
from liqtruth.indexer.evm.sizing import EvmEndpoint
from liqtruth.indexer.info.batch_doors import BatchEndpoint
from liqtruth.indexer.info.budget import Patience
from liqtruth.indexer.info.client import InfoClient, find_dexes
from liqtruth.indexer.positions.watch_state import WatchState, lock_path, read_state, write_state
from liqtruth.indexer.sweep.order_book import LARGEST, largest_coins, store_books
from liqtruth.indexer.watch.metrics import serving_metrics
from liqtruth.indexer.watch.watch import FAULTS, Pace, Watch
from liqtruth.storage.lock import alone
from liqtruth.storage.net.answers import shown_url
from liqtruth.storage.net.long_runs import aside, beside, stopping, unless, whole
from liqtruth.storage.store import Store
from liqtruth.storage.upkeep.compaction import EVERYTHING, compact
from liqtruth.storage.upkeep.retention import Keep

REDISCOVER_S: Final = 6 * 3600.0
SIZE_AGAIN_S: Final = 300.0
"""How often everyone is sized through HyperEVM: whose cash moved has changed, also where the tape missed it."""
FIRST_FIND_S: Final = 30.0
"""How long reading waits for the sources; they are read to their end meanwhile."""
VAULT_DETAILS: Final = 20
UNKNOWN_YET_S: Final = 1.0
"""Until markets are looked at again, where none is known yet."""
FILE: Final = "file"

log = structlog.get_logger("liqtruth.watch")


@dataclass(frozen=True)
class WatchPlan:
    """What is watched and how; `stats_url` null leaves leaderboard and vaults out, `for_s` null watches for ever.

    Every `compact_s` what was stored is compacted, and what is older than `keep` given up. Every
    `order_books_s` the order book of the `order_books` coins of most open interest is stored, the first time once the
    accounts that matter most are read.
    """

    base_url: str
    dexes: Sequence[str] | Literal["all"] = "all"
    stats_url: str | None = None
    weight_per_minute: float | None = 960
    concurrency: int = 16
    metrics_port: int | None = None
    for_s: float | None = None
    pace: Pace = field(default_factory=Pace)
    patience: Patience | None = None
    evm: EvmEndpoint | None = None
    batch: BatchEndpoint | None = None
    keep: Keep = EVERYTHING
    compact_s: float = 3600.0
    order_books: int = LARGEST
    order_books_s: float = 3600.0


def run_watch(
    store: Store,
    plan: WatchPlan,
    seeds: Sequence[str] = (),
    on_ready: Callable[[Watch, int | None], None] | None = None,
) -> Watch:
    """Watch until a signal (or `for_s`) ends it. Raises `LiqtruthError` where another watch runs on the same data, and
    `SourceUnreachable` where the exchange cannot be read at the start; `BadInput` for an address that is none."""
    for url in (plan.base_url, plan.stats_url):
        if url is not None:
            shown_url(url)
    with alone(lock_path(store), "a watch"), store.lake.claim("watch", "a watch"):
        return asyncio.run(_run(store, plan, seeds, on_ready))


async def _run(
    store: Store, plan: WatchPlan, seeds: Sequence[str], on_ready: Callable[[Watch, int | None], None] | None
) -> Watch:
    watch = Watch(
        store,
        plan.base_url,
        weight_per_minute=plan.weight_per_minute,
        concurrency=plan.concurrency,
        pace=plan.pace,
        patience=plan.patience,
        state=_begun(store),
        batch=plan.batch,
    )
    stop = stopping(plan.for_s)
    timeout_s = store.settings.request_timeout_s
    try:
        async with InfoClient(plan.base_url, watch.budget, timeout_s, 4, plan.patience) as client:
            await unless(stop, _prepare(watch, client, plan, seeds))
            with serving_metrics(watch.state, plan.metrics_port) as port:
                async with (
                    _finding(watch, client, plan) as found,
                    compacting(watch, plan),
                    beside(_read_books_again_and_again(watch, client, plan)),
                ):
                    await unless(stop, _at_most(found, FIRST_FIND_S))
                    if on_ready is not None:
                        on_ready(watch, port)
                    await watch.run(stop)
    except LiqtruthError as error:
        watch.note_fault("start", error)
        raise
    finally:
        watch.state.ended_at = datetime.now(UTC)
        write_state(store, watch.state)
    return watch


def _begun(store: Store) -> WatchState:
    """The state of a run that has begun; what was read since the last book stays known until it is resumed."""
    last, now = read_state(store), datetime.now(UTC)
    known = (last.batches, last.book) if last is not None else ("", "")
    state = WatchState(started_at=now, written_at=now, batches=known[0], book=known[1])
    write_state(store, state)
    return state


async def _prepare(watch: Watch, client: InfoClient, plan: WatchPlan, seeds: Sequence[str]) -> None:
    watch.dexes = await find_dexes(client, plan.dexes)
    await watch.marks.set_clock(client)
    await aside(address_book.remember, watch.store, seeds, FILE, watch.clock.now)


@asynccontextmanager
async def _finding(watch: Watch, client: InfoClient, plan: WatchPlan) -> AsyncIterator[asyncio.Event]:
    """Look for more to watch during the block; the event is set when the sources were asked once."""
    found = asyncio.Event()
    async with beside(_find_again_and_again(watch, client, plan, found)):
        yield found


@asynccontextmanager
async def compacting(watch: Watch, plan: WatchPlan) -> AsyncIterator[None]:
    """Compact the store again and again during the block, in a thread, which ends with the archive that it is at.

    What is old is so by the exchange's clock, as readings are: one of ours that is wrong gives up nothing.
    """
    over = threading.Event()
    async with beside(_compact_again_and_again(watch, plan, over)):
        try:
            yield
        finally:
            over.set()


async def _compact_again_and_again(watch: Watch, plan: WatchPlan, over: threading.Event) -> None:
    work = partial(compact, watch.store.lake, plan.keep, is_over=over.is_set)
    while True:
        try:
            done = await aside(partial(work, now=watch.clock.now))
            log.info("compacted", result="; ".join(done.describe()))
            done.raise_if_partly()
        except FAULTS as error:
            watch.note_fault("compactor", error)
        await asyncio.sleep(plan.compact_s)


async def _read_books_again_and_again(watch: Watch, client: InfoClient, plan: WatchPlan) -> None:
    """Store the order books of the largest coins."""
    await asyncio.sleep(min(plan.pace.first_book_s, plan.order_books_s))
    while plan.order_books:
        coins = largest_coins(watch.marks.markets, plan.order_books)
        try:
            for line in await store_books(watch.store, client, coins):
                log.info("order book read", result=line)
        except FAULTS as error:
            watch.note_fault("order books", error)
        await asyncio.sleep(plan.order_books_s if coins else UNKNOWN_YET_S)


async def _at_most(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)


async def _find_again_and_again(
    watch: Watch, client: InfoClient, plan: WatchPlan, found: asyncio.Event
) -> None:
    since = Deposits()
    while True:
        try:
            await whole(_find(watch, client, plan, watch.clock.now))
            await _find_deposits(watch, plan, since)
            await _size(watch, client, plan, found.set)
        except FAULTS as error:
            watch.note_fault("finder", error)
        found.set()
        for _ in range(int(REDISCOVER_S / SIZE_AGAIN_S)):
            await asyncio.sleep(SIZE_AGAIN_S)
            await _find_deposits(watch, plan, since)
            try:
                await _size(watch, client, plan)
            except FAULTS as error:
                watch.note_fault("sizer", error)


async def _find(watch: Watch, client: InfoClient, plan: WatchPlan, now: datetime) -> None:
    """Ask leaderboard and vaults; a source that fails is logged and missed, never fatal."""
    if plan.stats_url is None:
        return
    sources: list[tuple[str, Callable[[], Awaitable[Found]]]] = [
        ("leaderboard", partial(leaderboard, plan.stats_url)),
        ("vault", partial(vaults, client, plan.stats_url, VAULT_DETAILS)),
    ]
    await _met(watch, sources, now)


async def _find_deposits(watch: Watch, plan: WatchPlan, since: Deposits) -> None:
    """Who deposited from HyperEVM since the last look."""
    if plan.evm is None:
        return
    try:
        await _met(watch, [("deposit", partial(deposits, watch.store, plan.evm, since))], watch.clock.now)
    except FAULTS as error:
        watch.note_fault("deposits", error)


async def _met(
    watch: Watch, sources: Sequence[tuple[str, Callable[[], Awaitable[Found]]]], now: datetime
) -> None:
    """Ask the sources, and watch whom they name."""
    found = await discover(watch.store, sources, now)
    for one, new in zip(found.found, found.new, strict=True):
        facts = {"addresses": len(one.addresses), "new": new, "requests": one.requests, "weight": one.weight}
        log.info("source read", source=one.source, **facts, problem=next(iter(one.problems), None))
        watch.meet(one.addresses, one.leaders)


async def _size(
    watch: Watch, client: InfoClient, plan: WatchPlan, on_first: Callable[[], None] = lambda: None
) -> None:
    """Size everyone in the address book, those first of whom most is expected; the queue has each part as it comes.

    `on_first` is called once it has one. Without sizes the order is what hints let expect.
    """
    if plan.evm is None:
        return
    known = (await aside(known_accounts.book, watch.store))["address"].to_list()
    if not known:
        return
    moved = 0

    def note(dex: str, sizes: pl.DataFrame) -> None:
        nonlocal moved
        held = sizes.select("address", "raw_usd", "ts", sized_usd="notional_usd")
        moved += watch.crawl_queue.note_sizes(dex, held, highest_rate(watch.marks.markets, dex))
        on_first()

    order = watch.crawl_queue.largest_first(known)
    sized = await size_first(watch.store, order, plan.evm, client, watch.dexes, on_sizes=note)
    log.info("accounts sized", result=sized.describe()[0], moved=moved)


def highest_rate(markets: pl.DataFrame, dex: str) -> float:
    """The largest funding rate of the dex per hour, whoever pays it."""
    rate = markets.filter(dex=dex)["funding_rate"].abs().max()
    return float(rate) if isinstance(rate, float) else 0.0
