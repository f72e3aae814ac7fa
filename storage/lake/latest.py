"""What is known of a venue now, merged once by whoever wrote last, and read by everybody who asks about now.

The merge of all readings is the definition; this is its result, in files of its own, or the last book where that stands
for everything. A transaction that changes readings draws `Latest.changed` anew, and what was merged before it counts no
more. Whoever merges takes the mark first and stores the result only where the mark is still the same, so that a
reading that came meanwhile is never hidden.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import polars as pl

from liqtruth.storage.database.asking import columns
from liqtruth.storage.database.records import Latest
from liqtruth.storage.lake.lake import Lake
from liqtruth.storage.lake.manifest import folder_of
from liqtruth.storage.packing.decimals import packed
from liqtruth.storage.places.parquet import read_parquet, unique, write_new

DATASET: Final = "latest"
DATASETS: Final = ("positions", "accounts")


@dataclass(frozen=True)
class LatestKnown:
    """The latest rows of a venue: those of `book`, or of the files; `mark` is of the readings that were merged."""

    lake: Lake
    venue: str
    mark: str
    book: str = ""
    positions: str = ""
    accounts: str = ""

    @classmethod
    def of(cls, lake: Lake, venue: str) -> "LatestKnown | None":
        """Null where nobody has merged what was read last."""
        sql = f"SELECT {columns(Latest)} FROM latest WHERE venue = :venue"
        with lake.database.asking() as asked:
            row = asked.row(Latest, sql, venue=venue)
        if row is None or row.changed != row.merged:
            return None
        return cls(lake, venue, row.merged, row.book, row.positions, row.accounts)

    @classmethod
    def begin(cls, lake: Lake, venue: str) -> "LatestKnown":
        """To be taken before readings are looked up; `store` is for what they are merged to."""
        from liqtruth.storage.lake.swaps import marked

        return cls(lake, venue, lake.database.transact(partial(marked, venue=venue)))

    def read(
        self, dataset: str, coin: str | None = None, columns: tuple[str, ...] | None = None
    ) -> pl.DataFrame | None:
        """Its positions, of a coin or all, or its accounts, in the order in which they were stored; null: none. Of
        `columns` those that are stored.

        Raises `FileNotFoundError` where something newer has taken its place, `FileDamaged` where it cannot be read.
        """
        if not getattr(self, dataset):
            return None
        wanted = None if coin is None else pl.col("coin") == coin
        return read_parquet(self.lake.place, getattr(self, dataset), wanted, columns=columns)[0]

    def store(self, frames: Mapping[str, pl.DataFrame]) -> bool:
        """Store the merged `positions` and `accounts`; false, and nothing is, where a reading was stored meanwhile."""
        positions, accounts = (self._written(name, frames[name]) for name in DATASETS)
        return self._take_place(replace(self, positions=positions, accounts=accounts))

    def store_book(self, book: str) -> bool:
        """The same where the reading `book` is all that is known."""
        return self._take_place(replace(self, book=book))

    def _written(self, name: str, frame: pl.DataFrame) -> str:
        """The file, none where there are no rows."""
        if frame.is_empty():
            return ""
        stored, metadata = packed(frame)
        folder = folder_of(DATASET, self.venue, name)
        return write_new(stored, self.lake.place, folder, unique(name), metadata)

    def _take_place(self, new: "LatestKnown") -> bool:
        from liqtruth.storage.lake.swaps import swap_latest

        row = Latest(
            venue=self.venue,
            changed=self.mark,
            merged=self.mark,
            book=new.book,
            positions=new.positions,
            accounts=new.accounts,
        )
        done, stale = self.lake.database.transact(partial(swap_latest, row=row))
        self.lake.remove(stale - {""})
        return done
