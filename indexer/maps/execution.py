"""What is really forced at a liquidation level: how much meets the order book first, and where it stops meeting it.

At its liquidation price a position of up to 100,000 USDC goes to the book whole; a larger one sends a fifth first and
the rest at least 30 s later, or never. Where equity falls below two thirds of maintenance the liquidator vault takes
the rest over, and where equity is gone the position is closed against other traders (auto-deleveraging). Portfolio
accounts are taken over at once and never meet the book. Source: Hyperliquid docs, "Liquidations" and "Portfolio
margin"; whether a builder dex's asset has a backstop at all is not in the positions: its price is given all the same.

All three prices solve one equation, equity = fraction * maintenance, with fraction 1, 2/3 and 0::

    C + (1 - fraction) * M_other + q*x = fraction * (z*x*r - d)

where C is the constant of the liquidation price that the map uses, so that what the exchange sent is never
contradicted, and M_other the maintenance of the pool's other cross positions, whose marks do not move.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from liqtruth.heatmap.grid import DEFAULT_WIDTH_BPS
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.words.notes import note
from liqtruth.indexer.maps.exact import map_of_positions, part_of_map
from liqtruth.indexer.margin.pools import Backing, backing_of
from liqtruth.indexer.margin.solver import Floats, Rows, implied_constant, solve_liquidation_price
from liqtruth.indexer.margin.tables import MarginTables
from liqtruth.indexer.positions.readings import coin_as_of
from liqtruth.storage.store import Store

PARTIAL_ABOVE_USDC: Final = 100_000.0
"""Notional at the liquidation price above which only a part is sold first; 10,000 on the test net."""

FIRST_SHARE: Final = 0.2
BACKSTOP_FRACTION: Final = 2 / 3
EXECUTABLE: Final = ("first_order_usd", "backstop_px", "bankruptcy_px")


def executable(
    positions: pl.DataFrame,
    tables: Mapping[str, MarginTables],
    partial_above_usd: float = PARTIAL_ABOVE_USDC,
) -> pl.DataFrame:
    """The positions with `first_order_usd`, `backstop_px` and `bankruptcy_px`.

    `positions` is a reconciled `POSITIONS` frame with all cross positions of each account. `first_order_usd` is
    valued at the mark, null where no price liquidates the position or none is known. The prices are null as well
    where no positive price fulfils them, where no margin table is known, or where the pool's maintenance is not.
    """
    backing = backing_of(positions, tables)
    liq_px = positions["liq_px"].to_numpy().astype(np.float64)
    other = other_maintenance_usd(backing)
    portfolio = (positions["account_mode"] == "portfolio").fill_null(False).to_numpy()
    cross_portfolio = portfolio & (backing.pool >= 0)
    backstop = backstop_price(backing.szi, liq_px, other, backing.table_row, backing.tables)
    bankrupt = fraction_price(0.0, backing.szi, liq_px, other, backing.table_row, backing.tables)
    columns = (
        first_share(backing.szi, liq_px, cross_portfolio, partial_above_usd) * backing.notional_usd,
        np.where(cross_portfolio, liq_px, backstop),
        bankrupt,
    )
    return positions.with_columns(
        pl.Series(name, values, nan_to_null=True) for name, values in zip(EXECUTABLE, columns, strict=True)
    )


def executable_map(
    store: Store, coin: str, at: datetime | None = None, width_bps: float = DEFAULT_WIDTH_BPS
) -> Heatmap:
    """The exact map with only what meets the book first; what no price liquidates stays on it.

    The coverage is the whole map's, and its last note says what was left out. Raises as `exact_map`.
    """
    positions, market, notes = coin_as_of(store, coin, at)
    whole = map_of_positions(positions, coin, market, width_bps, notes)
    part = map_of_positions(_first_orders(positions), coin, market, width_bps, notes)
    later = whole.total_usd.total - part.total_usd.total
    left = note("not_at_once", later_usd=later, whole_usd=whole.total_usd.total)
    sold = note("sold_in_parts", above_usd=PARTIAL_ABOVE_USDC, share=FIRST_SHARE)
    return replace(part_of_map(whole, part, (*whole.coverage.notes, left), sold), model="first orders")


def first_share(
    szi: Floats,
    liq_px: Floats,
    taken_over: npt.NDArray[np.bool_],
    partial_above_usd: float = PARTIAL_ABOVE_USDC,
) -> Floats:
    """Share of each position that goes to the book at `liq_px`; 0 where it is `taken_over`, NaN without a price."""
    share = np.where(np.abs(szi) * liq_px > partial_above_usd, FIRST_SHARE, 1.0)
    share[taken_over] = 0.0
    share[np.isnan(liq_px)] = np.nan
    return share


def backstop_price(
    szi: Floats, liq_px: Floats, other_maintenance_usd: Floats, table_row: Rows, tables: MarginTables
) -> Floats:
    """Price at which equity is two thirds of maintenance; arrays of shape (n,), NaN where there is none."""
    return fraction_price(BACKSTOP_FRACTION, szi, liq_px, other_maintenance_usd, table_row, tables)


def fraction_price(
    fraction: float,
    szi: Floats,
    liq_px: Floats,
    other_maintenance_usd: Floats,
    table_row: Rows,
    tables: MarginTables,
) -> Floats:
    """Price at which equity is `fraction` of maintenance, given the price at which it is all of it.

    `other_maintenance_usd` is that of the pool's other positions, 0 for isolated ones. Returns shape (n,).
    """
    constant = implied_constant(szi, liq_px, table_row, tables) + (1 - fraction) * other_maintenance_usd
    scaled = replace(
        tables,
        rate=fraction * tables.rate,
        deduction_usd=fraction * tables.deduction_usd,
        bound_margin_usd=fraction * tables.bound_margin_usd,
    )
    return solve_liquidation_price(szi, constant, table_row, scaled)


def other_maintenance_usd(backing: Backing) -> Floats:
    """Maintenance of the other cross positions of each position's pool, USD; 0 for an isolated position."""
    pooled = backing.of_pool(backing.maintenance_usd, isolated=0.0)
    own = np.where(backing.pool >= 0, backing.own_maintenance_usd, 0.0)
    return np.maximum(pooled - own, 0.0)


def _first_orders(positions: pl.DataFrame) -> pl.DataFrame:
    """Sizes cut to the first order; positions that have no price keep theirs."""
    isolated = (positions["margin_mode"] == "isolated").fill_null(False).to_numpy()
    portfolio = (positions["account_mode"] == "portfolio").fill_null(False).to_numpy()
    share = first_share(
        positions["szi"].to_numpy(), positions["liq_px"].to_numpy().astype(np.float64), portfolio & ~isolated
    )
    cut = positions.with_columns(szi=pl.col("szi") * pl.Series(np.nan_to_num(share, nan=1.0)))
    return cut.filter(pl.col("szi") != 0)
