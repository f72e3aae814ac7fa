"""Sweeps up what killed writers left in the lake: files that no manifest row and no batch of a sweep points to.

They are harmless, for no reader sees them, and only take room. A file that was touched lately may be one whose
manifest row is about to be written, and stays. Nothing is removed at once: files are moved aside, into a folder of the
day, and removed a week later.
"""

import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.heatmap.words.text import counted
from liqtruth.storage.database.connection import Database
from liqtruth.storage.lake.manifest import listed_files
from liqtruth.storage.places.places import Place

SHOWN_FILES: Final = 10
ASIDE: Final = "set-aside"
"""Beside the lake: a folder per day, in it the files as they lay in the lake."""
DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
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


def tidied(place: Place, database: Database, older_than: timedelta, dry: bool = False) -> Tidied:
    """Move aside Parquet files and scraps of a lake that nothing points to and nobody touched for `older_than`.

    What was moved aside more than `KEPT` ago is removed. A dry run only lists them. Raises `LiqtruthError` naming a
    file that cannot be moved or removed.
    """
    today = datetime.now(UTC).date()
    aside = place.beside.below(ASIDE)
    of_today = aside.below(today.isoformat())
    until_s = time.time() - older_than.total_seconds()
    old = [
        one for one in place.files() if one.written_s < until_s
    ]  # before the manifest, which knows what is older
    with database.asking() as asked:
        listed = listed_files(asked)
    left = [one for one in old if one.name not in listed]
    expired = list(_expired(aside.folders(), today))
    sizes = [one.bytes for folder in expired for one in aside.below(folder).files()]
    if not dry:
        for one in left:
            _move(place, one.name, of_today)
        for folder in expired:
            _remove(aside, folder)
    paths = tuple(sorted(one.name for one in left))
    taken = sum(one.bytes for one in left)
    return Tidied(len(left), taken, paths, dry, str(of_today.root), len(sizes), sum(sizes))


def _move(place: Place, name: str, aside: Place) -> None:
    """Set the file aside under its name, or one like it where that is taken."""
    folder, _, plain = name.rpartition("/")
    free = name if not aside.exists(name) else f"{folder}/{time.time_ns()}-{plain}"
    try:
        place.move(name, aside, free)
    except FileNotFoundError:
        return  # its writer ended, or another one tidies too
    except OSError as error:
        raise LiqtruthError(
            f"cannot move {place.full(name)} to {aside.full(folder)}: {error.strerror}; nothing that is stored needs it"
        ) from error


def _expired(folders: Iterable[str], today: date) -> Iterator[str]:
    for name in folders:
        if DAY.fullmatch(name):
            with suppress(ValueError):
                if date.fromisoformat(name) + KEPT < today:
                    yield name


def _remove(aside: Place, folder: str) -> None:
    try:
        aside.remove_folder(folder)
    except OSError as error:
        raise LiqtruthError(
            f"cannot remove {aside.full(folder)}: {error.strerror}; nothing that is stored needs it"
        ) from error
