"""Ask the sources of addresses once, within the budget, and say what each brought and cost."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import polars as pl

from liqtruth.heatmap.errors import BadInput, PartlyRead
from liqtruth.heatmap.text import usd
from liqtruth.indexer.discovery import address_book
from liqtruth.indexer.discovery.sources import (
    STATS_URL,
    Discovery,
    Found,
    discover,
    leaderboard,
    liquidated,
    listed,
    recent_trades,
    sub_accounts,
    vaults,
)
from liqtruth.indexer.frames import LIQUIDATIONS
from liqtruth.indexer.info.budget import Budget
from liqtruth.indexer.info.client import InfoClient, largest_markets
from liqtruth.indexer.positions.universe import VENUE
from liqtruth.storage.store import Store
from liqtruth.storage.urls import shown_url

SOURCES: Final = ("leaderboard", "vaults", "sub-accounts", "recent-trades", "liquidations")
DEFAULT_SOURCES: Final = ("leaderboard", "vaults", "recent-trades", "liquidations")
MOST_MASTERS: Final = 50
MOST_COINS: Final = 50


@dataclass(frozen=True)
class FindReport:
    """What the sources brought now, and what each has brought in all (`indexer.discovery.address_book.YIELDS`)."""

    discovery: Discovery
    yields: tuple[dict[str, Any], ...]

    def raise_if_partly(self) -> None:
        """Raise `PartlyRead` where a source, or part of what it told, could not be read."""
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
    held = f"{row['with_positions']:,} with positions of {usd(row['notional_usd'])}"
    return f"{row['source']}: {row['addresses']:,} addresses, {row['read']:,} read, {held}"


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
) -> FindReport:
    """Ask `sources` one after another and write down whom they met; raises `BadInput` for another name or no address.

    Sub-accounts are asked for the largest known masters, recent trades for the largest markets.
    """
    for name in sources:
        if name not in SOURCES:
            raise BadInput(f"no source {name!r}; there are {', '.join(SOURCES)}")
    shown_url(stats_url)
    discovery = asyncio.run(_find(store, base_url, stats_url, sources, files, weight_per_minute))
    return FindReport(discovery, tuple(address_book.yields(store).to_dicts()))


async def _find(
    store: Store,
    base_url: str,
    stats_url: str,
    sources: Sequence[str],
    files: Sequence[Path],
    weight_per_minute: float | None,
) -> Discovery:
    timeout_s = store.settings.request_timeout_s
    budget = Budget.shared(weight_per_minute, base_url, store.settings.data_dir)
    async with InfoClient(base_url, budget, timeout_s, 4) as client:
        made: dict[str, Any] = {
            "leaderboard": lambda: leaderboard(stats_url),
            "vaults": lambda: vaults(client, stats_url),
            "sub-accounts": lambda: sub_accounts(client, _largest(store)),
            "recent-trades": lambda: _recent(client),
            "liquidations": lambda: liquidated(_liquidations(store)),
        }
        asked: list[tuple[str, Callable[[], Awaitable[Found]]]] = [(name, made[name]) for name in sources]
        asked += [(path.name, partial(listed, path)) for path in files]
        return await discover(store, asked, datetime.now(UTC))


async def _recent(client: InfoClient) -> Found:
    return await recent_trades(client, await largest_markets(client, MOST_COINS))


def _largest(store: Store) -> list[str]:
    known = address_book.book(store).drop_nulls("notional_usd").sort("notional_usd", descending=True)
    return known["address"].head(MOST_MASTERS).to_list()


def _liquidations(store: Store) -> pl.DataFrame:
    coins = [coin for venue, coin in store.lake.series_coins("liquidations") if venue == VENUE]
    frames = [store.lake.read_series("liquidations", VENUE, coin, LIQUIDATIONS) for coin in coins]
    return pl.concat(frames) if frames else pl.DataFrame(schema=dict(LIQUIDATIONS))
