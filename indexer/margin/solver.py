"""Maintenance margin by tiers, and the price at which equity meets it, for arrays of positions.

The condition, for a position of signed size q (z = |q|) at mark x::

    C + q*x = z*x*r - d            equity = maintenance margin

r and d are the rate and the deduction of the tier that holds the notional z*x, so the tier is taken at the
liquidation notional, half-open [lower bound, next). Only C depends on how the position is margined:
`isolated_constant`, `pooled_constant`. A price is null (NaN) outside (0, 1e15], as on the
exchange. Source: Hyperliquid docs, "Liquidations" and "Margin tiers"; the front end's own
`hyperliquid-dex/ts-examples` LiquidationPx.tsx. The residual is held at zero in tests/indexer/test_margin.py.

Pure arithmetic: arrays in, arrays out, no loop over positions; float64 throughout.
"""

import numpy as np
import numpy.typing as npt

from liqtruth.indexer.margin.tables import MarginTables

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

HIGHEST_PRICE = 1e15


def maintenance_margin(notional_usd: Floats, table_row: Rows, tables: MarginTables) -> Floats:
    """Maintenance margin of a notional, `notional * rate - deduction` of the tier that holds it.

    Parameters
    ----------
    notional_usd : array of shape (n,)
        Unsigned notional at the price considered.
    table_row : array of shape (n,)
        Rows of `tables`; row 0 (no table known) gives NaN.

    Returns
    -------
    array of shape (n,), USD
    """
    tier = np.zeros(len(notional_usd), dtype=np.int64)
    for k in range(1, tables.tiers):
        tier += notional_usd >= tables.lower_bound_usd[table_row, k]
    return notional_usd * tables.rate[table_row, tier] - tables.deduction_usd[table_row, tier]


def isolated_constant(raw_usd: Floats) -> Floats:
    """C of an isolated position, USD: its cash leg `leverage.rawUsd`, which is not its collateral."""
    return raw_usd


def pooled_constant(
    available_usd: Floats, own_maintenance_usd: Floats, szi: Floats, mark_px: Floats
) -> Floats:
    """C of a cross position backed by a pool, USD: K + own maintenance - szi * mark.

    `available_usd` is K, `tokenToAvailableAfterMaintenance` of the collateral token. For an account
    margined per dex the same quantity is account value less cross maintenance.
    """
    return available_usd + own_maintenance_usd - szi * mark_px


def solve_liquidation_price(
    szi: Floats, constant_usd: Floats, table_row: Rows, tables: MarginTables
) -> Floats:
    """Price at which `constant_usd + szi * x` equals the maintenance margin of `|szi| * x`.

    Equity less maintenance is continuous and strictly monotone in x, so its sign at a tier's lower bound
    tells on which side of the bound the root lies: exactly one tier is chosen, whatever the rounding.

    Parameters
    ----------
    szi, constant_usd, table_row : arrays of shape (n,)
        Signed sizes in coins, C in USD, rows of `tables`.

    Returns
    -------
    array of shape (n,)
        Prices; NaN where the root is outside (0, 1e15], and where an input is NaN or the row is 0.
    """
    side = np.sign(szi)
    tier = _tier_at_root(side, constant_usd, table_row, tables)
    rate, deduction = tables.rate[table_row, tier], tables.deduction_usd[table_row, tier]
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        price = -(constant_usd + deduction) / ((side - rate) * np.abs(szi))
    price[~((price > 0) & (price <= HIGHEST_PRICE))] = np.nan
    return price


def _tier_at_root(side: Floats, constant_usd: Floats, table_row: Rows, tables: MarginTables) -> Rows:
    """Tier of the root: the number of lower bounds which the liquidation notional reaches."""
    tier = np.zeros(len(side), dtype=np.int64)
    for k in range(1, tables.tiers):
        bound = tables.lower_bound_usd[table_row, k]
        margin = tables.bound_margin_usd[table_row, k]
        tier += side * (constant_usd - margin) <= -bound
    return tier


def implied_constant(szi: Floats, liq_px: Floats, table_row: Rows, tables: MarginTables) -> Floats:
    """C which makes `liq_px` the liquidation price, USD: the solver run backwards."""
    return maintenance_margin(np.abs(szi) * liq_px, table_row, tables) - szi * liq_px


def implied_available(
    szi: Floats, liq_px: Floats, mark_px: Floats, table_row: Rows, tables: MarginTables
) -> Floats:
    """Margin available (account value less maintenance, A - M, or K) which `liq_px` implies, USD.

    The exchange holds one number per account, so all its cross positions must imply the same.
    """
    own = maintenance_margin(np.abs(szi) * mark_px, table_row, tables)
    return implied_constant(szi, liq_px, table_row, tables) - own + szi * mark_px
