"""The centralised venues that can be simulated, as a table: who trades there, under which margin tiers.

They share the price path, list the same coins and settle in USDT; each has a ledger of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from liqtruth.sandbox.market.listings import BINANCE_TIERS, BYBIT_TIERS, OKX_TIERS, Asset, Ints, MarginRules
from liqtruth.sandbox.market.population import BINANCE_MIX, BYBIT_MIX, OKX_MIX, Population, TraderType
from liqtruth.sandbox.market.venue import VenueRules

BINANCE, BYBIT, OKX = "binance", "bybit", "okx"
FUNDING_HOURS: Final = 8


@dataclass(frozen=True)
class Centralised:
    """One venue: `tiers` are (lower bound in USD, maintenance rate); `seeds` which of the market's random streams draw
    its people and their decisions."""

    name: str
    mix: tuple[TraderType, ...]
    tiers: tuple[tuple[float, float], ...]
    max_leverage: int
    seeds: tuple[int, int]
    noise: tuple[int, ...] = ()


CENTRALISED: Final[Mapping[str, Centralised]] = {
    kind.name: kind
    for kind in (
        Centralised(BINANCE, BINANCE_MIX, BINANCE_TIERS, 75, (3, 4)),
        Centralised(BYBIT, BYBIT_MIX, BYBIT_TIERS, 100, (5, 6), (1,)),
        Centralised(OKX, OKX_MIX, OKX_TIERS, 50, (7, 8), (2,)),
    )
}


def rules_of(kind: Centralised, assets: tuple[Asset, ...], people: Population) -> VenueRules:
    """One margin table row per asset."""
    margin = MarginRules.build([kind.tiers] * len(assets), [kind.max_leverage] * len(assets))
    table: Ints = np.tile(np.arange(len(assets)), (people.size, 1))
    isolated_only = np.zeros(len(assets), np.bool_)
    return VenueRules(assets, margin, table, isolated_only, FUNDING_HOURS, noise=kind.noise)


@dataclass(frozen=True)
class PublicTier:
    """One maintenance tier as a venue publishes it; `upper_usd` is None for the last."""

    lower_usd: float
    upper_usd: float | None
    rate: float
    deduction_usd: float
    max_leverage: int


def public_tiers(rules: VenueRules, column: int) -> list[PublicTier]:
    """The tiers that the ledger applies to a coin, lowest first, with the leverage that it allows in each."""
    margin = rules.margin
    lower, rate, deduction = margin.lower_usd[column], margin.rate[column], margin.deduction_usd[column]
    most = int(margin.max_leverage[column])
    uppers = [*(float(bound) for bound in lower[1:]), None]
    return [
        PublicTier(float(low), upper, float(share), float(less), min(most, int(0.5 / share)))
        for low, upper, share, less in zip(lower, uppers, rate, deduction, strict=True)
    ]
