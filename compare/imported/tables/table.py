"""Maps as tables: price and amount, with or without side, leverage and time, or a grid of prices by times or exchanges.

Columns are recognised by names that people use, or named with `--columns price=PX,usd=AMOUNT`.
"""

from collections.abc import Mapping

import numpy as np
import polars as pl

from liqtruth.compare.imported.documents import Answer
from liqtruth.compare.imported.maps_in_file import MapsInFile
from liqtruth.compare.imported.tables.columns import ACCOUNTS, NAMES, mapping_of, numbers, with_beside
from liqtruth.compare.imported.tables.grids import amounts_alone, transposed, wide
from liqtruth.compare.imported.tables.left_out import without_totals
from liqtruth.compare.imported.tables.rows import by_row
from liqtruth.compare.imported.totals import SUM_FITS
from liqtruth.storage.files.tabular import shortened


def read_table(
    rows: pl.DataFrame, given: Mapping[str, str], place: str, beside: Mapping[str, str]
) -> MapsInFile:
    """The maps of a table, `beside` which stands what is of all its rows; raises `VendorMapRefused` or `TableRefused`
    naming row and column."""
    answer = Answer(None, place)
    rows = _headed(rows)
    if rows.is_empty():
        raise answer.empty()
    columns = mapping_of(rows.columns, given, place)
    rows, left_out = without_totals(rows, columns, answer)
    if not ({"price"} <= columns.keys() or {"low", "high"} <= columns.keys()):
        if "time" in columns:
            rows, columns, more = transposed(rows, columns["time"], answer)
            left_out += more
        elif ACCOUNTS & {name.strip().lower() for name in rows.columns}:
            raise answer.refuse(
                "must be a map, got positions of accounts: `liqtruth index import FILE` stores them, and `map exact`, "
                "`check` and `calibrate fit` (without --truth) use what is stored"
            )
        else:
            raise answer.refuse(
                f"must be a map: a known vendor's, or a table of price and usd; it has {shortened(rows.columns)}: "
                "name them with --columns price=...,usd=..."
            )
    columns = _of_one_kind(rows, columns, given, answer)
    rows, columns = with_beside(rows, columns, beside)
    if not ({"usd", "long", "short"} & columns.keys()):
        alone = amounts_alone(rows, columns, answer)
        if alone is None:
            return wide(rows, columns, answer).noted(left_out)
        columns = {**columns, "usd": alone}
    return by_row(rows, columns, answer, given).noted(left_out)


def _of_one_kind(
    rows: pl.DataFrame, columns: dict[str, str], given: Mapping[str, str], answer: Answer
) -> dict[str, str]:
    """Amounts of both sides, or of longs and shorts: what the user named goes first, and of a table that has both,
    the sides, which must sum to the other. Raises where they do not."""
    sides = {"long", "short"} & columns.keys()
    if "usd" not in columns or not sides:
        return columns
    if "usd" in given:
        return {name: theirs for name, theirs in columns.items() if name not in sides}
    if not sides & given.keys():
        total = numbers(rows, columns["usd"], answer, empty=0.0)
        added = sum(numbers(rows, columns[side], answer, empty=0.0) for side in sides)
        off = np.abs(added - total) > SUM_FITS * np.maximum(np.abs(total), 1.0)
        if off.any():
            at = int(np.flatnonzero(off)[0])
            names = " and ".join(columns[side] for side in sorted(sides))
            raise answer.refuse(
                f"{columns['usd']} of row {at + 1} must be the sum of {names}, got {total[at]:,.6g}: name the amounts "
                "with --columns"
            )
    return {name: theirs for name, theirs in columns.items() if name != "usd"}


def _headed(rows: pl.DataFrame) -> pl.DataFrame:
    """A grid whose header is prices or times was taken for a table without one: its first row names the columns."""
    if rows.is_empty() or rows.columns[0] != "1":
        return rows
    first = [str(cell) for cell in rows.row(0)]
    known = {name for names in NAMES.values() for name in names}
    if first[0].strip().lower() not in known or len(set(first)) < len(first):
        return rows
    return rows[1:].rename(dict(zip(rows.columns, first, strict=True)))
