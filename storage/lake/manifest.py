"""The manifest: which files of the lake exist for readers, and whose rows they hold.

A series has one row per file. A snapshot has one row per coin, all of one file: `path` is then `FILE#COIN`. (Lakes of
before had a file per coin; they are read as they are.) Files are never overwritten: each writing has a name of its own,
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
    _, marked, coin = partition.path.partition(OF_COIN)
    return unquote(coin) if marked else None


def snapshot_rows(file: str, dataset: str, reading: Reading, frame: pl.DataFrame) -> list[Partition]:
    """One row per coin of the snapshot in `file`, or one in all where it has no coins."""
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
    }
    return [
        Partition(
            path=f"{file}{OF_COIN}{quote(row['coin'], safe='')}" if has_coins else file,
            coin=row["coin"] if has_coins else ALL_COINS,
            rows=row["rows"],
            first_at=row["first"],
            last_at=row["last"],
            **facts,
        )
        for row in counted.iter_rows(named=True)
    ]


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
    query = select(Partition).where(Partition.reading_id == reading_id)
    files = {file_of(row) for row in session.exec(query).all()}
    reading = session.get_one(Reading, reading_id)
    take_turn(session, reading.venue)
    note_change(session, reading.venue)
    session.exec(delete(Partition).where(col(Partition.reading_id) == reading_id))
    session.exec(delete(Reading).where(col(Reading.id) == reading_id))
    return files | _emptied(session, reading.archive)


def _emptied(session: Session, archive: str | None) -> set[str]:
    """The files of an archive of which no reading is left, out of the manifest."""
    if archive is None or session.exec(select(Reading.id).where(Reading.archive == archive)).first():
        return set()
    files = {
        file_of(row) for row in session.exec(select(Partition).where(Partition.archive == archive)).all()
    }
    session.exec(delete(Partition).where(col(Partition.archive) == archive))
    return files


def swap_reading(session: Session, reading: Reading, rows: Sequence[Partition]) -> set[str]:
    """Make `rows` all that the manifest has of the reading; returns the files that nothing points to any more."""
    take_turn(session, reading.venue)
    query = select(Partition).where(Partition.reading_id == reading.id)
    before = {file_of(row) for row in session.exec(query).all()}
    session.exec(delete(Partition).where(col(Partition.reading_id) == reading.id))
    upsert(session, [reading])
    upsert(session, rows)
    note_change(session, reading.venue)
    return before - {file_of(row) for row in rows}


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
