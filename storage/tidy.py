"""Sweeps up what killed writers left in the lake: files that no manifest row and no batch of a sweep points to.

They are harmless, for no reader sees them, and only take room. A file that was touched lately may be one whose
manifest row is about to be written, and stays.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from sqlmodel import select

from heatmap.errors import LiqtruthError
from heatmap.money import counted
from storage.database import Database
from storage.manifest import file_of
from storage.tables import Partition, SweepPart

SHOWN_FILES: Final = 10


@dataclass(frozen=True)
class Tidied:
    """What `tidied` removed, or would have where it was `dry`; `paths` are below the root."""

    files: int
    bytes: int
    paths: tuple[str, ...] = ()
    dry: bool = False

    def describe(self) -> list[str]:
        """Lines for people."""
        said = f"{counted(self.files, 'file')} that nothing points to ({self.bytes / 1e6:,.1f} MB)"
        lines = [f"{'would remove' if self.dry else 'removed'} {said}"]
        lines += [f"  {path}" for path in self.paths[:SHOWN_FILES]]
        more = self.files - SHOWN_FILES
        return lines + ([f"  and {more:,} more (--json has all)"] if more > 0 else [])


def tidied(root: Path, database: Database, older_than: timedelta, dry: bool = False) -> Tidied:
    """Remove Parquet files and scraps below `root` that nothing points to and nobody touched for `older_than`.

    A dry run only says which. Raises `LiqtruthError` naming a file that cannot be removed.
    """
    old = list(_untouched(root, older_than))
    pointed_to = _pointed_to(database)
    left = [(path, size) for path, size in old if path.relative_to(root).as_posix() not in pointed_to]
    if not dry:
        for path, _ in left:
            _remove(path)
    paths = tuple(sorted(path.relative_to(root).as_posix() for path, _ in left))
    return Tidied(len(left), sum(size for _, size in left), paths, dry)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise LiqtruthError(
            f"cannot remove {path}: {error.strerror}; nothing that is stored needs it"
        ) from error


def _untouched(root: Path, older_than: timedelta) -> Iterator[tuple[Path, int]]:
    """Files that the lake writes, and their sizes; looked up before the manifest, which knows what is older."""
    until_s = time.time() - older_than.total_seconds()
    for pattern in ("*.parquet", ".*.tmp"):
        for path in root.rglob(pattern):
            try:
                told = path.stat()
            except FileNotFoundError:
                continue
            if told.st_mtime < until_s:
                yield path, told.st_size


def _pointed_to(database: Database) -> set[str]:
    with database.session() as session:
        files = {file_of(row) for row in session.exec(select(Partition)).all()}
        batches = session.exec(select(SweepPart.path)).all()
    return files | {f"{path}-{kind}.parquet" for path in batches for kind in ("positions", "accounts")}
