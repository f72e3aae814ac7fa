"""Effective leverage of positions, read off their prices: from entry to liquidation, and from the mark to liquidation.

What a position would be if its own initial margin were all it had, at the reference price P (its entry, or the mark).
With liquidation price L, size q, maintenance M of its own margin table, and s = 1 for longs, -1 for shorts:

    1 / leverage = M(q L) / (q P) - s (L / P - 1)

which is `estimator.model.brackets.liquidation_price` solved for leverage. It is the distance to liquidation in another
unit, not the setting: collateral that was added makes it smaller. Measured from entry, collateral that moved with the
price is in it too: a position in profit may be liquidated on the far side of its entry, and no leverage opens there
(the right side is not positive: infinite).
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import polars as pl

from liqtruth.compare.calibration.holdings import SIZE_EDGES_USD, SIZES
from liqtruth.estimator.model.brackets import FALLBACK_MAX_LEVERAGE
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.layers import Cut
from liqtruth.indexer.margin.solver import maintenance_margin
from liqtruth.indexer.margin.tables import MarginTables

ANCHORS: Final = ("entry", "mark")
"""Where a distance to liquidation is measured from."""
UNKNOWN: Final = "unknown"

CENSUS_ROWS: Final[Mapping[str, pl.DataType]] = {
    "account": pl.String(),
    "coin": pl.String(),
    "side": pl.String(),
    "size": pl.String(),  # a label of `holdings.SIZES`
    "maximum": pl.String(),  # the coin's highest setting, or unknown
    "margin_mode": pl.String(),  # cross | isolated | unknown
    "uncapped": pl.Float64(),  # notional at the mark, USD
    "capped": pl.Float64(),  # of it what one position counts with at most, USD
    "priced": pl.Boolean(),  # whether a price liquidates it
    "unpriced_read": pl.Boolean(),  # whether the coin's source carries any that none liquidates
    "highest": pl.Float64(),  # the same as a number; null where it is unknown
    "entry": pl.Float64(),  # leverage from entry; null without an entry or a liquidation price
    "mark": pl.Float64(),  # leverage from the mark
    "past_entry": pl.Boolean(),  # whether the liquidation lies on the profitable side
    "past_mark": pl.Boolean(),  # whether the mark has crossed it
}


def effective_leverage(
    reference_px: FloatArray, liq_px: FloatArray, szi: FloatArray, maintenance_usd: FloatArray
) -> FloatArray:
    """Per position; infinite where no leverage opens at `reference_px` and is liquidated at `liq_px`, nan where either
    is unknown. `maintenance_usd` is that of the position at its liquidation price."""
    margin = maintenance_usd / (np.abs(szi) * reference_px) - np.sign(szi) * (liq_px / reference_px - 1.0)
    known = np.isfinite(margin)
    return np.where(
        known, np.divide(1.0, margin, out=np.full(margin.shape, np.inf), where=margin > 0), np.nan
    )


def census_rows(
    coin: str,
    levels: pl.DataFrame,
    mark_px: float,
    cut: Cut,
    highest: float | None,
    tables: MarginTables | None,
) -> pl.DataFrame:
    """One row per position with a place on the map (`maps.exact.PlacedLevels.rows`), columns `CENSUS_ROWS`.

    `highest` is the coin's highest setting where it is known; `tables` are the margin tables of its dex.
    """
    szi, entry_px, liq_px = (_floats(levels, name) for name in ("szi", "entry_px", "liq_px"))
    notional = np.abs(szi) * liq_px
    maintenance = maintenance_at(levels, notional, highest, tables)
    mark = np.full(len(szi), mark_px)
    from_entry, from_mark = (effective_leverage(at, liq_px, szi, maintenance) for at in (entry_px, mark))
    limit = np.where(szi > 0, cut.at_usd.long, cut.at_usd.short)
    usd = np.abs(szi) * mark_px
    return pl.DataFrame(
        {
            "account": levels["address"],
            "coin": [coin] * levels.height,
            "side": levels["side"].cast(pl.String),
            "size": [SIZES[at] for at in np.searchsorted(SIZE_EDGES_USD, usd, side="right")],
            "maximum": [UNKNOWN if highest is None else f"{highest:g}x"] * levels.height,
            "margin_mode": levels["margin_mode"].fill_null(UNKNOWN),
            "uncapped": usd,
            "capped": np.minimum(usd, limit),
            "priced": np.isfinite(liq_px),
            "unpriced_read": np.full(len(szi), not np.isfinite(liq_px).all()),
            "highest": [highest] * levels.height,
            "entry": from_entry,
            "mark": from_mark,
            "past_entry": np.sign(szi) * (liq_px - entry_px) > 0,
            "past_mark": np.sign(szi) * (liq_px - mark_px) > 0,
        },
        schema=dict(CENSUS_ROWS),
    ).with_columns(pl.col(*ANCHORS).fill_nan(None))


def maintenance_at(
    positions: pl.DataFrame, notional_usd: FloatArray, highest: float | None, tables: MarginTables | None
) -> FloatArray:
    """Maintenance of each position at a notional (USD): by its own margin table, else half of the initial margin at
    its own highest setting, the coin's, or `FALLBACK_MAX_LEVERAGE`."""
    own = _floats(positions, "max_leverage")
    flat = notional_usd * 0.5 / np.where(np.isfinite(own), own, highest or FALLBACK_MAX_LEVERAGE)
    if tables is None:
        return flat
    table_row = tables.rows_of(
        positions["coin"], positions["max_leverage"], positions["margin_table_id"], positions["as_of"]
    )
    tiered = maintenance_margin(np.nan_to_num(notional_usd), table_row, tables)
    return np.where(np.isfinite(notional_usd) & np.isfinite(tiered), tiered, flat)


def _floats(frame: pl.DataFrame, name: str) -> FloatArray:
    """Positive or negative numbers, nan for null and zero."""
    values = frame[name].cast(pl.Float64).to_numpy()
    return np.where(values != 0, values, np.nan)
