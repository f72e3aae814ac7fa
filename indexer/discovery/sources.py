"""Where accounts are met, besides the tape: each source with what it found, what it cost and what went wrong.

A source that fails never stops the others, and a source of many requests keeps what the others brought. Costs differ by
far: the leaderboard and the list of vaults come from another host and cost no weight; a vault's depositors, a master's
sub-accounts, whom somebody referred and a coin's recent trades cost 20 a request, so their callers say how many.
Undocumented by the exchange and taken as readers of it describe them: leaderboard, list of vaults, recent trades. A row
without an address is counted, never guessed. Source: Hyperliquid docs, "Info endpoint"; nktkas/hyperliquid.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
import polars as pl

from liqtruth.heatmap.errors import LiqtruthError, SourceUnreachable
from liqtruth.heatmap.words.text import counted
from liqtruth.indexer.discovery.address_book import Label
from liqtruth.indexer.discovery.address_lists import ADDRESS, read_addresses
from liqtruth.indexer.discovery.source_answers import (
    LEADERBOARD,
    REFERRAL,
    SUB_ACCOUNTS,
    VAULT_DETAILS,
    VAULTS,
    leaders_frame,
)
from liqtruth.indexer.info.budget import weight_of
from liqtruth.indexer.info.client import InfoClient
from liqtruth.indexer.info.decoding import Sifted
from liqtruth.indexer.info.wire import decode_recent_trades
from liqtruth.storage.net.answers import ACCEPTED, shown_url, whole_body

T = TypeVar("T")

STATS_URL: Final = "https://stats-data.hyperliquid.xyz"
LARGEST_LIST: Final = 128 * 2**20
STATS_TIMEOUT_S: Final = 120.0


@dataclass(frozen=True)
class Found:
    """What one source brought: addresses in lower case, each once; requests and weight without repeated attempts.

    `leaders` (`LEADERS`) is the leaderboard's own; `problems` says what could not be had; `absent` addresses have no
    account on HyperCore and were left out.
    """

    source: str
    addresses: tuple[str, ...] = ()
    weight: int = 0
    requests: int = 0
    seconds: float = 0.0
    labels: tuple[Label, ...] = ()
    problems: tuple[str, ...] = ()
    leaders: pl.DataFrame | None = None
    absent: int = 0

    def describe(self, new: int | None = None) -> str:
        """One line: how many, how many of them new, at what cost, what went wrong."""
        fresh = "" if new is None else f" ({new:,} new)"
        cost = f"{self.requests:,} requests, weight {self.weight:,}, {self.seconds:.1f} s"
        wrong = f"; {self.problems[0]}" if self.problems else ""
        more = f" and {len(self.problems) - 1:,} more" if len(self.problems) > 1 else ""
        absent = f"; {self.absent:,} without an account left out" if self.absent else ""
        return f"{self.source}: {len(self.addresses):,} addresses{fresh}; {cost}{absent}{wrong}{more}"


@dataclass
class _Search:
    """A source at work: what it met so far. `meet` takes addresses as they come, `ask` counts what it costs."""

    source: str
    client: InfoClient | None = None
    addresses: dict[str, None] = field(default_factory=dict)
    labels: list[Label] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    weight: int = 0
    requests: int = 0
    refused: int = 0
    started_s: float = field(default_factory=time.monotonic)

    def meet(self, addresses: Iterable[str]) -> None:
        for address in addresses:
            folded = address.strip().lower()
            if ADDRESS.fullmatch(folded):
                self.addresses[folded] = None
            else:
                self.refused += 1

    def note(self, sifted: Sifted) -> None:
        """Say what of an answer could not be read."""
        if sifted.problems:
            self.problems.append(
                f"{counted(len(sifted.problems), 'item')} left out, e.g. {sifted.problems[0]}"
            )

    def call(self, address: str, what: str, master: str | None = None) -> None:
        """Label an address by what the protocol says it is."""
        self.labels.append(Label(address.lower(), what, None if master is None else master.lower()))

    async def ask(self, decode: Callable[[bytes, str], T], request_type: str, **fields: Any) -> T | None:
        """The answer, or None with a problem noted: one request that fails leaves the others alone."""
        assert self.client is not None
        self.requests += 1
        self.weight += weight_of(request_type)
        try:
            return await self.client.ask(decode, request_type, **fields)
        except LiqtruthError as error:
            self.problems.append(str(error))
            return None

    def found(self, leaders: pl.DataFrame | None = None) -> Found:
        if self.refused:
            self.problems.append(f"{self.refused:,} entries are no addresses and were left out")
        return Found(
            source=self.source,
            addresses=tuple(self.addresses),
            weight=self.weight,
            requests=self.requests,
            seconds=time.monotonic() - self.started_s,
            labels=tuple(self.labels),
            problems=tuple(self.problems),
            leaders=leaders,
        )


async def leaderboard(stats_url: str = STATS_URL, timeout_s: float = STATS_TIMEOUT_S) -> Found:
    """Everyone on the leaderboard, with account value, profit and volume. Raises `SourceUnreachable`, `WireError`."""
    search = _Search("leaderboard", requests=1)
    board, sifted = LEADERBOARD.read(*await _fetched(stats_url, "/Mainnet/leaderboard", timeout_s))
    search.note(sifted)
    search.meet(row.eth_address for row in board.leaderboard_rows)
    return search.found(leaders_frame(board.leaderboard_rows))


async def vaults(
    client: InfoClient, stats_url: str = STATS_URL, most_details: int = 50, timeout_s: float = STATS_TIMEOUT_S
) -> Found:
    """All vaults and their leaders; depositors and children of the `most_details` largest, 20 weight each."""
    search = _Search("vault", client, requests=1)
    reported, sifted = VAULTS.read(*await _fetched(stats_url, "/Mainnet/vaults", timeout_s))
    search.note(sifted)
    listed = [vault.summary for vault in reported]
    for vault in listed:
        search.meet([vault.vault_address, vault.leader])
        search.call(vault.vault_address, "vault", vault.leader)
    largest = sorted(listed, key=lambda vault: -vault.tvl)[:most_details]
    await asyncio.gather(*(_note_vault(search, vault.vault_address) for vault in largest))
    return search.found()


async def _note_vault(search: _Search, address: str) -> None:
    details = await search.ask(VAULT_DETAILS, "vaultDetails", vaultAddress=address)
    if details is None:
        return
    search.meet(follower.user for follower in details.followers if follower.user != "Leader")
    children = details.relationship.data if details.relationship else None
    for child in children.child_addresses if children else ():
        search.meet([child])
        search.call(child, "vault", address)


async def sub_accounts(client: InfoClient, masters: Sequence[str]) -> Found:
    """The children of `masters`, 20 weight a master."""
    search = _Search("sub-account", client)
    await asyncio.gather(*(_note_children(search, master) for master in masters))
    return search.found()


async def _note_children(search: _Search, master: str) -> None:
    for child in await search.ask(SUB_ACCOUNTS, "subAccounts", user=master) or ():
        search.meet([child.sub_account_user])
        search.call(child.sub_account_user, "sub-account", child.master)


async def referrals(client: InfoClient, users: Sequence[str], most: int) -> Found:
    """Who referred `users` and whom they referred, then the same of those found, until `most` were asked after: who
    refers many comes first. 20 weight each."""
    search = _Search("referral", client)
    asked, waiting = dict[str, None](), dict.fromkeys(map(str.lower, users))
    while waiting and len(asked) < most:
        now = list(waiting)[: most - len(asked)]
        asked |= dict.fromkeys(now)
        met = await asyncio.gather(*(_note_referrals(search, user) for user in now))
        above = dict.fromkeys(one for referrers, _ in met for one in referrers)
        below = dict.fromkeys(one for _, referred in met for one in referred)
        waiting = {one: None for one in (*above, *waiting, *below) if one not in asked}
    return search.found()


async def _note_referrals(search: _Search, user: str) -> tuple[list[str], list[str]]:
    """Who referred the user (at most one), and whom the user referred."""
    answer = await search.ask(REFERRAL, "referral", user=user)
    if answer is None:
        return [], []
    above = [] if answer.referred_by is None else [answer.referred_by.referrer.lower()]
    state = None if answer.referrer_state is None else answer.referrer_state.data
    below = [] if state is None else [one.user.lower() for one in state.referral_states]
    search.meet([*above, *below])
    return above, below


async def recent_trades(client: InfoClient, coins: Sequence[str]) -> Found:
    """Both sides of the newest trades of each coin, about 10 a request: for the first minutes of a tape."""
    search = _Search("recent trades", client)
    await asyncio.gather(*(_note_recent(search, coin) for coin in coins))
    return search.found()


async def _note_recent(search: _Search, coin: str) -> None:
    trades = await search.ask(decode_recent_trades, "recentTrades", coin=coin) or []
    extra = weight_of("recentTrades", len(trades)) - weight_of("recentTrades")
    if extra and search.client is not None:
        search.weight += extra
        await search.client.budget.charge(extra)
    search.meet(user for trade in trades for user in trade.users)


async def liquidated(liquidations: pl.DataFrame, column: str = "address") -> Found:
    """Whoever was liquidated, by a frame of liquidations."""
    search = _Search("liquidation")
    search.meet(liquidations[column].drop_nulls().unique(maintain_order=True).to_list())
    return search.found()


async def listed(path: Path) -> Found:
    """The addresses of a file. Raises `BadInput` as `read_addresses` does."""
    search = _Search("file")
    search.meet(read_addresses(path))
    return search.found()


async def _fetched(stats_url: str, path: str, timeout_s: float) -> tuple[bytes, str]:
    """The whole body and the host as shown; raises `SourceUnreachable` with the cause."""
    shown = shown_url(stats_url)
    try:
        async with (
            asyncio.timeout(timeout_s),
            httpx.AsyncClient(timeout=timeout_s, headers=ACCEPTED) as http,
            http.stream("GET", stats_url.rstrip("/") + path) as response,
        ):
            if response.status_code != 200:
                raise SourceUnreachable(
                    f"{shown}{path}: HTTP {response.status_code}; try later or use other sources"
                )
            return await whole_body(response, shown + path, LARGEST_LIST), shown
    except (httpx.RequestError, TimeoutError) as error:
        cause = str(error) or f"no whole answer within {timeout_s:g} s"
        raise SourceUnreachable(f"{shown}{path}: {cause}") from error
