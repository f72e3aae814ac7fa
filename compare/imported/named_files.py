"""The name of a vendor's file, the map in it that a name may choose, and what is noted beside it when it is fetched."""

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from liqtruth.compare.imported.vendor_map import Given
from liqtruth.heatmap import files
from liqtruth.heatmap.writing import facts_of, write_atomically
from liqtruth.storage.files.content import read_content

PART: Final = "#"
"""Between a file and the name of one of its maps."""
SUFFIXES: Final = (
    ".json",
    ".jsonl",
    ".ndjson",
    ".csv",
    ".tsv",
    ".txt",
    ".parquet",
    ".gz",
    ".zst",
    ".lz4",
    ".zip",
    ".png",
    ".jpg",
    ".jpeg",
    ".webp",
)
"""By which a word is taken for a file that need not be there; what is in the file follows from its content."""


class Fetched(msgspec.Struct, frozen=True):
    """What stands beside an answer that this program fetched."""

    vendor: str
    coin: str
    venue: str
    fetched_at: datetime
    request: str = ""
    schema: str = "liqtruth.fetched_map/1"


def parted(path: str | Path) -> tuple[Path, str | None]:
    """A file and the name of one of its maps, of `FILE#NAME`; a file of that very name goes first."""
    whole = Path(path)
    if PART not in whole.name or whole.is_file():
        return whole, None
    file, _, name = str(path).rpartition(PART)
    return Path(file), name or None


def names_file(word: str) -> bool:
    """Whether a word is meant as a file: there is one of that name, or it ends like one."""
    file, _ = parted(word)
    return file.is_file() or file.suffix.lower() in SUFFIXES


def with_facts(path: Path, given: Given) -> Given:
    """What the user states, else what was noted when the file was fetched; and the time of the file."""
    file_time = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    beside = facts_of(path)
    if not beside.is_file():
        return replace(given, file_time=file_time)
    try:
        known = msgspec.json.decode(read_content(beside, 2**20), type=Fetched)
    except files.NOT_DECODED:
        return replace(given, file_time=file_time)
    return replace(
        given,
        coin=given.coin or known.coin,
        fetched_venue=known.venue,
        fetched_at=known.fetched_at,
        file_time=file_time,
    )


def facts_written(path: Path, known: Fetched) -> None:
    """Beside `path`, whole or not at all."""
    write_atomically(facts_of(path), msgspec.json.encode(known).decode() + os.linesep)
