"""The manifest: which files of the lake exist for readers, and whose rows they hold.

A series has one row per file. A snapshot has one row per coin, all of one file: `path` is then `FILE#COIN`. (Lakes of
before had a file per coin; they are read as they are.) An archive of readings that are looked up by coin has a row per
coin and reading, `FILE#COIN#READING`. Files are never overwritten: each writing has a name of its own,
and the transaction that swaps the rows is the moment at which readers see the new file instead of the old one.
"""

import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from urllib.parse import quote, unquote
from uuid import uuid4

import polars as pl
from sqlmodel import Session, and_, col, delete, or_, select, update

from liqtruth.storage.database.tables import Latest, Partition, Reading, SweepPart, upsert
from liqtruth.storage.database.turns import take_turn

ALL_COINS: Final = "_all"
"""Coin of partitions whose rows are not of one coin."""
AND: Final = "\n"
"""Between the sources of a file of a month."""
OF_COIN: Final = "#"
"""Between a file and the coin whose rows of it a manifest row means; file names have it quoted."""


def file_of(partition: Partition) -> str:
    """The file of a manifest row, below the root."""
    return partition.path.partition(OF_COIN)[0]


def coin_in_file(partition: Partition) -> str | None:
    """The coin whose rows of the file are meant; null for the whole file."""
    _, *marks = partition.path.split(OF_COIN)
    return unquote(marks[0]) if marks and (marks[0] or len(marks) == 1) else None


def snapshot_rows(
    file: str, dataset: str, reading: Reading, frame: pl.DataFrame, archive: str | None = None
) -> list[Partition]:
    """One row per coin of the snapshot in `file`, or one in all where it has no coins; it may share the file with other
    readings of an `archive`."""
    times = [
        pl.len().alias("rows"),
        pl.col("as_of").min().alias("first"),
        pl.col("as_of").max().alias("last"),
    ]
    has_coins = "coin" in frame.columns
    counted = frame.group_by("coin", maintain_order=True).agg(times) if has_coins else frame.select(times)
    facts: dict[str, Any] = {
        "dataset": dataset,
        "venue": reading.venue,
        "day": reading.as_of.date(),
        "reading_id": reading.id,
        "source": reading.source,
        "archive": archive,
    }
    of_reading = "" if archive is None else f"{OF_COIN}{quote(reading.id, safe='')}"
    return [
        Partition(
            path=f"{file}{_of_coin(row['coin'] if has_coins else None, of_reading)}{of_reading}",
            coin=row["coin"] if has_coins else ALL_COINS,
            rows=row["rows"],
            first_at=row["first"],
            last_at=row["last"],
            **facts,
        )
        for row in counted.iter_rows(named=True)
    ]


def _of_coin(coin: str | None, of_reading: str) -> str:
    if coin is None:
        return OF_COIN if of_reading else ""
    return f"{OF_COIN}{quote(coin, safe='')}"


def listed_files(session: Session) -> set[str]:
    """Every file, below the root, that a manifest row, a batch of a sweep or what is known now points to."""
    files = {path.partition(OF_COIN)[0] for path in session.exec(select(Partition.path)).all()}
    batches = session.exec(select(SweepPart.path)).all()
    for row in session.exec(select(Latest)).all():
        files |= {row.positions, row.accounts} - {""}
    listed = files | {f"{path}-{kind}.parquet" for path in batches for kind in ("positions", "accounts")}
    return {posixpath.normpath(path) for path in listed}  # a coin called `..` once had a folder of that name


def drop_reading(session: Session, reading_id: str) -> set[str]:
    """Remove the reading from the manifest; returns the files that nothing points to any more."""
    reading = session.get_one(Reading, reading_id)
    take_turn(session, reading.venue)
    note_change(session, reading.venue)
    stale = _without_rows(session, reading_id)
    session.exec(delete(Reading).where(col(Reading.id) == reading_id))
    return stale


def swap_reading(session: Session, reading: Reading, rows: Sequence[Partition]) -> set[str]:
    """Make `rows` all that the manifest has of the reading; returns the files that nothing points to any more."""
    take_turn(session, reading.venue)
    stale = _without_rows(session, reading.id)
    upsert(session, [reading])
    upsert(session, rows)
    note_change(session, reading.venue)
    return stale - {file_of(row) for row in rows}


def _without_rows(session: Session, reading_id: str) -> set[str]:
    """Remove the reading's rows, and those of its archive where it was the last one in it; gives the files that nothing
    points to any more."""
    archive = session.exec(select(Reading.archive).where(Reading.id == reading_id)).first()
    of_archive = and_(col(Partition.archive).is_not(None), col(Partition.archive) == archive)
    before = _files(session, or_(col(Partition.reading_id) == reading_id, of_archive))
    others = select(Reading.id).where(Reading.archive == archive, Reading.id != reading_id)
    session.exec(delete(Partition).where(col(Partition.reading_id) == reading_id))
    if archive is not None and session.exec(others).first() is None:
        session.exec(delete(Partition).where(of_archive))
    return before - _files(session, of_archive)


def _files(session: Session, where: Any) -> set[str]:
    return {path.partition(OF_COIN)[0] for path in session.exec(select(Partition.path).where(where)).all()}


def note_change(session: Session, venue: str) -> None:
    """What was merged of the venue's readings is no longer what is known now."""
    session.exec(update(Latest).where(col(Latest.venue) == venue).values(changed=uuid4().hex))


@dataclass(frozen=True)
class Series:
    """The name of a time series; its rows lie in one file per day, or per month where that was compacted."""

    dataset: str
    venue: str
    coin: str

    def query(self, start: datetime | None = None, end: datetime | None = None) -> Any:
        """For the manifest rows that may hold moments of `start` to `end`, by day."""
        query = select(Partition).where(
            Partition.dataset == self.dataset, Partition.venue == self.venue, Partition.coin == self.coin
        )
        if start is not None:
            query = query.where(Partition.last_at >= start)
        if end is not None:
            query = query.where(Partition.first_at <= end)
        return query.order_by(col(Partition.day))

    def row(
        self, file: str, day: date, frame: pl.DataFrame, source: str, month: str | None = None
    ) -> Partition:
        """The manifest row of the day's file, or of that of the `month` which begins on that day."""
        first, last = frame.select(pl.min("ts"), last=pl.max("ts")).row(0)
        return Partition(
            path=file,
            dataset=self.dataset,
            venue=self.venue,
            coin=self.coin,
            day=day,
            rows=frame.height,
            first_at=first,
            last_at=last,
            source=source,
            archive=month,
        )


def sources_in(sources: Iterable[str]) -> list[str]:
    """Each source once, of a file of a month those of all its days."""
    return sorted({one for source in sources for one in source.split(AND)})


def month_of(day: date) -> str:
    """How the file of a month is known from that of its first day: `Partition.archive`."""
    return f"{day:%Y-%m}"


def folder_of(dataset: str, venue: str, coin: str, day: date | None = None) -> str:
    """Where files lie, below the root, whatever the names are: each is one folder's."""
    above = "/".join(_as_folder(name) for name in (dataset, venue, coin))
    return above if day is None else f"{above}/{day.isoformat()}"


def _as_folder(name: str) -> str:
    """The name as a folder's that leads nowhere else and hides nothing: no `..`, no `/`, no dot in front."""
    quoted = quote(name, safe="")
    return f"%2E{quoted[1:]}" if quoted.startswith(".") else quoted or "%"


def swap_series(session: Session, before: Sequence[Partition], after: Partition, until: date) -> bool:
    """Point to the new file instead of all that the series has from its day to `until`; false, and nothing is done,
    where these are not the rows `before` any more, for another machine was quicker."""
    take_turn(session, after.venue)
    query = Series(after.dataset, after.venue, after.coin).query()
    within = and_(col(Partition.day) >= after.day, col(Partition.day) < until)
    rows = session.exec(query.where(or_(within, Partition.archive == month_of(after.day)))).all()
    there = {row.path for row in rows}
    if there == {after.path}:  # the answer to an earlier commit was lost
        return True
    if there != {row.path for row in before}:
        return False
    session.exec(delete(Partition).where(col(Partition.path).in_(there)))
    upsert(session, [after])
    return True
