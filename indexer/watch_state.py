"""What a watch has done and where it stands, written beside the data so that any other process can say it."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from heatmap.decoding import NOT_DECODED
from heatmap.files import write_atomically
from indexer.budget import Budget
from indexer.frontier import Frontier
from indexer.live_book import LiveBook
from indexer.tape import TapeStats
from storage.store import Store

FILE: Final = "watch.json"
EARLY_S: Final = 2.0
LATE_S: Final = 30.0
"""How far a trade's time may be ahead of the exchange's clock, or behind it, and still be believed."""


@dataclass
class WatchState:
    """Counters since the start of the run, and the state at `as_of`; ages in seconds.

    `clock_offset_s` is the exchange's clock less ours, `tape_ahead_s` the time of the last trade less that clock when
    it came: about minus a second where all is well.
    """

    as_of: datetime | None = None
    started_at: datetime | None = None
    pairs: int = 0
    pairs_read: int = 0
    positions: int = 0
    dirty: int = 0
    queued: int = 0
    resumed_accounts: int = 0
    reads: int = 0
    failures: int = 0
    failures_in_a_row: int = 0
    funding_hours: int = 0
    weight: int = 0
    weight_per_minute: float | None = None
    budget_used_share: float | None = None
    too_many_requests: int = 0
    clock_offset_s: float = 0.0
    tape_ahead_s: float | None = None
    age_p50_s: float | None = None
    age_p90_s: float | None = None
    statuses: dict[str, int] = field(default_factory=dict)
    tape: TapeStats = field(default_factory=TapeStats)
    last_error: str = ""

    def take(self, budget: Budget, frontier: Frontier, book: LiveBook, queued: int, now: datetime) -> None:
        """Bring everything up to `now`."""
        self.started_at = self.started_at or now
        self.as_of, self.queued = now, queued
        count = len(frontier.pairs)
        read_s, held = frontier.sizes.read_s, frontier.sizes.size_usd
        known = ~np.isnan(read_s)
        self.pairs, self.pairs_read = count, int(known.sum())
        self.dirty = int((~np.isnan(frontier.sizes.dirty_since_s) & known).sum())
        self.positions = book.positions.height
        self.statuses = dict(book.positions["status"].value_counts().sort("status").iter_rows())
        self.weight, self.too_many_requests = budget.spent, budget.refused
        self.weight_per_minute = budget.weight_per_minute
        elapsed_min = (now - self.started_at).total_seconds() / 60
        if budget.weight_per_minute and elapsed_min > 0:
            self.budget_used_share = min(budget.spent / (budget.weight_per_minute * elapsed_min), 1.0)
        ages = np.maximum(now.timestamp() - read_s[known & (held > 0)], 0.0)
        self.age_p50_s, self.age_p90_s = (
            (float(np.quantile(ages, share)) for share in (0.5, 0.9)) if ages.size else (None, None)
        )

    def short(self) -> dict[str, Any]:
        """A line's worth for the log."""
        names = ("pairs", "pairs_read", "positions", "dirty", "queued", "reads", "failures", "weight")
        return {name: getattr(self, name) for name in names} | {"trades": self.tape.trades}


def state_path(store: Store) -> Path:
    return store.settings.data_dir / FILE


def write_state(store: Store, state: WatchState) -> None:
    """Whole or not at all."""
    write_atomically(state_path(store), msgspec.json.format(msgspec.json.encode(state)))


def read_state(store: Store) -> WatchState | None:
    """What the last watch wrote; null where none ever ran here, or where it is of another version."""
    try:
        return msgspec.json.decode(state_path(store).read_bytes(), type=WatchState)
    except (OSError, *NOT_DECODED):
        return None
