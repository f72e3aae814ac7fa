"""The folder of reports: `COIN/MOMENT.html`, `.json` and `.csv`, as many moments as there were runs.

A report is there as long as its JSON is. The JSON is written last and removed first, so that a kill at any instant
leaves a report that is whole or none. Files of other names are left alone.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Final

from liqtruth.compare.reports.content import Content, read_content
from liqtruth.heatmap.errors import LiqtruthError

STEM: Final = re.compile(r"\d{4}-\d\d-\d\dT\d{6}Z")
SUFFIXES: Final = (".json", ".html", ".csv")
SHOWN: Final = 200
"""Latest reports of a coin that are read again."""
MOST_BYTES: Final = 32 * 2**20
"""Of a report's JSON; with ten maps it has less than 1 MB."""


@dataclass(frozen=True)
class Place:
    """The files of one report, without their suffix."""

    stem: Path

    def file(self, suffix: str) -> Path:
        return self.stem.with_name(f"{self.stem.name}{suffix}")

    def remove(self) -> None:
        for suffix in SUFFIXES:
            self.file(suffix).unlink(missing_ok=True)


@dataclass(frozen=True)
class Past:
    """One report that lies there; which of its other files do, by suffix."""

    place: Place
    content: Content

    @cached_property
    def suffixes(self) -> tuple[str, ...]:
        return tuple(suffix for suffix in SUFFIXES if self.place.file(suffix).is_file())


@dataclass(frozen=True)
class Reports:
    """What lies in a folder, by folder of coins and the earliest first; `broken` is why files are none; `older` is
    how many more than `SHOWN` there are of any coin."""

    past: tuple[Past, ...]
    broken: tuple[str, ...]
    older: int


def place_of(folder: Path, coin: str, moment: datetime) -> Place:
    """Where a report is written; a dex is set apart by `_`, as a colon is no part of file names everywhere."""
    return Place(folder_of(folder, coin) / f"{moment:%Y-%m-%dT%H%M%SZ}")


def folder_of(folder: Path, coin: str) -> Path:
    """Of the reports of one coin, inside `folder` whatever its name."""
    return folder / (re.sub(r"[^A-Za-z0-9._-]", "_", coin).lstrip(".") or "_")


def read_reports(folder: Path) -> Reports:
    """Every report in the folder, the latest `SHOWN` of each coin; a file that is none is named and left out."""
    past, broken, older = list[Past](), list[str](), 0
    for coin in sorted(one for one in _listed(folder) if one.is_dir()):
        stems = _stems(coin, SUFFIXES[:1])
        older += len(stems[SHOWN:])
        for stem in reversed(stems[:SHOWN]):
            place = Place(coin / stem)
            try:
                past.append(Past(place, _read(place.file(".json"), folder)))
            except FileNotFoundError:  # removed since it was listed
                continue
            except LiqtruthError as error:
                broken.append(str(error))
    return Reports(tuple(past), tuple(broken), older)


def prune(folder: Path, coin: str, keep: int) -> int:
    """Remove the files of all but the latest `keep` reports of a coin; how many reports that were."""
    of_coin = folder_of(folder, coin)
    old = _stems(of_coin, SUFFIXES)[keep:]
    try:
        for stem in old:
            Place(of_coin / stem).remove()
    except OSError as error:
        raise LiqtruthError(f"cannot remove reports of {of_coin}: {error.strerror}") from error
    return len(old)


def _stems(folder: Path, suffixes: tuple[str, ...]) -> list[str]:
    """The latest first."""
    files = [one for one in _listed(folder) if one.suffix in suffixes and STEM.fullmatch(one.stem)]
    return sorted({one.stem for one in files}, reverse=True)


def _listed(folder: Path) -> Iterator[Path]:
    try:
        yield from folder.iterdir()
    except FileNotFoundError:
        return
    except OSError as error:
        raise LiqtruthError(f"cannot read {folder}: {error.strerror}") from error


def _read(file: Path, folder: Path) -> Content:
    shown = str(file.relative_to(folder))
    try:
        if file.stat().st_size > MOST_BYTES:
            raise LiqtruthError(f"{shown}: must be at most {MOST_BYTES // 2**20} MB to be a report")
        return read_content(file.read_bytes(), shown)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise LiqtruthError(f"{shown}: cannot be read: {error.strerror}") from error
