"""A table kept small: decimals as decimals and no column twice; nothing is lost.

Exchanges send decimals, which as binary fractions fill all their bits and do not compress; a column whose every value
is a decimal of up to ten places is stored as one (`Decimal`, half the size, and any Parquet reader shows it as it was
sent). A column that equals another one throughout (the map's price and the exchange's) is stored once. Both are undone
by `unpacked`, to the last bit, but that zeros lose their sign; what was done stands in the file's metadata.
"""

import json
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import numpy as np
import polars as pl

MOST_PLACES: Final = 10
DIGITS: Final = 18
"""Of a decimal that fits 64 bits."""
EXACT: Final = 1e17
"""Below it, times ten to the places, a value fits the digits with one to spare."""
TASTE: Final = 64
"""Rows that are tried first; most columns that do not fit show it there."""
KEY: Final = "liqtruth"
Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)


def packed(frame: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, str]]:
    """The frame to store and the metadata by which `unpacked` gives it back, columns in order; rows as they are."""
    copies = _copies(frame)
    decimals = {
        name: places
        for name in _floats(frame)
        if name not in copies and (places := _places(frame[name])) is not None
    }
    stored = frame.drop(copies).with_columns(
        pl.col(name).cast(pl.Decimal(DIGITS, places)) for name, places in decimals.items()
    )
    layout = {"columns": frame.columns, "copies": copies, "decimals": list(decimals)}
    return stored, {KEY: json.dumps(layout)}


def unpacked(stored: Frame, metadata: Mapping[str, Any]) -> Frame:
    """What `packed` was given; a file without our metadata is given back as it is."""
    if KEY not in metadata:
        return stored
    layout = json.loads(metadata[KEY])
    frame = stored.with_columns(pl.col(layout["decimals"]).cast(pl.Float64))
    copies = layout["copies"]
    return frame.select(pl.col(copies.get(name, name)).alias(name) for name in layout["columns"])


def _floats(frame: pl.DataFrame) -> list[str]:
    """Columns of floats that are not all null."""
    return [
        name
        for name, dtype in frame.schema.items()
        if dtype == pl.Float64 and frame[name].null_count() < frame.height
    ]


def _copies(frame: pl.DataFrame) -> dict[str, str]:
    """For each column of floats that equals an earlier one in every bit, the name of that one."""
    copies: dict[str, str] = {}
    kept: list[str] = []
    for name in _floats(frame):
        twin = next((other for other in kept if _same(frame[name], frame[other])), None)
        if twin is None:
            kept.append(name)
        else:
            copies[name] = twin
    return copies


def _same(a: pl.Series, b: pl.Series) -> bool:
    if a.null_count() != b.null_count() or not _same_bits(a.head(TASTE), b.head(TASTE)):
        return False
    return _same_bits(a, b)


def _same_bits(a: pl.Series, b: pl.Series) -> bool:
    """Null where the other is null, and else equal bit by bit: a zero's sign counts, a NaN equals itself."""
    if not (a.is_null() == b.is_null()).all():
        return False
    left, right = a.drop_nulls().to_numpy(), b.drop_nulls().to_numpy()
    return bool(np.array_equal(left.view(np.int64), right.view(np.int64)))


def _places(column: pl.Series) -> int | None:
    """The fewest decimal places in which every value of the column is exact (a zero's sign aside), or null."""
    if not column.is_finite().all():
        return None
    taste = column.drop_nulls().head(TASTE)
    largest = float(column.abs().max())  # type: ignore[arg-type]
    for places in range(MOST_PLACES + 1):
        if largest >= EXACT / 10**places:
            return None
        if _exact(taste, places) and _exact(column, places):
            return places
    return None


def _exact(column: pl.Series, places: int) -> bool:
    return bool((column.cast(pl.Decimal(DIGITS, places)).cast(pl.Float64) == column).all())
