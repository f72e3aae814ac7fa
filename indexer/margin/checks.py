"""What holding the exchange's price of a position against our own came to: agree, differ, or not checked and why not.

One code per position in the column `check`; one table turns codes into words, and every summary counts by it. A price
that nothing was held against is never agreement. A null of the exchange is a price like any other: it agrees where no
price solves, and differs where one does.
"""

from dataclasses import dataclass, field
from typing import Final, Self

import polars as pl

from liqtruth.indexer.margin.solved import ISOLATED, READ

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
        said = [
            f"{self.codes[code]:,} {words}" for code, words in known.items() if words and code in self.codes
        ]
        return f" ({', '.join(said)})" if said else ""
