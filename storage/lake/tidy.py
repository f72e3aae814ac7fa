"""Sweeps up what killed writers left in the lake: files that no manifest row and no batch of a sweep points to.

They are harmless, for no reader sees them, and only take room. A file that was touched lately may be one whose
manifest row is about to be written, and stays. Nothing is removed at once: files are moved aside, into a folder of the
day, and removed a week later.
"""

import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.heatmap.text import counted
from liqtruth.heatmap.writing import make_folder, sync_folder
from liqtruth.storage.database.connection import Database
from liqtruth.storage.lake.manifest import listed_files

SHOWN_FILES: Final = 10
ASIDE: Final = "set-aside"
"""Beside the lake: a folder per day, in it the files as they lay in the lake."""
KEPT: Final = timedelta(days=7)


@dataclass(frozen=True)
class Tidied:
    """What `tidied` moved aside and removed, or would have where it was `dry`.

    `paths` were moved from below the root to below `aside`; `removed_*` counts what was there for longer than a week.
    """

    files: int
    bytes: int
    paths: tuple[str, ...] = ()
    dry: bool = False
    aside: str = ""
    removed_files: int = 0
    removed_bytes: int = 0

    def describe(self) -> list[str]:
        """Lines for people."""
        would = "would have been " if self.dry else ""
        found = f"{counted(self.files, 'file')} that nothing points to ({self.bytes / 1e6:,.1f} MB)"
        kept = f" {would}moved to {self.aside}, kept there for {KEPT.days} days" if self.files else ""
        lines = [found + kept, *(f"  {path}" for path in self.paths[:SHOWN_FILES])]
        more = self.files - SHOWN_FILES
        if more > 0:
            lines.append(f"  and {more:,} more (--json has all)")
        if self.removed_files:
            gone = f"{counted(self.removed_files, 'file')} ({self.removed_bytes / 1e6:,.1f} MB)"
            lines.append(f"{gone} set aside more than {KEPT.days} days ago {would}removed")
        return lines


def tidied(root: Path, database: Database, older_than: timedelta, dry: bool = False) -> Tidied:
    """Move aside Parquet files and scraps below `root` that nothing points to and nobody touched for `older_than`.

    What was moved aside more than `KEPT` ago is removed. A dry run only lists them. Raises `LiqtruthError` naming a
    file that cannot be moved or removed.
    """
    today = datetime.now(UTC).date()
    aside = root.parent / ASIDE / today.isoformat()
    old = list(_untouched(root, older_than))
    with database.asking() as asked:
        listed = listed_files(asked)
    left = [(path, size) for path, size in old if path.relative_to(root).as_posix() not in listed]
    expired = list(_expired(root.parent / ASIDE, today))
    sizes = [path.stat().st_size for folder in expired for path in folder.rglob("*") if path.is_file()]
    if not dry:
        for path, _ in left:
            _move(path, aside / path.relative_to(root))
        _remove(expired)
    paths = tuple(sorted(path.relative_to(root).as_posix() for path, _ in left))
    return Tidied(len(left), sum(size for _, size in left), paths, dry, str(aside), len(sizes), sum(sizes))


def _move(path: Path, target: Path) -> None:
    """To `target`, or beside it where that name is taken."""
    try:
        make_folder(target.parent)
        free = target if not target.exists() else target.with_name(f"{time.time_ns()}-{target.name}")
        shutil.move(path, free)
        sync_folder(free.parent)
    except FileNotFoundError:
        return  # its writer ended, or another one tidies too
    except OSError as error:
        raise LiqtruthError(
            f"cannot move {path} to {target.parent}: {error.strerror}; nothing that is stored needs it"
        ) from error


def _expired(folder: Path, today: date) -> Iterator[Path]:
    for of_day in folder.glob("????-??-??"):
        try:
            made = date.fromisoformat(of_day.name)
        except ValueError:
            continue
        if made + KEPT < today:
            yield of_day


def _remove(folders: Sequence[Path]) -> None:
    for folder in folders:
        try:
            shutil.rmtree(folder)
        except OSError as error:
            raise LiqtruthError(
                f"cannot remove {folder}: {error.strerror}; nothing that is stored needs it"
            ) from error


def _untouched(root: Path, older_than: timedelta) -> Iterator[tuple[Path, int]]:
    """Files that the lake writes, and their sizes; looked up before the manifest, which knows what is older."""
    until_s = time.time() - older_than.total_seconds()
    for pattern in ("*.parquet", ".*.tmp"):
        for path in root.rglob(pattern):
            try:
                found = path.stat()
            except FileNotFoundError:
                continue
            if found.st_mtime < until_s:
                yield path, found.st_size
