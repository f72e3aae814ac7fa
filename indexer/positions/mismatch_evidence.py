"""What speaks for or against a reason of a mismatch: the account's other prices, how far marks moved, other tables.

Columns that `indexer.positions.mismatch` judges by. Columnar; the only loops are over dexes and over margin tables.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import polars as pl

from liqtruth.indexer.margin.solved import (
    AVAILABLE,
    ISOLATED,
    MISMATCH,
    PRICED,
    READ,
    backed_by,
    by_dex,
    error_with,
    rows_of,
    solve_with,
)
from liqtruth.indexer.margin.table_choice import tables_that_fit
from liqtruth.indexer.margin.tables import MarginTables

SAME_MOMENT_MS: Final = 10_000
LARGEST_DRIFT: Final = 0.01
"""Largest move of a mark between two calls for one account that is believed."""


def with_drift(
    judged: pl.DataFrame, tables: Mapping[str, MarginTables], marks: pl.DataFrame | None
) -> pl.DataFrame:
    """`drift_usd`: what the marks of each cross position's pool moved by, as far as other readings tell."""
    pool = [pl.col("address"), backed_by(tables), ISOLATED]
    moved = pl.col("notional_usd") * pl.min_horizontal("drift", pl.lit(LARGEST_DRIFT))
    return _with_relative_drift(judged, marks).with_columns(
        drift_usd=pl.when(~ISOLATED).then(moved.sum().over(pool))
    )


def _with_relative_drift(judged: pl.DataFrame, marks: pl.DataFrame | None) -> pl.DataFrame:
    """`drift`: the largest relative distance of each mark from others of the same coin read at about the same time."""
    own = pl.col("mark_px")
    moment = [pl.col("dex"), pl.col("coin"), pl.col("as_of").dt.epoch("ms") // SAME_MOMENT_MS]
    among = pl.max_horizontal(own.max().over(moment) / own, own / own.min().over(moment)) - 1
    if marks is None:
        return judged.with_columns(drift=among)
    beside = marks.select("dex", "coin", beside_px="mark_px").unique(["dex", "coin"], keep="last")
    joined = judged.join(beside, on=["dex", "coin"], how="left", maintain_order="left")
    return joined.with_columns(drift=pl.max_horizontal(among, (pl.col("beside_px") / own - 1).abs()))


def with_explaining_table(rows: pl.DataFrame, tables: Mapping[str, MarginTables]) -> pl.DataFrame:
    """`explaining_table_id`: another table that comes within a millionth of the exchange's price, no nearer."""
    available = pl.coalesce(AVAILABLE, pl.when("is_implied").then("centre_usd"))
    within = pl.when(PRICED).then(pl.lit(MISMATCH))
    return rows.with_columns(explaining_table_id=tables_that_fit(rows, tables, available, within)[0])


def fits(
    judged: pl.DataFrame, tables: Mapping[str, MarginTables], available: pl.Expr, within: float = MISMATCH
) -> pl.Series:
    """Whether the exchange's price, be it null, follows from this margin available."""
    fit = np.zeros(judged.height, dtype=np.bool_)
    null = judged.select(READ & ~PRICED).to_series().to_numpy()
    for at, part, held in by_dex(judged.with_columns(assumed=available), tables):
        assumed = part["assumed"].cast(pl.Float64).to_numpy()
        row = rows_of(part, held)
        solved = solve_with(part, row, held, assumed)
        both_null = null[at] & np.isnan(solved) & ~np.isnan(assumed)
        fit[at] = both_null | (error_with(part, row, held, assumed) <= within)
    return pl.Series(fit)
