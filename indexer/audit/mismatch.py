"""Every solved price that is not the exchange's, with the reason why.

A price is compared with the exchange's to a relative `MISMATCH`, or to the last digits that the exchange sends where
those are coarser. A position that lacks something to be solved from is compared with nothing: it is no mismatch and
no agreement, but not checked (`indexer.margin.checks`). What does not fit stays, and its reason is the first of
these that holds:

==================  =====================================================================================
reason              meaning
==================  =====================================================================================
tier_ambiguous      another margin table of the same first maximum leverage comes within a millionth of the exchange's
                    price, but not to the digits that it takes to adopt it (`indexer.margin.inferred`)
collateral_unknown  a cross position whose mode was not read: the price is compared with an assumption
mode_changed        the prices are those of the other kind of margining than the mode that is known, and imply really
                    other collateral than was captured: most of an account margined per dex imply one other, or a
                    pool's fit its dex alone
stale_mark          K comes from another call than the positions; their marks moved by at least what it
                    takes to explain the difference
unexplained         none of these
==================  =====================================================================================

Meant for readings, not for positions that were re-marked since: their prices moved with our marks.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import polars as pl

from liqtruth.indexer.frames import AS_OF, POOLED_MODES, SEPARATE_MODES, Schema, conform
from liqtruth.indexer.margin.checks import DIFFER, check
from liqtruth.indexer.margin.inferred import tables_that_fit
from liqtruth.indexer.margin.solver import (
    AVAILABLE,
    ISOLATED,
    MISMATCH,
    PRICED,
    READ,
    SAME_COLLATERAL,
    backed_by,
    by_dex,
    error_with,
    relative_error,
    rows_of,
    solve_with,
)
from liqtruth.indexer.margin.tables import MarginTables

REASONS: Final = ("tier_ambiguous", "collateral_unknown", "mode_changed", "stale_mark", "unexplained")
ALONE: Final = pl.col("account_value_usd") - pl.col("cross_maintenance_usd")
"""Margin available of the account in its dex alone."""

MISMATCHES: Final[Schema] = {
    "address": pl.String(),
    "account_mode": pl.String(),
    "dex": pl.String(),
    "coin": pl.String(),
    "margin_mode": pl.String(),
    "szi": pl.Float64(),
    "notional_usd": pl.Float64(),
    "mark_px": pl.Float64(),
    "liq_px_exchange": pl.Float64(),
    "liq_px_solved": pl.Float64(),
    "relative_error": pl.Float64(),  # null where one of the two is null
    "reason": pl.String(),
    "captured_available_usd": pl.Float64(),  # A - M, or K; null for isolated positions and where not captured
    "implied_available_usd": pl.Float64(),  # what this price implies; of a null: the account's other prices
    "implying_prices": pl.UInt32(),  # how many prices of the account imply the same
    "explaining_table_id": pl.Int64(),  # the table that gives the exchange's price; below 50: flat
    "drift_usd": pl.Float64(),  # what the marks of the pool moved by, as far as other readings show
    "as_of": AS_OF,
    "source": pl.String(),
}


def mismatches(
    positions: pl.DataFrame, tables: Mapping[str, MarginTables], marks: pl.DataFrame | None = None
) -> pl.DataFrame:
    """The positions whose solved price is not the exchange's (`MISMATCHES`), largest notional first.

    Parameters
    ----------
    positions : frame of schema `POSITIONS`, all cross positions of each account; need not be reconciled
    tables : mapping of dex to its margin tables
    marks : frame with columns `dex`, `coin`, `mark_px`, read beside the positions; without it the marks of the same
        coin in other readings within ten seconds show how far marks moved
    """
    return mismatches_of(check(positions, tables), tables, marks)


def mismatches_of(
    checked: pl.DataFrame, tables: Mapping[str, MarginTables], marks: pl.DataFrame | None = None
) -> pl.DataFrame:
    """The same of a frame that `indexer.margin.checks.check` made."""
    off = pl.col("check").is_in(list(DIFFER))
    if not checked.select(off.any()).item():
        return conform(checked.clear(), MISMATCHES)
    judged = with_drift(checked, tables, marks).filter(off)
    judged = with_explaining_table(judged, tables).with_columns(
        captured_available_usd=pl.when(~ISOLATED).then(AVAILABLE),
        liq_px_solved=pl.coalesce("liq_px_solved", "others_px"),
        relative_error=pl.coalesce(relative_error(), "others_error"),
        fits_dex_alone=fits(judged, tables, ALONE),
        fits_implied=fits(judged, tables, pl.col("centre_usd"), SAME_COLLATERAL),
    )
    reasoned = judged.with_columns(
        reason=_reason(), implied_available_usd=pl.coalesce("row_available_usd", "centre_usd")
    )
    return conform(reasoned.sort("notional_usd", "coin", descending=[True, False]), MISMATCHES)


def count_reasons(found: pl.DataFrame) -> dict[str, int]:
    """Number of positions by reason, most first."""
    counts = found.group_by("reason").len().sort("len", "reason", descending=[True, False])
    return dict(counts.iter_rows())


def _reason() -> pl.Expr:
    isolated = ISOLATED.fill_null(False)
    separate = pl.col("account_mode").is_in(SEPARATE_MODES)
    pooled = pl.col("account_mode").is_in(POOLED_MODES)
    captured = pl.col("captured_available_usd")
    gap_usd = (pl.coalesce("row_available_usd", "centre_usd") - captured).abs()
    to_pool = separate & pl.col("is_implied") & pl.col("fits_implied") & _really_other(pl.col("centre_usd"))
    to_dex = pooled & pl.col("fits_dex_alone") & _really_other(ALONE)
    return (
        pl.when(pl.col("explaining_table_id").is_not_null())
        .then(pl.lit("tier_ambiguous"))
        .when(~isolated & pl.col("account_mode").is_null())
        .then(pl.lit("collateral_unknown"))
        .when(~isolated & (to_pool | to_dex))
        .then(pl.lit("mode_changed"))
        .when(~isolated & pooled & (pl.col("drift_usd") > 0) & (gap_usd <= pl.col("drift_usd")))
        .then(pl.lit("stale_mark"))
        .otherwise(pl.lit("unexplained"))
    )


def _really_other(available: pl.Expr) -> pl.Expr:
    """Not what was captured, by more than prices of one collateral differ among each other."""
    captured = pl.col("captured_available_usd")
    near = SAME_COLLATERAL * pl.max_horizontal(available.abs(), captured.abs())
    return ((available - captured).abs() > near).fill_null(False)


SAME_MOMENT_MS: Final = 10_000
LARGEST_DRIFT: Final = 0.01
"""Largest move of a mark between two calls for one account that is believed."""


def with_drift(
    judged: pl.DataFrame, tables: Mapping[str, MarginTables], marks: pl.DataFrame | None
) -> pl.DataFrame:
    """`drift_usd`: what the marks of each cross position's pool moved by, as far as other readings show."""
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
    for at, part, dex_tables in by_dex(judged.with_columns(assumed=available), tables):
        assumed = part["assumed"].cast(pl.Float64).to_numpy()
        row = rows_of(part, dex_tables)
        solved = solve_with(part, row, dex_tables, assumed)
        both_null = null[at] & np.isnan(solved) & ~np.isnan(assumed)
        fit[at] = both_null | (error_with(part, row, dex_tables, assumed) <= within)
    return pl.Series(fit)
