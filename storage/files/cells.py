"""Cells of other people's tables become numbers and times, or are refused by row, column and value.

Every cell is judged by itself; where a table mixes spellings, the one that differs is blamed, never the first row.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import polars as pl

from liqtruth.heatmap.words.text import AHEAD, EARLIEST, expected_time
from liqtruth.storage.errors import TableRefused

UTC_MS = pl.Datetime("ms", "UTC")
EPOCH_UNITS: Final = (1e-3, 1.0, 1e3, 1e6)
"""How many of an epoch's unit a millisecond has: seconds, ms, us, ns. A time is believed in one of them only."""
ROUNDING_MS: Final = 0.01
ISO_TEXT: Final = r"^(\d{4})[-/](\d\d)[-/](\d\d)(?:[T ](\d\d:\d\d)(:\d\d)?(\.\d+)?)?\s*(?:Z|UTC|GMT)?$"
"""A date, with a time or not, without a zone or in UTC."""

GROUPED: Final = r"^[+-]?[1-9]\d{0,2}\.\d{3}$"
"""A point before three digits, which parts thousands where commas are decimal."""
PLAIN: Final = r"^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$"
POINTED: Final = r"^[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?$|" + PLAIN
"""Numbers with a decimal point, thousands parted by commas or not parted."""
COMMAED: Final = r"^[+-]?[1-9]\d{0,2}(?:\.\d{3})+(?:,\d*)?$|^[+-]?(?:\d+,?\d*|,\d+)(?:[eE][+-]?\d+)?$"
"""The same with a decimal comma and points."""


def worded(table: pl.DataFrame) -> pl.DataFrame:
    """Text is text however a file packs it: categories, and bytes that are UTF-8 throughout."""
    return table.with_columns(_worded(column) for column in table.iter_columns())


def _worded(column: pl.Series) -> pl.Series:
    if column.dtype not in (pl.Categorical, pl.Enum, pl.Binary):
        return column
    try:
        return column.cast(pl.String)
    except pl.exceptions.PolarsError:
        return column


def to_text(
    table: pl.DataFrame, names: Sequence[str], place: Path, theirs: Mapping[str, str] | None = None
) -> pl.DataFrame:
    """Cast what is text, or a number or truth that has one way to be written, to String; raises `TableRefused`."""
    for name in names:
        kind = table.schema[name]
        if not (kind.is_numeric() or kind in (pl.String, pl.Boolean, pl.Null)):
            raise TableRefused(
                f"{place}: column {(theirs or {}).get(name, name)!r} holds {kind}, not text; write it as text"
            )
    return table.with_columns(pl.col(name).cast(pl.String) for name in names)


def to_float(
    table: pl.DataFrame, names: Sequence[str], place: Path, theirs: Mapping[str, str] | None = None
) -> pl.DataFrame:
    """Cast to Float64, empty cells to null; raises `TableRefused` with column, row (1 = first data row) and value.

    `1,234.5` and, in a column that is only to be read so, `1234,5` are numbers. `theirs` maps our names to the file's
    own, to speak of a column by.
    """
    for name in names:
        column, shown = table[name], (theirs or {}).get(name, name)
        if column.dtype == pl.String:
            stripped = column.str.strip_chars()
            column = stripped.set(stripped == "", None)
            column = _with_point(column, shown, place)
        cast = (
            column.cast(pl.Float64, strict=False)
            if column.dtype.is_numeric() or column.dtype in (pl.String, pl.Null)
            else None
        )
        if cast is None:
            raise TableRefused(f"{place}: column {shown!r} holds {column.dtype}, not numbers")
        wrong = column.is_not_null() & (cast.is_null() | ~cast.is_finite())
        refuse_first(place, shown, table[name], wrong, "a number")
        table = table.with_columns(cast.alias(name))
    return table


def _with_point(column: pl.Series, shown: str, place: Path) -> pl.Series:
    """Text numbers without thousands' marks, and with a decimal point."""
    marked = column.str.contains(",", literal=True).fill_null(False)
    if not marked.any():
        _refuse_grouped(column, shown, place)
        return column
    pointed = column.str.contains(POINTED).fill_null(True)
    commaed = column.str.contains(COMMAED).fill_null(True)
    if pointed.all() and commaed.all():
        refuse_first(
            place, shown, column, marked, "clear: thousands or a decimal comma? write it without commas"
        )
    if pointed.all():
        return column.str.replace_all(",", "", literal=True)
    if commaed.all():
        return column.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
    wrong = ~pointed if pointed.sum() >= commaed.sum() else ~commaed
    refuse_first(place, shown, column, wrong, "a number")
    return column


def _refuse_grouped(column: pl.Series, shown: str, place: Path) -> None:
    """Raises where points part thousands: always three digits after them, zeros at the end kept, and none elsewhere,
    which neither a fixed number of decimals nor the shortest way to write a number gives."""
    dotted = column.str.contains(".", literal=True).fill_null(False)
    if not dotted.any() or dotted.sum() == column.len() - column.null_count():
        return
    grouped = column.str.contains(GROUPED).fill_null(False)
    if grouped.sum() == dotted.sum() and (grouped & column.str.ends_with("0").fill_null(False)).any():
        refuse_first(
            place,
            shown,
            column,
            grouped,
            "clear: thousands or decimals? write it without points of thousands",
        )


def to_time(
    table: pl.DataFrame,
    name: str,
    place: Path,
    theirs: Mapping[str, str] | None = None,
    may_be_empty: bool = False,
) -> pl.DataFrame:
    """Cast to UTC milliseconds from ISO text or epoch s, ms, us or ns, cell by cell; raises `TableRefused`.

    Times before 2020 or of the future (`heatmap.text`) are not believed. Empty cells are refused unless `may_be_empty`.
    """
    column = table[name]
    if isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone:
        times = column.dt.convert_time_zone("UTC").cast(UTC_MS)
    elif column.dtype in (pl.Datetime, pl.Date):
        times = column.cast(pl.Datetime("ms"), strict=False).dt.replace_time_zone("UTC")
    elif column.dtype == pl.String:
        times = _of_text(column.str.strip_chars())
    elif not (column.dtype.is_numeric() or column.dtype == pl.Null):
        shown = (theirs or {}).get(name, name)
        raise TableRefused(f"{place}: column {shown!r} holds {column.dtype}, not times; write them as text")
    else:
        times = _of_epoch(column.cast(pl.Float64, strict=False))
    now = datetime.now(UTC)
    wrong = times.is_null() | ~times.is_between(EARLIEST, now + AHEAD).fill_null(False)
    if may_be_empty:
        filled = column.is_not_null()
        wrong &= filled & (column.str.strip_chars() != "") if column.dtype == pl.String else filled
    refuse_first(place, (theirs or {}).get(name, name), column, wrong, expected_time(now))
    return table.with_columns(times.alias(name))


def to_kind(
    table: pl.DataFrame, name: str, kind: pl.DataType, place: Path, theirs: Mapping[str, str] | None = None
) -> pl.DataFrame:
    """Cast to `kind`, empty cells to null; raises `TableRefused` naming the first cell that cannot be."""
    column, shown = table[name], (theirs or {}).get(name, name)
    try:
        cast = column.cast(kind, strict=False)
    except pl.exceptions.PolarsError:
        raise TableRefused(f"{place}: column {shown!r} holds {column.dtype}, not {kind}") from None
    filled = column.is_not_null() if column.dtype != pl.String else column.str.strip_chars() != ""
    refuse_first(place, shown, column, filled & cast.is_null(), f"{kind}")
    return table.with_columns(cast.alias(name))


def _of_epoch(number: pl.Series) -> pl.Series:
    """The moment of each number in the one unit in which it is believed; null where there is none."""
    earliest, latest = EARLIEST.timestamp() * 1e3, (datetime.now(UTC) + AHEAD).timestamp() * 1e3
    found = pl.Series(number.name, [None], dtype=pl.Float64).new_from_index(0, len(number))
    for per_ms in EPOCH_UNITS:
        ms = number / per_ms
        found = found.fill_null(ms.set(~ms.is_between(earliest, latest).fill_null(False), None))
    return (found + ROUNDING_MS).floor().cast(pl.Int64).cast(UTC_MS)


def _of_text(text: pl.Series) -> pl.Series:
    number = text.cast(pl.Float64, strict=False)
    times = _of_epoch(number)
    worded = text.set(number.is_not_null(), None)
    if worded.null_count() == len(worded):
        return times
    times = times.fill_null(worded.str.to_datetime("%+", time_unit="ms", time_zone="UTC", strict=False))
    return times.fill_null(_without_zone(worded)) if times.null_count() else times


def _without_zone(text: pl.Series) -> pl.Series:
    """Dates and times that bear no zone, or UTC's name: archives leave it out."""
    part = text.str.extract_groups(ISO_TEXT).struct
    day = part.field("1") + "-" + part.field("2") + "-" + part.field("3")
    clock = part.field("4").fill_null("00:00") + part.field("5").fill_null(":00")
    full = day + "T" + clock + part.field("6").fill_null(".0")
    return full.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="ms", strict=False).dt.replace_time_zone(
        "UTC"
    )


def refuse_first(place: Path, name: str, column: pl.Series, wrong: pl.Series, wanted: str) -> None:
    """Raise `TableRefused` for the first row (1 = first data row) where `wrong` holds."""
    row = wrong.arg_true().first()
    if isinstance(row, int):
        raise TableRefused(f"{place}: row {row + 1}, column {name!r}: {column[row]!r} is not {wanted}")
