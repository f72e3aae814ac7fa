"""Accounts written out or drawn at random, with exact bookkeeping, as reconciled `POSITIONS` frames; and plain-Python
margin to hold arrays against."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl
from hypothesis import strategies as st

from liqtruth.indexer.frames import POSITIONS, from_columns
from liqtruth.indexer.info import wire
from liqtruth.indexer.margin.reconcile import reconcile
from liqtruth.indexer.margin.tables import MarginTables
from liqtruth.indexer.positions.latest import keep_latest
from liqtruth.indexer.positions.markets import VENUE, universe_row
from liqtruth.storage.database.markets import store_markets, store_universe
from liqtruth.storage.database.tables import Market, Reading, Scope
from liqtruth.storage.store import Store

NOON = datetime(2026, 8, 20, 12, tzinfo=UTC)
TIERS = {51: [(0.0, 10), (3e6, 5)], 56: [(0.0, 40), (150e6, 20)], 60: [(0.0, 50), (1e4, 20), (1e7, 3)]}
DEXES = {
    "": (0, {"BTC": 56, "ARB": 51, "LOW": 60, "WIF": 5}),
    "xyz": (0, {"xyz:TSLA": 10}),
    "flx": (360, {"flx:GOLD": 20}),
}
"""Collateral token of each dex, and the margin table of each coin."""

DEX_OF = {coin: dex for dex, (_, coins) in DEXES.items() for coin in coins}
MARKS = {"BTC": 60_000.0, "ARB": 0.5, "LOW": 100.0, "WIF": 2.0, "xyz:TSLA": 250.0, "flx:GOLD": 2_500.0}


def meta_json(dex: str) -> bytes:
    """A `meta` answer of the dex."""
    token, coins = DEXES[dex]
    listed = [{"name": c, "szDecimals": 2, "maxLeverage": 5, "marginTableId": t} for c, t in coins.items()]
    tiers = [
        [
            table,
            {"description": "", "marginTiers": [{"lowerBound": str(b), "maxLeverage": m} for b, m in bounds]},
        ]
        for table, bounds in TIERS.items()
    ]
    meta = {"universe": listed, "marginTables": tiers, "collateralToken": token}
    return json.dumps(meta).encode()


TABLES = {dex: MarginTables.from_meta(wire.decode_meta(meta_json(dex), "test")) for dex in DEXES}


def due_usd(coin: str, notional_usd: float) -> float:
    """Maintenance margin as the largest of the tiers' lines, which it is for rates that rise."""
    table = DEXES[DEX_OF[coin]][1][coin]
    best, deduction, before = 0.0, 0.0, 0.0
    for lower, leverage in TIERS.get(table, [(0.0, table)]):
        rate = 0.5 / leverage
        deduction += lower * (rate - before) if lower else 0.0
        before = rate
        best = max(best, notional_usd * rate - deduction)
    return best


@dataclass(frozen=True)
class Holding:
    """One position; `isolated_usd` is its own equity at the mark, None for cross."""

    coin: str
    notional_usd: float
    isolated_usd: float | None = None

    @property
    def szi(self) -> float:
        return self.notional_usd / MARKS[self.coin]

    @property
    def due_usd(self) -> float:
        return due_usd(self.coin, abs(self.notional_usd))


@dataclass(frozen=True)
class Holder:
    """An account: `available_usd` is equity less maintenance of its cross positions in each of its pools."""

    address: str
    mode: str
    available_usd: float
    holdings: tuple[Holding, ...]

    def pool(self, coin: str) -> list[Holding]:
        """Cross positions that are liquidated together with the one in `coin`."""
        return [
            p for p in self.holdings if p.isolated_usd is None and self.backing(p.coin) == self.backing(coin)
        ]

    def backing(self, coin: str) -> object:
        dex = DEX_OF[coin]
        return DEXES[dex][0] if self.mode in ("unified", "portfolio") else dex

    def margin_left(self, coin: str, move: float, betas: dict[str, float]) -> float:
        """Equity less maintenance of the pool of `coin` after a joint move."""
        left = self.available_usd
        for position in self.pool(coin):
            factor = max(0.0, 1 + betas.get(position.coin, 1.0) * move)
            moved = position.notional_usd * factor
            left += moved - position.notional_usd - due_usd(position.coin, abs(moved)) + position.due_usd
        return left


def frame_of(holders: Sequence[Holder], exchange: bool = False) -> pl.DataFrame:
    """A reconciled frame; with `exchange` the solved prices are given as the exchange's own."""
    rows = [_row(holder, position) for holder in holders for position in holder.holdings]
    columns = {name: [row.get(name) for row in rows] for name in POSITIONS}
    solved = reconcile(from_columns(columns, POSITIONS), TABLES)
    if not exchange:
        return solved
    given = solved.with_columns(liq_px_exchange="liq_px_solved", exchange_read=pl.lit(True))
    return reconcile(given, TABLES)


def stow(
    store: Store,
    holders: Sequence[Holder],
    at: datetime = NOON,
    mark_px: float | None = None,
    **replaced: pl.Expr,
) -> None:
    """Store a census of `holders`, the margin tables and the markets; `mark_px` is the market's of BTC alone.

    `replaced` columns are put in place of the positions' own.
    """
    frame = frame_of(holders, exchange=True).with_columns(as_of=pl.lit(at, POSITIONS["as_of"]), **replaced)
    marks = {**MARKS, "BTC": mark_px or MARKS["BTC"]}
    for dex in DEXES:
        store_universe(store.database, universe_row(meta_json(dex), dex, at))
    rows = [
        Market(venue=VENUE, dex=DEX_OF[coin], coin=coin, as_of=at, mark_px=px) for coin, px in marks.items()
    ]
    store_markets(store.database, rows)
    about = {"accounts": len(holders), "positions": frame.height, "source": "test"}
    reading = Reading(id=f"census-{at:%dT%H%M}", venue=VENUE, scope=Scope.CENSUS, as_of=at, **about)
    store.lake.write_reading(reading, {"positions": frame})
    keep_latest(store)


def _row(holder: Holder, position: Holding) -> dict[str, object]:
    dex, pooled = DEX_OF[position.coin], holder.mode in ("unified", "portfolio")
    due = sum(p.due_usd for p in holder.holdings if p.isolated_usd is None and DEX_OF[p.coin] == dex)
    own = position.isolated_usd
    return {
        "address": holder.address,
        "account_mode": holder.mode,
        "dex": dex,
        "coin": position.coin,
        "szi": position.szi,
        "mark_px": MARKS[position.coin],
        "notional_usd": abs(position.notional_usd),
        "margin_mode": "cross" if own is None else "isolated",
        "leverage": 10.0,
        "isolated_raw_usd": None if own is None else own - position.notional_usd,
        "account_value_usd": 1.0 if pooled else holder.available_usd + due,
        "cross_maintenance_usd": due,
        "pooled_available_usd": holder.available_usd if pooled else None,
        "exchange_read": False,
        "as_of": NOON,
        "source": "test",
    }


notionals = st.builds(lambda sign, e: sign * 10.0**e, st.sampled_from([-1, 1]), st.floats(1, 9))


@st.composite
def holders(draw: st.DrawFn, address: str = "0xa") -> Holder:
    """One to five positions of distinct coins, some isolated, with anything from thin to ample margin."""
    coins = draw(st.lists(st.sampled_from(sorted(DEX_OF)), min_size=1, max_size=5, unique=True))
    holdings = []
    for coin in coins:
        notional = draw(notionals)
        margin = draw(st.none() | st.floats(0.01, 2.0))
        holdings.append(
            Holding(coin, notional, None if margin is None else due_usd(coin, abs(notional)) * (1 + margin))
        )
    gross = sum(abs(p.notional_usd) for p in holdings)
    mode = draw(st.sampled_from(["standard", "unified", "portfolio", "dexAbstraction"]))
    return Holder(address, mode, gross * 10.0 ** draw(st.floats(-4, 0.3)), tuple(holdings))


@st.composite
def crowds(draw: st.DrawFn) -> list[Holder]:
    """Up to five accounts, the first with a position in BTC."""
    found = [draw(holders(f"0x{n}")) for n in range(draw(st.integers(1, 4)))]
    anchor = Holder("0xbtc", "standard", 1_000.0, (Holding("BTC", draw(notionals)),))
    return [anchor, *found]
