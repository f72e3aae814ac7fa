"""What the exchange must have used where the source has something else or nothing: its own mark, its margin table.

A liquidation price, a margin used and an unrealised profit come from one answer; a mark beside them may be of another
moment, and then no price solves to better than marks moved in between. The exchange's own mark follows from
`marginUsed * leverage` of a cross position to its last digit, and from entry and unrealised profit to the digits of
the entry price. It is taken where what the source gives contradicts it, within `FARTHEST`: beyond that it is another
quantity (a leverage that the tier does not allow, a file's own idea of profit).

A position can be margined by another table than its coin is listed with: it was opened when the coin had that one, or
belongs to a vault's child. Where the table by the rule (`MarginTables.rows_of`) contradicts the exchange's price, or
there is none, every known table of the position's own maximum leverage is tried (all of them, where that is not
known). One that reproduces the price is adopted: its id is stored with the position, so that later prices and moves use
it. Many tables are tried, so a match must be exact: to `EXACT` and the last digits of what the exchange sends, and not
at all where those digits are coarser than any two prices differ by. Columnar; the only loops are over dexes and tables.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from liqtruth.heatmap.words.notes import Note, note
from liqtruth.indexer.frames import POSITION
from liqtruth.indexer.margin.solver import (
    ISOLATED,
    LAST_DIGITS,
    MISMATCH,
    PRICED,
    READ,
    Floats,
    Rows,
    by_dex,
    error_with,
    rows_of,
    with_models,
)
from liqtruth.indexer.margin.tables import NO_TABLE, MarginTables

EXACT: Final = 1e-8
"""Relative difference within which a table reproduces a price: complete inputs give 1e-13, a wrong table 1e-4."""
FARTHEST: Final = 0.02
"""Largest move of a mark between two answers that is believed."""
COARSEST: Final = 1e-3
"""Coarsest that the last digits may be, relatively, where nothing else gives a mark."""
MONEY_DIGIT_USD: Final = 1e-6
PRICE_DECIMALS: Final = 8
BY_MARGIN: Final = "margin_used"
BY_PROFIT: Final = "unrealized_pnl"


def with_server_marks(positions: pl.DataFrame) -> pl.DataFrame:
    """A `POSITIONS` frame whose `mark_px` and `notional_usd` are the exchange's own.

    `mark_from` says what a mark was derived from; null where it is the source's.
    """
    reported, mark = _candidates(positions), pl.col("chosen_px")
    chosen = reported.with_columns(chosen_px=_chosen(), mark_from=_source())
    replaced = mark.is_not_null()
    return chosen.with_columns(
        mark_px=pl.when(replaced).then(mark).otherwise("mark_px"),
        notional_usd=pl.when(replaced).then(mark * pl.col("szi").abs()).otherwise("notional_usd"),
    ).select(positions.columns)


def _candidates(positions: pl.DataFrame) -> pl.DataFrame:
    """The source's mark (by value before by price) and the two that follow from money, with what each is exact to."""
    size, margin = pl.col("szi").abs(), pl.col("margin_used_usd")
    cross = (~ISOLATED).fill_null(False) & READ & (margin > 0) & (pl.col("leverage") >= 1)
    profit_px = pl.col("entry_px") + pl.col("unrealized_pnl_usd") / pl.col("szi")
    return positions.with_columns(
        value_px=pl.when(pl.col("notional_usd") > 0).then(pl.col("notional_usd") / size),
        margin_px=pl.when(cross).then(margin * pl.col("leverage") / size),
        margin_digits=pl.when(cross).then(MONEY_DIGIT_USD / margin),
        profit_px=pl.when(READ & (profit_px > 0)).then(profit_px),
        profit_digits=_half_digit(pl.col("entry_px")) / profit_px + MONEY_DIGIT_USD / (size * profit_px),
    ).with_columns(stated_px=pl.coalesce("value_px", "mark_px"))


def _half_digit(value: pl.Expr) -> pl.Expr:
    """Half a unit of the last decimal that a number was written with."""
    half = pl.lit(0.5 * 10.0**-PRICE_DECIMALS)
    for decimals in range(PRICE_DECIMALS - 1, -1, -1):
        whole = (value.round(decimals) - value).abs() < 1e-12 * value.abs()
        half = pl.when(whole).then(pl.lit(0.5 * 10.0**-decimals)).otherwise(half)
    return half


def _apart(one: str, other: str) -> pl.Expr:
    return (pl.col(one) / pl.col(other) - 1).abs()


def _by_margin() -> pl.Expr:
    """The margin contradicts the source's mark, near enough to be a mark, and profit does not side with the source."""
    slack = 1e-9 + 2 * pl.col("margin_digits")
    off = _apart("margin_px", "stated_px").is_between(slack, FARTHEST, closed="right")
    none_stated = pl.col("stated_px").is_null() & (pl.col("margin_digits") <= COARSEST)
    profit_slack = 2 * pl.col("profit_digits") + slack
    denied = (_apart("profit_px", "margin_px") > profit_slack).fill_null(False)
    return ((off | none_stated) & ~denied).fill_null(False)


def _by_profit() -> pl.Expr:
    """No margin gives one; the unrealised profit contradicts the source's mark, near enough to be a mark."""
    slack = 1e-7 + 4 * pl.col("profit_digits")
    off = _apart("profit_px", "stated_px").is_between(slack, FARTHEST, closed="right")
    none_stated = pl.col("stated_px").is_null() & (pl.col("profit_digits") <= COARSEST)
    return (pl.col("margin_px").is_null() & (off | none_stated)).fill_null(False)


def _value_before_price() -> pl.Expr:
    """Value and mark contradict each other: the value is the exchange's, a mark may be anybody's."""
    return (READ & (_apart("value_px", "mark_px") > 1e-9)).fill_null(False)


def _chosen() -> pl.Expr:
    return (
        pl.when(_by_margin())
        .then("margin_px")
        .when(_by_profit())
        .then("profit_px")
        .when(_value_before_price())
        .then("value_px")
    )


def _source() -> pl.Expr:
    return (
        pl.when(_by_margin())
        .then(pl.lit(BY_MARGIN))
        .when(_by_profit())
        .then(pl.lit(BY_PROFIT))
        .otherwise("mark_from")
    )


def unsure_usd() -> pl.Expr:
    """What a value is not known to because its mark follows from an entry price of few digits; else zero."""
    by_profit = (pl.col("mark_from") == BY_PROFIT).fill_null(False)
    return pl.when(by_profit).then(2 * pl.col("szi").abs() * _half_digit(pl.col("entry_px"))).otherwise(0.0)


def notes_on_marks(positions: pl.DataFrame) -> list[Note]:
    """How many marks of a reconciled frame are not the source's own, by what they were derived from."""
    codes = {BY_MARGIN: "marks_by_margin", BY_PROFIT: "marks_by_profit"}
    counts = positions["mark_from"].drop_nulls().value_counts(sort=True)
    return [
        Note(codes[made_from], {"count": count})
        for made_from, count in counts.iter_rows()
        if made_from in codes
    ]


def tables_that_fit(
    rows: pl.DataFrame, tables: Mapping[str, MarginTables], available: pl.Expr, within: pl.Expr
) -> tuple[pl.Series, pl.Series]:
    """Per row the id of the known table that fits the exchange's price best, and how many fit; null and 0 where none.

    Only others than the one in use count. Of tables that fit alike the first of `MarginTables.known_ids` is taken, and
    the one at the position's own leverage before all.
    """
    reported = rows.with_columns(available_given=available, within_given=within)
    best = np.zeros(rows.height, dtype=np.int64)
    fitting = np.zeros(rows.height, dtype=np.uint32)
    for at, part, dex_tables in by_dex(reported, tables):
        best[at], fitting[at] = _fit_dex(part, dex_tables)
    found = pl.Series("table_id", best)
    return found.set(found == 0, None), pl.Series("tables_fitting", fitting)


def _fit_dex(part: pl.DataFrame, tables: MarginTables) -> tuple[Rows, Rows]:
    used = rows_of(part, tables)
    leverage: Floats = part["max_leverage"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    within: Floats = part["within_given"].fill_null(-1.0).to_numpy()
    least = np.full(part.height, np.inf)
    best, fitting = (np.zeros(part.height, dtype=np.int64) for _ in range(2))
    tried = list(dict.fromkeys([*_own_flat(leverage), *tables.known_ids()]))
    for table_id in tried:
        row = _rows_with(part, tables, table_id)
        own = np.isnan(leverage) | (tables.first_leverage[row] == leverage)
        at = np.flatnonzero(own & (row != used) & (row != NO_TABLE))
        if not len(at):
            continue
        some = part[at]
        error = error_with(some, row[at], tables, some["available_given"].cast(pl.Float64).to_numpy())
        fits = error <= within[at]
        better = fits & (error < 0.5 * least[at])
        best[at[better]], least[at[better]] = table_id, error[better]
        fitting[at[fits]] += 1
    return best, fitting


def _own_flat(leverage: Floats) -> list[int]:
    """Flat tables at the positions' own leverages, which go first."""
    own = leverage[np.isfinite(leverage)]
    return [int(one) for one in np.unique(own) if one == int(one) and 1 <= one <= 50]


def _rows_with(part: pl.DataFrame, tables: MarginTables, table_id: int) -> Rows:
    ids = pl.Series([table_id], dtype=pl.Int64).new_from_index(0, part.height)
    return tables.rows_of(part["coin"], part["max_leverage"], ids, part["as_of"])


def adopt_tables(
    modelled: pl.DataFrame, tables: Mapping[str, MarginTables], doubted: pl.Expr, available: pl.Expr
) -> pl.DataFrame:
    """The frame of `with_models` in which `doubted` rows have the table that reproduces the exchange's price.

    `margin_table_id` and `tables_matching` (how many did) are filled where one was adopted, and the models follow. A
    position that carries its own table id keeps it.
    """
    sure = LAST_DIGITS <= MISMATCH
    open_to_it = PRICED & sure & doubted & (pl.col("margin_table_id").is_null() | _adopted())
    at = np.flatnonzero(modelled.select(open_to_it.fill_null(False)).to_series().to_numpy())
    if not len(at):
        return modelled
    found, fitting = tables_that_fit(modelled[at], tables, available, EXACT + LAST_DIGITS)
    chosen = found.is_not_null().to_numpy()
    if not chosen.any():
        return modelled
    kept = at[chosen]
    adopted = modelled.with_columns(
        modelled["margin_table_id"].scatter(kept, found.drop_nulls()),
        modelled["tables_matching"].scatter(kept, fitting.filter(pl.Series(chosen))),
    )
    return with_models(adopted, tables)


def _adopted() -> pl.Expr:
    """Its table id is one that was adopted, not one that the source carried."""
    return pl.col("tables_matching").is_not_null()


def with_remembered_tables(fresh: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """`fresh` positions with the tables that were adopted for the same position `before`, as a first guess.

    Only where the source carries none, and where the position was not turned round since.
    """
    remembered = before.filter(_adopted()).select(
        *POSITION, was_szi="szi", was_table="margin_table_id", was_matching="tables_matching"
    )
    if remembered.is_empty():
        return fresh
    joined = fresh.join(
        remembered.unique(POSITION, keep="last"), on=POSITION, how="left", maintain_order="left"
    )
    same = pl.col("margin_table_id").is_null() & (pl.col("was_szi") * pl.col("szi") > 0)
    return joined.with_columns(
        margin_table_id=pl.when(same).then("was_table").otherwise("margin_table_id"),
        tables_matching=pl.when(same).then("was_matching").otherwise("tables_matching"),
    ).select(fresh.columns)


@dataclass(frozen=True)
class AdoptedTable:
    """A margin table that stands for the listed one of some positions, because it gives the exchange's prices."""

    dex: str
    coin: str
    table_id: int
    positions: int
    matching: int

    @property
    def note(self) -> Note:
        return note(
            "other_margin_table",
            coin=self.coin,
            table=self.table_id,
            positions=self.positions,
            others=self.matching - 1,
        )


def adopted_tables(positions: pl.DataFrame) -> list[AdoptedTable]:
    """Which tables were adopted in a reconciled frame, most positions first."""
    rows = (
        positions.filter(_adopted())
        .group_by("dex", "coin", "margin_table_id", maintain_order=True)
        .agg(pl.len().alias("positions"), pl.col("tables_matching").max().alias("matching"))
        .sort("positions", "coin", descending=[True, False])
    )
    return [
        AdoptedTable(dex, coin, table_id, count, matching)
        for dex, coin, table_id, count, matching in rows.iter_rows()
    ]
