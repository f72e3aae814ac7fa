"""What the synthetic venues list, and their maintenance margin by tiers: rules of the sandbox, shared with no reader.

Names, decimals and margin table ids are Hyperliquid's of September 2026; prices are where the synthetic path starts.
The tier bounds are the sandbox's own: the real ones scaled down to the size of its whales, so that positions do cross a
tier on the way to their liquidation.

Inside a tier the requirement is `notional * rate - deduction`, the deduction keeping it continuous across bounds. With
rates that rise from tier to tier the requirement is convex, hence the largest of its tiers' lines, and no tier
has to be looked up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqtruth.sandbox.errors import SandboxRefused

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
BUILDER_DEX: Final = "xyz"
NOTIONAL_DECIMALS: Final = 6
TIER_SCALE: Final = 0.008
# Tiers as (lower bound in USD before scaling, max leverage); maintenance is half the initial margin at that leverage.
HYPERLIQUID_TIERS: Final[dict[int, tuple[tuple[float, int], ...]]] = {
    52: ((0.0, 10), (20e6, 5)),
    53: ((0.0, 20), (40e6, 10)),
    54: ((0.0, 20), (70e6, 10)),
    55: ((0.0, 25), (100e6, 15)),
    56: ((0.0, 40), (150e6, 20)),
}
# Centralised venues state rates directly; the same for every coin of a venue, of which aggregates are served only.
BINANCE_TIERS: Final = ((0.0, 0.004), (50e3, 0.005), (600e3, 0.01))
BYBIT_TIERS: Final = ((0.0, 0.005), (80e3, 0.01), (400e3, 0.02))
OKX_TIERS: Final = ((0.0, 0.004), (60e3, 0.0065), (300e3, 0.01), (1.2e6, 0.02))


@dataclass(frozen=True)
class Asset:
    """One perpetual: `sz_decimals + px_decimals <= 6`, so that a notional is an exact number of micro-dollars."""

    name: str
    sz_decimals: int
    start_px: float
    year_vol: float
    market_corr: float
    table_id: int
    popularity: float
    dex: str = ""

    @property
    def px_scale(self) -> int:
        """Integer price units in a dollar: lots times integer price is micro-dollars."""
        return int(10 ** (NOTIONAL_DECIMALS - self.sz_decimals))

    @property
    def lot_scale(self) -> int:
        return int(10**self.sz_decimals)


_LISTED: Final = (
    Asset("BTC", 5, 79_600.0, 0.50, 0.92, 56, 0.46),
    Asset("ETH", 4, 2_480.0, 0.66, 0.85, 55, 0.26),
    Asset("SOL", 2, 106.0, 0.80, 0.80, 54, 0.16),
    Asset("HYPE", 2, 48.0, 0.95, 0.65, 52, 0.12),
    Asset("XRP", 0, 1.35, 0.75, 0.75, 53, 0.10),
    Asset("DOGE", 0, 0.0918, 0.90, 0.78, 52, 0.08),
    Asset("LINK", 1, 9.1, 0.85, 0.80, 52, 0.06),
    Asset("AVAX", 2, 9.4, 0.88, 0.80, 52, 0.06),
)
BUILDER_ASSET: Final = Asset("xyz:TSLA", 3, 420.0, 0.45, 0.30, 10, 0.04, dex=BUILDER_DEX)


def listed(coins: tuple[str, ...]) -> tuple[Asset, ...]:
    """The assets of the main dex by name, in the order asked for."""
    known = {asset.name: asset for asset in _LISTED}
    unknown = [coin for coin in coins if coin not in known]
    if unknown:
        raise SandboxRefused(f"no synthetic coin {unknown[0]!r}; there are {', '.join(known)}")
    if not coins or len(set(coins)) != len(coins):
        raise SandboxRefused(f"coins must be at least one, each once, got {coins!r}")
    return tuple(known[coin] for coin in coins)


def scaled_tiers(table_id: int) -> tuple[tuple[float, int], ...]:
    """(lower bound in USD, max leverage) as in the sandbox's meta; ids below 50 are flat."""
    if table_id < 50:
        return ((0.0, table_id),)
    return tuple((bound * TIER_SCALE, leverage) for bound, leverage in HYPERLIQUID_TIERS[table_id])


def half_of_initial(tiers: Sequence[tuple[float, int]]) -> list[tuple[float, float]]:
    """Hyperliquid's rule: the maintenance rate is half the initial rate at the tier's largest leverage."""
    return [(lower, 0.5 / leverage) for lower, leverage in tiers]


@dataclass(frozen=True)
class MarginRules:
    """Rows are margin tables, columns tiers; short tables repeat their last tier."""

    max_leverage: Ints
    lower_usd: Floats
    rate: Floats
    deduction_usd: Floats

    @classmethod
    def build(
        cls, tables: Sequence[Sequence[tuple[float, float]]], max_leverage: Sequence[int]
    ) -> "MarginRules":
        """From (lower bound in USD, maintenance rate) per tier and the leverage each table allows at most."""
        width = max(len(tiers) for tiers in tables)
        padded = np.array([[*tiers, *[tiers[-1]] * (width - len(tiers))] for tiers in tables])
        lower, rate = padded[:, :, 0], padded[:, :, 1]
        steps = np.diff(rate, axis=1, prepend=rate[:, :1])
        if (steps < 0).any():
            raise ValueError("maintenance rates must rise from tier to tier")
        return cls(np.array(max_leverage, dtype=np.int64), lower, rate, np.cumsum(lower * steps, axis=1))

    def lines(self, table: Ints) -> "MarginLines":
        """The tiers' lines of each position; `table` holds the row of each. One row stands for all if all are equal."""
        if table.ndim == 2 and table.shape[0] > 1 and (table == table[0]).all():
            table = table[:1]
        rate, deduction = self.rate[table], self.deduction_usd[table]
        return MarginLines(np.moveaxis(rate, -1, 0).copy(), np.moveaxis(deduction, -1, 0).copy())

    def maintenance_usd(self, notional_usd: Floats, table: Ints) -> Floats:
        """Requirement per position; `table` is the row of each."""
        return self.lines(table).maintenance_usd(notional_usd)

    def tier(self, notional_usd: Floats, table: Ints) -> Ints:
        """Index of the tier that holds the notional; a bound belongs to the higher tier."""
        return np.asarray((notional_usd[..., None] >= self.lower_usd[table]).sum(axis=-1) - 1, dtype=np.int64)


@dataclass(frozen=True)
class MarginLines:
    """Maintenance of many positions as the largest of a few lines; the first axis counts tiers."""

    rate: Floats
    deduction_usd: Floats

    def of(self, rows: Ints | slice) -> "MarginLines":
        if self.rate.shape[1] == 1:
            return self
        return MarginLines(self.rate[:, rows], self.deduction_usd[:, rows])

    def over_time(self) -> "MarginLines":
        """For notionals with a time axis between rows and columns."""
        return MarginLines(self.rate[:, :, None], self.deduction_usd[:, :, None])

    def maintenance_usd(self, notional_usd: Floats) -> Floats:
        due: Floats = notional_usd * self.rate[0]
        for rate, deduction in zip(self.rate[1:], self.deduction_usd[1:], strict=True):
            due = np.maximum(due, notional_usd * rate - deduction)
        return due


def row_sums(values: Floats | Ints | NDArray[np.bool_]) -> Floats:
    """Sums over the last, short axis; far faster than `sum`, exact for whole numbers below 2**53."""
    return np.asarray(values @ np.ones(values.shape[-1]))


def from_units(units: int, decimals: int) -> str:
    """`units` of 10**-decimals, trailing zeros dropped but one decimal kept: 13009454678, 6 -> 13009.454678."""
    sign, whole = ("-" if units < 0 else ""), abs(int(units))
    digits = str(whole).rjust(decimals + 1, "0")
    if decimals == 0:
        return f"{sign}{digits}.0"
    fraction = digits[-decimals:].rstrip("0") or "0"
    return f"{sign}{digits[:-decimals]}.{fraction}"


def from_float(value: float) -> str:
    """The shortest decimal that reads back as the same float, never in exponent form."""
    return np.format_float_positional(value + 0.0, unique=True, trim="0")


def fixed(value: float, decimals: int) -> str:
    return f"{value:.{decimals}f}"
