"""The Parquet lake: position snapshots and time series under `venue/coin/day`, indexed by the manifest.

A file is written as a whole, and its manifest rows are committed after that: a kill at any instant leaves either the
old state or the new one, never half of either. Whoever swaps manifest rows holds a lock file where the lake is a
folder, and the venue's turn in the database everywhere (`storage.database.turns`), so that processes, on whatever
machine, take turns. What a kill leaves behind, `tidy` removes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import polars as pl

from liqtruth.storage.database.records import Partition, Reading
from liqtruth.storage.errors import FileDamaged, FileUnreadable, NothingStored, NotWritten
from liqtruth.storage.lake.archives import (
    OF_DATASET,
    OF_READINGS,
    Archive,
    write_archive,
)
from liqtruth.storage.lake.listed_files import PARTITIONS, Coins, ListedFiles
from liqtruth.storage.lake.manifest import (
    ALL_COINS,
    AND,
    Series,
    file_of,
    folder_of,
    month_of,
    snapshot_rows,
    sources_in,
)
from liqtruth.storage.lake.tidy import Tidied, tidied
from liqtruth.storage.lock import alone, waiting
from liqtruth.storage.packing.decimals import packed
from liqtruth.storage.places.parquet import (
    read_parquet,
    unique,
    write_new,
    write_parquet,
)
from liqtruth.storage.places.places import Folder

if TYPE_CHECKING:
    from sqlmodel import Session

__all__ = ["ALL_COINS", "Lake", "write_parquet"]
Schema = Mapping[str, pl.DataType]
LOCK = ".lock"
Done = TypeVar("Done")


class LiesIn(NamedTuple):
    """A reading, and the archive in which it is."""

    reading: str
    archive: str | None


@dataclass(frozen=True)
class Lake(ListedFiles):
    """Datasets in a place, indexed by the `partition` table of `database`.

    `replaced` names the damaged files whose place new rows took.
    """

    replaced: list[str] = field(default_factory=list, compare=False)

    def turn(self, folder: str = "") -> AbstractContextManager[None]:
        """Work of moments in the folder, after that of other processes of this machine."""
        if not isinstance(self.place, Folder):
            return nullcontext()
        return waiting(self.place.root / folder / LOCK)

    def alone(self, name: str, what: str) -> AbstractContextManager[None]:
        """Work that nobody else may do on this lake meanwhile; raises `LiqtruthError` where somebody does."""
        if isinstance(self.place, Folder):
            return alone(self.place.root / f"{name}.lock", what)
        return self.claim(name, what)

    def claim(self, name: str, what: str) -> AbstractContextManager[None]:
        """The same among machines; those of one data directory are held off by a lock file of theirs."""
        if isinstance(self.place, Folder):
            return nullcontext()
        from liqtruth.storage.database.turns import claimed

        return claimed(self.database, name, what)

    def write_reading(self, reading: Reading, frames: Mapping[str, pl.DataFrame]) -> None:
        """Store one reading: one file per frame (by dataset name), found again by `coin` where it has that column.

        Every frame has `as_of`. Writing the same reading again replaces it; rows of one coin keep their order.
        Raises `NotWritten` where a file cannot be written: what was stored before is whole then.
        """
        from liqtruth.storage.lake.swaps import swap_reading  # here and below: readers never load the tables

        rows: list[Partition] = []
        try:
            for dataset, frame in frames.items():
                if frame.height:
                    rows += self._write_snapshot(dataset, reading, frame)
        except NotWritten:
            self.remove({file_of(row) for row in rows})
            raise
        with self.turn():
            stale = self.database.transact(lambda session: swap_reading(session, reading, rows))
        self.remove(stale)

    def _write_snapshot(self, dataset: str, reading: Reading, frame: pl.DataFrame) -> list[Partition]:
        by_coin = frame.sort("coin", maintain_order=True) if "coin" in frame.columns else frame
        stored, metadata = packed(by_coin)
        folder = folder_of(dataset, reading.venue, ALL_COINS, reading.as_of.date())
        file = write_new(stored, self.place, folder, reading.id, metadata)
        return snapshot_rows(file, dataset, reading, by_coin)

    def merge_series(
        self, dataset: str, venue: str, coin: str, rows: pl.DataFrame, key: Sequence[str], source: str = ""
    ) -> int:
        """Add rows (with `ts`) to a series; a row with a known `key` replaces the old one. Returns new rows.

        The file of a day that is damaged or gone is replaced; its bytes stay where they are until `tidy`.
        """
        if rows.is_empty():
            return 0
        series, added, left = Series(dataset, venue, coin), 0, [rows.sort("ts")]
        with self.turn(folder_of(dataset, venue, coin)):
            while left:
                for day, part in self._by_file(series, left.pop()):
                    more = self._merge_file(series, day, part, key, source)
                    if more is None:
                        left.append(part)
                    added += more or 0
        return added

    def _by_file(self, series: Series, rows: pl.DataFrame) -> Iterator[tuple[date, pl.DataFrame]]:
        """The rows of each file of the series, and the day with which it begins."""
        months = {row.day for row in self._files(series) if row.archive == month_of(row.day)}
        first, day = pl.col("ts").dt.date().dt.truncate("1mo"), pl.col("ts").dt.date()
        of_file = pl.when(first.is_in(list(months))).then(first).otherwise(day)
        for (begin,), part in rows.group_by(of_file, maintain_order=True):
            assert isinstance(begin, date)
            yield begin, part

    def _merge_file(
        self, series: Series, day: date, part: pl.DataFrame, key: Sequence[str], source: str
    ) -> int | None:
        """Lay `part` over the rows of the file that begins on that day, in a file of its own; gives how many are new,
        null where another machine changed the series meanwhile and nothing was done."""
        from liqtruth.storage.lake.swaps import swap_series

        with self.database.asking() as asked:
            before = next(iter(series.files(asked, "day = :day", day=day)), None)
        month = None if before is None else before.archive
        if before is not None and month is not None:
            source = AND.join(sources_in([before.source, source]))
        old = None if before is None else self._of_series(before)
        stored = part.clear() if old is None else old
        merged = pl.concat([stored, part]).unique(subset=list(key), keep="last").sort(*key)
        folder = folder_of(series.dataset, series.venue, series.coin, day)
        file = write_new(merged, self.place, folder, unique("series"))
        after = series.row(file, day, merged, source, month)
        known, until = [] if before is None else [before], day + timedelta(days=1)
        if not self.database.transact(lambda session: swap_series(session, known, after, until)):
            self.remove({file})
            return None
        if before is not None and old is None:
            self.replaced.append(before.path)
        elif before is not None:
            self.remove({before.path})
        return merged.height - stored.height

    def _of_series(self, row: Partition) -> pl.DataFrame | None:
        """The stored rows of a day; null where its file is damaged or gone."""
        try:
            return read_parquet(self.place, row.path)[0]
        except FileUnreadable:
            raise
        except (FileNotFoundError, FileDamaged):
            return None

    def read_series(
        self,
        dataset: str,
        venue: str,
        coin: str,
        schema: Schema,
        start: datetime | None = None,
        end: datetime | None = None,
        damaged: list[FileDamaged] | None = None,
    ) -> pl.DataFrame:
        """Rows with `start <= ts <= end`, ascending; an empty frame of `schema` where there are none.

        Raises `FileDamaged` naming a file that is gone or cut off; so do the other readers. Where `damaged` is given,
        the faults are put there and the rows of the other files are returned.
        """
        series = Series(dataset, venue, coin)
        found = self.read_listed(lambda anew: self._listed(series, start, end, anew), damaged=damaged)
        if not found:
            return pl.DataFrame(schema=dict(schema))
        frame = pl.concat([part for _, part in found])
        if start is not None:
            frame = frame.filter(pl.col("ts") >= start)
        if end is not None:
            frame = frame.filter(pl.col("ts") <= end)
        return frame.sort("ts")

    def series_sources(self, dataset: str, venue: str, coin: str) -> list[str]:
        """Where the rows of a series came from, each source once."""
        return sources_in(row.source for row in self.series_files(dataset, venue, coin))

    def series_files(self, dataset: str, venue: str, coin: str) -> list[Partition]:
        """The manifest rows of a series by day: what can be known of it without opening a file."""
        return self._listed(Series(dataset, venue, coin))

    def _listed(
        self, series: Series, start: datetime | None = None, end: datetime | None = None, anew: bool = False
    ) -> list[Partition]:
        """The rows of files that may hold moments of `start` to `end`; `anew` where an earlier answer was too old."""
        return self._files(series, start, end)

    def _files(
        self, series: Series, start: datetime | None = None, end: datetime | None = None
    ) -> list[Partition]:
        since = ["last_at >= :start"] if start else []
        until = ["first_at <= :end"] if end else []
        with self.database.asking() as asked:
            return series.files(asked, *since, *until, start=start, end=end)

    def series_coins(self, dataset: str) -> list[tuple[str, str]]:
        """Every (venue, coin) that has rows in `dataset`."""
        with self.database.asking() as asked:
            of = "dataset = :dataset"
            return [
                (venue, coin)
                for venue in asked.different("partition", "venue", of, dataset=dataset)
                for coin in asked.different(
                    "partition", "coin", f"{of} AND venue = :venue", dataset=dataset, venue=venue
                )
            ]

    def read_snapshots(
        self,
        dataset: str,
        reading_ids: Sequence[str],
        coin: str | None = None,
        columns: tuple[str, ...] | None = None,
    ) -> pl.DataFrame:
        """All rows of these readings with a `reading_id` column; raises `NothingStored` where there are none.

        A column that only some of the readings have (an earlier liqtruth stored fewer) is null in the others. With
        `columns` at least these of what is there: where it can, no others are read.
        """
        parts = self.snapshots(dataset, reading_ids, None if coin is None else (coin,), columns)
        if not parts:
            raise NothingStored(
                f"no {dataset} of {coin or 'any coin'} in the readings {', '.join(reading_ids)}"
            )
        return pl.concat(parts, how="diagonal")

    def snapshots(
        self,
        dataset: str,
        reading_ids: Sequence[str],
        coins: Coins = None,
        columns: tuple[str, ...] | None = None,
    ) -> list[pl.DataFrame]:
        """The rows of each of these readings that has any, in the order of their ids; of `coins` or of all."""
        of_coins = "" if coins is None else " AND coin IN :coins"
        where = f"{OF_READINGS} AND {OF_DATASET}{of_coins} ORDER BY reading_id, path"
        lies_in: dict[str, str | None] = {}

        def look_up(_: bool) -> list[Partition]:
            with self.database.asking() as asked:
                rows = asked.rows(
                    Partition, f"{PARTITIONS} {where}", dataset=dataset, ids=reading_ids, coins=coins
                )
                if any(row.archive for row in rows):
                    places = "SELECT id, archive FROM reading WHERE id IN :ids"
                    lies_in.update(asked.rows(LiesIn, places, ids=reading_ids))
                return rows

        def ids_in(row: Partition) -> tuple[str, ...]:
            """An archive may still have the rows of a reading that was stored again since."""
            return tuple(one for one in reading_ids if lies_in.get(one) == row.archive)

        read = self.read_listed(look_up, coins, ids_in, columns=columns)
        parts = [part for row, rows in read for part in _by_reading(row, rows)]
        return [part for _, part in sorted(parts, key=lambda part: part[0])]

    def archive(self, archive: Archive) -> bool:
        """Put the readings into one archive; false where one of them was changed meanwhile, and nothing was done."""
        from liqtruth.storage.lake.swaps import swap_archive

        rows = write_archive(self, archive)
        with self.turn():
            stale = self.database.transact(lambda session: swap_archive(session, archive, rows))
        self.remove({file_of(row) for row in rows} if stale is None else stale)
        return stale is not None

    def forget(self, reading_id: str, along: "Callable[[Session], Done]") -> Done:
        """Remove a reading and its files; gives what `along` gives, which is done in the same transaction."""
        from liqtruth.storage.lake.swaps import drop_reading

        with self.turn():
            done, stale = self.database.transact(
                lambda session: (along(session), drop_reading(session, reading_id))
            )
        self.remove(stale)
        return done

    def tidy(self, older_than: timedelta = timedelta(hours=1), dry: bool = False) -> Tidied:
        """Move aside what a kill left behind: without a manifest row and not touched for `older_than`."""
        return tidied(self.place, self.database, older_than, dry)


def _by_reading(row: Partition, rows: pl.DataFrame) -> list[tuple[str, pl.DataFrame]]:
    """The rows of a file by reading, with `reading_id`."""
    if row.archive is None:
        return [(str(row.reading_id), rows.with_columns(reading_id=pl.lit(row.reading_id, pl.String)))]
    parts = rows.partition_by("reading_id", maintain_order=True, as_dict=True)
    return [(str(name), part) for (name,), part in parts.items()]
