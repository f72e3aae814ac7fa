"""Ask the sources of addresses once, within the budget, and say what each brought and cost."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import polars as pl

from liqtruth.heatmap.errors import BadInput, LiqtruthError, PartlyRead
from liqtruth.heatmap.words.text import usd
from liqtruth.indexer.discovery import known_accounts
from liqtruth.indexer.discovery.address_book import label, remember
from liqtruth.indexer.discovery.on_chain import deposits, with_accounts
from liqtruth.indexer.discovery.sources import (
    STATS_URL,
    Found,
    leaderboard,
    liquidated,
    listed,
    recent_trades,
    referrals,
    sub_accounts,
    vaults,
)
from liqtruth.indexer.evm.sizing import EvmEndpoint
from liqtruth.indexer.frames import LIQUIDATIONS
from liqtruth.indexer.info.budget import Budget
from liqtruth.indexer.info.client import InfoClient, largest_markets
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.storage.net.answers import shown_url
from liqtruth.storage.store import Store

SOURCES: Final = (
    "leaderboard",
    "vaults",
    "sub-accounts",
    "referrals",
    "recent-trades",
    "liquidations",
    "deposits",
)
DEFAULT_SOURCES: Final = ("leaderboard", "vaults", "recent-trades", "liquidations")
MOST_MASTERS: Final = 50
MOST_REFERRALS: Final = 100
"""Users who are asked after, a weight of 20 each."""
MOST_COINS: Final = 50


@dataclass(frozen=True)
class Discovery:
    """What all sources brought, and how many addresses of each the book did not know."""

    found: tuple[Found, ...]
    new: tuple[int, ...]

    @property
    def failed(self) -> tuple[Found, ...]:
        """Sources that brought nothing but problems."""
        return tuple(found for found in self.found if found.problems and not found.addresses)

    def describe(self) -> list[str]:
        lines = [found.describe(new) for found, new in zip(self.found, self.new, strict=True)]
        return [*lines, f"{sum(self.new):,} new addresses from {len(self.found)} sources"]


async def discover(
    store: Store, sources: Sequence[tuple[str, Callable[[], Awaitable[Found]]]], at: datetime
) -> Discovery:
    """Ask the named sources one after another and write down whom they met at `at`.

    A source that raises one of our errors is a `Found` of no addresses with the error as its problem. What a source
    brought is in the book before the next one begins.
    """
    found, new = [], []
    for name, source in sources:
        found.append(await _tried(name, source))
        new.append(await asyncio.to_thread(_written, store, found[-1], at))
    return Discovery(tuple(found), tuple(new))


def _written(store: Store, found: Found, at: datetime) -> int:
    """Write down whom a source met, and what they are; returns how many were new."""
    new = remember(store, found.addresses, found.source, at)
    label(store, found.labels)
    return new


async def _tried(name: str, source: Callable[[], Awaitable[Found]]) -> Found:
    started_s = time.monotonic()
    try:
        return await source()
    except LiqtruthError as error:
        return Found(name, seconds=time.monotonic() - started_s, problems=(str(error),))


@dataclass(frozen=True)
class FindReport:
    """What the sources brought now, and what each has brought in all (`indexer.discovery.known_accounts.YIELDS`)."""

    discovery: Discovery
    yields: tuple[dict[str, Any], ...]

    def raise_if_partly(self) -> None:
        """Raise `PartlyRead` where a source, or part of what it sent, could not be read."""
        lacking = [f"{one.source} ({one.problems[0]})" for one in self.discovery.found if one.problems]
        if lacking:
            raise PartlyRead(f"could not be read: {'; '.join(lacking)}; the rest is stored, find again later")

    def describe(self) -> list[str]:
        """Lines for people."""
        lines = self.discovery.describe()
        return [
            *lines,
            "the address book by where each address was first met:",
            *(f"  {_line(row)}" for row in self.yields),
        ]


def _line(row: dict[str, Any]) -> str:
    holdings = f"{row['with_positions']:,} with positions of {usd(row['notional_usd'])}"
    return f"{row['source']}: {row['addresses']:,} addresses, {row['read']:,} read, {holdings}"


def stats_host(base_url: str | None) -> str:
    """Where leaderboard and vaults are: the exchange's own host, or the endpoint itself where another is used."""
    return STATS_URL if base_url is None else base_url


def find(
    store: Store,
    base_url: str,
    stats_url: str,
    sources: Sequence[str] = DEFAULT_SOURCES,
    *,
    files: Sequence[Path] = (),
    weight_per_minute: float | None = 960,
    evm: EvmEndpoint | None = None,
) -> FindReport:
    """Ask `sources` one after another and write down whom they met; raises `BadInput` for another name or no address.

    Sub-accounts and referrals are asked for the largest known accounts, recent trades for the largest markets. Where
    `evm` is given, addresses of files are left out that have no account on HyperCore; deposits need it.
    """
    for name in sources:
        if name not in SOURCES:
            raise BadInput(f"no source {name!r}; there are {', '.join(SOURCES)}")
    if "deposits" in sources and evm is None:
        raise BadInput("deposits are read through HyperEVM: give its node by --evm-url")
    shown_url(stats_url)
    discovery = asyncio.run(_find(store, base_url, stats_url, sources, files, weight_per_minute, evm))
    return FindReport(discovery, tuple(known_accounts.yields(store).to_dicts()))


async def _find(
    store: Store,
    base_url: str,
    stats_url: str,
    sources: Sequence[str],
    files: Sequence[Path],
    weight_per_minute: float | None,
    evm: EvmEndpoint | None,
) -> Discovery:
    timeout_s = store.settings.request_timeout_s
    budget = Budget.shared(weight_per_minute, base_url, store.settings.data_dir)
    async with InfoClient(base_url, budget, timeout_s, 4) as client:
        made: dict[str, Any] = {
            "leaderboard": lambda: leaderboard(stats_url),
            "vaults": lambda: vaults(client, stats_url),
            "sub-accounts": lambda: sub_accounts(client, _largest(store)),
            "referrals": lambda: referrals(client, _largest(store), MOST_REFERRALS),
            "recent-trades": lambda: _recent(client),
            "liquidations": lambda: liquidated(_liquidations(store)),
            "deposits": lambda: _deposits(store, evm),
        }
        asked: list[tuple[str, Callable[[], Awaitable[Found]]]] = [(name, made[name]) for name in sources]
        asked += [(path.name, partial(_with_account, store, evm, path)) for path in files]
        return await discover(store, asked, datetime.now(UTC))


async def _deposits(store: Store, evm: EvmEndpoint | None) -> Found:
    assert evm is not None
    return await deposits(store, evm)


async def _with_account(store: Store, evm: EvmEndpoint | None, path: Path) -> Found:
    return await with_accounts(store, evm, await listed(path))


async def _recent(client: InfoClient) -> Found:
    return await recent_trades(client, await largest_markets(client, MOST_COINS))


def _largest(store: Store) -> list[str]:
    known = known_accounts.book(store).drop_nulls("notional_usd").sort("notional_usd", descending=True)
    return known["address"].head(MOST_MASTERS).to_list()


def _liquidations(store: Store) -> pl.DataFrame:
    coins = [coin for venue, coin in store.lake.series_coins("liquidations") if venue == VENUE]
    frames = [store.lake.read_series("liquidations", VENUE, coin, LIQUIDATIONS) for coin in coins]
    return pl.concat(frames) if frames else pl.DataFrame(schema=dict(LIQUIDATIONS))
