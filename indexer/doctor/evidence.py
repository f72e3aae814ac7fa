"""What all checks look at, read once: the dexes, their markets, recent trades, and some accounts that just traded."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import msgspec
import polars as pl

from liqtruth.heatmap.errors import SourceUnreachable
from liqtruth.heatmap.files import NOT_DECODED
from liqtruth.indexer.evm.batches import BatchReader
from liqtruth.indexer.info.client import InfoClient, find_dexes
from liqtruth.indexer.info.wire import (
    ClearinghouseState,
    DexAnswer,
    SpotClearinghouseState,
    Trade,
    decode_recent_trades,
)
from liqtruth.indexer.margin.reconcile import reconcile
from liqtruth.indexer.margin.tables import MarginTables
from liqtruth.indexer.positions.accounts import AccountReading, account_mode, positions_frame

ACCOUNTS: Final = 24
"""Accounts that are read; two requests each, and one more per further dex for those with pooled collateral."""
POOLED: Final = 6
MARKETS: Final = 6
"""Coins whose recent trades are asked for, those with the most open interest over all dexes."""


@dataclass(frozen=True)
class Account:
    """One account as it was read: its state in each dex that was asked for, and its spot state."""

    address: str
    states: Mapping[str, ClearinghouseState]
    spot: SpotClearinghouseState

    def readings(self, markets: Mapping[str, DexAnswer], source: str) -> list[AccountReading]:
        return [
            AccountReading(
                self.address,
                state,
                source,
                dex,
                self.spot,
                collateral_token=markets[dex].meta.collateral_token,
            )
            for dex, state in self.states.items()
        ]


@dataclass(frozen=True)
class Evidence:
    """`evm` is null where HyperEVM could not be asked, for the reason `evm_lost`; `provider_keys` are of providers
    whose key is set, `provider_url` takes the place of their hosts."""

    info: InfoClient
    evm: BatchReader | None
    evm_lost: str
    markets: Mapping[str, DexAnswer]
    trades: Sequence[Trade]
    accounts: Sequence[Account]
    provider_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    provider_url: str | None = None

    @cached_property
    def positions(self) -> pl.DataFrame:
        """Frame `POSITIONS` of all accounts, each price solved beside the exchange's."""
        readings = [
            reading
            for account in self.accounts
            for reading in account.readings(self.markets, self.info.shown_url)
        ]
        tables = {dex: MarginTables.from_meta(answer.meta) for dex, answer in self.markets.items()}
        return reconcile(positions_frame(readings), tables)

    @cached_property
    def marks(self) -> Mapping[str, float]:
        """Mark of every coin of every dex that has one, from one answer a dex."""
        return {
            asset.name: ctx.mark_px
            for answer in self.markets.values()
            for asset, ctx in zip(answer.meta.universe, answer.ctxs, strict=True)
            if ctx.mark_px
        }

    async def tree(self, request_type: str, **fields: Any) -> Any:
        """An answer as plain JSON."""
        try:
            return msgspec.json.decode(await self.info.post(request_type, **fields))
        except NOT_DECODED as error:
            raise SourceUnreachable(f"{self.info.shown_url}: {request_type} is no JSON ({error})") from None


async def collect(info: InfoClient, evm: BatchReader | None, evm_lost: str) -> Evidence:
    """About 400 of weight on an exchange of ten dexes; raises as the methods of `InfoClient`."""
    markets = {dex: await info.meta_and_asset_ctxs(dex) for dex in await find_dexes(info, "all")}
    asked = [info.ask(decode_recent_trades, "recentTrades", coin=coin) for coin in _largest(markets)]
    trades = [trade for of_coin in await asyncio.gather(*asked) for trade in of_coin]
    met = list(dict.fromkeys(user.lower() for trade in trades for user in trade.users))[:ACCOUNTS]
    accounts = list(await asyncio.gather(*(_account(info, address, [""]) for address in met)))
    pooled = [one for one in accounts if _mode(one) in ("unified", "portfolio")][:POOLED]
    whole = await asyncio.gather(*(_account(info, one.address, list(markets)) for one in pooled))
    read = {one.address: one for one in (*accounts, *whole)}
    return Evidence(info, evm, evm_lost, markets, trades, list(read.values()))


async def _account(info: InfoClient, address: str, dexes: Sequence[str]) -> Account:
    states = {dex: await info.clearinghouse_state(address, dex) for dex in dexes}
    return Account(address, states, await info.spot_state(address))


def _mode(account: Account) -> str | None:
    return account_mode(AccountReading(account.address, account.states[""], "", spot=account.spot))


def _largest(markets: Mapping[str, DexAnswer]) -> list[str]:
    held = {
        asset.name: (ctx.open_interest or 0.0) * (ctx.mark_px or 0.0)
        for answer in markets.values()
        for asset, ctx in zip(answer.meta.universe, answer.ctxs, strict=True)
    }
    return sorted(held, key=lambda coin: -held[coin])[:MARKETS]


def apart(ours: float, theirs: float, least: float = 1e-9) -> float:
    """Relative difference of two amounts; zero where both are below `least`."""
    largest = max(abs(ours), abs(theirs))
    return 0.0 if largest < least else math.fabs(ours - theirs) / largest
