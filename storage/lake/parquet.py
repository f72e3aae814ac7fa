"""Parquet files that are whole or not there, and how a snapshot is kept small in one.

A file is written under another name, synced, renamed, and read with one clear line where it is damaged.

A snapshot is sorted by coin, with decimals as decimals and no column twice; nothing is lost. Exchanges send decimals,
which as binary fractions fill all their bits and do not compress; a column whose every value is a decimal of up to ten
places is stored as one (`Decimal`, half the size, and any Parquet reader shows it as it was sent). A column that equals
another one throughout (the map's price and the exchange's) is stored once. Both are undone by `unpacked`, to the last
bit, but that zeros lose their sign; what was done stands in the file's metadata. One row group with small pages: equal
addresses meet in one dictionary, and a reader who wants one coin skips the pages of the others. In an object store
groups are smaller, for they are fetched whole.
"""

import io
import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote
from uuid import uuid4

import numpy as np
import polars as pl
from polars.selectors import by_name

from liqtruth.storage.errors import FileDamaged, FileUnreadable, NotWritten
from liqtruth.storage.lake.places import Folder, Place, said

PAGE_BYTES: Final = 1 << 16
AGAIN: Final = "restore it from a copy, or read or import the same again"
MOST_PLACES: Final = 10
DIGITS: Final = 18
"""Of a decimal that fits 64 bits."""
EXACT: Final = 1e17
"""Below it, times ten to the places, a value fits the digits with one to spare."""
QUICK: Final = 1
"""Level of zstd: on packed columns as small as the default, and a tenth quicker."""
TASTE: Final = 64
"""Rows that are tried first; most columns that do not fit show it there."""
KEY: Final = "liqtruth"
Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)


def write_parquet(frame: pl.DataFrame, path: Path) -> None:
    """Write `path` whole or not at all; raises `NotWritten` as `put_parquet` does."""
    put_parquet(frame, Folder(path.parent), path.name)


def put_parquet(frame: pl.DataFrame, place: Place, name: str) -> None:
    """Write the file whole or not at all.

    Raises `NotWritten` naming it and the cause, a full disk for one; what was there before is whole then.
    """
    content = io.BytesIO()
    frame.write_parquet(content, compression="zstd")
    write_whole(place, name, content.getbuffer())


def write_new(
    frame: pl.DataFrame,
    place: Place,
    folder: str,
    name: str,
    metadata: dict[str, str] | None = None,
    level: int = QUICK,
) -> str:
    """Write a file of its own in the folder, `name.parquet` or with a suffix where that one is taken; gives its name
    below the place.

    A caller that replaces files often gives names that never come back (`unique`): a reader who still holds the old
    list must not meet a later file under an earlier name.

    One row group with small pages. Raises `NotWritten`; nothing is left behind
    then.
    """
    content = io.BytesIO()
    frame.write_parquet(
        content,
        compression="zstd",
        compression_level=level,
        metadata=metadata,
        row_group_size=place.group_rows,
        data_page_size=PAGE_BYTES,
    )
    plain = quote(name, safe="")
    file = f"{folder}/{plain}.parquet"
    with _reported(place, file):
        try:
            place.put_new(file, content.getbuffer())
        except FileExistsError:
            file = f"{folder}/{unique(plain)}.parquet"
            place.put_new(file, content.getbuffer())
    return file


def unique(name: str) -> str:
    """A name that no other file has or will have."""
    return f"{name}.{uuid4().hex[:12]}"


def write_whole(place: Place, name: str, content: bytes | memoryview) -> None:
    """Write the file whole or not at all; raises `NotWritten`."""
    with _reported(place, name):
        place.put(name, content)


@contextmanager
def _reported(place: Place, name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NotWritten(
            f"cannot write {place.full(name)}: {error.strerror}; nothing of it was stored, what was there before is "
            "whole"
        ) from error


def read_parquet(
    place: Place,
    name: str,
    rows: pl.Expr | None = None,
    remedy: str = AGAIN,
    columns: Collection[str] | None = None,
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """The rows for which `rows` holds (default: all), as they were packed, and the file's metadata.

    Of `columns` those that the file has, and no others are read; default: all.

    Raises `FileNotFoundError` where it is gone, `FileDamaged` naming it and the `remedy` where it is no table any more,
    `FileUnreadable` where the system does not give its bytes.
    """
    path = place.full(name)
    try:
        metadata = pl.read_parquet_metadata(path, **place.options)
        lazy = pl.scan_parquet(path, **place.options)
        whole = unpacked(lazy if rows is None else lazy.filter(rows), metadata)
        frame = (whole if columns is None else whole.select(by_name(*columns, require_all=False))).collect()
    except FileNotFoundError:
        raise
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        _try_bytes(place, name)
        raise FileDamaged(f"{path} is damaged: {said(error)}; {remedy}") from error
    return frame, metadata


def read_together(place: Place, heights: Mapping[str, int]) -> list[pl.DataFrame]:
    """The rows of files by name that were not packed, of so many rows each; none where any of them is not as it should
    be.

    One scan of a hundred files of a day costs a third of a hundred scans. It takes only files of the same columns as
    the first, which says of all whether they were packed: a packed one beside plain ones has other types or columns.
    """
    if len(heights) < 2:
        return []
    paths: list[Any] = [place.full(name) for name in heights]
    try:
        if KEY in pl.read_parquet_metadata(paths[0], **place.options):
            return []
        whole = pl.scan_parquet(paths, glob=False, **place.options).collect()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
        return []
    ends = list(accumulate(heights.values()))
    if whole.height != ends[-1]:
        return []
    return [whole.slice(end - height, height) for end, height in zip(ends, heights.values(), strict=True)]


def _try_bytes(place: Place, name: str) -> None:
    """Raises `FileUnreadable` where the fault is not the content's."""
    try:
        place.read(name)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise FileUnreadable(
            f"{place.full(name)} cannot be read: {error.strerror}; make it readable, or restore it from a copy"
        ) from error


def gone(place: Place, name: str, remedy: str = AGAIN) -> FileDamaged:
    """For a file that the manifest lists and that is not there."""
    return FileDamaged(f"{place.full(name)} is gone, though it was stored; {remedy}")


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
