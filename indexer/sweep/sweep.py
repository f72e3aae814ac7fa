"""Reads every account of a list from an info endpoint, within the weight budget, and stores them as one reading.

Each dex's `metaAndAssetCtxs` is read once; an account costs 2 per dex, and 2 more for its spot state where it has cross
positions and is not remembered as standard, because only that shows whether they are backed by the dex's own balance or
by a pool (`userAbstraction` would show it for 20). An account that cannot be read is in the report's failures; many in
a row mean that the host is gone, and then the sweep stops and keeps what it has: the same call goes on from there.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import polars as pl

from liqtruth.heatmap.errors import LiqtruthError, SourceUnreachable
from liqtruth.heatmap.words.notes import Notes, note, sentence
from liqtruth.indexer.audit.mismatch import count_reasons, mismatches_of
from liqtruth.indexer.discovery.address_lists import read_addresses
from liqtruth.indexer.evm.sized import RECENT, SizedFirst, size_first, sized_notional
from liqtruth.indexer.evm.sizing import EvmEndpoint
from liqtruth.indexer.info.ahead import reading_ahead
from liqtruth.indexer.info.batch_doors import BatchEndpoint
from liqtruth.indexer.info.budget import Budget, Patience
from liqtruth.indexer.info.client import ALL, MAIN, InfoClient, exchange_time_s, find_dexes, read_dexes
from liqtruth.indexer.info.wire import DexAnswer
from liqtruth.indexer.margin.checks import Checks, check
from liqtruth.indexer.margin.inferred import with_remembered_tables
from liqtruth.indexer.margin.reconcile import notes_on_collateral, reconciled
from liqtruth.indexer.margin.tables import MarginTables
from liqtruth.indexer.positions.latest import keep_latest
from liqtruth.indexer.positions.markets import VENUE, markets_answered, markets_of_dexes, universe_row
from liqtruth.indexer.positions.readings import Readings
from liqtruth.indexer.positions.remembered import MODE_MAX_AGE_S, remembered_modes, with_first_sight
from liqtruth.indexer.sweep.batches import SweepParts
from liqtruth.indexer.sweep.crawl import Crawl
from liqtruth.indexer.sweep.largest_first import LargestFirst
from liqtruth.indexer.sweep.order_book import largest_coins, store_books
from liqtruth.indexer.sweep.report import Sight, SweepPlan, SweepReport, plan
from liqtruth.storage.database.markets import store_markets, store_universe
from liqtruth.storage.database.records import Reading, Scope
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Store

__all__ = ["SweepPlan", "SweepReport", "find_dexes", "plan", "plan_of", "read_addresses", "sweep"]

BATCH_ACCOUNTS: Final = 500
NOT_SIZED_USD: Final = 1.0
"""Where an account that was not sized stands among those that were."""
AS_SEEN: Final = "as seen"
"""Name of sweeps that end when enough is seen."""


async def sweep(
    store: Store,
    addresses: Sequence[str],
    *,
    base_url: str,
    dex: str = MAIN,
    dexes: Sequence[str] | Literal["all"] | None = None,
    weight_per_minute: float | None = 960,
    concurrency: int = 16,
    restart: bool = False,
    on_progress: Callable[[int], None] | None = None,
    patience: Patience | None = None,
    mode_max_age_s: float = MODE_MAX_AGE_S,
    sight: Sight | None = None,
    evm: EvmEndpoint | None = None,
    order: LargestFirst | None = None,
    books: int = 0,
    batch: BatchEndpoint | None = None,
) -> SweepReport:
    """Read `addresses` in `dexes`, store one reading and the dexes' markets, and report what it took.

    `dexes` goes before `dex`; "" is the main dex, "all" every one that the exchange lists. Resumes the unfinished
    sweep of the same list, dexes and endpoint unless `restart`. `on_progress` gets the number of accounts done. A
    standard account is taken to be one for `mode_max_age_s` after its spot state showed it. Raises `SourceUnreachable`
    (what was read stays), and `BadInput` for an unknown dex. A dex that fails for everyone is left out, and reported.
    Where `evm` is given they are sized by it meanwhile, and the largest known is read next.
    `order` gives the accounts instead, as others are found to be larger or not to be read at all.
    Of the `books` coins of most open interest the order book is stored too, once the accounts are read.
    States of many accounts come in one request through `batch`, or where the endpoint itself answers that
    (`indexer.info.ahead`).
    `sight` sees each account as it comes, and may end the sweep. Such a sweep is not resumed: what was read until it
    ended, or the host was gone, is the reading.
    """
    listed = list(dict.fromkeys(address.lower() for address in addresses))
    started_s = time.monotonic()
    budget = Budget.shared(weight_per_minute, base_url, store.settings.data_dir)
    async with InfoClient(
        base_url, budget, store.settings.request_timeout_s, concurrency, patience
    ) as client:
        names = await find_dexes(client, [dex] if dexes is None else dexes)
        answers, lost = await read_dexes(client, names)
        await client.reported_time_s()
        parts = (
            SweepParts.resume(store, listed, ",".join(names), base_url, client.shown_url, restart)
            if sight is None
            else SweepParts.alone(store, AS_SEEN, listed, ",".join(names), client.shown_url)
        )
        resumed = len(parts.stored)
        crawl = Crawl(
            client=client,
            parts=parts,
            tables={name: MarginTables.from_meta(answer.meta) for name, answer in answers.items()},
            concurrency=concurrency,
            source=client.source,
            on_done=_counter(resumed, len(listed), on_progress),
            memory=remembered_modes(store, listed),
            mode_max_age_s=mode_max_age_s,
            batch_accounts=BATCH_ACCOUNTS,
            lost=lost,
        )
        if sight is not None:
            sight.begin(answers)
            crawl.on_read, crawl.stop = sight.take, sight.stop
        left = [address for address in listed if address not in parts.stored]
        async with reading_ahead(store, client, batch, left, len(names)) as crawl.ahead:
            broken, sized = await _sized_and_read(store, crawl, left, evm, order)
        about_books = [] if broken or not books else await _books(store, client, answers, books)
    if broken is not None and (sight is None or not parts.stored):
        raise broken
    if not parts.stored:
        raise _nothing_read(crawl, len(listed))
    done = _complete(store, crawl, answers)
    report = _report(done, crawl, budget, resumed, time.monotonic() - started_s, broken)
    parts.finish()
    about_sizes = () if sized is None else map(sentence, sized.describe())
    return replace(
        report,
        ahead=crawl.described_ahead(),
        notes=(*report.notes, *about_sizes),
        books=tuple(about_books),
    )


def _nothing_read(crawl: Crawl, accounts: int) -> LiqtruthError:
    """Why nothing came of a sweep."""
    if crawl.stop.is_set() or not crawl.failed:
        return NothingStored("no account was read before the sweep was ended")
    return SourceUnreachable(f"none of {accounts:,} accounts could be read: {_any(crawl.failed)}")


async def _books(store: Store, client: InfoClient, answers: Mapping[str, DexAnswer], count: int) -> list[str]:
    """What came of the order books of the largest coins of the dexes that were read."""
    return await store_books(store, client, largest_coins(markets_of_dexes(answers), count))


async def _sized_and_read(
    store: Store,
    crawl: Crawl,
    addresses: Sequence[str],
    evm: EvmEndpoint | None,
    given: LargestFirst | None,
) -> tuple[SourceUnreachable | None, SizedFirst | None]:
    """Size the accounts, where `evm` can, and read them side by side, else in the order that is `given`; the error
    where the host was gone before the end."""
    if evm is None or not addresses:
        return await _read_all(crawl, given or LargestFirst(addresses)), None
    order, dexes = LargestFirst(addresses, sizing=True), list(crawl.tables)

    async def sized() -> SizedFirst:
        report = await size_first(
            store, addresses, evm, crawl.client, dexes, stop=crawl.stop, on_sizes=order.note
        )
        with suppress(LiqtruthError):  # the rest is read in the order that was given
            order.settle(await _by_size(store, order.left, crawl.client, dexes))
        return report

    sizing = asyncio.create_task(sized())
    sizing.add_done_callback(lambda _: order.settle(order.left))
    try:
        broken = await _read_all(crawl, order)
        return broken, None if broken is not None else await sizing
    finally:
        sizing.cancel()


async def _by_size(
    store: Store, addresses: Sequence[str], client: InfoClient, dexes: Sequence[str]
) -> list[str]:
    """The largest first; those that were not sized come before those that hold nothing."""
    now = datetime.fromtimestamp(await exchange_time_s(client), UTC)
    known = dict(sized_notional(store, dexes, now, RECENT).select("address", "sized_usd").iter_rows())
    return sorted(addresses, key=lambda address: -known.get(address, NOT_SIZED_USD))


async def _read_all(crawl: Crawl, addresses: LargestFirst) -> SourceUnreachable | None:
    """The error where the host was gone before the end."""
    try:
        await crawl.run(addresses)
    except SourceUnreachable as error:
        return error
    return None


async def plan_of(
    addresses: Sequence[str],
    *,
    base_url: str,
    dexes: Sequence[str] | Literal["all"],
    weight_per_minute: float | None = 960,
    timeout_s: float = 10.0,
    data_dir: Path | None = None,
    books: int = 0,
) -> SweepPlan:
    """The cost of a sweep; asks the exchange for its dexes where "all" are wanted, and nothing else."""
    if dexes == ALL:
        budget = Budget.shared(weight_per_minute, base_url, data_dir)
        async with InfoClient(base_url, budget, timeout_s, 1) as client:
            dexes = await find_dexes(client, ALL)
    return plan(addresses, weight_per_minute=weight_per_minute, dexes=dexes, books=books)


def _counter(start: int, most: int, on_progress: Callable[[int], None] | None) -> Callable[[], None]:
    """Counts accounts done; one read twice counts once, so it never says more than there are."""
    done = start

    def count() -> None:
        nonlocal done
        done = min(done + 1, most)
        if on_progress is not None:
            on_progress(done)

    if on_progress is not None:
        on_progress(done)
    return count


def _any(failed: dict[str, str]) -> str:
    return next(iter(failed.values()), "no reason given")


@dataclass(frozen=True, eq=False)
class _Completed:
    """The reading that was stored, its reconciled positions, when its first account was read, and the `MISMATCHES`."""

    reading: Reading
    positions: pl.DataFrame
    first: datetime
    mismatches: pl.DataFrame


def _complete(store: Store, crawl: Crawl, answers: Mapping[str, DexAnswer]) -> _Completed:
    """Reconcile what is stored and write it as one reading, with the dexes' markets and margin tables."""
    listed = crawl.parts.accounts()
    accounts = listed.unique(["address", "dex"], keep="last", maintain_order=True)
    before = Readings(store)
    known = before.stored()
    checked = check(with_remembered_tables(crawl.parts.positions(), known), crawl.tables)
    positions = with_first_sight(reconciled(checked, crawl.tables), known, before.stored_accounts())
    first, last = listed["as_of"].min(), accounts["as_of"].max()
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    reading = Reading(
        id=f"sweep-{crawl.parts.sweep.id}",
        venue=VENUE,
        source=crawl.source,
        scope=Scope.ACCOUNTS,
        as_of=last,
        accounts=accounts["address"].n_unique(),
        positions=positions.height,
        notes="; ".join(_unread(crawl)),
    )
    # The contexts carry no time; they were read just before the first account of this run.
    read_at = crawl.began or last
    for name, answer in answers.items():
        store_universe(store.database, universe_row(answer.meta_json, name, read_at))
        store_markets(store.database, markets_answered(answer.meta, answer.ctxs, name, read_at))
    store.lake.write_reading(reading, {"positions": positions, "accounts": accounts})
    keep_latest(store)
    return _Completed(reading, positions, first, mismatches_of(checked, crawl.tables))


def _unread(crawl: Crawl) -> list[str]:
    """What the reading lacks, for whoever reads it later."""
    return [
        *([f"{len(crawl.failed)} accounts could not be read"] if crawl.failed else []),
        *(f"dex {name or 'main'} could not be read" for name in crawl.lost),
        *crawl.client.left_out.describe(),
    ]


def _notes(positions: pl.DataFrame, crawl: Crawl) -> Notes:
    warning = crawl.client.clock_warning
    return (
        *notes_on_collateral(positions),
        *([note("closed_passed_over", count=crawl.closed)] if crawl.closed else []),
        *([sentence(warning)] if warning else []),
    )


def _report(
    done: _Completed,
    crawl: Crawl,
    budget: Budget,
    resumed: int,
    seconds: float,
    broken: SourceUnreachable | None,
) -> SweepReport:
    reading, positions = done.reading, done.positions
    counts = positions.group_by("status").len().sort("len", "status", descending=[True, False])
    return SweepReport(
        reading_id=reading.id,
        source=reading.source,
        dex=",".join(crawl.tables),
        accounts=reading.accounts,
        accounts_with_positions=positions["address"].n_unique(),
        resumed_accounts=resumed,
        positions=positions.height,
        unpriced=positions["liq_px"].null_count(),
        statuses=dict(counts.iter_rows()),
        failed=crawl.failed,
        first=done.first,
        last=reading.as_of,
        requests=budget.requests,
        weight=budget.spent,
        too_many_requests=budget.refused,
        seconds=seconds,
        notes=_notes(positions, crawl),
        dexes=tuple(name for name in crawl.tables if name not in crawl.lost),
        lost_dexes=crawl.lost,
        left_out=crawl.client.left_out,
        mode_changed=len(crawl.changed),
        mismatches=count_reasons(done.mismatches),
        checks=Checks.of(positions),
        broken=broken is not None,
    )
