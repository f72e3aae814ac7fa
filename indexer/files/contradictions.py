"""Columns of one position state the same thing twice; here they are compared with each other.

Size, notional, mark, entry price, unrealised profit and liquidation price of a position determine one another. Where
most rows of a table contradict themselves, a column is in another unit or by another convention than its name states:
the table is refused, saying which columns and what they seem to be. A few rows are left out and counted. Positions
past their own liquidation price are no contradiction as long as they are few: the exchange has not come to them yet.
Columnar; stores nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import polars as pl

from liqtruth.heatmap.words.notes import Note, note
from liqtruth.heatmap.words.text import AHEAD, percent
from liqtruth.indexer.errors import ImportRefused

KEEP: Final = "--keep-contradictions"
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
MOST_PAST: Final = 0.05
"""Share of notional past its own price from which on it is no truth."""
FEW_ROWS: Final = 3
MANY_ROWS: Final = 10

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


@dataclass(frozen=True)
class Consistent:
    """The rows that agree with themselves, what was left out of them, and what to say."""

    rows: pl.DataFrame
    left_out: int
    notes: list[Note]


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


ACCOUNT: Final = ("address", "dex", "as_of")
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


def contradicting_accounts(
    positions: pl.DataFrame, place: str, marks: pl.DataFrame, keep: bool = False
) -> tuple[pl.DataFrame, list[str]]:
    """Accounts (address, dex, as_of) of a `POSITIONS` frame whose positions contradict themselves; a line on each.

    Raises `ImportRefused` where most accounts that hold positions do, unless `keep`: then none is named, and the
    lines are notes on what was not left out.
    """
    rows = _with_references(positions.with_row_index("row", offset=1), STATE_FIELDS, marks)
    accounts = rows.select(ACCOUNT).n_unique() if rows.height else 0
    wrong = [(check, rows.filter(check.of & check.wrong)) for check in STATE_CHECKS]
    wrong = [(check, found.unique(ACCOUNT, keep="first", maintain_order=True)) for check, found in wrong]
    reported = pl.concat([found.with_columns(why=pl.lit(check.statement)) for check, found in wrong])
    reported = reported.unique(ACCOUNT, keep="first", maintain_order=True)
    if reported.is_empty():
        return reported.select(ACCOUNT), []
    lines = [_line_of(one) for one in reported.iter_rows(named=True)]
    if keep:
        return reported.select(ACCOUNT).clear(), lines[:FEW_ROWS]
    if 2 * reported.height > accounts:
        check, found = next((check, found) for check, found in wrong if found.height)
        of = f"{reported.height:,} of {accounts:,} accounts contradict themselves"
        raise ImportRefused(f"{place}: {of}: {lines[0]}; {check.hint(found)}; record it again, or {KEEP}")
    return reported.select(ACCOUNT), lines


def _line_of(row: Mapping[str, Any]) -> str:
    cells = ", ".join(
        f"{theirs} {row[ours]:.6g}" for ours, theirs in STATE_FIELDS.items() if row[ours] is not None
    )
    return f"{row['address']}: {row['coin']}: {row['why']} ({cells})"


def without_contradictions(
    rows: pl.DataFrame, given: Mapping[str, str], place: str, marks: pl.DataFrame, keep: bool = False
) -> Consistent:
    """`rows` without those whose columns contradict each other.

    `rows` has `row`, `coin`, `as_of`, `szi`, `notional_usd`, `mark_px` and what else is known; `given` says which of
    ours the table has, by its own names; `marks` (coin, mark_px) is what the market's marks were about then. Raises
    `ImportRefused` where most rows contradict themselves, unless `keep`.
    """
    rows = _with_references(rows, given, marks)
    left_out = 0
    notes: list[Note] = []
    for check in CHECKS:
        if not set(check.columns) <= set(rows.columns):
            continue
        wrong = rows.filter(check.of & check.wrong)
        if wrong.is_empty():
            continue
        few, text = _judged(check, rows, wrong, given, place, keep)
        if few == "rows":
            left_out += wrong.height
            rows = rows.join(wrong.select("row"), on="row", how="anti", maintain_order="left")
        elif few == "cells":
            blank = pl.when(pl.col("row").is_in(wrong["row"].implode())).then(None)
            rows = rows.with_columns(blank.otherwise(pl.col(check.columns[-1])).alias(check.columns[-1]))
        notes += [text] if text else []
    if most := _mostly_past(rows, place, keep):
        notes.append(most)
    return Consistent(rows, left_out, notes)


def _judged(
    check: Check, rows: pl.DataFrame, wrong: pl.DataFrame, given: Mapping[str, str], place: str, keep: bool
) -> tuple[str, Note | None]:
    """What to leave out of the few, and the note on it; raises where they are most."""
    checked = rows.filter(check.of).height
    first = wrong.row(0, named=True)
    cells = ", ".join(
        f"{given[one]} {_shown(first[one])}"
        for one in check.columns
        if one in given and first[one] is not None
    )
    where = f"{check.statement} in {wrong.height:,} of {checked:,} rows (row {first['row']}: {cells})"
    if keep:
        return "nothing", note("contradiction_kept", where=where)
    if _are_most(wrong.height, checked) and check.is_plain(wrong):
        raise ImportRefused(
            f"{place}: {check.hint(wrong)}: {where}; correct it, map others with --columns, or {KEEP}"
        )
    if check.few == "nothing":
        return "nothing", None
    if check.few == "rows":
        return check.few, note("rows_contradict", where=where)
    column = given.get(check.columns[-1], check.columns[-1])
    return check.few, note("cells_contradict", column=column, where=where)


def _shown(cell: float | datetime) -> str:
    return f"{cell:%Y-%m-%dT%H:%M}Z" if isinstance(cell, datetime) else f"{cell:.6g}"


def _are_most(wrong: int, checked: int) -> bool:
    """More than half; also a fifth where they are many: sides that are missing are wrong for one side only."""
    return 2 * wrong > checked or (wrong >= MANY_ROWS and 5 * wrong > checked)


def _is_plain(wrong: pl.DataFrame) -> bool:
    """Far from their entry prices are also coins that crashed; in another unit all are about equally far."""
    if _size_in_usd(wrong, "entry_px"):
        return True
    ratio = (wrong["mark_px"] / wrong["entry_px"]).log()
    spread = (ratio - ratio.median()).abs().median()
    return wrong.height >= FEW_ROWS and isinstance(spread, float) and spread < np.log(2)


def _with_references(rows: pl.DataFrame, given: Mapping[str, str], marks: pl.DataFrame) -> pl.DataFrame:
    """The rows with the market's mark, the coin's median mark of the day, and the given mark where there is one."""
    reported = rows.join(
        marks.select("coin", reference_px="mark_px").unique("coin"),
        on="coin",
        how="left",
        maintain_order="left",
    ).with_columns(day=pl.col("as_of").dt.date())
    reported = reported.with_columns(peers_px=pl.col("mark_px").filter(SOUND).median().over("coin", "day"))
    if {"notional_usd", "mark_px"} <= given.keys():
        reported = reported.with_columns(given_mark_px="mark_px")
    return reported


def past_share(rows: pl.DataFrame) -> tuple[float, int, int]:
    """Share of the priced notional that is past its own liquidation price, how many rows, and of how many."""
    priced = rows.filter((pl.col("liq_px_exchange") > 0) & (pl.col("mark_px") > 0) & (pl.col("szi") != 0))
    past = priced.filter(PAST)
    total = float(priced["notional_usd"].sum())
    return (float(past["notional_usd"].sum()) / total if total else 0.0), past.height, priced.height


def _mostly_past(rows: pl.DataFrame, place: str, keep: bool) -> Note | None:
    if "liq_px_exchange" not in rows.columns:
        return None
    return refuse_past(rows, place, keep)


def refuse_past(rows: pl.DataFrame, place: str, keep: bool) -> Note | None:
    """A note on positions past their own price; raises `ImportRefused` where they are more than `MOST_PAST` of the
    notional, unless `keep`."""
    share, past, priced = past_share(rows)
    if not past:
        return None
    if share <= MOST_PAST or keep:
        return note("past_own_price", count=past, positions=priced, share=share)
    text = f"{past:,} of {priced:,} positions ({percent(share)} of their notional) are past their own liquidation price"
    raise ImportRefused(
        f"{place}: {text}; {_which_side(rows)}; correct the side, the mark or the price column, or {KEEP}"
    )


def _which_side(rows: pl.DataFrame) -> str:
    longs, shorts = (past_share(rows.filter(side))[0] for side in (LONG, ~LONG))
    if longs > 0.5 and shorts > 0.5:
        return "sides seem flipped (the side of the order that closes?)"
    if longs > 0.5 and not rows.filter(~LONG).height:
        return "all sizes are positive: the side seems to be missing"
    most = "long" if longs > shorts else "short"
    return f"most are {most}: sides, or prices of another market or moment?"
