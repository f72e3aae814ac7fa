"""Realised liquidations of a market as they are stored, when they were observed, and what share of all they are.

When that was is stated by `compare.observed.coverage`. Half-open windows (from, until].
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from liqtruth.compare.observed.coverage import (
    check_coverage,
    clipped,
    reported_share,
    span_notes,
    spans_observed,
)
from liqtruth.compare.observed.price_path import MarkPath
from liqtruth.estimator.frames import DATASETS
from liqtruth.estimator.venues.table import Venue
from liqtruth.heatmap.grid import FloatArray, IntArray
from liqtruth.heatmap.levels import TwoSided
from liqtruth.heatmap.words.notes import Notes, any_synthetic
from liqtruth.indexer.frames import LIQUIDATIONS
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Store

DATASET: Final = "liquidations"
LEAST_OBSERVED: Final = 0.98
"""Share of a window that must have been observed: a reconnect of a minute does not lose an hour."""


@dataclass(frozen=True, eq=False)
class Side:
    """Liquidations of one side, by time: how many `coins` each closed; `risen_usd` is their running sum, from 0."""

    ts_ms: IntArray
    px: FloatArray
    coins: FloatArray
    risen_usd: FloatArray

    def within(self, from_ms: IntArray, until_ms: IntArray) -> tuple[IntArray, IntArray]:
        """First and last + 1 of the events in each window."""
        return tuple(np.searchsorted(self.ts_ms, at, side="right") for at in (from_ms, until_ms))  # type: ignore[return-value]


@dataclass(frozen=True, eq=False)
class Liquidations(TwoSided[Side]):
    """What is stored of one market; `spans_ms` of shape (spans, 2) when it was observed, in order and apart, `by_days`
    where no spans of listening are stored and each day counts from its first to its last liquidation."""

    coin: str
    long: Side
    short: Side
    spans_ms: IntArray
    synthetic: bool
    by_days: bool = field(default=False, kw_only=True)

    def observed(self, from_ms: IntArray, until_ms: IntArray) -> NDArray[np.bool_]:
        """Whether each window was observed for at least `LEAST_OBSERVED` of it."""
        if not self.spans_ms.size:
            return np.zeros(from_ms.shape, dtype=bool)
        lengths = self.spans_ms[:, 1] - self.spans_ms[:, 0]
        risen = np.stack([np.cumsum(lengths) - lengths, np.cumsum(lengths)], axis=1)
        known = np.interp(until_ms, self.spans_ms.ravel(), risen.ravel())
        known -= np.interp(from_ms, self.spans_ms.ravel(), risen.ravel())
        return np.asarray(known >= LEAST_OBSERVED * np.maximum(until_ms - from_ms, 1))

    def observed_throughout(self, from_ms: IntArray, until_ms: IntArray) -> NDArray[np.bool_]:
        """Whether each window lies in one span from beginning to end."""
        span = np.searchsorted(self.spans_ms[:, 0], from_ms, side="right") - 1
        ends = np.append(self.spans_ms[:, 1], -1)[span]
        return np.asarray((span >= 0) & (until_ms <= ends))

    def within_bars(self, path: MarkPath) -> Self:
        """Each liquidation at a price of the bar of its moment: a venue may report the bankruptcy price, which lies
        beyond where the mark was."""
        return replace(self, long=_within_bars(self.long, path), short=_within_bars(self.short, path))


@dataclass(frozen=True, eq=False)
class Realised(Liquidations):
    """Liquidations to score by; `coverage`, the share of all that is reported, is null where unknown."""

    coverage: float | None
    notes: Notes


def _within_bars(side: Side, path: MarkPath) -> Side:
    bar = np.maximum(np.searchsorted(path.start_ms, side.ts_ms, side="right") - 1, 0)
    known = (side.ts_ms >= path.start_ms[bar]) & (side.ts_ms <= path.end_ms[bar])
    return replace(side, px=np.where(known, np.clip(side.px, path.low[bar], path.high[bar]), side.px))


def side_of(events: pl.DataFrame, side: str, px: str = "px", coins: str = "coins") -> Side:
    """One side of a frame with `ts`, `side`, `notional_usd` and these columns for the price and the coins."""
    rows = events.filter(pl.col("side") == side).sort("ts")
    usd = np.concatenate([[0.0], np.cumsum(rows["notional_usd"].fill_null(0.0).to_numpy())])
    closed = rows[coins].fill_null(0.0).to_numpy()
    return Side(rows["ts"].dt.epoch("ms").to_numpy(), rows[px].to_numpy(), closed, usd)


def load_liquidations(
    store: Store, venue: Venue, coin: str, start: datetime | None = None, end: datetime | None = None
) -> Liquidations:
    """What is stored between two times, and when in between it was observed: maybe never."""
    spans = clipped(spans_observed(store, venue.name, coin), start, end)
    long, short = _sides(store, venue, coin, start, end)
    by_days = not _listening(store, venue, coin).height and venue.name != VENUE
    return Liquidations(coin, long, short, spans, _is_synthetic(store, venue, coin), by_days=by_days)


def _listening(store: Store, venue: Venue, coin: str, end: datetime | None = None) -> pl.DataFrame:
    return store.lake.read_series("listening", venue.name, coin, DATASETS["listening"].schema, None, end)


def load_realised(
    store: Store,
    venue: Venue,
    coin: str,
    start: datetime | None = None,
    end: datetime | None = None,
    coverage: float | None = None,
) -> Realised:
    """What is stored between two times; `coverage` goes before the venue's own.

    Raises `NothingStored` where nothing was recorded, `BadInput` for a coverage that is no share.
    """
    if coverage is not None:
        check_coverage(coverage)
    on_chain = venue.name == VENUE
    listening = _listening(store, venue, coin, end)
    spans = spans_observed(store, venue.name, coin)
    if not spans.size:
        raise NothingStored(
            f"no realised liquidations of {venue.name} {coin} were recorded: {_remedy(venue, coin)}"
        )
    share, known_by = reported_share(venue, listening, coverage)
    long, short = _sides(store, venue, coin, start, end)
    events = long.ts_ms.size + short.ts_ms.size
    return Realised(
        coin,
        long,
        short,
        spans,
        _is_synthetic(store, venue, coin),
        share,
        (known_by, *span_notes(events, listening, spans, on_chain)),
        by_days=listening.is_empty() and not on_chain,
    )


def _sides(
    store: Store, venue: Venue, coin: str, start: datetime | None, end: datetime | None
) -> tuple[Side, Side]:
    """Longs and shorts; a node tells the mark beside the price and calls the coins `size`."""
    if venue.name == VENUE:
        events = store.lake.read_series(DATASET, VENUE, coin, LIQUIDATIONS, start, end)
        return side_of(events, "long", "mark_px", "size"), side_of(events, "short", "mark_px", "size")
    events = store.lake.read_series(DATASET, venue.name, coin, DATASETS[DATASET].schema, start, end)
    return side_of(events, "long"), side_of(events, "short")


def _is_synthetic(store: Store, venue: Venue, coin: str) -> bool:
    return any_synthetic(store.lake.series_sources(DATASET, venue.name, coin))


def _remedy(venue: Venue, coin: str) -> str:
    if venue.name == VENUE:
        return "`liqtruth index fills PATH` reads a node's, `liqtruth index liquidations` what anyone may see"
    if venue.liquidation_stream is None and "liquidations" not in venue.feeds:
        imported = f"`liqtruth feed import PATH --venue {venue.name} --coin {coin}`"
        return f"{venue.name} publishes none; {imported} reads files of them"
    return f"`liqtruth feed watch {venue.name} {coin}` collects them from now on"
