"""What stands in a table beside its levels and would be counted as one: rows of totals, and the numbers of the rows."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from liqtruth.compare.imported.documents import Answer
from liqtruth.compare.imported.tables.columns import numbers
from liqtruth.compare.imported.totals import SUM_FITS, TOTALS, too_small
from liqtruth.heatmap.words.notes import Notes, note

AMOUNTS: Final = ("usd", "long", "short")
LEAST_NUMBERED: Final = 3
"""So many rows tell numbers of rows from amounts."""


def without_totals(
    rows: pl.DataFrame, columns: Mapping[str, str], answer: Answer
) -> tuple[pl.DataFrame, Notes]:
    """The rows in which no cell is a word for a sum, and what is to be stated of the others.

    Raises `VendorMapRefused` where a total is less than what it sums.
    """
    found, names = _totals(rows)
    if not found.any():
        return rows, ()
    levels, totals = rows.filter(pl.Series(~found)), rows.filter(pl.Series(found))
    notes: Notes = (note("total_rows_left_out", count=totals.height, names=names),)
    for ours in AMOUNTS:
        if ours in columns:
            notes += _of_total(levels, totals, columns[ours], answer)
    return levels, notes


def _totals(rows: pl.DataFrame) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Which rows have a word for a sum, where not every row of the column has; the words."""
    found, names = np.zeros(rows.height, dtype=bool), dict[str, None]()
    for column in rows.iter_columns():
        if column.dtype != pl.String:
            continue
        word = column.str.strip_chars().str.strip_chars(":").str.to_lowercase().str.replace_all("_", " ")
        here = word.is_in(list(TOTALS)).fill_null(False)
        if here.any() and not here.all():
            found |= here.to_numpy()
            names |= dict.fromkeys(column.filter(here).to_list())
    return found, tuple(names)


def _of_total(levels: pl.DataFrame, totals: pl.DataFrame, theirs: str, answer: Answer) -> Notes:
    """A note where the total is of more than the levels; raises where it is of less."""
    held = float(numbers(levels, theirs, answer, empty=0.0).sum())
    stated = float(numbers(totals, theirs, answer, empty=0.0).sum())
    if totals[theirs].null_count() == totals.height:
        return ()
    if too_small(stated, [held]):
        raise answer.refuse(
            f"the total of {theirs!r} must be the sum of its rows, {held:,.6g}, got {stated:,.6g}: correct or remove "
            "its row"
        )
    if totals.height > 1 or held >= stated * (1 - SUM_FITS):
        return ()
    return (note("levels_of_total", share=held / stated, usd=stated),)


def is_numbering(rows: pl.DataFrame, name: str, answer: Answer) -> bool:
    """Whether a column without a name of its own counts the rows, as programs write it beside a table."""
    nameless = name.strip().lower() in ("", "index", "id", "#", "row") or name.startswith("Unnamed:")
    if not nameless or rows.height < LEAST_NUMBERED:
        return False
    values = numbers(rows, name, answer, empty=np.nan)
    return bool((values - np.arange(rows.height) == values[0]).all()) and values[0] in (0, 1)
