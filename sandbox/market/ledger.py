"""The account ledger of one venue: sizes, cash legs, isolated margin, funding. Integers, hence exact.

Sizes are whole lots, money whole micro-dollars, prices whole price units; lots times price units is micro-dollars.
`cash` is the cross cash leg (equity = cash + sum of lots times mark over cross positions), `isolated_cash` the same for
one isolated position. The ledger only books; who trades and who is liquidated is decided elsewhere.
`Tape` is what its traders filled, in columns; what the makers took follows from it (`sandbox.market.matching`).
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from liqtruth.sandbox.market.listings import Floats, Ints, MarginLines, MarginRules, row_sums
from liqtruth.sandbox.market.population import Flags

MICRO = 1_000_000
TAKER_FEE_PPM = 350
STATE: Final = (
    "lots", "cost", "isolated", "isolated_cash", "cash", "leverage", "funding_since_open", "funding_all_time",
    "collateral_lots",
)  # fmt: skip
TRADE, LIQUIDATION = 0, 1


@dataclass
class Fills:
    """Orders filled at once, at most one per account and coin; prices in integer units."""

    account: Ints
    coin: Ints
    lots: Ints
    px: Ints


@dataclass
class Ledger:
    """Columns are coins; every array is changed in place."""

    rules: MarginRules
    table: Ints
    lines: MarginLines
    lots: Ints
    cost: Ints
    isolated: Flags
    isolated_cash: Ints
    cash: Ints
    leverage: Ints
    funding_since_open: Ints
    funding_all_time: Ints
    collateral_lots: Ints
    collateral_coin: int | None

    @classmethod
    def empty(cls, rules: MarginRules, table: Ints, collateral_coin: int | None) -> "Ledger":
        shape = table.shape
        return cls(
            rules=rules,
            table=table,
            lines=rules.lines(table),
            lots=np.zeros(shape, np.int64),
            cost=np.zeros(shape, np.int64),
            isolated=np.zeros(shape, np.bool_),
            isolated_cash=np.zeros(shape, np.int64),
            cash=np.zeros(shape[0], np.int64),
            leverage=np.ones(shape, np.int64),
            funding_since_open=np.zeros(shape, np.int64),
            funding_all_time=np.zeros(shape, np.int64),
            collateral_lots=np.zeros(shape[0], np.int64),
            collateral_coin=collateral_coin,
        )

    def copy(self) -> "Ledger":
        """The same accounts, to be changed apart from these; rules and tables are shared."""
        return replace(self, **{name: getattr(self, name).copy() for name in STATE})

    @property
    def max_leverage(self) -> Ints:
        return np.asarray(self.rules.max_leverage[self.table])

    def cross_lots(self, rows: Ints | slice = slice(None)) -> Ints:
        return np.where(self.isolated[rows], 0, self.lots[rows])

    def collateral_usd(self, oracle: Ints, rows: Ints | slice = slice(None)) -> Floats:
        """Portfolio-margin collateral after its haircut of 0.5 + 0.5 * LTV = 0.75, at the oracle price."""
        if self.collateral_coin is None:
            return np.zeros(self.cash[rows].shape)
        return np.asarray(self.collateral_lots[rows] * (oracle[self.collateral_coin] * 0.75 / MICRO))

    def cross_equity_usd(self, mark: Ints, oracle: Ints, rows: Ints | slice = slice(None)) -> Floats:
        legs = self.cash[rows] + row_sums(self.cross_lots(rows) * mark)
        return np.asarray(legs / MICRO + self.collateral_usd(oracle, rows))

    def cross_maintenance_usd(self, mark: Ints, rows: Ints | slice = slice(None)) -> Floats:
        notional = np.abs(self.cross_lots(rows) * mark) / MICRO
        return row_sums(self.lines.of(rows).maintenance_usd(notional))

    def isolated_equity_usd(self, mark: Ints, rows: Ints | slice = slice(None)) -> Floats:
        equity = (self.isolated_cash[rows] + self.lots[rows] * mark) / MICRO
        return np.where(self.isolated[rows] & (self.lots[rows] != 0), equity, 0.0)

    def deposit(self, account: Ints, usd: Floats) -> None:
        """Accounts must be distinct."""
        self.cash[account] += np.rint(usd * MICRO).astype(np.int64)

    def post(self, account: Ints, coin: Ints, usd: Floats) -> None:
        """From the account's cash to isolated margin, or back where negative; pairs must be distinct."""
        moved = np.rint(usd * MICRO).astype(np.int64)
        self.isolated_cash[account, coin] += moved
        np.subtract.at(self.cash, account, moved)

    def pay_funding(self, rate: Floats, oracle: Ints) -> None:
        """Longs pay a positive rate on the oracle notional; into the leg that carries the position."""
        due = np.rint(self.lots * (oracle * rate)).astype(np.int64)
        self.isolated_cash -= np.where(self.isolated, due, 0)
        self.cash -= np.where(self.isolated, 0, due).sum(axis=1)
        self.funding_since_open += due
        self.funding_all_time += due

    def open_mode(self, account: Ints, coin: Ints, isolated: Flags, leverage: Ints) -> None:
        """Settings of positions about to be opened; only for those without a position."""
        self.isolated[account, coin] = isolated
        self.leverage[account, coin] = leverage

    def fill(self, fills: Fills, fee_ppm: int = TAKER_FEE_PPM) -> None:
        """Increase, reduce, close or flip; isolated margin is posted on increase and released pro rata."""
        at = (fills.account, fills.coin)
        before, after = self.lots[at], self.lots[at] + fills.lots
        value = fills.lots * fills.px
        kept = np.where(np.sign(after) == np.sign(before), after / np.where(before == 0, 1, before), 0.0)
        reducing = np.sign(fills.lots) * np.sign(before) < 0
        kept = np.where(reducing, np.clip(kept, 0.0, 1.0), 1.0)
        self._move_cash(fills, value, kept, reducing, fee_ppm)
        carried = np.rint(self.cost[at] * kept).astype(np.int64)
        opened = np.where(reducing, np.where(kept == 0, after, 0) * fills.px, value)
        self.cost[at] = carried + opened
        self.funding_since_open[at] = np.where(kept == 0, 0, self.funding_since_open[at])
        self.lots[at] = after

    def _move_cash(self, fills: Fills, value: Ints, kept: Floats, reducing: Flags, fee_ppm: int) -> None:
        at = (fills.account, fills.coin)
        own = self.isolated_cash[at]
        posted = np.abs(value) // np.maximum(self.leverage[at], 1)
        flipped = np.where(reducing & (kept == 0), self.lots[at] + fills.lots, 0) * fills.px
        flipped_cash = np.abs(flipped) // np.maximum(self.leverage[at], 1) - flipped
        released = np.rint(own * kept).astype(np.int64) + flipped_cash
        changed = np.where(reducing, released, own - value + posted)
        changed = np.where(self.isolated[at], changed, 0)
        fee = np.abs(value) * fee_ppm // MICRO
        self.isolated_cash[at] = changed
        np.add.at(self.cash, fills.account, own - changed - value - fee)


@dataclass(frozen=True)
class Tape:
    """Every fill of every trader in time order; `point` is a minute point of the path, `before` the size before it.

    Fills of one `batch` were booked together, at most one per account and coin; `isolated` is the margin mode of the
    position, `backstop` is true where the liquidator vault took it over.
    """

    point: Ints
    account: Ints
    coin: Ints
    lots: Ints
    before: Ints
    px: Ints
    kind: Ints
    batch: Ints
    isolated: Flags
    backstop: Flags

    def of(self, rows: Ints | Flags | slice) -> "Tape":
        """Only these rows."""
        return Tape(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def until(self, point: int) -> "Tape":
        return self.of(slice(int(np.searchsorted(self.point, point, side="right"))))
