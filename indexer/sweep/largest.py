"""The accounts that matter for some coins, largest first, for as long as it takes or as long as there is.

Who they are comes from the leaderboard, the vaults' list and the newest trades of the coins, beside what the address
book knows already; in which order, from what HyperEVM says that each holds, else from what was last read of it, else
from what its hints let expect (`SizePrior`). Who was sized and holds nothing of the coins
is not read.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import polars as pl

from liqtruth.heatmap.errors import LiqtruthError, SourceUnreachable
from liqtruth.heatmap.levels import BySide
from liqtruth.heatmap.words.text import format_duration, percent
from liqtruth.indexer.coin.census import FRESH, CoinReport
from liqtruth.indexer.discovery.find import Discovery, discover
from liqtruth.indexer.discovery.known_accounts import book
from liqtruth.indexer.discovery.sources import Found, leaderboard, listed, recent_trades, vaults
from liqtruth.indexer.errors import UnknownCoin
from liqtruth.indexer.evm.sized import SizedFirst
from liqtruth.indexer.evm.sizing import EvmEndpoint
from liqtruth.indexer.info.batch_doors import BatchEndpoint
from liqtruth.indexer.info.budget import Budget, Patience
from liqtruth.indexer.info.client import InfoClient, exchange_time_s, find_dexes, read_dexes
from liqtruth.indexer.info.wire import DexAnswer
from liqtruth.indexer.positions.accounts import AccountReading
from liqtruth.indexer.positions.readings import Readings
from liqtruth.indexer.sweep.largest_first import LargestFirst
from liqtruth.indexer.sweep.ranking import Ranked, dexes_of_coins, largest_first, ranked_by_evm
from liqtruth.indexer.sweep.report import Sight
from liqtruth.indexer.sweep.sweep import SweepReport, sweep
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.net.long_runs import unless
from liqtruth.storage.net.stops import Stop, on_signal
from liqtruth.storage.store import Store

T = TypeVar("T")

LEADERBOARD_MAY, VAULTS_MAY = 0.5, 0.25
"""Shares of the time after which a list that has not come is done without."""
SIZING_MAY: Final = 0.5
"""Share of the time after which positions are asked for though not everyone is sized."""


ENDS: Final = {
    "coverage": "the coverage that was asked for is reached",
    "time": "the time is up",
    "stopped": "stopped",
    "broken": "the exchange did not answer any more",
    "all": "everyone known who may hold a position",
}
SEEN: Final = 0.995
"""Share of open interest from which on all of it is said to be seen."""


@dataclass(frozen=True)
class LargestReport:
    """What was found and read. `share` is of the open interest of each coin, per side, fresh earlier readings
    included; `fresh` counts those; `ended` is of `ENDS`; `accounts` were known, not fresh, and not known to hold
    nothing or something of which the price is known; `known` is how many the address book has; `sized` is null where
    nobody was sized, `coins` are those that were read through HyperEVM, and `evm_problem` says why others were not."""

    discovery: Discovery | None
    swept: SweepReport | None
    share: dict[str, BySide[float] | None]
    fresh: int
    accounts: int
    ended: str
    sized: SizedFirst | None = None
    known: int | None = None
    coins: tuple[CoinReport, ...] = ()
    evm_problem: str = ""

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
        known = "" if self.known is None else f" (of {self.known:,} known)"
        return [
            *([] if self.sized is None else self.sized.describe()),
            *([f"not read through HyperEVM: {self.evm_problem}"] if self.evm_problem else []),
            *(line for coin in self.coins for line in coin.describe()),
            f"{read:,} of {self.accounts:,} accounts{known} read, largest first{earlier}: {ENDS[self.ended]}",
            *(() if self.swept is None else self.swept.ahead),
            *(self._unknown() if self.ended == "all" else ()),
        ]

    def _unknown(self) -> Iterator[str]:
        """How much of open interest is of accounts that nobody named, where everyone known was read."""
        for coin, share in self.share.items():
            if share is None:
                yield f"{coin}: open interest is not known, and so is what other accounts hold"
            elif min(share) < SEEN:
                yield (
                    f"{coin}: they hold {percent(share.long, 0)} of long and {percent(share.short, 0)} of short open "
                    "interest; the rest is of accounts that are not known: `liqtruth index find` or --addresses FILE "
                    "names more"
                )


class Endpoint(NamedTuple):
    """Where and how fast accounts are asked for; `stats_url` has leaderboard and vaults, `evm` sizes them, `batch`
    reads many at once."""

    url: str
    stats_url: str
    weight_per_minute: float | None = 960
    concurrency: int = 16
    patience: Patience | None = None
    evm: EvmEndpoint | None = None
    batch: BatchEndpoint | None = None


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
            fresh, discovery = await unless(sight.stop, finding) or (set[str](), None)
            order = LargestFirst(_candidates(store, discovery, fresh), sizing=endpoint.evm is not None)
            ranking = asyncio.create_task(_ranked(store, discovery, endpoint, sight, order, within_s))
            if endpoint.evm is None:
                await ranking
            if discovery is not None:
                on_found(discovery, len(order))
            try:
                swept = await _swept(store, order, endpoint, sight)
                found = await ranking
            finally:
                ranking.cancel()
    finally:
        timer.cancel()
    reason = ended[0] if ended else "coverage" if sight.stop.is_set() else "all"
    if reason == "all" and swept is not None and swept.broken:
        reason = "broken"
    shares = {coin: sight.share(coin) for coin in coins}
    known = book(store).height
    return LargestReport(
        discovery,
        swept,
        shares,
        len(fresh),
        order.given + len(order),
        reason,
        found.sized,
        known,
        found.coins,
        found.problem,
    )


def _candidates(store: Store, discovery: Discovery | None, fresh: set[str]) -> list[str]:
    """Everyone who may have to be read, by what is expected of them."""
    ranked = [] if discovery is None else largest_first(store, discovery)
    return [address for address in ranked if address not in fresh]


async def _ranked(
    store: Store,
    discovery: Discovery | None,
    endpoint: Endpoint,
    sight: Sight,
    order: LargestFirst,
    within_s: float,
) -> Ranked:
    """Bring `order` into that of what HyperEVM says of the coins, part by part, where that is had."""
    if discovery is None or endpoint.evm is None or not order:
        order.settle(order.left)
        return Ranked([])

    def note(positions: pl.DataFrame) -> None:
        waiting = pl.col("status") == "unknown_collateral"
        order.note("", positions.filter(waiting))
        sight.know(positions.filter(~waiting))

    meanwhile = sight.kept = list[AccountReading]()
    budget = Budget.shared(endpoint.weight_per_minute, endpoint.url, store.settings.data_dir)
    timeout_s = store.settings.request_timeout_s
    try:
        async with InfoClient(endpoint.url, budget, timeout_s, 4, endpoint.patience) as client:
            found = await ranked_by_evm(
                store,
                discovery,
                endpoint.evm,
                client,
                dexes_of_coins(sight.coins),
                sight.coins,
                size_within_s=SIZING_MAY * within_s,
                stop=sight.stop,
                on_part=note,
                meanwhile=lambda: meanwhile,
            )
        sight.know(found.priced)
        order.settle(found.addresses)
    except LiqtruthError as error:
        return Ranked([], problem=str(error))
    finally:
        sight.kept = None
        order.settle(order.left)
    return found


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
        answers, _ = await read_dexes(client, await find_dexes(client, dexes_of_coins(sight.coins)))
        _check_listed(sight.coins, answers)
        fresh = _fresh(store, sight.coins, now)
        sight.begin(answers, _positions_of(store, sight.coins, fresh, now))
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
            near = get_close_matches(coin, names, n=3, cutoff=0.4)
            known = f"did you mean {' or '.join(near)}?" if near else f"it has e.g. {', '.join(names[:8])}"
            raise UnknownCoin(f"no coin {coin!r} on the exchange; {known}")


async def _swept(store: Store, order: LargestFirst, endpoint: Endpoint, sight: Sight) -> SweepReport | None:
    """Null where it ended before any account was read."""
    if not order or sight.stop.is_set():
        return None
    try:
        return await sweep(
            store,
            order.left,
            base_url=endpoint.url,
            dexes=dexes_of_coins(sight.coins),
            weight_per_minute=endpoint.weight_per_minute,
            concurrency=endpoint.concurrency,
            patience=endpoint.patience,
            sight=sight,
            order=order,
            batch=endpoint.batch,
        )
    except NothingStored:
        return None


def _fresh(store: Store, coins: Sequence[str], now: datetime) -> set[str]:
    """Accounts of which a reading within `FRESH` is stored in every dex of the coins."""
    dexes = dexes_of_coins(coins)
    read = Readings(store).accounts()
    read = read.filter((pl.col("as_of") >= now - FRESH) & pl.col("dex").is_in(dexes))
    counted = read.group_by("address").agg(pl.col("dex").n_unique())
    return set(counted.filter(pl.col("dex") == len(dexes))["address"])


def _positions_of(store: Store, coins: Sequence[str], accounts: set[str], now: datetime) -> pl.DataFrame:
    """What is known of those accounts in `coins`, and of others whose price was read or solved within `FRESH`."""
    known = pl.concat([Readings(store, coin).known() for coin in coins])
    priced = (pl.col("as_of") >= now - FRESH) & (pl.col("status") != "unknown_collateral")
    return known.filter(pl.col("address").is_in(list(accounts)) | priced.fill_null(False))
