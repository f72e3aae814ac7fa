"""Realised liquidations that anyone may read: the fills of who takes liquidated positions over, one account a request.

There is no public channel of all liquidations. But every fill of a liquidation carries it on both sides, so what the
provider's liquidator took over (backstop), what its other components bought, and what known accounts lost, is public.
A liquidation that met the book is seen only as far as accounts that were asked stood on either side: how much of all
that is nobody knows, and the stored spans say so. Source: Hyperliquid docs, "Info endpoint" and "Liquidations".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import polars as pl

from liqtruth.heatmap.errors import LeftOut, LiqtruthError, PartlyRead
from liqtruth.heatmap.words.text import counted, usd
from liqtruth.indexer.discovery.known_accounts import book
from liqtruth.indexer.frames import LIQUIDATIONS
from liqtruth.indexer.info.budget import Budget, Patience
from liqtruth.indexer.info.client import InfoClient
from liqtruth.indexer.info.decoding import ItemDecoder
from liqtruth.indexer.node.events import PERPETUAL, Fill
from liqtruth.indexer.node.fills import DATASET, KEY, ONE_FILL, Found, grouped, named_by_either, unnamed
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.storage.lake.listening import IN_PART, LISTENING, SPAN_KEY, SPANS
from liqtruth.storage.store import Store

LIQUIDATOR: Final = "0x2e3d94f0562703b25c83308a05046ddaf9a8dd14"
"""Of the exchange's liquidity provider. Source: the exchange's page of its vaults."""
PAGE: Final = 2_000
MOST_PAGES: Final = 5
"""The exchange keeps the newest 10,000 fills of an account."""
MOST_ACCOUNTS: Final = 50
OTHER_SIDE: Final = {"A": "B", "B": "A"}

KIND: Final = "userFillsByTime"
_fills = ItemDecoder[list[Fill]](KIND, list[Fill], {"": Fill})


@dataclass(frozen=True)
class PublicLiquidations:
    """What the fills of `accounts` showed between `since` and `until`. `backstops` were taken over whole, `in_part` met
    the book and were seen as far as somebody who was asked stood on a side; `cut` accounts have more fills than the
    exchange keeps, so that the beginning of the span was not seen; `unnamed` fills are of liquidations of nobody."""

    source: str
    accounts: int
    since: datetime
    until: datetime
    liquidations: int
    added: int
    coins: int
    notional_usd: float
    backstops: int
    in_part: int
    cut: int
    unnamed: int = 0
    left_out: LeftOut = field(default_factory=LeftOut)

    def raise_if_partly(self) -> None:
        """Raise `PartlyRead` where an account or a fill could not be read."""
        self.left_out.raise_any("what could be read is stored")
        if self.cut:
            raise PartlyRead(
                f"{self.cut} accounts have more fills since {self.since:%Y-%m-%d %H:%M} than are kept"
            )

    def describe(self) -> list[str]:
        """Lines for people."""
        span = f"{self.since:%Y-%m-%d %H:%M} to {self.until:%Y-%m-%d %H:%M} UTC"
        lines = [
            f"fills of {counted(self.accounts, 'account')} at {self.source}, {span}",
            f"  {counted(self.liquidations, 'liquidation')} of {usd(self.notional_usd)} in "
            f"{counted(self.coins, 'coin')}, {self.added:,} new",
            f"  {self.backstops:,} taken over by the provider, {self.in_part:,} more that met the book, as far as "
            "these accounts stood on a side: what share of all liquidations that is is not known",
        ]
        if self.unnamed:
            lines.append(
                f"  {counted(self.unnamed, 'fill')} with a liquidation of no named account, left out"
            )
        return [*lines, *(f"  {line}" for line in self.left_out.describe())]


def takers(store: Store) -> list[str]:
    """The liquidator, and vaults of the address book that are part of another one (`index find` brings them)."""
    vaults = book(store).filter(pl.col("label") == "vault")
    parts = vaults.filter(pl.col("master").is_in(vaults["address"].implode()))["address"]
    return list(dict.fromkeys([LIQUIDATOR, *parts]))[:MOST_ACCOUNTS]


async def read_public(
    store: Store,
    base_url: str,
    accounts: Sequence[str],
    back: timedelta,
    weight_per_minute: float | None = 960,
    on_progress: Callable[[float], None] = lambda share: None,
    patience: Patience | None = None,
) -> PublicLiquidations:
    """Store the liquidations in fills of `accounts` since `back` before now, and the span as one of `listening`.

    An account that cannot be read is left out and named. Raises `SourceUnreachable` where none can. About 20 of
    weight an account and 100 per 2,000 fills.
    """
    budget = Budget.shared(weight_per_minute, base_url, store.settings.data_dir)
    async with InfoClient(base_url, budget, store.settings.request_timeout_s, patience=patience) as info:
        await info.reported_time_s()
        until = datetime.fromtimestamp(info.now_s, UTC)
        reading = _Reading(info, int((until - back).timestamp() * 1000), int(until.timestamp() * 1000))
        for done, account in enumerate(accounts):
            await reading.add(account.lower())
            on_progress((done + 1) / len(accounts))
        reading.check(len(accounts))
        return _stored(store, reading, info.source, len(accounts), until - back, until)


@dataclass
class _Reading:
    info: InfoClient
    since_ms: int
    until_ms: int
    found: Found = field(default_factory=Found)
    cut: int = 0
    left_out: LeftOut = field(default_factory=LeftOut)
    _lost: list[LiqtruthError] = field(default_factory=list)

    async def add(self, account: str) -> None:
        try:
            fills = await self._fills(account)
        except LiqtruthError as error:
            self._lost.append(error)
            self.left_out.note("accounts", f"{account}: {error}")
            return
        self.cut += len(fills) >= MOST_PAGES * PAGE
        for fill in fills:
            if fill.liquidation is not None and PERPETUAL.match(fill.coin):
                self.found.add(account, fill, fill.liquidation)

    async def _fills(self, account: str) -> list[Fill]:
        """Oldest first; a page begins at the time at which the one before ended."""
        fills: dict[tuple[int, int, int], Fill] = {}
        start = self.since_ms
        for _ in range(MOST_PAGES):
            raw = await self.info.post(KIND, items=PAGE, user=account, startTime=start, endTime=self.until_ms)
            page, sifted = _fills.read(raw, self.info.shown_url)
            self.left_out.note_all("fills", (f"{account}: {problem}" for problem in sifted.problems))
            fills |= {(fill.time, fill.tid, fill.oid): fill for fill in page}
            if len(page) < PAGE or page[-1].time <= start:
                break
            start = page[-1].time
        return list(fills.values())

    def check(self, accounts: int) -> None:
        if self._lost and len(self._lost) == accounts:
            raise self._lost[0]


def liquidations_of(fills: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Liquidations (`LIQUIDATIONS`) by the liquidated accounts' own fills, and by who stood opposite in other trades.

    A trade that both sides show counts once, by its own side.
    """
    once = named_by_either(fills.unique(subset=list(ONE_FILL), keep="first", maintain_order=True))
    own = once.filter("own")
    opposite = (
        once.filter(~pl.col("own") & pl.col("liquidated").is_not_null())
        .join(own.select("coin", "tid", "ts"), on=["coin", "tid", "ts"], how="anti")
        .unique(subset=["coin", "tid", "ts"], keep="first", maintain_order=True)
        .with_columns(address="liquidated", side=pl.col("side").replace_strict(OTHER_SIDE))
    )
    return grouped(own), grouped(opposite)


def _stored(
    store: Store, reading: _Reading, source: str, accounts: int, since: datetime, until: datetime
) -> PublicLiquidations:
    fills = reading.found.frame()
    own, opposite = liquidations_of(fills)
    rows = pl.concat([own, opposite.join(own, on=list(KEY), how="anti")]).sort(*KEY)
    span = pl.DataFrame(
        {"ts": [since], "until": [until], "coverage": [f"{IN_PART}{counted(accounts, 'account')}"]},
        schema=SPANS,
    )
    added = 0
    for (coin,), of_coin in rows.group_by("coin", maintain_order=True):
        added += store.lake.merge_series(
            DATASET, VENUE, str(coin), larger(store, str(coin), of_coin), KEY, source
        )
        store.lake.merge_series(LISTENING, VENUE, str(coin), span, SPAN_KEY, source)
    return PublicLiquidations(
        source=source,
        accounts=accounts,
        since=since,
        until=until,
        liquidations=rows.height,
        added=added,
        coins=rows["coin"].n_unique(),
        notional_usd=float(rows["notional_usd"].sum()),
        backstops=rows.filter(pl.col("method") == "backstop").height,
        in_part=opposite.filter(pl.col("method") != "backstop").height,
        cut=reading.cut,
        unnamed=unnamed(fills),
        left_out=reading.left_out,
    )


def larger(store: Store, coin: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Without those of which more is stored already: another reading had both sides, or a node's files."""
    known = store.lake.read_series(DATASET, VENUE, coin, LIQUIDATIONS)
    beside = rows.join(known.select(*KEY, known_size="size"), on=list(KEY), how="left")
    return beside.filter(pl.col("known_size").fill_null(0.0) <= pl.col("size")).drop("known_size")
