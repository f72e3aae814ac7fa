"""Columns of one position state the same thing twice; here they are compared with each other.

Size, notional, mark, entry price, unrealised profit and liquidation price of a position determine one another. Where
most rows of a table contradict themselves, a column is in another unit or by another convention than its name states:
the table is refused, saying which columns and what they seem to be. A few rows are left out and counted. Positions
past their own liquidation price are no contradiction as long as they are few: the exchange has not come to them yet.
Columnar; stores nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import polars as pl

from liqtruth.heatmap.words.notes import Note, note
from liqtruth.heatmap.words.text import percent
from liqtruth.indexer.errors import ImportRefused
from liqtruth.indexer.files.tables.column_checks import (
    CHECKS,
    FEW_ROWS,
    LONG,
    PAST,
    SOUND,
    STATE_CHECKS,
    STATE_FIELDS,
    Check,
)

KEEP: Final = "--keep-contradictions"
MOST_PAST: Final = 0.05
"""Share of notional past its own price from which on it is no truth."""
MANY_ROWS: Final = 10


@dataclass(frozen=True)
class Consistent:
    """The rows that agree with themselves, what was left out of them, and what to say."""

    rows: pl.DataFrame
    left_out: int
    notes: list[Note]


ACCOUNT: Final = ("address", "dex", "as_of")


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
