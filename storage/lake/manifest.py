"""The manifest: which files of the lake exist for readers, and whose rows they hold.

A series has one row per file. A snapshot has one row per coin, all of one file: `path` is then `FILE#COIN`. (Lakes of
before had a file per coin; they are read as they are.) An archive of readings that are looked up by coin has a row per
coin and reading, `FILE#COIN#READING`. Files are never overwritten: each writing has a name of its own,
and the transaction that swaps the rows is the moment at which readers see the new file instead of the old one.
"""

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from urllib.parse import quote, unquote

import polars as pl

from liqtruth.storage.database.asking import Asked, columns
from liqtruth.storage.database.records import Latest, Partition, Reading

ALL_COINS: Final = "_all"
"""Coin of partitions whose rows are not of one coin."""
AND: Final = "\n"
"""Between the sources of a file of a month."""
OF_COIN: Final = "#"
"""Between a file and the coin whose rows of it a manifest row means; file names have it quoted."""


def file_of(partition: Partition) -> str:
    """The file of a manifest row, below the root."""
    return file_in(partition.path)


def file_in(path: str) -> str:
    """The file in the `path` of a manifest row."""
    return path.partition(OF_COIN)[0]


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


def listed_files(asked: Asked) -> set[str]:
    """Every file, below the root, that a manifest row, a batch of a sweep or what is known now points to."""
    files = {file_in(path) for path in asked.column(str, "SELECT path FROM partition")}
    batches = asked.column(str, "SELECT path FROM sweeppart")
    for row in asked.rows(Latest, f"SELECT {columns(Latest)} FROM latest"):
        files |= {row.positions, row.accounts} - {""}
    listed = files | {f"{path}-{kind}.parquet" for path in batches for kind in ("positions", "accounts")}
    return {posixpath.normpath(path) for path in listed}  # a coin called `..` once had a folder of that name


@dataclass(frozen=True)
class Series:
    """The name of a time series; its rows lie in one file per day, or per month where that was compacted."""

    dataset: str
    venue: str
    coin: str

    def files(self, asked: Asked, *conditions: str, **values: Any) -> list[Partition]:
        """The manifest rows that fulfil the conditions, by day."""
        where = " AND ".join(("dataset = :dataset", "venue = :venue", "coin = :coin", *conditions))
        sql = f"SELECT {columns(Partition)} FROM partition WHERE {where} ORDER BY day"
        return asked.rows(Partition, sql, dataset=self.dataset, venue=self.venue, coin=self.coin, **values)

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
