"""Liquidation prices by search: where equity minus maintenance changes sign, one coin moving alone.

Bisection on the ledger's own equity and tier rules for all positions at once; no closed form, so that a solver which
agrees with these prices agrees with something other than itself.
"""

from dataclasses import dataclass

import numpy as np

from liqtruth.sandbox.market.margin_rules import Floats, Ints, MarginRules

LOWEST_PX, HIGHEST_PX = 1e-12, 1e15


@dataclass(frozen=True)
class Exposure:
    """Positions to search, one row each. `equity_usd` backs the position at `mark_px`; `other_due_usd` is the
    maintenance of what else that equity backs."""

    szi: Floats
    mark_px: Floats
    equity_usd: Floats
    other_due_usd: Floats
    table: Ints


def surplus_usd(rules: MarginRules, exposure: Exposure, px: Floats) -> Floats:
    """Equity minus maintenance with this coin at `px` and all others where they are."""
    equity = exposure.equity_usd + exposure.szi * (px - exposure.mark_px)
    due = rules.maintenance_usd(np.abs(exposure.szi) * px, exposure.table)
    return np.asarray(equity - exposure.other_due_usd - due)


def liquidation_prices(rules: MarginRules, exposure: Exposure) -> Floats:
    """The price at which each position is liquidated; NaN where no price up to 1e15 liquidates it."""
    long = exposure.szi > 0
    low = np.full(exposure.szi.size, LOWEST_PX)
    high = np.full(exposure.szi.size, HIGHEST_PX)
    safe_low = surplus_usd(rules, exposure, low) >= 0
    safe_high = surplus_usd(rules, exposure, high) >= 0
    for _ in range(110):
        middle = np.where(high > 2 * low, np.sqrt(low * high), 0.5 * (low + high))
        downward = (surplus_usd(rules, exposure, middle) >= 0) == long
        low, high = np.where(downward, low, middle), np.where(downward, middle, high)
    never = np.where(long, safe_low, safe_high)
    return np.where(never, np.nan, np.where(long, high, low))
