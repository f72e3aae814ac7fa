"""What is known as of a moment, from everything that was read until then.

For each coin the latest census stands for all accounts, or the latest book of a watch, whichever is newer; accounts
read on their own since then replace what it has of them, and one without positions any more is removed. A table of
accounts shows what they hold of its own coins, and replaces nothing else of theirs. Rows are
compared by the moment at which each was read, so nothing later than the asked moment is ever mixed in, not even from
a sweep that was under way. What a watch read since its last book is laid over that (`indexer.positions.watch_state`),
so that the answer does not wait for the next book.

A question about many moments looks up the readings of its window once and opens each of their files once.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final

import polars as pl
from sqlmodel import col, select

from liqtruth.heatmap.notes import Notes
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
from liqtruth.indexer.positions.catalogue import account_readings, books, censuses, check_coin, no_positions
from liqtruth.indexer.positions.intervals import interval_notes, stored_intervals
from liqtruth.indexer.positions.markets import Beside, markets_beside
from liqtruth.indexer.positions.remembered import with_first_sight
from liqtruth.indexer.positions.watch_state import UnderWay, WatchBatches, batches_of_watch
from liqtruth.storage.database.tables import Market, Reading
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Store

STORED = {**POSITIONS, "reading_id": pl.String()}
KNOWN = {**POSITIONS, "reading_id": pl.String(), "age_s": pl.Float64()}
"""Columns of `positions_as_of`; `age_s` is how long before the moment asked for a row was read."""
ACCOUNTS_READ: Final = {**OF_COINS, "reading_id": pl.String()}
READ_ALONE: Final = {name: ACCOUNTS_READ[name] for name in (*PAIR, "as_of", "coins", "reading_id")}
TOGETHER: Final = 64
"""Moments of a series whose positions are in memory together."""


class Readings:
    """What was read of `coin` (null: of all) as far as the ascending `moments` ask for it; a null moment is now.

    Files are opened when they are first needed, and once; `earlier` gives those of the same coin that it has read.
    """

    def __init__(
        self,
        store: Store,
        coin: str | None = None,
        moments: Sequence[datetime | None] = (None,),
        earlier: "Readings | None" = None,
    ) -> None:
        self._store, self._coin, self._moments = store, coin, moments
        # Before the rest: the watch may put them into a book meanwhile.
        self._batches: WatchBatches = batches_of_watch(store) if earlier is None else earlier._batches
        self._files: dict[tuple[str, str], pl.DataFrame] = {} if earlier is None else earlier._files
        with store.database.session() as session:
            self._books = books(session, moments[0], moments[-1])
            self._censuses = censuses(session, coin, moments[0], moments[-1])
            since = next((one.as_of for one in self._books[:1] if _is_by(one, moments[0])), None)
            self._account_readings = account_readings(session, since, moments[-1])

    def known(self, at: datetime | None = None) -> pl.DataFrame:
        """Positions known at that moment, columns `KNOWN`."""
        known, read = self.stored(at), self._batches.until(self._store, at)
        if not read.accounts.is_empty():
            looks = self._read_alone(at).drop_nulls("coins")
            whole = known.filter(~pl.col("reading_id").is_in(looks["reading_id"].implode()))
            newer = _newer(read, self.stored_accounts(at), whole)
            known = _laid_over(known, read, newer, looks, self._coin)
        frame = known.sort("coin", maintain_order=True)
        moment = at if at is not None else frame["as_of"].max()
        age_s = (pl.lit(moment, POSITIONS["as_of"]) - pl.col("as_of")).dt.total_milliseconds() / 1000
        return frame.with_columns(age_s=age_s).select(*KNOWN)

    def accounts(self, at: datetime | None = None) -> pl.DataFrame:
        """The last reading of every account in every dex, those without positions included: `ACCOUNTS`."""
        both = pl.concat([self.stored_accounts(at), self._batches.until(self._store, at).accounts])
        return both.sort("as_of", maintain_order=True).unique(subset=PAIR, keep="last", maintain_order=True)

    def notes(self, at: datetime | None = None) -> Notes:
        """What a reader must know of the watch whose readings are among them."""
        book = self.book(at)
        return self._batches.notes(self._batches.until(self._store, at), None if book is None else book.id)

    def stored(self, at: datetime | None = None) -> pl.DataFrame:
        """Positions without what a watch read since its last book; columns `STORED`."""
        bases, alone = self._bases(at), self._read_alone(at)
        ids = sorted(self._needed(at, bases, alone))
        self._open("positions", self._ids | set(ids), STORED, self._coin)
        rows = pl.concat([empty(STORED), *(self._files["positions", one] for one in ids)])
        return _known_of(_with_base(rows, bases, self.book(at)), alone)

    def stored_accounts(self, at: datetime | None = None) -> pl.DataFrame:
        """The same of accounts that were read whole: `ACCOUNTS`."""
        book = self.book(at)
        rows = self._account_rows.filter(
            pl.col("reading_id").is_in(self._since(book, at)["reading_id"].implode()),
            pl.col("coins").is_null(),
        )
        if book is not None:
            self._open("accounts", {book.id}, ACCOUNTS_READ)
            rows = pl.concat([rows, self._files["accounts", book.id]])
        last = _latest(rows, "as_of", at).sort("as_of", "reading_id")
        return last.unique(subset=PAIR, keep="last", maintain_order=True).select(*ACCOUNTS)

    def book(self, at: datetime | None = None) -> Reading | None:
        """The latest book not later than that moment."""
        return next((one for one in reversed(self._books) if _is_by(one, at)), None)

    def last_of(self, positions: pl.DataFrame) -> Reading | None:
        """The reading of the most recent of the positions; null where it is a watch's that is under way."""
        if positions.is_empty():
            return None
        return self._of_ids.get(positions.sort("as_of", "reading_id")["reading_id"][-1])

    def market(self, coin: str, positions: pl.DataFrame, at: datetime | None = None) -> Beside:
        """The market to show beside `positions` of the coin at that moment, and notes on it."""
        [found] = markets_beside(self._store, coin, [(positions, self.last_of(positions), at)])
        return found

    def _since(self, book: Reading | None, at: datetime | None) -> pl.DataFrame:
        """Readings of single accounts since the book."""
        rows = _latest(self._account_readings, "first_at", at)
        return rows if book is None else rows.filter(pl.col("reading_at") >= book.as_of)

    def _read_alone(self, at: datetime | None) -> pl.DataFrame:
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
        needed = (self._needed(at, self._bases(at), self._read_alone(at)) for at in self._moments)
        return set[str]().union(*needed)

    @cached_property
    def _of_ids(self) -> dict[str, Reading]:
        with self._store.database.session() as session:
            return {
                one.id: one
                for one in session.exec(select(Reading).where(col(Reading.id).in_(self._ids))).all()
            }

    @cached_property
    def _account_rows(self) -> pl.DataFrame:
        """Every reading of single accounts, by time: `ACCOUNTS_READ`."""
        ids = self._account_readings["reading_id"].unique().sort().to_list()
        self._open("accounts", set(ids), ACCOUNTS_READ)
        rows = pl.concat([empty(ACCOUNTS_READ), *(self._files["accounts", one] for one in ids)])
        return rows.sort("as_of", "reading_id")

    def _open(self, dataset: str, ids: set[str], schema: Schema, coin: str | None = None) -> None:
        """Read the rows of these readings, in `coin` or all, that were not read yet; a reading need not have any."""
        missing = sorted(one for one in ids if (dataset, one) not in self._files)
        self._files |= {(dataset, one): empty(schema) for one in missing}
        with suppress(NothingStored):
            rows = self._store.lake.read_snapshots(dataset, missing, coin) if missing else empty(schema)
            parts = conform(rows, schema).partition_by("reading_id", maintain_order=True, as_dict=True)
            self._files |= {(dataset, str(one)): part for (one,), part in parts.items()}


def positions_as_of(store: Store, at: datetime | None = None, coin: str | None = None) -> pl.DataFrame:
    """Positions known at `at` (default: everything stored), of one coin or all; columns `KNOWN`.

    Empty where the coin is known but nothing was read by then. Raises `UnknownCoin`, and `NothingStored` where
    there is no reading at all.
    """
    if coin is not None:
        check_coin(store, coin)
    return Readings(store, coin, [at]).known(at)


@dataclass(frozen=True, eq=False)
class CoinKnown:
    """Positions (`KNOWN`), market and notes of one coin at one moment."""

    positions: pl.DataFrame
    market: Market | None
    notes: Notes


def coin_over_time(
    store: Store, coin: str, moments: Sequence[datetime | None], earlier: Readings | None = None
) -> Iterator[CoinKnown | None]:
    """What is known of a coin at each of the ascending moments; null where nothing was read by then."""
    readings = Readings(store, coin, moments, earlier)
    for begin in range(0, len(moments), TOGETHER):
        known = [(readings.known(at), at) for at in moments[begin : begin + TOGETHER]]
        asked = [(positions, readings.last_of(positions), at) for positions, at in known]
        for (positions, _, at), (market, notes) in zip(
            asked, markets_beside(store, coin, asked), strict=True
        ):
            lines = (*readings.notes(at), *notes)
            yield None if positions.is_empty() else CoinKnown(positions, market, lines)


def coin_as_of(
    store: Store, coin: str, at: datetime | None = None
) -> tuple[pl.DataFrame, Market | None, Notes]:
    """Positions, market and notes of a coin, read together; raises `NothingStored` where no position is known."""
    check_coin(store, coin)
    [found] = coin_over_time(store, coin, [at])
    if found is None:
        raise no_positions(coin, at)
    mark_px = found.market.mark_px if found.market else found.positions["mark_px"].median()
    waiting = interval_notes(stored_intervals(store, found.positions), mark_px)  # type: ignore[arg-type]
    return found.positions, found.market, (*found.notes, *waiting)


def last_book(store: Store) -> Reading | None:
    """The latest book of a watch."""
    with store.database.session() as session:
        return next(iter(books(session, None, None)), None)


def _is_by(reading: Reading, at: datetime | None) -> bool:
    return at is None or reading.as_of <= at


def _latest(rows: pl.DataFrame, column: str, at: datetime | None) -> pl.DataFrame:
    """Rows not later than the moment."""
    return rows if at is None else rows.filter(pl.col(column) <= at)


def _newer(read: UnderWay, accounts: pl.DataFrame, positions: pl.DataFrame) -> pl.DataFrame:
    """Accounts of `read` of which nothing newer is known; those known before have true in `was_read`."""
    known = pl.concat([frame.select(*PAIR, known_at="as_of") for frame in (accounts, positions)])
    last = known.group_by(PAIR).agg(pl.col("known_at").max())
    reported = read.accounts.join(last, on=PAIR, how="left", maintain_order="left")
    reported = reported.with_columns(was_read=pl.col("known_at").is_not_null())
    return reported.filter(~(pl.col("known_at") > pl.col("as_of")).fill_null(False))


def _laid_over(
    known: pl.DataFrame, read: UnderWay, newer: pl.DataFrame, looks: pl.DataFrame, coin: str | None
) -> pl.DataFrame:
    """`known` with the accounts `newer` as they were read since, but for coins that later `looks` are of; columns
    `STORED`."""
    fresh = read.positions.join(newer, on=PAIR, how="semi", maintain_order="left")
    fresh = fresh if coin is None else fresh.filter(pl.col("coin") == coin)
    seen = with_first_sight(fresh, known, newer.filter("was_read"))
    after = looks.join(newer.select(*PAIR, was_at="as_of"), on=PAIR).filter(
        pl.col("as_of") > pl.col("was_at")
    )
    seen = seen.join(_seen_in(seen, after), on=POSITION, how="anti", maintain_order="left")
    kept = known.join(newer, on=PAIR, how="anti", maintain_order="left")
    later = known.join(_seen_in(known, after), on=POSITION, how="semi", maintain_order="left")
    laid = seen.with_columns(reading_id=pl.lit(read.batches, pl.String)).select(*STORED)
    return pl.concat([kept, later, laid])


def _is_of(coin: pl.Expr) -> pl.Expr:
    """Whether a reading of an account is of this coin among others."""
    return pl.col("coins").is_null() | pl.col("coins").str.contains(pl.format(" {} ", coin), literal=True)


def _seen_in(rows: pl.DataFrame, looks: pl.DataFrame) -> pl.DataFrame:
    """The last of `looks` (`READ_ALONE`) that is of each position of the rows."""
    asked = rows.select(POSITION).unique().join(looks, on=PAIR).filter(_is_of(pl.col("coin")))
    return asked.sort("as_of", "reading_id").unique(POSITION, keep="last", maintain_order=True)


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


def _known_of(rows: pl.DataFrame, looks: pl.DataFrame) -> pl.DataFrame:
    """Of each coin's base whoever was not read on their own since; of the others their own last reading."""
    by = PAIR if looks["coins"].is_null().all() else POSITION
    last = looks if by == PAIR else _seen_in(rows, looks)
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
