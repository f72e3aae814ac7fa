"""Which columns of a position determine one another, and what a column that does not fit seems to hold.

Each check is of two columns, or more, of one row: expressions, and a hint for the message."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from liqtruth.heatmap.words.text import AHEAD

DUST_USD: Final = 1.0
"""Below it a notional is rounded so coarsely that it says little about the mark."""
OFF: Final = 1.25
"""Ratio of two accounts of one thing from which on they contradict each other; marks of two moments differ by less."""
FAR: Final = 3.0
"""The same for prices of one coin on one day."""
VERY_FAR: Final = 10.0
"""The same for entry price and mark; of a few positions that may be true."""
MOVED: Final = 5e-3
"""Smallest distance of mark and entry from which on profit must have its sign."""
NEAR: Final = 1e-3
"""A liquidation price this close to the mark is past it no more than rounding is."""
SAME: Final = 1e-4
"""A liquidation price this close to mark or entry in most rows is the same number, rounded."""
MOST_LEVERAGE: Final = 1000
FEW_ROWS: Final = 3
LONG: Final = pl.col("szi") > 0
SOUND: Final = (pl.col("szi") != 0) & (pl.col("notional_usd") >= DUST_USD)
IMPLIED: Final = pl.col("notional_usd") / pl.col("szi").abs()
GAIN: Final = pl.col("szi") * (pl.col("mark_px") - pl.col("entry_px"))
PAST: Final = pl.when(LONG).then(pl.col("liq_px_exchange") > pl.col("mark_px") * (1 + NEAR)).otherwise(
    pl.col("liq_px_exchange") < pl.col("mark_px") * (1 - NEAR)
) & (pl.col("liq_px_exchange") > 0)  # fmt: skip
Hint = Callable[[pl.DataFrame], str]


@dataclass(frozen=True)
class Check:
    """Two columns that must agree: `wrong` of the rows of which `of` holds; `hint` says what they seem to be."""

    columns: tuple[str, ...]
    of: pl.Expr
    wrong: pl.Expr
    statement: str
    hint: Hint
    few: str = "rows"
    """What is left out where a few are wrong: the rows, the cells of the last column, or nothing."""
    is_plain: Callable[[pl.DataFrame], bool] = lambda wrong: True
    """Whether what most show is a contradiction, and no market that moved far."""


def _off(a: pl.Expr, b: pl.Expr, most: float) -> pl.Expr:
    return ((a / b).log().abs() > float(np.log(most))).fill_null(False)


def _implied_px(rows: pl.DataFrame) -> pl.Series:
    return rows["notional_usd"] / rows["szi"].abs()


def _size_in_usd(rows: pl.DataFrame, known_px: str) -> bool:
    """Whether notional is the size itself, where the price is far from 1."""
    return _median_log(_implied_px(rows)) < 0.02 and _median_log(rows[known_px]) > 0.05


def _unit_by(known_px: str) -> Hint:
    """What the size column seems to be, by how far the mark that it implies is from the price that is known."""

    def hint(rows: pl.DataFrame) -> str:
        if _size_in_usd(rows, known_px):
            return "the size seems to be in USD"
        known, implied = rows[known_px], _implied_px(rows)
        factor = float(np.exp((known / implied).log().median()))  # type: ignore[arg-type]
        power = round(np.log10(factor))
        if power and abs(np.log(factor / 10.0**power)) < 0.2:
            return f"the size seems to be in contracts of {10.0**-power:g} coins, or a price in another unit"
        if abs(np.log(factor)) < np.log(OFF):
            return "some of it is of another market or moment"
        return f"they differ {factor:.3g} fold"

    return hint


def _seems_to_hold(what: str) -> Hint:
    return lambda rows: f"the column of liquidation prices seems to hold the {what}"


def _median_log(ratio: pl.Series) -> float:
    median = ratio.log().abs().median()
    return float(median) if isinstance(median, float) else np.inf


def _unit_of_gain(rows: pl.DataFrame) -> str:
    gain = rows.select(GAIN.alias("gain"))["gain"]
    reported = rows["unrealized_pnl_usd"]
    units = {
        "in percent of the notional": gain / rows["notional_usd"] * 100,
        "a fraction of the notional": gain / rows["notional_usd"],
        "in coins": gain / rows["mark_px"],
    }
    if "leverage" in rows.columns:
        units["in percent of the margin"] = gain / rows["notional_usd"] * 100 * rows["leverage"]
    for name, expected in units.items():
        if _median_log(reported / expected) < 0.1:
            return f"the profit seems to be {name}"
    return "the profit seems to hold something else"


CHECKS: Final = (
    Check(
        ("szi", "notional_usd", "given_mark_px"),
        SOUND,
        _off(IMPLIED, pl.col("mark_px"), OFF),
        "size x mark is not the notional",
        _unit_by("mark_px"),
    ),
    Check(
        ("szi", "notional_usd", "reference_px"),
        SOUND,
        _off(pl.col("mark_px"), pl.col("reference_px"), FAR),
        "notional / size is not the market's mark",
        _unit_by("reference_px"),
    ),
    Check(
        ("szi", "notional_usd", "peers_px"),
        SOUND & (pl.len().over("coin", "day") >= FEW_ROWS),
        _off(pl.col("mark_px"), pl.col("peers_px"), FAR),
        "notional / size is not the mark of the coin's other rows",
        _unit_by("peers_px"),
    ),
    Check(
        ("szi", "notional_usd", "entry_px"),
        SOUND & (pl.col("entry_px") > 0),
        _off(pl.col("mark_px"), pl.col("entry_px"), VERY_FAR),
        "notional / size is over ten times off the entry price",
        _unit_by("entry_px"),
        few="nothing",
        is_plain=lambda wrong: _is_plain(wrong),
    ),
    *(
        Check(
            ("szi", name, "liq_px_exchange"),
            SOUND & (pl.col("liq_px_exchange") > 0) & (pl.col(name) > 0),
            (pl.col("liq_px_exchange") / pl.col(name) - 1).abs() < SAME,
            f"the liquidation price is the {what}",
            _seems_to_hold(what),
            few="nothing",
        )
        for name, what in (("mark_px", "mark"), ("entry_px", "entry price"))
    ),
    Check(
        ("leverage",),
        pl.col("leverage").is_not_null(),
        ~pl.col("leverage").is_between(1, MOST_LEVERAGE),
        f"no leverage from 1 to {MOST_LEVERAGE:,}",
        lambda rows: "the column seems to hold something else",
        few="cells",
    ),
    Check(
        ("as_of", "held_since"),
        pl.col("held_since").is_not_null(),
        pl.col("held_since") > pl.col("as_of") + AHEAD,
        "opened after it was read",
        lambda rows: "another --as-of is wanted",
        few="cells",
    ),
    Check(
        ("szi", "entry_px", "unrealized_pnl_usd"),
        SOUND & (GAIN.abs() > MOVED * pl.col("notional_usd")),
        (pl.col("unrealized_pnl_usd") + GAIN).abs() < 0.2 * GAIN.abs(),
        "a gain where mark and entry make a loss, or the reverse,",
        lambda rows: "sides seem flipped (the side of the order that closes?)",
    ),
    Check(
        ("szi", "entry_px", "unrealized_pnl_usd"),
        SOUND & (GAIN.abs() > MOVED * pl.col("notional_usd")),
        (pl.col("unrealized_pnl_usd") - GAIN).abs()
        > 0.25 * GAIN.abs() + 0.02 * pl.col("notional_usd"),
        "profit is not size x (mark - entry)",
        _unit_of_gain,
        few="cells",
    ),
)  # fmt: skip
STATE_FIELDS: Final = {
    "szi": "szi",
    "notional_usd": "positionValue",
    "entry_px": "entryPx",
    "unrealized_pnl_usd": "unrealizedPnl",
    "liq_px_exchange": "liquidationPx",
}
"""Our columns by the names of an account's answer."""
VALUE_GAIN: Final = pl.col("szi").sign() * pl.col("notional_usd") - pl.col("szi") * pl.col("entry_px")
"""The same as `GAIN` where the value may be zero."""
STATE_CHECKS: Final = (
    *(check for check in CHECKS if "given_mark_px" not in check.columns and check.few == "rows"),
    Check(
        ("szi", "notional_usd", "entry_px", "unrealized_pnl_usd"),
        pl.lit(True),
        (pl.col("unrealized_pnl_usd") - VALUE_GAIN).abs()
        > 0.25 * VALUE_GAIN.abs() + 0.02 * pl.col("notional_usd") + DUST_USD,
        "profit is not size x (mark - entry)",
        _unit_of_gain,
    ),
)
"""What every answer states is checked of every account: one that contradicts itself is left out whole."""


def _is_plain(wrong: pl.DataFrame) -> bool:
    """Far from their entry prices are also coins that crashed; in another unit all are about equally far."""
    if _size_in_usd(wrong, "entry_px"):
        return True
    ratio = (wrong["mark_px"] / wrong["entry_px"]).log()
    spread = (ratio - ratio.median()).abs().median()
    return wrong.height >= FEW_ROWS and isinstance(spread, float) and spread < np.log(2)
