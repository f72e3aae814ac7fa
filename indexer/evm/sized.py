"""Sizes put to use: of whom they are taken, what is known of them, and taken first where accounts are read after."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

import polars as pl

from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.indexer.evm.sizing import DATASET, SIZES, EvmEndpoint, SizeReport, size
from liqtruth.indexer.info.budget import Budget
from liqtruth.indexer.info.client import InfoClient, find_dexes
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.storage.lake.lake import ALL_COINS
from liqtruth.storage.store import Store

RECENT: Final = timedelta(minutes=15)
"""Sizes that are older order nothing any more."""


@dataclass(frozen=True)
class SizedFirst:
    """What sizing before a reading came to: a report, or the reason why there is none."""

    report: SizeReport | None
    problem: str = ""

    def describe(self) -> list[str]:
        """Lines for people."""
        if self.report is None:
            return [f"not sized through HyperEVM: {self.problem}"]
        return self.report.describe()[:1]


def size_through(
    store: Store,
    addresses: Sequence[str],
    evm: EvmEndpoint,
    info_url: str,
    weight_per_minute: float | None,
    dexes: Sequence[str] | Literal["all"],
    on_progress: Callable[[float], None] = lambda share: None,
) -> SizeReport:
    """`indexer.evm.sizing.size` for callers that block; `on_progress` gets the share that is done."""

    async def run() -> SizeReport:
        budget = Budget.shared(weight_per_minute, info_url, store.settings.data_dir)
        async with InfoClient(info_url, budget, store.settings.request_timeout_s, 4) as info:
            names = await find_dexes(info, dexes)
            pairs = len(set(addresses)) * len(names)
            return await size(
                store, addresses, evm, info, names, on_progress=lambda done: on_progress(done / pairs)
            )

    return asyncio.run(run())


async def size_first(
    store: Store,
    addresses: Sequence[str],
    evm: EvmEndpoint,
    info: InfoClient,
    dexes: Sequence[str],
    *,
    within_s: float | None = None,
    stop: asyncio.Event | None = None,
    on_sizes: Callable[[str, pl.DataFrame], None] = lambda dex, sizes: None,
) -> SizedFirst:
    """Size `addresses`, in their order, for at most `within_s` and until `stop`; what goes wrong is the `problem`."""
    try:
        async with ended_after(within_s, stop) as over:
            return SizedFirst(await size(store, addresses, evm, info, dexes, stop=over, on_sizes=on_sizes))
    except LiqtruthError as error:
        return SizedFirst(None, str(error))


@asynccontextmanager
async def ended_after(within_s: float | None, stop: asyncio.Event | None) -> AsyncIterator[asyncio.Event]:
    """An event that is set after `within_s`, or once `stop` is."""
    over = asyncio.Event()
    timer = None if within_s is None else asyncio.get_running_loop().call_later(within_s, over.set)
    watching = None if stop is None else asyncio.create_task(_pass_on(stop, over))
    try:
        yield over
    finally:
        if timer is not None:
            timer.cancel()
        if watching is not None:
            watching.cancel()


async def _pass_on(stop: asyncio.Event, over: asyncio.Event) -> None:
    await stop.wait()
    over.set()


def sized_notional(store: Store, dexes: Sequence[str], now: datetime, within: timedelta) -> pl.DataFrame:
    """`address`, and `sized_usd` and `raw_usd`, notional and cash in all of `dexes`, of accounts that were sized in
    each of them `within` so long before `now`; `ts` is when the first of that was read."""
    known = store.lake.read_series(DATASET, VENUE, ALL_COINS, SIZES, now - within)
    known = known.filter(pl.col("dex").is_in(list(dexes))).unique(
        ["address", "dex"], keep="last", maintain_order=True
    )
    whole = known.group_by("address", maintain_order=True).agg(
        pl.col("dex").n_unique(),
        pl.col("notional_usd").sum().alias("sized_usd"),
        pl.col("raw_usd").sum(),
        pl.col("ts").min(),
    )
    return whole.filter(pl.col("dex") == len(set(dexes))).drop("dex")
