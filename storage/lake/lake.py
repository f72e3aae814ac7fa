"""The Parquet lake: position snapshots and time series under `venue/coin/day`, indexed by the manifest.

A file is written under another name and renamed, and its manifest rows are committed after that: a kill at any
instant leaves either the old state or the new one, never half of either. Whoever swaps manifest rows holds a lock
file, so that processes on one data directory take turns. What a kill leaves behind, `tidy` removes.
"""

import shlex
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import polars as pl
from sqlmodel import Session, col, select

from liqtruth.storage.database.connection import Database
from liqtruth.storage.database.tables import Partition, Reading, different
from liqtruth.storage.errors import FileDamaged, FileUnreadable, NothingStored, NotWritten
from liqtruth.storage.lake.manifest import (
    ALL_COINS,
    Series,
    coin_in_file,
    drop_reading,
    file_of,
    folder_of,
    snapshot_rows,
    swap_reading,
    swap_series,
)
from liqtruth.storage.lake.parquet import (
    gone,
    packed,
    read_parquet,
    unique,
    write_new,
    write_parquet,
)
from liqtruth.storage.lake.tidy import Tidied, tidied
from liqtruth.storage.lock import waiting

__all__ = ["ALL_COINS", "Lake", "readings_until", "write_parquet"]
Schema = Mapping[str, pl.DataType]
LOCK = ".lock"
MOST_BYTES: Final = 1 << 29
"""Of frames that are kept: a long history of readings goes through, the latest used stay."""
Done = TypeVar("Done")


@dataclass(frozen=True)
class Lake:
    """Datasets below `root`, indexed by the `partition` table of `database`.

    `replaced` names the damaged files whose place new rows took.
    """

    root: Path
    database: Database
    replaced: list[str] = field(default_factory=list, compare=False)

    def write_reading(self, reading: Reading, frames: Mapping[str, pl.DataFrame]) -> None:
        """Store one reading: one file per frame (by dataset name), found again by `coin` where it has that column.

        Every frame has `as_of`. Writing the same reading again replaces it; rows of one coin keep their order.
        Raises `NotWritten` where a file cannot be written: what was stored before is whole then.
        """
        rows: list[Partition] = []
        try:
            for dataset, frame in frames.items():
                if frame.height:
                    rows += self._write_snapshot(dataset, reading, frame)
        except NotWritten:
            self.remove({file_of(row) for row in rows})
            raise
        with waiting(self.root / LOCK):
            stale = self.database.transact(lambda session: swap_reading(session, reading, rows))
        self.remove(stale)

    def _write_snapshot(self, dataset: str, reading: Reading, frame: pl.DataFrame) -> list[Partition]:
        by_coin = frame.sort("coin", maintain_order=True) if "coin" in frame.columns else frame
        stored, metadata = packed(by_coin)
        folder = folder_of(dataset, reading.venue, ALL_COINS, reading.as_of.date())
        file = self._below(write_new(stored, self.root / folder, reading.id, metadata))
        return snapshot_rows(file, dataset, reading, by_coin)

    def merge_series(
        self, dataset: str, venue: str, coin: str, rows: pl.DataFrame, key: Sequence[str], source: str = ""
    ) -> int:
        """Add rows (with `ts`) to a series; a row with a known `key` replaces the old one. Returns new rows.

        The file of a day that is damaged or gone is replaced; its bytes stay where they are until `tidy`.
        """
        if rows.is_empty():
            return 0
        series, added = Series(dataset, venue, coin), 0
        with waiting(self.root / folder_of(dataset, venue, coin) / LOCK):
            for (day,), part in rows.sort("ts").group_by(pl.col("ts").dt.date(), maintain_order=True):
                assert isinstance(day, date)
                added += self._merge_day(series, day, part, key, source)
        return added

    def _merge_day(
        self, series: Series, day: date, part: pl.DataFrame, key: Sequence[str], source: str
    ) -> int:
        """Lay `part` over the day's rows, in a file of its own; the caller holds the series' lock."""
        with self.database.session() as session:
            before = session.exec(series.query().where(Partition.day == day)).first()
        old = None if before is None else self._of_series(before)
        stored = part.clear() if old is None else old
        merged = pl.concat([stored, part]).unique(subset=list(key), keep="last").sort(*key)
        folder = folder_of(series.dataset, series.venue, series.coin, day)
        file = self._below(write_new(merged, self.root / folder, unique("series")))
        after = series.row(file, day, merged, source)
        self.database.transact(lambda session: swap_series(session, before, after))
        if before is not None and old is None:
            self.replaced.append(before.path)
        elif before is not None:
            self.remove({before.path})
        return merged.height - stored.height

    def _below(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _of_series(self, row: Partition) -> pl.DataFrame | None:
        """The stored rows of a day; null where its file is damaged or gone."""
        try:
            return read_parquet(self.root / row.path)[0]
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
        found = self._read(lambda anew: self._listed(series, start, end, anew), damaged=damaged)
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
        return sorted({row.source for row in self.series_files(dataset, venue, coin)})

    def series_files(self, dataset: str, venue: str, coin: str) -> list[Partition]:
        """The manifest rows of a series by day: what can be known of it without opening a file."""
        return self._listed(Series(dataset, venue, coin))

    def _listed(
        self, series: Series, start: datetime | None = None, end: datetime | None = None, anew: bool = False
    ) -> list[Partition]:
        """The rows of files that may hold moments of `start` to `end`; `anew` where an earlier answer was too old."""
        return self._asked(series.query(start, end))

    def series_coins(self, dataset: str) -> list[tuple[str, str]]:
        """Every (venue, coin) that has rows in `dataset`."""
        of = Partition.dataset == dataset
        with self.database.session() as session:
            return [
                (venue, coin)
                for venue in different(session, Partition.venue, of)
                for coin in different(session, Partition.coin, of, Partition.venue == venue)
            ]

    def read_snapshots(
        self, dataset: str, reading_ids: Sequence[str], coin: str | None = None
    ) -> pl.DataFrame:
        """All rows of these readings with a `reading_id` column; raises `NothingStored` where there are none.

        A column that only some of the readings have (an earlier liqtruth stored fewer) is null in the others.
        """
        query = select(Partition).where(
            Partition.dataset == dataset, col(Partition.reading_id).in_(reading_ids)
        )
        if coin is not None:
            query = query.where(Partition.coin == coin)
        found = self._read(
            lambda _: self._asked(query.order_by(col(Partition.reading_id), col(Partition.path))), coin
        )
        if not found:
            raise NothingStored(
                f"no {dataset} of {coin or 'any coin'} in the readings {', '.join(reading_ids)}"
            )
        parts = [
            part.with_columns(pl.lit(row.reading_id, pl.String).alias("reading_id")) for row, part in found
        ]
        return pl.concat(parts, how="diagonal")

    def _asked(self, query: Any) -> list[Partition]:
        with self.database.session() as session:
            return list(session.exec(query).all())

    def _read(
        self,
        look_up: Callable[[bool], list[Partition]],
        coin: str | None = None,
        damaged: list[FileDamaged] | None = None,
    ) -> list[tuple[Partition, pl.DataFrame]]:
        """What the manifest rows that `look_up` gives point to, each file once.

        Where another process replaced a file since the manifest was looked up, it is looked up again.
        """
        missing: set[str] = set()
        while True:
            by_file = {file_of(row): row for row in look_up(bool(missing))}
            found, faults, lately = [], [], set[str]()
            for file, row in by_file.items():
                try:
                    found.append((row, self._read_file(file, row, coin)))
                except FileDamaged as error:
                    faults.append(error)
                except FileNotFoundError:
                    faults.append(gone(self.root / file, _remedy(row)))
                    lately |= {file} - missing
            if lately:
                missing |= lately
                continue
            if faults and damaged is None:
                raise faults[0]
            (damaged if damaged is not None else []).extend(faults)
            return found

    def _read_file(self, file: str, row: Partition, coin: str | None) -> pl.DataFrame:
        wanted = pl.col("coin") == coin if coin is not None and coin_in_file(row) is not None else None
        return read_parquet(self.root / file, wanted, _remedy(row))[0]

    def forget(self, reading_id: str, along: Callable[[Session], Done]) -> Done:
        """Remove a reading and its files; gives what `along` gives, which is done in the same transaction."""
        with waiting(self.root / LOCK):
            done, stale = self.database.transact(
                lambda session: (along(session), drop_reading(session, reading_id))
            )
        self.remove(stale)
        return done

    def tidy(self, older_than: timedelta = timedelta(hours=1), dry: bool = False) -> Tidied:
        """Move aside what a kill left behind: without a manifest row and not touched for `older_than`."""
        return tidied(self.root, self.database, older_than, dry)

    def remove(self, files: set[str]) -> None:
        """Nothing points to them any more; where one cannot be removed, `tidy` will try again."""
        for file in files:
            with suppress(OSError):
                (self.root / file).unlink(missing_ok=True)


def _remedy(row: Partition) -> str:
    if row.reading_id is None:
        return "restore it from a copy, or fetch or import the same again"
    return (
        "restore it from a copy, import the same file again, or give the reading up: "
        f"liqtruth index forget {shlex.quote(row.reading_id)}"
    )


def readings_until(session: Session, venue: str, at: datetime | None) -> Sequence[Reading]:
    """All readings of `venue` not later than `at`, latest first."""
    query = select(Reading).where(Reading.venue == venue)
    if at is not None:
        query = query.where(Reading.as_of <= at)
    return sorted(session.exec(query).all(), key=lambda row: (row.as_of, row.id), reverse=True)


class Kept:
    """Frames by file and coin, those used last, of at most `MOST_BYTES` together or a single larger one."""

    def __init__(self) -> None:
        self._frames: OrderedDict[tuple[str, str | None], pl.DataFrame] = OrderedDict()
        self._bytes = 0.0

    def get(self, key: tuple[str, str | None]) -> pl.DataFrame | None:
        if key in self._frames:
            self._frames.move_to_end(key)
        return self._frames.get(key)

    def put(self, key: tuple[str, str | None], frame: pl.DataFrame) -> None:
        self._frames[key] = frame
        self._bytes += frame.estimated_size()
        while self._bytes > MOST_BYTES and len(self._frames) > 1:
            _, oldest = self._frames.popitem(last=False)
            self._bytes -= oldest.estimated_size()


@dataclass(frozen=True)
class ReadOnce(Lake):
    """A lake as one command reads it: each series is looked up once and each of its files opened once.

    What it has read stays as it was then; made for one command, never for one that writes.
    """

    listed: dict[Series, list[Partition]] = field(default_factory=dict, compare=False)
    coins: dict[str, list[tuple[str, str]]] = field(default_factory=dict, compare=False)
    kept: Kept = field(default_factory=Kept, compare=False)

    def series_coins(self, dataset: str) -> list[tuple[str, str]]:
        if dataset not in self.coins:
            self.coins[dataset] = super().series_coins(dataset)
        return self.coins[dataset]

    def _listed(
        self, series: Series, start: datetime | None = None, end: datetime | None = None, anew: bool = False
    ) -> list[Partition]:
        if anew or series not in self.listed:
            self.listed[series] = super()._listed(series)
        return [
            row
            for row in self.listed[series]
            if (start is None or row.last_at >= start) and (end is None or row.first_at <= end)
        ]

    def _read_file(self, file: str, row: Partition, coin: str | None) -> pl.DataFrame:
        frame = self.kept.get((file, coin))
        if frame is None:
            frame = super()._read_file(file, row, coin)
            self.kept.put((file, coin), frame)
        return frame
