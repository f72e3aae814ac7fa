"""The merge of all readings of a window of time: the definition of what is known at a moment.

For each coin the latest census stands for all accounts, or the latest book of a watch, whichever is newer; accounts
read on their own since then replace what it has of them, and one without positions any more is removed. A table of
accounts shows what they hold of its own coins, and replaces nothing else of theirs. Rows are compared by the moment at
which each was read, so nothing later than the asked moment is ever mixed in, not even from a sweep that was under way.

The readings of the window are looked up once, and each of their files is opened once, however many moments are asked
for.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from functools import cached_property
from typing import Final

import polars as pl

from liqtruth.indexer.frames import (
    ACCOUNTS,
    MOMENT,
    OF_COINS,
    PAIR,
    POSITION,
    POSITIONS,
    Schema,
    conform,
    empty,
)
from liqtruth.indexer.positions.catalogue import account_readings, books, censuses
from liqtruth.storage.database.asking import columns
from liqtruth.storage.database.records import Reading
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Store

STORED = {**POSITIONS, "reading_id": pl.String()}
ACCOUNTS_READ: Final = {**OF_COINS, "reading_id": pl.String()}
READ_ALONE: Final = {name: ACCOUNTS_READ[name] for name in (*PAIR, "as_of", "coins", "reading_id")}


class MergedReadings:
    """Readings of `coin` (null: of all) as far as the ascending `moments` ask for them; a null moment is now.

    Files are opened when they are first needed, and once; `files` are those of the same coin that were read before.
    """

    def __init__(
        self,
        store: Store,
        coin: str | None = None,
        moments: Sequence[datetime | None] = (None,),
        files: "dict[tuple[str, str], pl.DataFrame] | None" = None,
    ) -> None:
        self._store, self._coin, self._moments = store, coin, moments
        self.files: dict[tuple[str, str], pl.DataFrame] = {} if files is None else files
        with store.database.asking() as asked:
            self._books = books(asked, moments[0], moments[-1])
            self._censuses = censuses(asked, coin, moments[0], moments[-1])
            since = next((one.as_of for one in self._books[:1] if _is_by(one, moments[0])), None)
            self._account_readings = account_readings(asked, since, moments[-1])

    def positions(self, at: datetime | None = None) -> pl.DataFrame:
        """Positions known at that moment, by coin; columns `STORED`."""
        book = self.only_book(at)
        if book is not None:
            self._open("positions", self._ids | {book.id}, STORED, self._coin)
            return self.files["positions", book.id].sort("coin", maintain_order=True)
        bases, alone = self._bases(at), self.looks(at)
        ids = sorted(self._needed(at, bases, alone))
        if not ids:
            return empty(STORED)
        self._open("positions", self._ids | set(ids), STORED, self._coin)
        rows = pl.concat([empty(STORED), *(self.files["positions", one] for one in ids)])
        known = _known_of(_with_base(rows, bases, self.book(at)), alone)
        return known.sort("coin", maintain_order=True)

    def accounts(self, at: datetime | None = None) -> pl.DataFrame:
        """The last reading of every account in every dex that was read whole, those without positions included:
        `ACCOUNTS`."""
        book = self.book(at)
        rows = self._account_rows.filter(
            pl.col("reading_id").is_in(self._since(book, at)["reading_id"].implode()),
            pl.col("coins").is_null(),
        )
        if book is not None:
            self._open("accounts", {book.id}, ACCOUNTS_READ)
            rows = pl.concat([rows, self.files["accounts", book.id]])
        return last_of_each(_latest(rows, "as_of", at))

    def book(self, at: datetime | None = None) -> Reading | None:
        """The latest book not later than that moment."""
        return next((one for one in reversed(self._books) if _is_by(one, at)), None)

    def only_book(self, at: datetime | None = None) -> Reading | None:
        """The last book by then where it is all that is known at that moment."""
        book = self.book(at)
        if book is None or not self._since(book, at).is_empty():
            return None
        newer = self._bases(at).filter(pl.col("base_at") >= pl.lit(book.as_of, MOMENT))
        return book if newer.is_empty() else None

    def reading(self, reading_id: str) -> Reading | None:
        """One of those that are needed for some moment."""
        return self._of_ids.get(reading_id)

    def _since(self, book: Reading | None, at: datetime | None) -> pl.DataFrame:
        """Readings of single accounts since the book."""
        rows = _latest(self._account_readings, "first_at", at)
        return rows if book is None else rows.filter(pl.col("reading_at") >= book.as_of)

    def looks(self, at: datetime | None) -> pl.DataFrame:
        """The last time that each account was read on its own since the last book, whole or of some coins:
        `READ_ALONE`."""
        ids = self._since(self.book(at), at)["reading_id"]
        rows = self._account_rows.select(*READ_ALONE).filter(pl.col("reading_id").is_in(ids.implode()))
        if self._coin is not None:
            rows = rows.filter(_is_of(pl.lit(self._coin)))
        return _latest(rows, "as_of", at).unique([*PAIR, "coins"], keep="last", maintain_order=True)

    def _bases(self, at: datetime | None) -> pl.DataFrame:
        """The last census of each coin: `CENSUSES`."""
        return _latest(self._censuses, "base_at", at).unique("coin", keep="last", maintain_order=True)

    def _needed(self, at: datetime | None, bases: pl.DataFrame, alone: pl.DataFrame) -> set[str]:
        """Readings that a position known at that moment may be of."""
        book = self.book(at)
        return {*alone["reading_id"], *bases["base_id"], *([book.id] if book else [])}

    @cached_property
    def _ids(self) -> set[str]:
        """Readings that are needed for some moment."""
        needed = (self._needed(at, self._bases(at), self.looks(at)) for at in self._moments)
        return set[str]().union(*needed)

    @cached_property
    def _of_ids(self) -> dict[str, Reading]:
        sql = f"SELECT {columns(Reading)} FROM reading WHERE id IN :ids"
        with self._store.database.asking() as asked:
            return {one.id: one for one in asked.rows(Reading, sql, ids=sorted(self._ids))}

    @cached_property
    def _account_rows(self) -> pl.DataFrame:
        """Every reading of single accounts, by time: `ACCOUNTS_READ`."""
        ids = self._account_readings["reading_id"].unique().sort().to_list()
        self._open("accounts", set(ids), ACCOUNTS_READ)
        rows = pl.concat([empty(ACCOUNTS_READ), *(self.files["accounts", one] for one in ids)])
        return rows.sort("as_of", "reading_id")

    def _open(self, dataset: str, ids: set[str], schema: Schema, coin: str | None = None) -> None:
        """Read the rows of these readings, in `coin` or all, that were not read yet; a reading need not have any."""
        missing = sorted(one for one in ids if (dataset, one) not in self.files)
        self.files |= {(dataset, one): empty(schema) for one in missing}
        with suppress(NothingStored):
            rows = self._store.lake.read_snapshots(dataset, missing, coin) if missing else empty(schema)
            parts = conform(rows, schema).partition_by("reading_id", maintain_order=True, as_dict=True)
            self.files |= {(dataset, str(one)): part for (one,), part in parts.items()}


def last_of_each(rows: pl.DataFrame) -> pl.DataFrame:
    """The last row of every account in every dex: `ACCOUNTS`."""
    last = rows.sort("as_of", "reading_id")
    return last.unique(subset=PAIR, keep="last", maintain_order=True).select(*ACCOUNTS)


def _is_by(reading: Reading, at: datetime | None) -> bool:
    return at is None or reading.as_of <= at


def _latest(rows: pl.DataFrame, column: str, at: datetime | None) -> pl.DataFrame:
    """Rows not later than the moment."""
    return rows if at is None else rows.filter(pl.col(column) <= at)


def _with_base(rows: pl.DataFrame, bases: pl.DataFrame, book: Reading | None) -> pl.DataFrame:
    """The rows with the reading that stands for all accounts of their coin, its last census or the last book:
    `base_id` and `base_at`, null where there is none."""
    reported = rows.join(bases, on="coin", how="left", maintain_order="left")
    if book is None:
        return reported
    newer = pl.col("base_at").is_null() | (pl.col("base_at") < pl.lit(book.as_of, MOMENT))
    return reported.with_columns(
        base_id=pl.when(newer).then(pl.lit(book.id)).otherwise("base_id"),
        base_at=pl.when(newer).then(pl.lit(book.as_of, MOMENT)).otherwise("base_at"),
    )


def _is_of(coin: pl.Expr) -> pl.Expr:
    """Whether a reading of an account is of this coin among others."""
    return pl.col("coins").is_null() | pl.col("coins").str.contains(pl.format(" {} ", coin), literal=True)


def seen_in(rows: pl.DataFrame, looks: pl.DataFrame) -> pl.DataFrame:
    """The last of `looks` (`READ_ALONE`) that is of each position of the rows."""
    asked = rows.select(POSITION).unique().join(looks, on=PAIR).filter(_is_of(pl.col("coin")))
    return asked.sort("as_of", "reading_id").unique(POSITION, keep="last", maintain_order=True)


def _known_of(rows: pl.DataFrame, looks: pl.DataFrame) -> pl.DataFrame:
    """Of each coin's base whoever was not read on their own since; of the others their own last reading."""
    by = PAIR if looks["coins"].is_null().all() else POSITION
    last = looks if by == PAIR else seen_in(rows, looks)
    reported = rows.join(
        last.select(*by, own_at="as_of", own_id="reading_id"), on=by, how="left", maintain_order="left"
    )
    read_since = pl.col("own_at").is_not_null() & (
        pl.col("base_at").is_null() | (pl.col("own_at") >= pl.col("base_at"))
    )
    of_base = (pl.col("reading_id") == pl.col("base_id")).fill_null(False)
    of_own = (pl.col("reading_id") == pl.col("own_id")) & (pl.col("as_of") == pl.col("own_at"))
    own = reported.filter(read_since & of_own)
    return pl.concat([reported.filter(of_base & ~read_since), own]).select(*STORED)
