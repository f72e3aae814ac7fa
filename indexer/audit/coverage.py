"""How much of open interest is known, per coin and side: what prices rest on, and which sources brought its holders.

    read      the info endpoint, a node or a file had the exchange's own price
    solved    the price was solved here, from collateral that is known
    sized     only the size is known: the price waits for its account to be read

They add up to what is known; the rest of open interest is nobody that is known. Beside them, per dex, who was sized
through HyperEVM as holding something and was not read: what that is in each coin is not known.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.words.text import counted, percent, usd
from liqtruth.indexer.discovery.known_accounts import book
from liqtruth.indexer.evm.sizing import DATASET, SIZES
from liqtruth.indexer.positions.catalogue import check_coin, known_coins
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.indexer.positions.readings import Readings
from liqtruth.storage.database.markets import last_markets
from liqtruth.storage.database.records import Market
from liqtruth.storage.lake.lake import ALL_COINS
from liqtruth.storage.store import Store

SHOWN: Final = 12
NOT_IN_BOOK: Final = "not in the address book"
KINDS: Final = ("read", "solved", "sized")


@dataclass(frozen=True)
class SideKnown:
    """One side of one coin. `known_usd` is the sum of `read_usd`, `solved_usd` and `sized_usd`, at the last mark;
    `sources` has of whom it is, by where each account was met first. `share` is of open interest, null where that is
    not known."""

    coin: str
    side: str
    open_interest_usd: float | None
    known_usd: float
    read_usd: float
    solved_usd: float
    sized_usd: float
    positions: int
    sources: dict[str, float]

    @property
    def share(self) -> float | None:
        return self.of(self.known_usd)

    def of(self, amount_usd: float) -> float | None:
        """As a share of open interest."""
        return amount_usd / self.open_interest_usd if self.open_interest_usd else None


@dataclass(frozen=True)
class UnreadInDex:
    """Accounts sized as holding something in `dex`, and not read in it."""

    dex: str
    accounts: int
    notional_usd: float


@dataclass(frozen=True)
class CoverageReport:
    """Both sides of each coin, the largest market first, and who waits to be read."""

    sides: tuple[SideKnown, ...]
    unread: tuple[UnreadInDex, ...]

    def describe(self) -> list[str]:
        """Lines for people."""
        return self._sides() + [
            f"sized and not read in {one.dex or 'the main dex'}: {counted(one.accounts, 'account')} with "
            f"{usd(one.notional_usd)} in all coins"
            for one in self.unread
        ]

    def _sides(self) -> list[str]:
        if not self.sides:
            return [
                "no market is stored yet; `liqtruth index coin`, `index sweep`, `index import` or `index watch`"
            ]
        head = f"{'coin':<12} {'side':<6} {'OI':>8} {'known':>8} {'read':>8} {'solved':>8} {'sized':>8}  first met in"
        lines = [head, *(_line(one) for one in self.sides[: 2 * SHOWN])]
        if (more := len(self.sides) // 2 - SHOWN) > 0:
            lines.append(f"and {counted(more, 'coin')} more (JSON has all)")
        return lines


def _line(one: SideKnown) -> str:
    shares = " ".join(
        f"{percent(one.of(amount)):>8}"
        for amount in (one.known_usd, one.read_usd, one.solved_usd, one.sized_usd)
    )
    sources = ", ".join(f"{source} {percent(one.of(amount))}" for source, amount in one.sources.items())
    interest = "unknown" if one.open_interest_usd is None else usd(one.open_interest_usd)
    return f"{one.coin:<12} {one.side:<6} {interest:>8} {shares}  {sources or 'nobody'}"


def coverage_report(store: Store, coin: str | None = None) -> CoverageReport:
    """What is stored by now, of one coin or of all. Raises `UnknownCoin` for one that nothing is stored of, and where
    no coin is known yet `NothingStored`, unless somebody was sized."""
    readings = Readings(store, coin)
    unread = tuple(_unread(store, readings))
    if coin is not None and (known_coins(store) or not unread):
        check_coin(store, coin)
    markets = {name: row for name, row in last_markets(store.database, VENUE).items() if coin in (None, name)}
    known = _valued(readings.known(), markets, book(store).select("address", found="source"))
    names = sorted({*markets, *known["coin"].unique()}, key=lambda name: -_interest(markets.get(name)))
    parts = known.partition_by("coin", "side", as_dict=True)
    sides = [
        _side(name, side, markets.get(name), parts.get((name, side), known.clear()))
        for name in names
        for side in SIDES
    ]
    return CoverageReport(tuple(sides), unread)


def _interest(market: Market | None) -> float:
    return (market.open_interest or 0.0) * market.mark_px if market else 0.0


def _valued(positions: pl.DataFrame, markets: Mapping[str, Market], found: pl.DataFrame) -> pl.DataFrame:
    """Positions with `side`, `usd`, `kind` and where their accounts were met first."""
    marks = {name: row.mark_px for name, row in markets.items()}
    mark = pl.col("coin").replace_strict(marks, default=None, return_dtype=pl.Float64)
    kind = (
        pl.when(pl.col("exchange_read").fill_null(value=False))
        .then(pl.lit("read"))
        .when(pl.col("status") == "unknown_collateral")
        .then(pl.lit("sized"))
        .otherwise(pl.lit("solved"))
    )
    long, short = SIDES
    return positions.join(found, on="address", how="left", maintain_order="left").select(
        "coin",
        side=pl.when(pl.col("szi") > 0).then(pl.lit(long)).otherwise(pl.lit(short)),
        usd=pl.col("szi").abs() * pl.coalesce(mark, "mark_px"),
        kind=kind,
        found=pl.col("found").fill_null(NOT_IN_BOOK),
    )


def _side(coin: str, side: str, market: Market | None, rows: pl.DataFrame) -> SideKnown:
    by_kind: dict[Any, float] = dict(rows.group_by("kind").agg(pl.col("usd").sum()).iter_rows())
    sources = rows.group_by("found").agg(pl.col("usd").sum()).sort("usd", "found", descending=[True, False])
    read, solved, sized = (by_kind.get(kind, 0.0) for kind in KINDS)
    return SideKnown(
        coin=coin,
        side=side,
        open_interest_usd=_interest(market) if market and market.open_interest is not None else None,
        known_usd=float(rows["usd"].sum()),
        read_usd=read,
        solved_usd=solved,
        sized_usd=sized,
        positions=rows.height,
        sources=dict(sources.iter_rows()),
    )


def _unread(store: Store, readings: Readings) -> list[UnreadInDex]:
    sizes = store.lake.read_series(DATASET, VENUE, ALL_COINS, SIZES)
    last = sizes.unique(["address", "dex"], keep="last", maintain_order=True).filter(
        pl.col("notional_usd") > 0
    )
    waiting = last.join(readings.accounts(), on=["address", "dex"], how="anti")
    sums = (
        waiting.group_by("dex")
        .agg(pl.len(), pl.col("notional_usd").sum())
        .sort("notional_usd", descending=True)
    )
    return [UnreadInDex(*row) for row in sums.iter_rows()]
