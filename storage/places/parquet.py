"""Parquet files that are whole or not there: written under another name, synced, renamed, and read with one clear line
where one is damaged.

One row group with small pages: equal addresses meet in one dictionary, and a reader who wants one coin skips the pages
of the others. In an object store groups are smaller, for they are fetched whole.
"""

import io
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote
from uuid import uuid4

import polars as pl
from polars.selectors import by_name

from liqtruth.storage.errors import FileDamaged, FileUnreadable, NotWritten
from liqtruth.storage.packing.decimals import KEY, unpacked
from liqtruth.storage.places.places import Folder, Place, said

PAGE_BYTES: Final = 1 << 16
AGAIN: Final = "restore it from a copy, or read or import the same again"
QUICK: Final = 1
"""Level of zstd: on packed columns as small as the default, and a tenth quicker."""


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
