"""What `HOLDINGS` of a coin are worth as positions: solved where everything is known, else between bounds.

Solved are isolated positions, which their own cash leg backs, and cross positions of accounts that hold nothing else in
the dex and are margined per dex: their cash is `rawUsd`. Whether an account is, HyperEVM does not tell. A pooled one
(unified, portfolio) shows no more value in the dex than the margin in use there; so one that shows more is not pooled,
and of another one its mode must have been read by the info endpoint before.

The condition of all others is that of `indexer.margin.solver`, C + q*x = maintenance(|q|*x), with C between bounds:

    most     C = account value - q*mark                      all equity of the dex backs it, the others need nothing
    least    C = account value - margin of others - q*mark   the others take the margin that they use

where margin of others = margin in use less own notional over leverage. What a pool has beyond the dex is not bounded:
its price may be as far away as there are prices, and null. The near end is solved with the listed margin table, the far
one without any maintenance, so that a position under an older table with a higher maximum lies between them too.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import polars as pl

from liqtruth.heatmap.grid import FloatArray
from liqtruth.indexer.evm.holdings import HOLDINGS
from liqtruth.indexer.frames import POSITION, POSITIONS, SEPARATE_MODES, Schema, conform
from liqtruth.indexer.margin.reconcile import reconcile
from liqtruth.indexer.margin.solver import maintenance_margin, solve_liquidation_price
from liqtruth.indexer.margin.tables import MarginTables
from liqtruth.indexer.positions.intervals import INTERVALS

ABOVE: Final = 1e-6
"""A share of the margin in use by which an account's value must exceed it to be seen as above it."""
ABOVE_USD: Final = 0.01
ROUNDED_USD: Final = 1e-5
"""Margins are sums of amounts that are rounded to a micro-dollar each."""
KINDS: Final = ("isolated", "cross")

HELD: Final[Schema] = {
    **HOLDINGS,
    **{name: POSITIONS[name] for name in ("account_mode", "max_leverage", "margin_table_id")},
}


def with_memory(holdings: pl.DataFrame, modes: Mapping[str, str], known: pl.DataFrame) -> pl.DataFrame:
    """`HELD`: with the account modes read before, and the margin table that the info endpoint showed of the same
    position in `known` (`POSITIONS` of the coin)."""
    before = known.filter(pl.col("exchange_read").fill_null(False)).select(
        "address", "max_leverage", "margin_table_id", was_long=pl.col("szi") > 0
    )
    joined = holdings.with_columns(
        account_mode=pl.col("address").replace_strict(modes, default=None, return_dtype=pl.String),
        was_long=pl.col("szi") > 0,
    ).join(
        before.unique(["address", "was_long"], keep="last"),
        on=["address", "was_long"],
        how="left",
        maintain_order="left",
    )
    return conform(joined, HELD)


def is_solved(held: pl.DataFrame, listed_leverage: float, kinds: tuple[str, ...] = KINDS) -> pl.Series:
    """Which rows of `HELD` are known completely, among those of `kinds`. A leverage above the highest of its table is
    of a table that is not known."""
    own = pl.coalesce("max_leverage", pl.lit(listed_leverage))
    cross = pl.col("is_alone").fill_null(False) & _is_separate()
    kind = (pl.col("is_isolated") & ("isolated" in kinds)) | (
        ~pl.col("is_isolated") & cross & ("cross" in kinds)
    )
    known_table = (pl.col("leverage") <= own) | pl.col("margin_table_id").is_not_null()
    return held.select((kind & known_table & pl.col("mark_px").is_not_null()).fill_null(False)).to_series()


def _is_separate() -> pl.Expr:
    shown = pl.col("account_value_usd") > (1 + ABOVE) * pl.col("margin_used_usd") + ABOVE_USD
    return (
        pl.when(pl.col("account_mode").is_null())
        .then(shown)
        .otherwise(pl.col("account_mode").is_in(SEPARATE_MODES))
    )


def positions_of(
    held: pl.DataFrame, coin: str, dex: str, tables: MarginTables, source: str, kinds: tuple[str, ...] = KINDS
) -> pl.DataFrame:
    """Reconciled `POSITIONS` of `HELD` rows: `solved_only` or `never` where solved, `unknown_collateral` elsewhere."""
    solved = is_solved(held, _listed_leverage(coin, tables), kinds)
    isolated = pl.col("is_isolated")
    margin = pl.when(isolated).then(pl.col("isolated_raw_usd") + pl.col("szi") * pl.col("mark_px"))
    alone = solved & ~held["is_isolated"]
    own = maintenance_margin(held["notional_usd"].to_numpy(), _rows(held, coin, tables), tables)
    columns = held.with_columns(
        dex=pl.lit(dex),
        coin=pl.lit(coin),
        entry_px=pl.col("entry_notional_usd") / pl.col("szi").abs(),
        margin_mode=pl.when(isolated).then(pl.lit("isolated")).otherwise(pl.lit("cross")),
        account_mode=pl.when(alone)
        .then(pl.coalesce("account_mode", pl.lit("standard")))
        .otherwise("account_mode"),
        margin_used_usd=margin.otherwise(pl.col("notional_usd") / pl.col("leverage")),
        isolated_raw_usd=pl.when(solved).then("isolated_raw_usd"),
        account_value_usd=pl.when(alone).then("account_value_usd"),
        cross_maintenance_usd=pl.when(alone).then(pl.Series(own, nan_to_null=True)),
        exchange_read=pl.lit(value=False),
        source=pl.lit(source),
    )
    return reconcile(conform(columns, POSITIONS), {dex: tables})


def intervals_of(held: pl.DataFrame, positions: pl.DataFrame, tables: MarginTables) -> pl.DataFrame:
    """`INTERVALS` of those of `positions` whose price is not known; `held` has the same rows."""
    waiting = (positions["status"] == "unknown_collateral").fill_null(True)
    rows, of = held.filter(waiting), positions.filter(waiting)
    szi, mark = rows["szi"].to_numpy(), rows["mark_px"].fill_null(np.nan).to_numpy()
    low, high, never = _bounds(rows, szi, mark, of, tables)
    return (
        of.select(name for name in INTERVALS if name in POSITIONS)
        .with_columns(low_px=pl.Series(low), high_px=pl.Series(high), may_be_never=pl.Series(never))
        .select(pl.col(name).cast(dtype) for name, dtype in INTERVALS.items())
    )


def _bounds(
    rows: pl.DataFrame, szi: FloatArray, mark: FloatArray, of: pl.DataFrame, tables: MarginTables
) -> tuple[FloatArray, FloatArray, FloatArray]:
    least, most = _constants(rows, szi * mark)
    table = tables.rows_of(of["coin"], of["max_leverage"].clear(of.height), None, of["as_of"])
    near = solve_liquidation_price(szi, least, table, tables)
    with np.errstate(invalid="ignore"):
        far = -most / szi
    long = szi > 0
    never = np.where(long, ~(most < 0), np.isinf(most))
    nearest = np.where(
        long, np.where(least >= 0, 0.0, np.nan_to_num(near, nan=np.inf)), np.nan_to_num(near, nan=0.0)
    )
    farthest = np.where(long, np.maximum(far, 0.0), far)
    return np.where(long, farthest, nearest), np.where(long, nearest, farthest), never


def _constants(rows: pl.DataFrame, signed_usd: FloatArray) -> tuple[FloatArray, FloatArray]:
    """C at least and at most; infinite where nothing bounds it."""
    value = pl.col("account_value_usd")
    others = (pl.col("margin_used_usd") - pl.col("notional_usd") / pl.col("leverage")).clip(0.0) + ROUNDED_USD
    bounds = rows.select(
        raw="isolated_raw_usd",
        least=value - others,
        most=pl.when(_is_separate()).then(value),
    )
    raw, least, most = (bounds[name].fill_null(np.nan).to_numpy() for name in ("raw", "least", "most"))
    least, most = np.nan_to_num(least - signed_usd, nan=-np.inf), np.nan_to_num(most - signed_usd, nan=np.inf)
    isolated = rows["is_isolated"].to_numpy()
    return np.where(isolated, raw, least), np.where(isolated, raw, most)


def _listed_leverage(coin: str, tables: MarginTables) -> float:
    return float(tables.first_leverage[tables.row_of_coin.get(coin, 0)])


def _rows(held: pl.DataFrame, coin: str, tables: MarginTables) -> np.ndarray:
    names = pl.Series([coin]).new_from_index(0, held.height)
    return tables.rows_of(names, held["max_leverage"], held["margin_table_id"], held["as_of"])


def still_as_read(positions: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Those of `known` that stand for a position of the same size in `positions` whose price is not known."""
    waiting = positions.filter(pl.col("status") == "unknown_collateral").select(*POSITION, "szi")
    read = known.filter(pl.col("exchange_read").fill_null(False))
    return conform(read.join(waiting, on=[*POSITION, "szi"], how="semi", maintain_order="left"), POSITIONS)
