"""Sweeps up what killed writers left in the lake: files that no manifest row and no batch of a sweep points to.

They are harmless, for no reader sees them, and only take room. A file that was touched lately may be one whose
manifest row is about to be written, and stays.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlmodel import select

from storage.database import Database
from storage.manifest import file_of
from storage.tables import Partition, SweepPart


@dataclass(frozen=True)
class Tidied:
    """What `tidied` removed."""

    files: int
    bytes: int

    def describe(self) -> list[str]:
        return [f"removed {self.files:,} files that nothing points to ({self.bytes / 1e6:,.1f} MB)"]


def tidied(root: Path, database: Database, older_than: timedelta) -> Tidied:
    """Remove Parquet files and scraps below `root` that nothing points to and nobody touched for `older_than`."""
    old = list(_untouched(root, older_than))
    pointed_to = _pointed_to(database)
    count = size = 0
    for path, bytes_ in old:
        if path.relative_to(root).as_posix() not in pointed_to:
            path.unlink(missing_ok=True)
            count, size = count + 1, size + bytes_
    return Tidied(count, size)


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
