"""The accounts that matter for some coins, largest first, for as long as it takes or as long as there is.

Who they are comes from the leaderboard, the vaults' list and the newest trades of the coins, beside what the address
book knows already; in which order, from what HyperEVM says that each holds, else from what was last read of it, else
from what its hints let expect (`SizePrior`). Who was sized and holds nothing of the coins
is not read.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
import polars as pl

from liqtruth.heatmap.errors import LiqtruthError, SourceUnreachable
from liqtruth.heatmap.levels import BySide
from liqtruth.heatmap.text import format_duration
from liqtruth.indexer.discovery.address_book import book
from liqtruth.indexer.discovery.find import Discovery, discover
from liqtruth.indexer.discovery.size_prior import PRIOR, SizePrior, hint_columns
from liqtruth.indexer.discovery.sources import Found, leaderboard, listed, recent_trades, vaults
from liqtruth.indexer.errors import UnknownCoin
from liqtruth.indexer.evm.coins import coin_notional
from liqtruth.indexer.evm.sized import RECENT, SizedFirst, size_first, sized_notional
from liqtruth.indexer.evm.sizing import EvmEndpoint
from liqtruth.indexer.info.budget import Budget, Patience
from liqtruth.indexer.info.client import MAIN, InfoClient, exchange_time_s, find_dexes, read_dexes
from liqtruth.indexer.info.wire import DexAnswer
from liqtruth.indexer.positions.readings import Readings
from liqtruth.indexer.sweep.report import Sight
from liqtruth.indexer.sweep.sweep import SweepReport, sweep
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.net.stops import Stop, on_signal
from liqtruth.storage.store import Store

T = TypeVar("T")

LEADERBOARD_MAY, VAULTS_MAY = 0.5, 0.25
"""Shares of the time after which a list that has not come is done without."""
SIZING_MAY: Final = 0.5
"""Share of the time after which accounts that were not sized are ordered without."""
FRESH: Final = timedelta(minutes=15)
"""An account that was read so recently is not read again."""


ENDS: Final = {
    "coverage": "the coverage that was asked for is reached",
    "time": "the time is up",
    "stopped": "stopped",
    "broken": "the exchange did not answer any more",
    "all": "all that are known",
}


@dataclass(frozen=True)
class LargestReport:
    """What was found and read. `share` is of the open interest of each coin, per side, fresh earlier readings
    included; `fresh` counts those; `ended` is of `ENDS`; `accounts` were known, not fresh, and not known to hold
    nothing; `sized` is null where HyperEVM was not asked."""

    discovery: Discovery | None
    swept: SweepReport | None
    share: dict[str, BySide[float] | None]
    fresh: int
    accounts: int
    ended: str
    sized: SizedFirst | None = None

    @property
    def lacking(self) -> list[str]:
        """What could not be read: lists of accounts, and accounts, each with a reason."""
        found = () if self.discovery is None else self.discovery.found
        lists = [f"{one.source} ({one.problems[0]})" for one in found if one.problems]
        return [*lists, *(() if self.swept is None else self.swept.lacking)]

    def describe(self) -> list[str]:
        """Lines for people."""
        read = 0 if self.swept is None else self.swept.accounts
        earlier = f", {self.fresh:,} had been read within {format_duration(FRESH)}" if self.fresh else ""
        return [
            *([] if self.sized is None else self.sized.describe()),
            f"{read:,} of {self.accounts:,} accounts read, largest first{earlier}: {ENDS[self.ended]}",
        ]


class Endpoint(NamedTuple):
    """Where and how fast accounts are asked for; `stats_url` has leaderboard and vaults, `evm` sizes them."""

    url: str
    stats_url: str
    weight_per_minute: float | None = 960
    concurrency: int = 16
    patience: Patience | None = None
    evm: EvmEndpoint | None = None


async def read_largest(
    store: Store,
    coins: Sequence[str],
    endpoint: Endpoint,
    *,
    files: Sequence[Path] = (),
    within_s: float = 180.0,
    target: float = 0.95,
    on_found: Callable[[Discovery, int], None] = lambda discovery, accounts: None,
    on_change: Callable[[Sight], None] = lambda sight: None,
    stop: Stop | None = None,
) -> LargestReport:
    """Find accounts and read them, largest first, until `target` of each side's open interest is seen, the time is up,
    or `stop` is set, by default by a signal; what was read is one reading. `files` list addresses beside those found.

    Raises `SourceUnreachable` where not one account could be read, `UnknownCoin` for a coin that its dex does not list.
    """
    sight = Sight(coins, target, on_change=on_change)
    ended: list[str] = []

    def end(reason: str) -> None:
        ended.append(reason)
        sight.stop.set()

    timer = asyncio.get_running_loop().call_later(within_s, end, "time")
    try:
        with nullcontext(stop) if stop else on_signal() as asked, asked.calling(partial(end, "stopped")):
            finding = _found(store, sight, endpoint, files, within_s)
            fresh, discovery = await _unless(sight.stop, finding) or (set[str](), None)
            ranked, sized = await _ranked(store, discovery, endpoint, sight, within_s)
            ranked = [address for address in ranked if address not in fresh]
            if discovery is not None:
                on_found(discovery, len(ranked))
            swept = await _swept(store, ranked, endpoint, sight)
    finally:
        timer.cancel()
    reason = ended[0] if ended else "coverage" if sight.stop.is_set() else "all"
    if reason == "all" and swept is not None and swept.broken:
        reason = "broken"
    shares = {coin: sight.share(coin) for coin in coins}
    return LargestReport(discovery, swept, shares, len(fresh), len(ranked), reason, sized)


async def _ranked(
    store: Store, discovery: Discovery | None, endpoint: Endpoint, sight: Sight, within_s: float
) -> tuple[list[str], SizedFirst | None]:
    """Whom to read, largest first; sized before where that is had, those that are expected to hold most first."""
    if discovery is None:
        return [], None
    ranked = largest_first(store, discovery)
    if endpoint.evm is None or not ranked:
        return ranked, None
    dexes = _dexes(sight.coins)
    budget = Budget.shared(endpoint.weight_per_minute, endpoint.url, store.settings.data_dir)
    timeout_s = store.settings.request_timeout_s
    async with InfoClient(endpoint.url, budget, timeout_s, 4, endpoint.patience) as client:
        may_s = SIZING_MAY * within_s
        sized = await size_first(store, ranked, endpoint.evm, client, dexes, within_s=may_s, stop=sight.stop)
        now = datetime.fromtimestamp(await exchange_time_s(client), UTC)
        sizes = sized_notional(store, dexes, now, RECENT)
        if sized.report is not None and not sight.stop.is_set():
            try:
                sizes = await coin_notional(store, sizes, endpoint.evm, client, dexes, sight.coins)
            except LiqtruthError as error:
                sized = replace(sized, problem=f"ordered by all coins together: {error}")
    return largest_first(store, discovery, sizes), sized


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """What `work` gives; null, and it is ended, once `stop` is set."""
    task, stopped = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return await task if task.done() else None
    finally:
        task.cancel()
        stopped.cancel()


async def _found(
    store: Store, sight: Sight, endpoint: Endpoint, files: Sequence[Path], within_s: float
) -> tuple[set[str], Discovery | None]:
    """Accounts that were read just now, and whom the cheap sources name: lists cost no weight, trades 20 a coin.

    Null where those that were read suffice already.
    """
    budget = Budget.shared(endpoint.weight_per_minute, endpoint.url, store.settings.data_dir)
    async with InfoClient(
        endpoint.url, budget, store.settings.request_timeout_s, 4, endpoint.patience
    ) as client:
        now = datetime.fromtimestamp(await exchange_time_s(client), UTC)
        answers, _ = await read_dexes(client, await find_dexes(client, _dexes(sight.coins)))
        _check_listed(sight.coins, answers)
        fresh = _fresh(store, sight.coins, now)
        sight.begin(answers, _positions_of(store, sight.coins, fresh))
        if sight.stop.is_set():
            return fresh, None
        sources: list[tuple[str, Callable[[], Awaitable[Found]]]] = [
            ("leaderboard", _limited(partial(leaderboard, endpoint.stats_url), LEADERBOARD_MAY * within_s)),
            ("vaults", _limited(partial(vaults, client, endpoint.stats_url, 0), VAULTS_MAY * within_s)),
            ("recent trades", partial(recent_trades, client, sight.coins)),
            *((path.name, partial(listed, path)) for path in files),
        ]
        return fresh, await discover(store, sources, now)


def _limited(source: Callable[[], Awaitable[Found]], limit_s: float) -> Callable[[], Awaitable[Found]]:
    """Fails where it takes longer, so that there is time left to read accounts that are known otherwise."""

    async def limited() -> Found:
        try:
            async with asyncio.timeout(limit_s):
                return await source()
        except TimeoutError:
            raise SourceUnreachable(f"no whole answer within {limit_s:.3g} s") from None

    return limited


def _check_listed(coins: Sequence[str], answers: Mapping[str, DexAnswer]) -> None:
    names = [asset.name for answer in answers.values() for asset in answer.meta.universe]
    for coin in coins:
        if coin not in names:
            near = ", ".join(get_close_matches(coin, names, n=3, cutoff=0.4) or names[:8])
            raise UnknownCoin(f"no coin {coin!r} on the exchange; there are {near}")


async def _swept(store: Store, ranked: Sequence[str], endpoint: Endpoint, sight: Sight) -> SweepReport | None:
    """Null where it ended before any account was read."""
    if not ranked or sight.stop.is_set():
        return None
    try:
        return await sweep(
            store,
            ranked,
            base_url=endpoint.url,
            dexes=_dexes(sight.coins),
            weight_per_minute=endpoint.weight_per_minute,
            concurrency=endpoint.concurrency,
            patience=endpoint.patience,
            sight=sight,
        )
    except NothingStored:
        return None


def largest_first(store: Store, discovery: Discovery, sized: pl.DataFrame | None = None) -> list[str]:
    """Everyone in the address book, by the notional sized (`sized_notional`), last read or expected, whichever is had.

    Who was sized and holds nothing is left out.
    """
    known = book(store)
    leaders = [found.leaders for found in discovery.found if found.leaders is not None]
    if leaders:
        known = known.join(pl.concat(leaders), on="address", how="left", maintain_order="left")
    else:
        known = known.with_columns(
            pl.lit(None, pl.Float64).alias(name)
            for name in ("account_value_usd", "day_pnl_usd", "week_volume_usd")
        )
    value, profit, volume = (
        known[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
        for name in ("account_value_usd", "day_pnl_usd", "week_volume_usd")
    )
    traded = np.where(known["source"].is_in(["recent trades", "tape"]).to_numpy(), 0.0, np.nan)
    hints = hint_columns(value, np.abs(profit), volume, np.full(known.height, np.nan), traded)
    expected = SizePrior(PRIOR).expected_usd(hints)
    read = known["notional_usd"].fill_null(np.nan).to_numpy()
    size = np.where(np.isnan(read), expected, read)
    if sized is not None:
        now = known.join(sized, on="address", how="left", maintain_order="left")["sized_usd"]
        size = np.where(now.is_null().to_numpy(), size, now.fill_null(0.0).to_numpy())
        may_hold = now.is_null() | (now > 0)
        known, size = known.filter(may_hold), size[may_hold.to_numpy()]
    return known["address"].gather(np.argsort(-size, kind="stable")).to_list()


def _fresh(store: Store, coins: Sequence[str], now: datetime) -> set[str]:
    """Accounts of which a reading within `FRESH` is stored in every dex of the coins."""
    dexes = _dexes(coins)
    read = Readings(store).accounts()
    read = read.filter((pl.col("as_of") >= now - FRESH) & pl.col("dex").is_in(dexes))
    counted = read.group_by("address").agg(pl.col("dex").n_unique())
    return set(counted.filter(pl.col("dex") == len(dexes))["address"])


def _positions_of(store: Store, coins: Sequence[str], accounts: set[str]) -> pl.DataFrame | None:
    """What is known of them in `coins`; null where nothing is."""
    if not accounts:
        return None
    known = pl.concat([Readings(store, coin).known() for coin in coins])
    return known.filter(pl.col("address").is_in(list(accounts)))


def _dexes(coins: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(coin.partition(":")[0] if ":" in coin else MAIN for coin in coins))
