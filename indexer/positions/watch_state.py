"""What a watch has done and read, for other processes: its state beside the data, its batches since its last book.

A watch stores what it read every few seconds and its whole book now and then. Whoever asks in between, while it runs or
after it was killed, gets the batches laid over the book: they are seen as one reading that still grows.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import numpy as np
import polars as pl

from liqtruth.heatmap.errors import LeftOut, one_line
from liqtruth.heatmap.files import NOT_DECODED
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.words.notes import Notes, note
from liqtruth.heatmap.writing import write_atomically
from liqtruth.indexer.frames import ACCOUNTS, POSITIONS, Schema, empty, last_read
from liqtruth.storage.lock import holder
from liqtruth.storage.places.parquet import gone, read_parquet
from liqtruth.storage.places.places import Place
from liqtruth.storage.store import Store

if TYPE_CHECKING:
    from liqtruth.indexer.info.budget import Budget

FILE: Final = "watch.json"
LOCK: Final = "watch.lock"
LONGEST_FILE: Final = 2**20
EARLY_S: Final = 2.0
LATE_S: Final = 30.0
"""How far a trade's time may be ahead of the exchange's clock, or behind it, and still be believed."""

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
TRIES: Final = 3
REMEDY: Final = (
    "restore it from a copy, or start the watch again: it leaves the file out and reads its accounts anew"
)


@dataclass
class TapeStats:
    """What came over the tape since it was opened; times are the exchange's (ms). `malformed` counts messages and
    trades that were passed over, `left_out` the same by kind."""

    messages: int = 0
    trades: int = 0
    duplicates: int = 0
    malformed: int = 0
    connects: int = 0
    gaps: int = 0
    last_trade_ms: int | None = None
    last_error: str = ""
    left_out: LeftOut = field(default_factory=LeftOut)


@dataclass
class WatchState:
    """Counters since the start of the run, and the state at `as_of` (the exchange's clock); ages in seconds.

    `started_at`, `written_at` and `ended_at` are by this machine's clock; a run that neither goes on nor has ended was
    killed. `clock_offset_s` is the exchange's clock less ours, `tape_ahead_s` the time of the last trade less that
    clock when it came: about minus a second where all is well. `batches` names what was read since the last book,
    `book` that book. `marks_pushed` and `marks_asked` count dexes' marks that came over the tape's connection, at no
    weight, and those that had to be asked for; `marks_from` is how the last ones came. `unstored` counts readings that
    wait for the database, `faults` what went wrong, by kind.
    """

    as_of: Moment | None = None
    started_at: Moment | None = None
    written_at: Moment | None = None
    ended_at: Moment | None = None
    pairs: int = 0
    pairs_read: int = 0
    positions: int = 0
    dirty: int = 0
    queued: int = 0
    unstored: int = 0
    resumed_accounts: int = 0
    reads: int = 0
    failures: int = 0
    failures_in_a_row: int = 0
    funding_hours: int = 0
    marks_pushed: int = 0
    marks_asked: int = 0
    marks_from: str = ""
    weight: int = 0
    weight_per_minute: float | None = None
    budget_used_share: float | None = None
    too_many_requests: int = 0
    clock_offset_s: float = 0.0
    tape_ahead_s: float | None = None
    age_p50_s: float | None = None
    age_p90_s: float | None = None
    statuses: dict[str, int] = field(default_factory=dict)
    faults: LeftOut = field(default_factory=LeftOut)
    tape: TapeStats = field(default_factory=TapeStats)
    last_error: str = ""
    batches: str = ""
    book: str = ""

    def note_fault(self, where: str, error: BaseException) -> bool:
        """Count what went wrong; whether it is the first of its kind, which is worth a line in the log."""
        self.last_error = f"{where}: {one_line(str(error)) or type(error).__name__}"
        return self.faults.note(f"{where}: {type(error).__name__}", self.last_error)

    def take(
        self,
        budget: "Budget",
        read_s: FloatArray,
        dirty_since_s: FloatArray,
        held_usd: FloatArray,
        positions: pl.DataFrame,
        queued: int,
        now: datetime,
        ours: datetime,
    ) -> None:
        """Bring everything up to `now`, which is `ours` by this machine's clock.

        `read_s` (when, nan: never), `dirty_since_s` (nan: clean) and `held_usd` have an entry per account and dex.
        """
        self.started_at = self.started_at or ours
        self.as_of, self.written_at, self.queued = now, ours, queued
        known = ~np.isnan(read_s)
        self.pairs, self.pairs_read = read_s.size, int(known.sum())
        self.dirty = int((~np.isnan(dirty_since_s) & known).sum())
        self.positions = positions.height
        self.statuses = dict(positions["status"].drop_nulls().value_counts().sort("status").iter_rows())
        self.weight, self.too_many_requests = budget.spent, budget.refused
        self.weight_per_minute = budget.weight_per_minute
        elapsed_min = (ours - self.started_at).total_seconds() / 60
        if budget.weight_per_minute and elapsed_min > 0:
            self.budget_used_share = min(budget.spent / (budget.weight_per_minute * elapsed_min), 1.0)
        ages = np.maximum(now.timestamp() - read_s[known & (held_usd > 0)], 0.0)
        self.age_p50_s, self.age_p90_s = _quantiles(ages, (0.5, 0.9))

    def short(self) -> dict[str, Any]:
        """A line's worth for the log."""
        names = ("pairs", "pairs_read", "positions", "dirty", "queued", "reads", "failures", "weight")
        return {name: getattr(self, name) for name in names} | {"trades": self.tape.trades}


def _quantiles(ages: Any, shares: Iterable[float]) -> tuple[float | None, ...]:
    return tuple(float(np.quantile(ages, share)) if ages.size else None for share in shares)


def state_path(store: Store) -> Path:
    return store.settings.data_dir / FILE


def lock_path(store: Store) -> Path:
    return store.settings.data_dir / LOCK


def running_process(store: Store) -> str | None:
    """The process of the watch that runs on this data directory; null where none does."""
    return holder(lock_path(store))


def write_state(store: Store, state: WatchState) -> None:
    """Whole or not at all."""
    write_atomically(state_path(store), msgspec.json.format(msgspec.json.encode(state)))


def read_state(store: Store) -> WatchState | None:
    """What the last watch wrote; null where none ever ran here, or where it is of another version."""
    try:
        with state_path(store).open("rb") as file:
            return msgspec.json.decode(file.read(LONGEST_FILE), type=WatchState)
    except (OSError, *NOT_DECODED):
        return None


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
        from liqtruth.indexer.margin.reconcile import reconcile
        from liqtruth.indexer.positions.markets import stored_tables

        last, holdings = last_read(accounts, self.positions)
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
    sql = "SELECT path FROM sweeppart WHERE sweep_id = :id ORDER BY part"
    for _ in range(TRIES):
        with store.database.asking() as asked:
            paths = tuple(asked.column(str, sql, id=batches))
        with suppress(FileNotFoundError):
            return _frames(store.lake.place, paths)
    raise gone(store.lake.place, paths[-1], REMEDY)


@lru_cache(maxsize=1)
def _frames(place: Place, paths: tuple[str, ...]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Files of batches never change, so what was read of them once stays true."""
    return _all(place, paths, "accounts", ACCOUNTS), _all(place, paths, "positions", POSITIONS)


def _all(place: Place, paths: Sequence[str], kind: str, schema: Schema) -> pl.DataFrame:
    found = (read_parquet(place, f"{path}-{kind}.parquet", remedy=REMEDY)[0] for path in paths)
    return pl.concat([empty(schema), *found])
