"""What speaks for or against a reason of a mismatch: the account's other prices, how far marks moved, other tables.

Columns that `indexer.mismatch` judges by. Columnar; the only loops are over dexes and over margin tables.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import polars as pl

from indexer.margin import (
    Floats,
    Rows,
    isolated_constant,
    maintenance_margin,
    pooled_constant,
    solve_liquidation_price,
)
from indexer.margin_tables import HIGHEST_FLAT_LEVERAGE, NO_TABLE, MarginTables
from indexer.reconcile import ISOLATED, MISMATCH, PRICED, backed_by

SAME_MOMENT_MS: Final = 10_000
LARGEST_DRIFT: Final = 0.01
"""Largest move of a mark between two calls for one account that is believed."""


def with_account_evidence(
    modelled: pl.DataFrame, tables: Mapping[str, MarginTables], marks: pl.DataFrame | None
) -> pl.DataFrame:
    """What all cross prices of an account's pool imply together, and how far its marks moved."""
    pool = [pl.col("address"), backed_by(tables), ISOLATED]
    implied = pl.col("row_available_usd")
    drift_usd = pl.col("notional_usd") * pl.min_horizontal("drift", pl.lit(LARGEST_DRIFT))
    return _with_drift(modelled, marks).with_columns(
        centre_usd=implied.median().over(pool),
        spread_usd=(implied.max() - implied.min()).over(pool),
        implying_prices=implied.count().over(pool),
        drift_usd=pl.when(~ISOLATED).then(drift_usd.sum().over(pool)),
    )


def _with_drift(modelled: pl.DataFrame, marks: pl.DataFrame | None) -> pl.DataFrame:
    """`drift`: the largest relative distance of each mark from others of the same coin read at about the same time."""
    own = pl.col("mark_px")
    moment = [pl.col("dex"), pl.col("coin"), pl.col("as_of").dt.epoch("ms") // SAME_MOMENT_MS]
    among = pl.max_horizontal(own.max().over(moment) / own, own / own.min().over(moment)) - 1
    if marks is None:
        return modelled.with_columns(drift=among)
    beside = marks.select("dex", "coin", beside_px="mark_px").unique(["dex", "coin"], keep="last")
    joined = modelled.join(beside, on=["dex", "coin"], how="left", maintain_order="left")
    return joined.with_columns(drift=pl.max_horizontal(among, (pl.col("beside_px") / own - 1).abs()))


def with_tables(judged: pl.DataFrame, tables: Mapping[str, MarginTables]) -> pl.DataFrame:
    """`explaining_table_id`, another table that gives the exchange's price, and whether one is known at all."""
    explained = np.zeros(judged.height, dtype=np.int64)
    known = np.zeros(judged.height, dtype=np.bool_)
    for at, part, held in _by_dex(judged, tables):
        used = _rows_of(part, held)
        known[at] = used != NO_TABLE
        explained[at] = _explaining_table(part, used, held)
    found = pl.Series("explaining_table_id", explained)
    return judged.with_columns(explaining_table_id=pl.when(found > 0).then(found), has_table=pl.Series(known))


def _by_dex(
    rows: pl.DataFrame, tables: Mapping[str, MarginTables]
) -> list[tuple[Rows, pl.DataFrame, MarginTables]]:
    """Row numbers, rows and tables of each dex that has tables."""
    parts = []
    for dex, held in tables.items():
        at = np.flatnonzero((rows["dex"] == dex).to_numpy())
        if len(at):
            parts.append((at, rows[at], held))
    return parts


def _rows_of(part: pl.DataFrame, held: MarginTables) -> Rows:
    return held.rows_of(part["coin"], part["max_leverage"], part["margin_table_id"])


def _explaining_table(part: pl.DataFrame, used: Rows, held: MarginTables) -> Rows:
    """Id of the table of the same first leverage, other than the one in use, that fits best; 0 where none fits."""
    best = np.full(part.height, np.inf)
    table_id = np.zeros(part.height, dtype=np.int64)
    leverage: Floats = part["max_leverage"].fill_null(0.0).to_numpy()
    flat = np.where((leverage >= 1) & (leverage <= HIGHEST_FLAT_LEVERAGE), leverage, NO_TABLE).astype(
        np.int64
    )
    candidates = [(flat, flat)]
    candidates += [(np.full(part.height, i), np.full(part.height, row)) for i, row in held.row_of_id.items()]
    for found, row in candidates:
        applies = (row != used) & (row != NO_TABLE) & (held.first_leverage[row] == leverage)
        error = np.where(applies, _error(part, row, held, part["captured_available_usd"].to_numpy()), np.inf)
        table_id = np.where((error <= MISMATCH) & (error < best), found, table_id)
        best = np.minimum(best, error)
    return table_id


def fits(
    judged: pl.DataFrame, tables: Mapping[str, MarginTables], available: pl.Expr, within: float = MISMATCH
) -> pl.Series:
    """Whether the exchange's price, be it null, follows from this margin available."""
    fit = np.zeros(judged.height, dtype=np.bool_)
    assumed = judged.with_columns(assumed=available)
    for at, part, held in _by_dex(assumed, tables):
        fit[at] = (
            _error(part, _rows_of(part, held), held, part["assumed"].cast(pl.Float64).to_numpy()) <= within
        )
    return pl.Series(fit)


def _error(part: pl.DataFrame, row: Rows, held: MarginTables, available_usd: Floats) -> Floats:
    """Relative difference of the price solved with these tables and this collateral; infinite where one has none."""
    szi = part["szi"].to_numpy()
    mark_px = (
        part.select(pl.coalesce("mark_px", pl.col("notional_usd") / pl.col("szi").abs()))
        .to_series()
        .to_numpy()
    )
    isolated = part.select(ISOLATED.fill_null(False)).to_series().to_numpy()
    own = maintenance_margin(np.abs(szi) * mark_px, row, held)
    constant = np.where(
        isolated,
        isolated_constant(part["isolated_raw_usd"].to_numpy()),
        pooled_constant(available_usd, own, szi, mark_px),
    )
    solved = solve_liquidation_price(szi, constant, row, held)
    sent = part.select(pl.when(PRICED).then("liq_px_exchange")).to_series().cast(pl.Float64).to_numpy()
    both_null = np.isnan(solved) & np.isnan(sent) & ~np.isnan(constant)
    error = np.abs(solved / sent - 1)
    return np.where(both_null, 0.0, np.where(np.isnan(error), np.inf, error))
