"""Readings put together into one file an hour, then a day, series into one a month, and what is not kept given up.

It can be done at any time beside readers and writers, ended at any time, and done again: each step is one transaction,
and a step that was done is not done again. The last book stays a file of its own, for that is what questions about now
read; so does the hour that is not over.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from typing import Final

from liqtruth.heatmap.errors import PartlyRead
from liqtruth.heatmap.words.text import counted
from liqtruth.storage.database.asking import columns
from liqtruth.storage.database.records import Reading, Scope
from liqtruth.storage.errors import FileDamaged
from liqtruth.storage.lake.archives import Archive
from liqtruth.storage.lake.lake import Lake
from liqtruth.storage.places.parquet import unique
from liqtruth.storage.upkeep.months import finished_months, put_together
from liqtruth.storage.upkeep.retention import Keep, given_up, thin_markets

MOST_ROWS: Final = 12_000_000
"""Positions of an archive."""
EVERYTHING: Final = Keep()


@dataclass
class Compacted:
    """What was done, or would have been where it was `dry`; `readings` are censuses and readings of accounts, `files_*`
    and `bytes_*` are of the whole lake, `damaged` what could not be read."""

    books: int = 0
    readings: int = 0
    archives: int = 0
    given_up: int = 0
    series: int = 0
    removed_marks: int = 0
    files_before: int = 0
    bytes_before: int = 0
    files_after: int | None = None
    bytes_after: int | None = None
    damaged: list[str] = field(default_factory=list)
    dry: bool = False

    def describe(self) -> list[str]:
        """Lines for people."""
        would = "would be " if self.dry else ""
        lines = [
            f"{counted(self.books, 'book')} and {counted(self.readings, 'other reading')} {would}put into "
            f"{counted(self.archives, 'archive')}",
            f"{counted(self.series, 'month')} of series {would}put into one file each",
        ]
        if self.given_up or self.removed_marks:
            marks = counted(self.removed_marks, "mark")
            lines.append(
                f"{counted(self.given_up, 'book')} and {marks} {would}removed: older than what is kept"
            )
        size = f"{self.files_before:,} files, {self.bytes_before / 1e6:,.1f} MB"
        if self.files_after is not None and self.bytes_after is not None:
            size += f" before; {self.files_after:,} files, {self.bytes_after / 1e6:,.1f} MB now"
        return [*lines, size]

    def raise_if_partly(self) -> None:
        """Raise `PartlyRead` where the file of a book could not be read."""
        if self.damaged:
            planned = self.archives + len(self.damaged)
            raise PartlyRead(
                f"{len(self.damaged)} of {planned} archives were not made, their readings stay: {self.damaged[0]}"
            )


def compact(
    lake: Lake,
    keep: Keep = EVERYTHING,
    *,
    dry: bool = False,
    now: datetime | None = None,
    on_progress: Callable[[float], None] = lambda share: None,
    is_over: Callable[[], bool] = lambda: False,
) -> Compacted:
    """Do what there is to do until `is_over`; `on_progress` gets the share that is done.

    A book whose file is damaged, and those that it would lie with, stay as they are. Raises `LiqtruthError` where
    another process compacts the same lake, `NotWritten` on a full disk: what was done until then stays done.
    """
    moment = now or datetime.now(UTC)
    if dry:
        return _compacted(lake, keep, moment, on_progress, is_over, dry)
    with lake.alone("compact", "a compaction"):
        return _compacted(lake, keep, moment, on_progress, is_over, dry)


def _compacted(
    lake: Lake,
    keep: Keep,
    now: datetime,
    on_progress: Callable[[float], None],
    is_over: Callable[[], bool],
    dry: bool,
) -> Compacted:
    done = Compacted(dry=dry)
    done.files_before, done.bytes_before = _size(lake)
    archives, months = _archives(lake, keep, now), finished_months(lake, now)
    total, step = len(archives) + len(months), 0
    for archive in archives:
        if is_over():
            return done
        if dry or _archived(lake, archive, done):
            books = sum(one.scope == Scope.BOOK for one in archive.readings)
            done.books += books
            done.readings += len(archive.readings) - books
            done.archives += 1
            done.given_up += len(archive.dropped)
        step += 1
        on_progress(step / total)
    for month in months:
        if is_over():
            return done
        done.series += dry or put_together(lake, month)
        step += 1
        on_progress(step / total)
    for venue in _venues(lake):
        done.removed_marks += thin_markets(lake, venue, keep, now, dry)
    if not dry:
        done.files_after, done.bytes_after = _size(lake)
    return done


def _archived(lake: Lake, archive: Archive, done: Compacted) -> bool:
    try:
        return lake.archive(archive)
    except FileDamaged as error:
        done.damaged.append(str(error))
        return False


def _size(lake: Lake) -> tuple[int, int]:
    sizes = [one.bytes for one in lake.place.files() if one.name.endswith(".parquet")]
    return len(sizes), sum(sizes)


def _venues(lake: Lake) -> list[str]:
    with lake.database.asking() as asked:
        return asked.different("reading", "venue")


def _archives(lake: Lake, keep: Keep, now: datetime) -> list[Archive]:
    return [one for venue in _venues(lake) for one in planned(lake, venue, keep, now)]


def planned(lake: Lake, venue: str, keep: Keep, now: datetime) -> list[Archive]:
    """The archives of the venue that there should be and are not yet, oldest first."""
    sql = f"SELECT {columns(Reading)} FROM reading WHERE venue = :venue ORDER BY as_of, id"
    with lake.database.asking() as asked:
        stored = asked.rows(Reading, sql, venue=venue)
    books = [one for one in stored if one.scope == Scope.BOOK]
    others = [one for one in stored if one.scope != Scope.BOOK]
    gone = {one.id for one in given_up(lake, books, keep, now)}
    return [
        Archive(
            unique(f"{kind}-{group[0].as_of:%Y%m%dT%H%M}"), kept, [one for one in group if one.id in gone]
        )
        for kind, past in (("books", books[:-1]), ("readings", others))
        for group in _groups([one for one in past if one.as_of < now], now)
        if (kept := [one for one in group if one.id not in gone]) and not _is_done(group, gone)
    ]


def _groups(books: Sequence[Reading], now: datetime) -> Iterator[list[Reading]]:
    """Readings that belong together: of a day that is over as many as an archive takes, of an hour today that is
    over all."""
    today = now.date()
    for (day, hour), group in groupby(books, key=lambda one: (one.as_of.date(), _hour(one, today))):
        if day < today:
            yield from _chunks(list(group))
        elif hour is not None and hour < now.hour:
            yield list(group)


def _hour(book: Reading, today: object) -> int | None:
    return book.as_of.hour if book.as_of.date() == today else None


def _chunks(books: Sequence[Reading]) -> Iterator[list[Reading]]:
    """By `MOST_ROWS`; an archive that is there is not torn apart."""
    chunk: list[Reading] = []
    for _, group in groupby(books, key=lambda one: one.archive or one.id):
        more = list(group)
        if chunk and sum(one.positions for one in (*chunk, *more)) > MOST_ROWS:
            yield chunk
            chunk = []
        chunk = [*chunk, *more]
    if chunk:
        yield chunk


def _is_done(group: Sequence[Reading], gone: set[str]) -> bool:
    lies_in = {one.archive or one.id for one in group}
    return len(lies_in) == 1 and not any(one.id in gone for one in group)
