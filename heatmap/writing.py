"""Files that are whole or not there: written under another name, forced to the disk, renamed; and a CSV with its facts.

The folder is forced to the disk as well, and so are folders that had to be made: after a power cut the name is there
with all that was written, or what was there before.
"""

import errno
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from liqtruth.heatmap.errors import LiqtruthError

if TYPE_CHECKING:
    import polars as pl

NO_FOLDER_SYNC: Final = (errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EACCES)
"""Error codes of systems that cannot sync a folder to the disk, or do not let it be read."""
META: Final = ".meta.json"
"""What the name of a CSV is followed by in the name of the file with its facts."""


def write_atomically(path: Path, content: str | bytes | Iterable[bytes]) -> None:
    """Write `path` whole or not at all; raises `LiqtruthError` where the place cannot be written.

    What is there and no ordinary file (a device, a pipe) is written to, not replaced.
    """
    text = content.encode() if isinstance(content, str) else content
    pieces = [text] if isinstance(text, bytes) else text
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as file:
                file.writelines(pieces)
        else:
            replace_whole(path, pieces)
    except OSError as error:
        raise LiqtruthError(f"cannot write {path}: {error.strerror}") from error


def write_with_facts(path: Path, csv: str, facts: Mapping[str, Any]) -> None:
    """`csv` to `path` and `facts` to `facts_of(path)`, each whole or not at all."""
    write_atomically(path, csv)
    if path.is_file():
        write_atomically(facts_of(path), json.dumps(facts, ensure_ascii=False, allow_nan=False) + "\n")


def facts_of(path: Path) -> Path:
    """The file beside a CSV."""
    return path.with_name(f"{path.name}{META}")


def replace_whole(path: Path, pieces: Iterable[bytes | memoryview]) -> None:
    """Make `path` hold these pieces one after the other, on the disk when this returns.

    Where it raises `OSError` nothing was changed.
    """
    scratch = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    make_folder(path.parent)
    try:
        with scratch.open("wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
        sync_folder(path.parent)
    finally:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make the folder and those above it, on the disk when this returns; raises `OSError`."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Force the names in the folder to the disk; raises `OSError` where the disk fails."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in NO_FOLDER_SYNC:
            raise


def harmless(frame: "pl.DataFrame") -> "pl.DataFrame":
    """For a spreadsheet: text cells that it would take for a formula begin with an apostrophe."""
    import polars as pl

    return frame.with_columns(
        pl.when(_is_formula(pl.col(name))).then(pl.concat_str(pl.lit("'"), name)).otherwise(name).alias(name)
        for name, kind in frame.schema.items()
        if kind == pl.String
    )


def _is_formula(text: "pl.Expr") -> "pl.Expr":
    import polars as pl

    number = text.str.strip_chars().cast(pl.Float64, strict=False).is_not_null()
    return text.str.contains(r"^\s*[=+\-@]") & ~number
