"""A watch from its start to its end: find whom to watch, watch, find more now and then, stop when told.

The tape finds whoever trades; leaderboard and vaults find large holders that do not. Both are asked at the start and
every six hours, before anything is read, so that the first reads go where most is expected.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal

import structlog

from heatmap.errors import LiqtruthError
from indexer import address_book
from indexer.client import InfoClient, Patience, exchange_time_s
from indexer.discovery import discover, leaderboard, vaults
from indexer.metrics import serving_metrics
from indexer.sweep import find_dexes
from indexer.watch import Pace, Watch
from storage.lock import alone
from storage.long_runs import aside, stopping, whole
from storage.store import Store

REDISCOVER_S: Final = 6 * 3600.0
VAULT_DETAILS: Final = 20
FILE: Final = "file"

log = structlog.get_logger("liqtruth.watch")


@dataclass(frozen=True)
class WatchPlan:
    """What is watched and how; `stats_url` null leaves leaderboard and vaults out, `for_s` null watches for ever."""

    base_url: str
    dexes: Sequence[str] | Literal["all"] = "all"
    stats_url: str | None = None
    weight_per_minute: float | None = 960
    concurrency: int = 16
    metrics_port: int | None = None
    for_s: float | None = None
    pace: Pace = field(default_factory=Pace)
    patience: Patience | None = None


def run_watch(
    store: Store,
    plan: WatchPlan,
    seeds: Sequence[str] = (),
    on_ready: Callable[[Watch, int | None], None] | None = None,
) -> Watch:
    """Watch until a signal (or `for_s`) ends it. Raises `LiqtruthError` where another watch runs on the same data, and
    `SourceUnreachable` where the exchange cannot be read at the start."""
    with alone(store.settings.data_dir / "watch.lock", "a watch"):
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
    )
    stop = stopping(plan.for_s)
    timeout_s = store.settings.request_timeout_s
    async with InfoClient(plan.base_url, watch.budget, timeout_s, 4, plan.patience) as client:
        watch.dexes = await find_dexes(client, plan.dexes)
        now = datetime.fromtimestamp(await exchange_time_s(client), UTC)
        await aside(address_book.remember, store, seeds, FILE, now)
        await _find(watch, client, plan, now)
        with serving_metrics(watch.state, plan.metrics_port) as port:
            if on_ready is not None:
                on_ready(watch, port)
            finding = asyncio.create_task(_find_more(watch, client, plan))
            try:
                await watch.run(stop)
            finally:
                finding.cancel()
                await asyncio.gather(finding, return_exceptions=True)
    return watch


async def _find(watch: Watch, client: InfoClient, plan: WatchPlan, now: datetime) -> None:
    """Ask leaderboard and vaults; a source that fails is logged and missed, never fatal."""
    if plan.stats_url is None:
        return
    sources = [
        ("leaderboard", leaderboard(plan.stats_url)),
        ("vault", vaults(client, plan.stats_url, VAULT_DETAILS)),
    ]
    found = await discover(watch.store, sources, now)
    for line in found.describe():
        log.info("found", told=line)
    for one in found.found:
        watch.meet(one.addresses, one.leaders)


async def _find_more(watch: Watch, client: InfoClient, plan: WatchPlan) -> None:
    while True:
        await asyncio.sleep(REDISCOVER_S)
        try:
            await whole(_find(watch, client, plan, datetime.fromtimestamp(watch.now_s, UTC)))
        except LiqtruthError as error:
            log.error("nobody was found this time", error=str(error))
