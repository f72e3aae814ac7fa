"""What is known as of a moment, from everything that was read until then.

What is known now was merged by whoever wrote last (`storage.lake.latest`); where nobody has, and for an earlier moment,
the readings are merged here (`indexer.positions.merged`). What a watch read since its last book is laid over that
(`indexer.positions.watch_state`), so that the answer does not wait for the next book.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final

import polars as pl

from liqtruth.heatmap.words.notes import Notes
from liqtruth.indexer.frames import PAIR, POSITION, POSITIONS
from liqtruth.indexer.positions.catalogue import check_coin, no_positions
from liqtruth.indexer.positions.intervals import interval_notes, stored_intervals
from liqtruth.indexer.positions.latest import Latest, keep_latest
from liqtruth.indexer.positions.markets import Beside, markets_beside
from liqtruth.indexer.positions.merged import STORED, MergedReadings, seen_in
from liqtruth.indexer.positions.watch_state import UnderWay, WatchBatches, batches_of_watch
from liqtruth.storage.database.records import Market, Reading
from liqtruth.storage.store import Store

KNOWN = {**POSITIONS, "reading_id": pl.String(), "age_s": pl.Float64()}
"""Columns of `positions_as_of`; `age_s` is how long before the moment asked for a row was read."""
TOGETHER: Final = 64
"""Moments of a series whose positions are in memory together."""


class Readings:
    """What was read of `coin` (null: of all) as far as the ascending `moments` ask for it; a null moment is now.

    Files are opened when they are first needed, and once; `earlier` gives those of the same coin that it has read. Who
    wants to know little of many names the `columns` (of `KNOWN`, with `as_of`) that `known` is to give, and no others
    are read where the last writer has merged them.
    """

    def __init__(
        self,
        store: Store,
        coin: str | None = None,
        moments: Sequence[datetime | None] = (None,),
        earlier: "Readings | None" = None,
        columns: tuple[str, ...] | None = None,
    ) -> None:
        self._store, self._coin, self._moments, self._earlier = store, coin, moments, earlier
        self._columns = columns
        # Before the rest: the watch may put them into a book meanwhile.
        self._batches: WatchBatches = batches_of_watch(store) if earlier is None else earlier._batches

    def known(self, at: datetime | None = None) -> pl.DataFrame:
        """Positions known at that moment, columns `KNOWN` or those that were asked for."""
        known, read = self.stored(at), self._batches.until(self._store, at)
        if not read.accounts.is_empty():
            looks = self._merged.looks(at).drop_nulls("coins")
            whole = known.filter(~pl.col("reading_id").is_in(looks["reading_id"].implode()))
            newer = _newer(read, self.stored_accounts(at), whole)
            known = _laid_over(known, read, newer, looks, self._coin).sort("coin", maintain_order=True)
        moment = at if at is not None else known["as_of"].max()
        age_s = (pl.lit(moment, POSITIONS["as_of"]) - pl.col("as_of")).dt.total_milliseconds() / 1000
        names = tuple(KNOWN) if self._columns is None else self._columns
        return known.with_columns(age_s=age_s).select(*names).rechunk()  # sums follow chunks, to the last bit

    def accounts(self, at: datetime | None = None) -> pl.DataFrame:
        """The last reading of every account in every dex, those without positions included: `ACCOUNTS`."""
        stored, lately = self.stored_accounts(at), self._batches.until(self._store, at).accounts
        if lately.is_empty():
            return stored
        both = pl.concat([stored, lately])
        return both.sort("as_of", maintain_order=True).unique(subset=PAIR, keep="last", maintain_order=True)

    def notes(self, at: datetime | None = None) -> Notes:
        """What a reader must know of the watch whose readings are among them."""
        book = self.book(at)
        return self._batches.notes(self._batches.until(self._store, at), None if book is None else book.id)

    def stored(self, at: datetime | None = None) -> pl.DataFrame:
        """Positions without what a watch read since its last book, by coin; columns `STORED`."""
        return self._merged.positions(at) if self._latest is None else self._latest.positions

    def stored_accounts(self, at: datetime | None = None) -> pl.DataFrame:
        """The same of accounts: `ACCOUNTS`."""
        return self._merged.accounts(at) if self._latest is None else self._latest.accounts

    def book(self, at: datetime | None = None) -> Reading | None:
        """The latest book not later than that moment."""
        return self._merged.book(at) if self._latest is None else self._latest.book

    def last_of(self, positions: pl.DataFrame) -> Reading | None:
        """The reading of the most recent of the positions; null where it is a watch's that is under way."""
        if positions.is_empty():
            return None
        latest = pl.col("as_of") == pl.col("as_of").max()
        last = positions.select(pl.col("reading_id").filter(latest).max()).item()
        return self._merged.reading(last) if self._latest is None else self._latest.reading(last)

    def market(self, coin: str, positions: pl.DataFrame, at: datetime | None = None) -> Beside:
        """The market to show beside `positions` of the coin at that moment, and notes on it."""
        [found] = markets_beside(self._store, coin, [(positions, self.last_of(positions), at)])
        return found

    @cached_property
    def _merged(self) -> MergedReadings:
        before = None if self._earlier is None else self._earlier.__dict__.get("_merged")
        files = None if before is None else before.files
        return MergedReadings(self._store, self._coin, self._moments, files)

    @cached_property
    def _latest(self) -> Latest | None:
        """What the last writer has merged, for a question about now; one about all coins has it merged by itself."""
        if any(self._moments):
            return None
        if self._coin is None:
            keep_latest(self._store)
        narrow = self._batches.until(self._store).accounts.is_empty()
        columns = None if self._columns is None else tuple(one for one in self._columns if one in STORED)
        return Latest.of(self._store, self._coin, columns if narrow else None)


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
    store: Store,
    coin: str,
    moments: Sequence[datetime | None],
    earlier: Readings | None = None,
    columns: tuple[str, ...] | None = None,
) -> Iterator[CoinKnown | None]:
    """What is known of a coin at each of the ascending moments; null where nothing was read by then. `columns` as
    `Readings` takes them."""
    readings = Readings(store, coin, moments, earlier, columns)
    for begin in range(0, len(moments), TOGETHER):
        known = [(readings.known(at), at) for at in moments[begin : begin + TOGETHER]]
        asked = [(positions, readings.last_of(positions), at) for positions, at in known]
        for (positions, _, at), (market, notes) in zip(
            asked, markets_beside(store, coin, asked), strict=True
        ):
            lines = (*readings.notes(at), *notes)
            yield None if positions.is_empty() else CoinKnown(positions, market, lines)


def coin_as_of(
    store: Store, coin: str, at: datetime | None = None, columns: tuple[str, ...] | None = None
) -> tuple[pl.DataFrame, Market | None, Notes]:
    """Positions, market and notes of a coin, read together; raises `NothingStored` where no position is known."""
    check_coin(store, coin)
    [found] = coin_over_time(store, coin, [at], columns=columns)
    if found is None:
        raise no_positions(coin, at)
    mark_px = found.market.mark_px if found.market else found.positions["mark_px"].median()
    waiting = interval_notes(stored_intervals(store, found.positions), mark_px)  # type: ignore[arg-type]
    return found.positions, found.market, (*found.notes, *waiting)


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
    from liqtruth.indexer.positions.remembered import with_first_sight

    fresh = read.positions.join(newer, on=PAIR, how="semi", maintain_order="left")
    fresh = fresh if coin is None else fresh.filter(pl.col("coin") == coin)
    seen = with_first_sight(fresh, known, newer.filter("was_read"))
    after = looks.join(newer.select(*PAIR, was_at="as_of"), on=PAIR).filter(
        pl.col("as_of") > pl.col("was_at")
    )
    seen = seen.join(seen_in(seen, after), on=POSITION, how="anti", maintain_order="left")
    kept = known.join(newer, on=PAIR, how="anti", maintain_order="left")
    later = known.join(seen_in(known, after), on=POSITION, how="semi", maintain_order="left")
    laid = seen.with_columns(reading_id=pl.lit(read.batches, pl.String)).select(*STORED)
    return pl.concat([kept, later, laid])
