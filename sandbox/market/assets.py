"""What the synthetic exchange lists: facts of each coin, and the margin tables of the venues.

Names, decimals and margin table ids are Hyperliquid's of September 2026; prices are where the synthetic path starts.
The tier bounds are the sandbox's own: the real ones scaled down to the size of its whales, so that positions do cross a
tier on the way to their liquidation.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from liqtruth.sandbox.errors import SandboxRefused

BUILDER_DEX: Final = "xyz"
NOTIONAL_DECIMALS: Final = 6
TIER_SCALE: Final = 0.008


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


def listed(coins: tuple[str, ...]) -> tuple[Asset, ...]:
    """The assets of the main dex by name, in the order asked for."""
    known = {asset.name: asset for asset in _LISTED}
    unknown = [coin for coin in coins if coin not in known]
    if unknown:
        raise SandboxRefused(f"no synthetic coin {unknown[0]!r}; there are {', '.join(known)}")
    if not coins or len(set(coins)) != len(coins):
        raise SandboxRefused(f"coins must be some, each once, not {coins!r}")
    return tuple(known[coin] for coin in coins)


def scaled_tiers(table_id: int) -> tuple[tuple[float, int], ...]:
    """(lower bound in USD, max leverage) as in the sandbox's meta; ids below 50 are flat."""
    if table_id < 50:
        return ((0.0, table_id),)
    return tuple((bound * TIER_SCALE, leverage) for bound, leverage in HYPERLIQUID_TIERS[table_id])


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
