"""The mark that the exchange used for a position, where the file that holds it has another, or none.

A liquidation price, a margin used and an unrealised profit come from one answer; a mark beside them may be of another
moment, and then no price solves to better than marks moved in between. The exchange's own mark follows from
`marginUsed * leverage` of a cross position to its last digit, and from entry and unrealised profit to the digits of
the entry price. It is taken where what the file says contradicts it, within `FARTHEST`: beyond that it is another
quantity (a leverage that the tier does not allow, a file's own idea of profit). Columnar.
"""

from typing import Final

import polars as pl

from liqtruth.heatmap.text import counted
from liqtruth.indexer.margin.solved import ISOLATED, READ

FARTHEST: Final = 0.02
"""Largest move of a mark between two answers that is believed."""
COARSEST: Final = 1e-3
"""Coarsest that the last digits may be, relatively, where nothing else tells a mark."""
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
    """No margin tells; the unrealised profit contradicts the source's mark, near enough to be a mark."""
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


def notes_on_marks(positions: pl.DataFrame) -> list[str]:
    """How many marks of a reconciled frame are not the source's own, by what they were derived from."""
    words = {BY_MARGIN: "margin used and leverage", BY_PROFIT: "unrealised profit"}
    counts = positions["mark_from"].drop_nulls().value_counts(sort=True)
    return [
        f"marks of {counted(count, 'position')} follow from {words.get(reported, reported)}: "
        "the source's are of another moment, or there are none"
        for reported, count in counts.iter_rows()
    ]
