"""Files that the manifest lists, read whole: each once, and looked up again where another process replaced it."""

import shlex
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from liqtruth.storage.database.asking import columns
from liqtruth.storage.database.connection import Database
from liqtruth.storage.database.records import Partition
from liqtruth.storage.errors import FileDamaged
from liqtruth.storage.lake.archives import SHARED, read_archived
from liqtruth.storage.lake.manifest import coin_in_file, file_of
from liqtruth.storage.packing.forecasts import FORMATS
from liqtruth.storage.places.parquet import gone, read_parquet, read_together
from liqtruth.storage.places.places import Place

Coins = tuple[str, ...] | None
PARTITIONS: Final = f"SELECT {columns(Partition)} FROM partition WHERE"


@dataclass(frozen=True)
class ListedFiles:
    """Files below a place, indexed by the `partition` table of `database`."""

    place: Place
    database: Database

    @property
    def root(self) -> Path | str:
        """The folder, or the URL below which it lies."""
        return self.place.root

    def read_listed(
        self,
        look_up: Callable[[bool], list[Partition]],
        coins: Coins = None,
        ids_in: Callable[[Partition], tuple[str, ...]] = lambda row: (),
        damaged: list[FileDamaged] | None = None,
        columns: tuple[str, ...] | None = None,
    ) -> list[tuple[Partition, pl.DataFrame]]:
        """What the manifest rows that `look_up` gives point to, each file once.

        Where another process replaced a file since the manifest was looked up, it is looked up again.
        """
        missing: set[str] = set()
        while True:
            by_file = {file_of(row): row for row in look_up(bool(missing))}
            found, faults, lately = [], [], set[str]()
            together = self._read_together(by_file)
            for file, row in by_file.items():
                try:
                    if file in together:
                        found.append((row, together[file]))
                    else:
                        found.append((row, self._read_file(file, row, coins, ids_in(row), columns)))
                except FileDamaged as error:
                    faults.append(error)
                except FileNotFoundError:
                    faults.append(gone(self.place, file, _remedy(row)))
                    lately |= {file} - missing
            if lately:
                missing |= lately
                continue
            if faults and damaged is None:
                raise faults[0]
            (damaged if damaged is not None else []).extend(faults)
            return found

    def _read_together(self, by_file: Mapping[str, Partition]) -> dict[str, pl.DataFrame]:
        """The content of files of days of a series, read at once; of none where that cannot be: which of them is at
        fault shows where each is read by itself."""
        days = {file: row.rows for file, row in by_file.items() if not (row.reading_id or row.archive)}
        frames = read_together(self.place, days)
        return dict(zip(days, frames, strict=True)) if frames else {}

    def _read_file(
        self,
        file: str,
        row: Partition,
        coins: Coins,
        reading_ids: tuple[str, ...],
        columns: tuple[str, ...] | None,
    ) -> pl.DataFrame:
        by_coin = () if coins is None or coin_in_file(row) is None else coins
        wanted = pl.col("coin").is_in(by_coin) if by_coin else None
        columns = columns if row.archive is None else None  # an archive's columns are made of others
        rows, metadata = read_parquet(self.place, file, wanted, _remedy(row), columns)
        archived = FORMATS.keys() & metadata.keys()
        return read_archived(row, rows, metadata, reading_ids, self.collateral) if archived else rows

    def collateral(self, part: Partition, reading_ids: tuple[str, ...]) -> pl.DataFrame:
        """What the positions of an archive share by account and reading, up to the last of these; `part` is one of its
        files."""
        where = "archive = :archive AND dataset = :dataset"
        [(_, rows)] = self.read_listed(
            lambda _: self._asked(where, archive=part.archive, dataset=SHARED), None, lambda _: reading_ids
        )
        return rows

    def _asked(self, where: str, **values: Any) -> list[Partition]:
        with self.database.asking() as asked:
            return asked.rows(Partition, f"{PARTITIONS} {where}", **values)

    def remove(self, files: set[str]) -> None:
        """Nothing points to them any more; where one cannot be removed, `tidy` will try again."""
        for file in files:
            with suppress(OSError):
                self.place.remove(file)


def _remedy(row: Partition) -> str:
    if row.archive is not None:
        return "restore it from a copy"
    if row.reading_id is None:
        return "restore it from a copy, or fetch or import the same again"
    return (
        "restore it from a copy, import the same file again, or give the reading up: "
        f"liqtruth index forget {shlex.quote(row.reading_id)}"
    )
