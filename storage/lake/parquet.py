"""Parquet files that are whole or not there: written under another name, synced, renamed; read with one clear line."""

import io
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote
from uuid import uuid4

import polars as pl

from liqtruth.heatmap.writing import make_folder, replace_whole
from liqtruth.storage.errors import FileDamaged, FileUnreadable, NotWritten

GROUP_ROWS: Final = 1 << 19
PAGE_BYTES: Final = 1 << 16


def write_parquet(frame: pl.DataFrame, path: Path) -> None:
    """Write `path` whole or not at all.

    Raises `NotWritten` naming the path and the cause, a full disk for one; what was there before is whole then.
    """
    content = io.BytesIO()
    frame.write_parquet(content, compression="zstd")
    write_whole(path, content.getbuffer())


def write_new(frame: pl.DataFrame, folder: Path, name: str, metadata: dict[str, str] | None = None) -> Path:
    """Write a file of its own, `name.parquet` or with a suffix where that one is taken, and return its path.

    A caller that replaces files often gives names that never come back (`unique`): a reader who still holds the old
    list must not meet a later file under an earlier name.

    One row group with small pages (`storage.lake.packing` explains why). Raises `NotWritten`; nothing is left behind
    then.
    """
    content = io.BytesIO()
    frame.write_parquet(
        content,
        compression="zstd",
        compression_level=1,  # on packed columns as small as the default, and a tenth quicker
        metadata=metadata,
        row_group_size=GROUP_ROWS,
        data_page_size=PAGE_BYTES,
    )
    path = _claimed(folder, quote(name, safe=""))
    try:
        write_whole(path, content.getbuffer())
    except NotWritten:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        raise
    return path


def unique(name: str) -> str:
    """A name that no other file has or will have."""
    return f"{name}.{uuid4().hex[:12]}"


def _claimed(folder: Path, name: str) -> Path:
    """A new empty file that nobody else writes to."""
    plain = folder / f"{name}.parquet"
    try:
        make_folder(folder)
        try:
            plain.open("x").close()
        except FileExistsError:
            plain = folder / f"{unique(name)}.parquet"
            plain.open("x").close()
    except OSError as error:
        raise NotWritten(f"cannot write {plain}: {error.strerror}") from error
    return plain


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write `path` whole or not at all; raises `NotWritten`."""
    try:
        replace_whole(path, content)
    except OSError as error:
        raise NotWritten(
            f"cannot write {path}: {error.strerror}; nothing of it was stored, what was there before is whole"
        ) from error


AGAIN: Final = "restore it from a copy, or read or import the same again"


def read_parquet(
    path: Path, rows: pl.Expr | None = None, remedy: str = AGAIN
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """The rows for which `rows` holds (default: all) and the file's metadata.

    Raises `FileNotFoundError` where it is gone, `FileDamaged` naming it and the `remedy` where it is no table any more,
    `FileUnreadable` where the system does not give its bytes.
    """
    try:
        metadata = pl.read_parquet_metadata(path)
        frame = pl.read_parquet(path) if rows is None else pl.scan_parquet(path).filter(rows).collect()
    except FileNotFoundError:
        raise
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        _try_bytes(path)
        raise FileDamaged(f"{path} is damaged: {_line(error)}; {remedy}") from error
    return frame, metadata


def _try_bytes(path: Path) -> None:
    """Raises `FileUnreadable` where the fault is not the content's."""
    try:
        with path.open("rb") as file:
            while file.read(1 << 20):
                pass
    except FileNotFoundError:
        raise
    except OSError as error:
        raise FileUnreadable(
            f"{path} cannot be read: {error.strerror}; make it readable, or restore it from a copy"
        ) from error


def gone(path: Path, remedy: str = AGAIN) -> FileDamaged:
    """For a file that the manifest lists and that is not there."""
    return FileDamaged(f"{path} is gone, though it was stored; {remedy}")


def _line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:200]
