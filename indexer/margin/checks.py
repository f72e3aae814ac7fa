"""What comparing the exchange's price of a position with our own came to: agree, differ, or not checked and why not.

One code per position in the column `check`; one table turns codes into words, and every summary counts by it. A price
that was compared with nothing is never agreement. A null of the exchange is a price like any other: it agrees where no
price solves, and differs where one does.

An account whose collateral was not captured is compared with what its own prices imply. The exchange has one margin
available (A - M, or K) per pool of collateral, and every cross price of the pool implies it, so most of them must imply
the same. What more than half of the prices, and at least two, agree on is believed; the others contradict it. A single
price, or prices of which no majority agrees, imply nothing.

`positions_table` shows positions with their checks to people; files and pipes get the whole frame instead.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import polars as pl

from liqtruth.heatmap.words.notes import any_synthetic
from liqtruth.heatmap.words.text import price, usd
from liqtruth.indexer.margin.inferred import adopt_tables, unsure_usd, with_server_marks
from liqtruth.indexer.margin.solver import (
    AVAILABLE,
    IS_OFF,
    ISOLATED,
    MONEY_DIGITS_USD,
    PRICE_DIGITS,
    PRICED,
    READ,
    SAME_COLLATERAL,
    backed_by,
    by_dex,
    is_off,
    relative_error,
    rows_of,
    solve_with,
    with_models,
)
from liqtruth.indexer.margin.tables import MarginTables

if TYPE_CHECKING:
    from rich.table import Table

AGREE: Final = {
    "agree": "",
    "agree_table": "by another margin table than the listed one",
    "agree_others": "by the collateral that the account's other prices imply",
}
DIFFER: Final = {
    "differ": "",
    "differ_others": "from what the account's other prices imply",
}
NOT_CHECKED: Final = {
    "no_exchange_price": "no exchange price in the source",
    "no_margin_mode": "no margin mode",
    "no_margin_tables": "no margin tables",
    "no_table_id": "no table id",
    "no_mark": "no mark",
    "no_cash_leg": "no cash leg",
    "no_collateral": "no collateral",
    "resized": "size moved since it was read",
    "not_recorded": "stored before checks were",
}
"""Codes and what people read; in the order in which they are asked."""
SHOWN = 40


def why_not_checked() -> pl.Expr:
    """Code of what a row of `with_models` lacks to be solved; null where it lacks nothing."""
    lacking = {
        "no_exchange_price": ~READ,
        "no_margin_mode": pl.col("margin_mode").is_null(),
        "no_margin_tables": pl.col("table_row").is_null(),
        "no_table_id": pl.col("table_row") == 0,
        "no_cash_leg": ISOLATED & pl.col("isolated_raw_usd").is_null(),
        "no_mark": ~ISOLATED & pl.col("own_maintenance_usd").is_null(),
        "no_collateral": pl.col("constant_usd").is_null(),
    }
    code = pl.lit(None, pl.String)
    for name, holds in reversed(lacking.items()):
        code = pl.when(holds.fill_null(False)).then(pl.lit(name)).otherwise(code)
    return code


def code_of() -> pl.Expr:
    """The code of a stored row; rows that an earlier version wrote have only a status."""
    earlier = (
        pl.when(~READ)
        .then(pl.lit("no_exchange_price"))
        .when(pl.col("status") == "agree")
        .then(pl.lit("agree"))
        .when(pl.col("status") == "differs")
        .then(pl.lit("differ"))
        .otherwise(pl.lit("not_recorded"))
    )
    return pl.coalesce("check", earlier)


def words_of(code: str) -> str:
    """A code as people read it."""
    for verdict, codes in (("agree", AGREE), ("differ", DIFFER), ("not checked", NOT_CHECKED)):
        if code in codes:
            joined = ": " if verdict == "not checked" else " "
            return f"{verdict}{joined}{codes[code]}".strip()
    return code


@dataclass(frozen=True)
class Checks:
    """Numbers of positions by verdict, and by code where there is more to say than the verdict."""

    agree: int = 0
    differ: int = 0
    not_checked: int = 0
    codes: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, positions: pl.DataFrame) -> Self:
        """Counts of a reconciled `POSITIONS` frame."""
        counts = (
            positions.select(code=code_of())
            .group_by("code")
            .len()
            .sort("len", "code", descending=[True, False])
        )
        return cls.of_codes(dict(counts.iter_rows()))

    @classmethod
    def of_codes(cls, codes: dict[str, int]) -> Self:
        """From numbers by code."""
        agree, differ = (sum(codes.get(code, 0) for code in known) for known in (AGREE, DIFFER))
        return cls(agree, differ, sum(codes.values()) - agree - differ, codes)

    def __str__(self) -> str:
        return ", ".join(
            f"{total:,} {verdict}{self._parts(known)}"
            for verdict, total, known in (
                ("agree", self.agree, AGREE),
                ("differ", self.differ, DIFFER),
                ("not checked", self.not_checked, NOT_CHECKED),
            )
        )

    def _parts(self, known: dict[str, str]) -> str:
        lines = [
            f"{self.codes[code]:,} {words}" for code, words in known.items() if words and code in self.codes
        ]
        return f" ({', '.join(lines)})" if lines else ""


def check(positions: pl.DataFrame, tables: Mapping[str, MarginTables]) -> pl.DataFrame:
    """The positions with the solver's figures (`MODELS`) and what comparing the exchange's prices with them came to.

    Marks are the exchange's (`indexer.margin.inferred`), tables those that its prices show
    (`indexer.margin.inferred`). Where no collateral was captured, what the account's other prices imply
    is compared with each of them: `others_px` and `others_error` are the price by that and
    its relative difference. The code is in `check`.
    """
    listed = _remembering(with_server_marks(positions), tables)
    captured = pl.col("constant_usd").is_not_null() | (pl.col("table_row") == 0)
    adopted = adopt_tables(listed, tables, IS_OFF & captured, AVAILABLE)
    alone = with_implied(adopted, tables)
    beside = _by_others() & ~pl.col("implies_centre")
    again = adopt_tables(alone, tables, beside, pl.col("centre_usd"))
    reported = alone if again is alone else with_implied(again.drop(IMPLIED), tables)
    return _with_check(_with_others(reported, tables))


def _remembering(positions: pl.DataFrame, tables: Mapping[str, MarginTables]) -> pl.DataFrame:
    """Models by the listed tables, and by one adopted earlier where no price of now speaks for the listed one."""
    adopted = pl.col("tables_matching").is_not_null()
    listed = with_models(
        positions.with_columns(margin_table_id=pl.when(~adopted).then("margin_table_id")), tables
    )
    kept = adopted & (~PRICED | IS_OFF)
    if not listed.select(adopted.any()).item():
        return listed
    return with_models(
        listed.with_columns(
            margin_table_id=pl.when(kept).then(positions["margin_table_id"]).otherwise("margin_table_id"),
            tables_matching=pl.when(kept).then("tables_matching"),
        ),
        tables,
    )


def _by_others() -> pl.Expr:
    """Cross rows that can only be compared with what the account's other prices imply."""
    return (READ & pl.col("is_implied") & AVAILABLE.is_null()).fill_null(False)


def _with_others(implied: pl.DataFrame, tables: Mapping[str, MarginTables]) -> pl.DataFrame:
    """`others_px` and `others_error` of the rows that the account's other prices speak for; null elsewhere."""
    prices = np.full(implied.height, np.nan)
    for at, part, dex_tables in by_dex(implied, tables):
        reported = part.select(pl.when(_by_others()).then("centre_usd")).to_series().to_numpy()
        prices[at] = solve_with(part, rows_of(part, dex_tables), dex_tables, reported)
    others = pl.when(_by_others()).then(pl.Series(prices, nan_to_null=True))
    return implied.with_columns(others_px=others).with_columns(
        others_error=pl.when(PRICED).then((pl.col("others_px") / pl.col("liq_px_exchange") - 1).abs())
    )


def _with_check(judged: pl.DataFrame) -> pl.DataFrame:
    why = why_not_checked()
    unsure = pl.col("unsure_usd")
    off_others = is_off(pl.col("others_error"), pl.col("others_px"), unsure)
    off = is_off(relative_error(), pl.col("liq_px_solved"), unsure)
    return judged.with_columns(
        check=pl.when((why == "no_collateral") & _by_others())
        .then(pl.when(off_others).then(pl.lit("differ_others")).otherwise(pl.lit("agree_others")))
        .when(why.is_not_null())
        .then(why)
        .when(off)
        .then(pl.lit("differ"))
        .when(pl.col("tables_matching").is_not_null())
        .then(pl.lit("agree_table"))
        .otherwise(pl.lit("agree"))
    )


IMPLIED: Final = ("centre_usd", "implying_prices", "is_implied", "implies_centre", "unsure_usd")


def with_implied(modelled: pl.DataFrame, tables: Mapping[str, MarginTables]) -> pl.DataFrame:
    """The frame of `with_models` with the columns `IMPLIED` about the pool of each cross position.

    `centre_usd` is the margin available by the median of the prices that agree with each other, or of all where no
    majority does; `implying_prices` how many agree with it; `is_implied` whether they are a majority, and
    `implies_centre` whether this row is one of them. The first two are null for isolated positions. `unsure_usd` is
    what the values of the pool, or of the isolated position, are not known to (`indexer.margin.inferred`).
    """
    pool, implied = ["address", "backing", "isolated"], pl.col("row_available_usd")
    keyed = modelled.with_columns(backing=backed_by(tables), isolated=ISOLATED)
    own = keyed.with_columns(own_unsure_usd=unsure_usd())
    middle = own.with_columns(
        median_usd=implied.median().over(pool),
        unsure_usd=pl.when(ISOLATED)
        .then("own_unsure_usd")
        .otherwise(pl.col("own_unsure_usd").sum().over(pool)),
    )
    digits = MONEY_DIGITS_USD + PRICE_DIGITS * pl.col("szi").abs()
    digits += pl.col("unsure_usd")
    close = (implied - pl.col("median_usd")).abs() <= SAME_COLLATERAL * pl.col("median_usd").abs() + digits
    reported = middle.with_columns(near=close.fill_null(False)).with_columns(
        agreeing=pl.col("near").sum().over(pool),
        prices=implied.count().over(pool),
        agreed_usd=pl.when("near").then(implied).median().over(pool),
    )
    majority = ~ISOLATED & (pl.col("agreeing") >= 2) & (2 * pl.col("agreeing") > pl.col("prices"))
    centre = pl.when(majority).then("agreed_usd").otherwise("median_usd")
    return reported.with_columns(
        centre_usd=pl.when(~ISOLATED).then(centre),
        implying_prices=pl.when(~ISOLATED).then("agreeing").cast(pl.UInt32),
        is_implied=majority.fill_null(False),
        implies_centre=(majority & pl.col("near")).fill_null(False),
    ).select(*modelled.columns, *IMPLIED)


def positions_table(frame: pl.DataFrame, rows: int = SHOWN) -> "Table":
    """The largest positions, with counts below of how many of all agree, differ and were not checked."""
    largest = frame.sort("notional_usd", descending=True).head(rows).with_columns(code=code_of())
    from rich.table import Table

    table = Table(
        caption=_caption(frame, largest.height), caption_justify="left", box=None, padding=(0, 1, 0, 0)
    )
    for name in ("address", "coin", "side"):
        table.add_column(name, no_wrap=True)
    for name in ("notional", "liquidation", "solved"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("mode", "check"):
        table.add_column(name, no_wrap=True)
    for row in largest.iter_rows(named=True):
        table.add_row(*_cells(row))
    return table


def short_address(address: str) -> str:
    return f"{address[:6]}…{address[-4:]}" if address.startswith("0x") else f"…{address[-11:]}"


def _cells(row: dict[str, Any]) -> list[str]:
    return [
        short_address(row["address"]),
        row["coin"],
        "long" if row["szi"] > 0 else "short",
        usd(row["notional_usd"]),
        _price(row["liq_px_exchange"]),
        _price(row["liq_px_solved"]),
        row["margin_mode"] or "-",
        words_of(row["code"]),
    ]


def _price(px: float | None) -> str:
    return "-" if px is None else price(px)


def _caption(frame: pl.DataFrame, shown: int) -> str:
    synthetic = "synthetic, " if any_synthetic(frame["source"]) else ""
    return f"{synthetic}{shown} largest of {frame.height} positions: {Checks.of(frame)}"
