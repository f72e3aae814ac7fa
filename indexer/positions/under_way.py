"""What a watch has read since its last book: its stored batches, seen as one reading that still grows.

A watch stores what it read every few seconds and its whole book now and then. Whoever asks in between, while it runs
or after it was killed, gets the batches laid over the book.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Final

import polars as pl
from sqlmodel import col, select

from liqtruth.heatmap.notes import Notes, note
from liqtruth.indexer.frames import ACCOUNTS, PAIR, POSITION, POSITIONS, Schema, empty
from liqtruth.indexer.margin.reconcile import reconcile
from liqtruth.indexer.positions.universe import stored_tables
from liqtruth.indexer.positions.watch_state import WatchState, read_state
from liqtruth.storage.database.tables import SweepPart
from liqtruth.storage.lake.parquet import gone, read_parquet
from liqtruth.storage.store import Store

TRIES: Final = 3


@dataclass(frozen=True)
class UnderWay:
    """The last reading of each account and dex in the batches: `accounts` and its reconciled `positions`."""

    batches: str
    accounts: pl.DataFrame
    positions: pl.DataFrame


NONE: Final = UnderWay("", empty(ACCOUNTS), empty(POSITIONS))


@dataclass(eq=False)
class WatchBatches:
    """The batches since the last watch's last book, `accounts` and `positions` as decoded; null `state`: no watch."""

    state: WatchState | None
    accounts: pl.DataFrame
    positions: pl.DataFrame
    _last: tuple[datetime | None, UnderWay] | None = None

    def until(self, store: Store, at: datetime | None = None) -> UnderWay:
        """What was read not later than `at`; empty where nothing was."""
        if self._last is None or self._last[0] != at:
            self._last = at, self._until(store, at)
        return self._last[1]

    def _until(self, store: Store, at: datetime | None) -> UnderWay:
        accounts = self.accounts if at is None else self.accounts.filter(pl.col("as_of") <= at)
        if self.state is None or accounts.is_empty():
            return NONE
        last = accounts.sort("as_of").unique(PAIR, keep="last", maintain_order=True)
        holdings = self.positions.join(last, on=[*PAIR, "as_of"], how="semi")
        holdings = holdings.unique(POSITION, keep="last", maintain_order=True)
        newest = last["as_of"].max()
        assert isinstance(newest, datetime)
        tables, _ = stored_tables(store, last["dex"].unique().to_list(), newest)
        return UnderWay(self.state.batches, last, reconcile(holdings, tables))

    def notes(self, read: UnderWay, book: str | None) -> Notes:
        """That a map is partial, where it rests on a watch that has not read everybody; `book` is the last one's id."""
        state = self.state
        if (
            state is None
            or state.pairs_read >= state.pairs
            or not (read.batches or (book and book == state.book))
        ):
            return ()
        return (note("watch_is_partial", read=state.pairs_read, accounts=state.pairs),)


def batches_of_watch(store: Store) -> WatchBatches:
    """What the last watch stored since its last book."""
    state = read_state(store)
    if state is None or not state.batches:
        return WatchBatches(state, empty(ACCOUNTS), empty(POSITIONS))
    return WatchBatches(state, *_batches(store, state.batches))


def _batches(store: Store, batches: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Accounts and positions; the watch may put them into a book and remove the files while they are read."""
    query = select(SweepPart.path).where(SweepPart.sweep_id == batches).order_by(col(SweepPart.part))
    for _ in range(TRIES):
        with store.database.session() as session:
            paths = tuple(session.exec(query).all())
        with suppress(FileNotFoundError):
            return _frames(store.lake.root, paths)
    raise gone(store.lake.root / paths[-1])


@lru_cache(maxsize=1)
def _frames(root: Path, paths: tuple[str, ...]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Files of batches never change, so what was read of them once stays true."""
    return _all(root, paths, "accounts", ACCOUNTS), _all(root, paths, "positions", POSITIONS)


def _all(root: Path, paths: Sequence[str], kind: str, schema: Schema) -> pl.DataFrame:
    return pl.concat([empty(schema), *(read_parquet(root / f"{path}-{kind}.parquet")[0] for path in paths)])
