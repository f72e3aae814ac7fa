"""What is known of Hyperliquid now, as the last writer merged it (`storage.lake.latest`)."""

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import polars as pl

from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.indexer.frames import ACCOUNTS, Schema, conform, empty
from liqtruth.indexer.positions.catalogue import books
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.indexer.positions.merged import ACCOUNTS_READ, STORED, MergedReadings, last_of_each
from liqtruth.storage.database.asking import columns
from liqtruth.storage.database.records import Reading
from liqtruth.storage.errors import FileDamaged, NothingStored
from liqtruth.storage.lake.latest import LatestKnown
from liqtruth.storage.store import Store

TRIES: Final = 3
"""Whoever merges anew removes the files that were read until then."""


def keep_latest(store: Store) -> None:
    """Have what is known now merged and stored; called by whoever stored readings, when all of them are.

    Where it cannot be stored, for want of room or of the right to write, it stays behind, and whoever asks merges.
    """
    if store.database.read_only or LatestKnown.of(store.lake, VENUE) is not None:
        return
    with suppress(LiqtruthError):
        latest, readings = LatestKnown.begin(store.lake, VENUE), MergedReadings(store)
        book = readings.only_book()
        if book is not None:
            latest.store_book(book.id)
        else:
            latest.store({"positions": readings.positions(), "accounts": readings.accounts()})


@dataclass(eq=False)
class Latest:
    """Everything that is known now; `positions` (`STORED`, or the columns asked for) are of one coin or all, as
    `MergedReadings` has them."""

    store: Store
    known: LatestKnown
    positions: pl.DataFrame

    @classmethod
    def of(cls, store: Store, coin: str | None, columns: tuple[str, ...] | None = None) -> "Latest | None":
        """Null where readings came since, or where its files are damaged: they can be merged again."""
        schema = STORED if columns is None else {name: STORED[name] for name in columns}
        with suppress(FileDamaged):
            for _ in range(TRIES):
                known = LatestKnown.of(store.lake, VENUE)
                if known is None:
                    return None
                with suppress(FileNotFoundError):
                    return cls(store, known, _rows(store, known, "positions", schema, coin))
        return None

    @cached_property
    def accounts(self) -> pl.DataFrame:
        """The last reading of every account in every dex: `ACCOUNTS`."""
        try:
            rows = _rows(self.store, self.known, "accounts", ACCOUNTS_READ)
        except (FileNotFoundError, FileDamaged):
            return MergedReadings(self.store).accounts()
        return last_of_each(rows) if self.known.book else conform(rows, ACCOUNTS)

    @cached_property
    def book(self) -> Reading | None:
        """The latest book of a watch."""
        return last_book(self.store)

    def reading(self, reading_id: str) -> Reading | None:
        sql = f"SELECT {columns(Reading)} FROM reading WHERE id = :id"
        with self.store.database.asking() as asked:
            return asked.row(Reading, sql, id=reading_id)


def last_book(store: Store) -> Reading | None:
    """The latest book of a watch."""
    with store.database.asking() as asked:
        return next(iter(books(asked, None, None)), None)


def _rows(
    store: Store, known: LatestKnown, dataset: str, schema: Schema, coin: str | None = None
) -> pl.DataFrame:
    if not known.book:
        rows = known.read(dataset, coin, tuple(schema))
        return empty(schema) if rows is None else conform(rows, schema)
    with suppress(NothingStored):
        return conform(store.lake.read_snapshots(dataset, [known.book], coin, tuple(schema)), schema)
    return empty(schema)
