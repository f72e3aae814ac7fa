"""Realised liquidations of a market as they are stored, when they were listened to, and what share of all they are.

When they were heard is told by `compare.observed.coverage`. Imported files of other venues do not tell it: there a
day (UTC) counts as known from its first to its last liquidation, and a day without any is not known. Half-open
windows (from, until].
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import numpy as np
import polars as pl
from sqlmodel import select

from liqtruth.compare.observed.coverage import EVERY, LONGEST_QUIET_MS, check_coverage, spans_heard
from liqtruth.compare.observed.mark_path import MarkPath
from liqtruth.estimator.frames import DATASETS
from liqtruth.estimator.venues.table import Venue
from liqtruth.heatmap.grid import FloatArray, IntArray
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.notes import Note, Notes, note
from liqtruth.heatmap.sides import TwoSided
from liqtruth.heatmap.synthetic import any_synthetic
from liqtruth.indexer.frames import LIQUIDATIONS
from liqtruth.indexer.positions.universe import VENUE
from liqtruth.storage.database.tables import Partition
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Store

DATASET: Final = "liquidations"
HEARD: Final = 0.98
"""Share of a window that must have been listened to: a reconnect of a minute does not lose an hour."""


@dataclass(frozen=True, eq=False)
class Side:
    """Events of one side, by time; `risen_usd` is their running sum, from 0."""

    ts_ms: IntArray
    px: FloatArray
    risen_usd: FloatArray

    def within(self, from_ms: IntArray, until_ms: IntArray) -> tuple[IntArray, IntArray]:
        """First and last + 1 of the events in each window."""
        return tuple(np.searchsorted(self.ts_ms, at, side="right") for at in (from_ms, until_ms))  # type: ignore[return-value]


@dataclass(frozen=True, eq=False)
class Realised(TwoSided[Side]):
    """Events by side; `spans_ms` of shape (spans, 2) when they were listened to; `coverage` is null where unknown."""

    long: Side
    short: Side
    spans_ms: IntArray
    coverage: float | None
    said: Notes
    synthetic: bool

    def heard(self, from_ms: IntArray, until_ms: IntArray) -> np.ndarray:
        """Whether each window was listened to for at least `HEARD` of it."""
        if not self.spans_ms.size:
            return np.zeros(from_ms.shape, dtype=bool)
        lengths = self.spans_ms[:, 1] - self.spans_ms[:, 0]
        risen = np.stack([np.cumsum(lengths) - lengths, np.cumsum(lengths)], axis=1)
        told = np.interp(until_ms, self.spans_ms.ravel(), risen.ravel())
        told -= np.interp(from_ms, self.spans_ms.ravel(), risen.ravel())
        return np.asarray(told >= HEARD * np.maximum(until_ms - from_ms, 1))

    def seen_in(self, path: MarkPath) -> "Realised":
        """Each liquidation at a price of the bar of its moment: a venue may tell the bankruptcy price, which lies
        beyond where the mark was."""
        return replace(self, long=_within_bars(self.long, path), short=_within_bars(self.short, path))


def _within_bars(side: Side, path: MarkPath) -> Side:
    bar = np.maximum(np.searchsorted(path.start_ms, side.ts_ms, side="right") - 1, 0)
    known = (side.ts_ms >= path.start_ms[bar]) & (side.ts_ms <= path.end_ms[bar])
    return replace(side, px=np.where(known, np.clip(side.px, path.low[bar], path.high[bar]), side.px))


def load_realised(
    store: Store,
    venue: Venue,
    coin: str,
    start: datetime | None = None,
    end: datetime | None = None,
    coverage: float | None = None,
) -> Realised:
    """What is stored between two times; `coverage` goes before what the venue says.

    Raises `NothingStored` where nothing was listened to, `BadInput` for a coverage that is no share.
    """
    if coverage is not None:
        check_coverage(coverage)
    on_chain = venue.name == VENUE
    schema = LIQUIDATIONS if on_chain else DATASETS[DATASET].schema
    events = store.lake.read_series(DATASET, venue.name, coin, schema, start, end)
    listening = store.lake.read_series("listening", venue.name, coin, DATASETS["listening"].schema, None, end)
    spans = spans_heard(store, venue.name, coin)
    if not (spans.size or on_chain):
        spans = _days(store, venue.name, coin)
    if not spans.size:
        raise NothingStored(
            f"no realised liquidations of {venue.name} {coin} were listened to: {_remedy(venue, coin)}"
        )
    share, word = _coverage(venue, listening, coverage)
    sources = store.lake.series_sources(DATASET, venue.name, coin)
    long, short = (_side(events, side, "mark_px" if on_chain else "px") for side in SIDES)
    return Realised(
        long,
        short,
        spans,
        share,
        (word, *_said(events, listening, spans, on_chain)),
        any_synthetic(sources),
    )


def _side(events: pl.DataFrame, side: str, px: str) -> Side:
    rows = events.filter(pl.col("side") == side).sort("ts")
    usd = np.concatenate([[0.0], np.cumsum(rows["notional_usd"].fill_null(0.0).to_numpy())])
    return Side(rows["ts"].dt.epoch("ms").to_numpy(), rows[px].to_numpy(), usd)


def _days(store: Store, venue: str, coin: str) -> IntArray:
    """From the first to the last liquidation of each day that has any; days that follow each other are joined."""
    query = select(Partition).where(
        Partition.dataset == DATASET, Partition.venue == venue, Partition.coin == coin
    )
    with store.database.session() as session:
        rows = [(row.day, row.first_at, row.last_at) for row in session.exec(query).all()]
    if not rows:
        return np.zeros((0, 2), dtype=np.int64)
    frame = pl.DataFrame(rows, schema=["day", "first", "last"], orient="row")
    by_day = frame.group_by("day").agg(pl.col("first").min(), pl.col("last").max()).sort("day")
    run = (by_day["day"].diff().dt.total_days().fill_null(0) != 1).cum_sum()
    runs = by_day.with_columns(run=run).group_by("run").agg(pl.col("first").min(), pl.col("last").max())
    return np.stack(
        [runs.sort("first")[name].dt.epoch("ms").to_numpy() for name in ("first", "last")], axis=1
    )


def _remedy(venue: Venue, coin: str) -> str:
    if venue.name == VENUE:
        return "`liqtruth index fills PATH` reads a node's"
    if venue.liquidation_stream is None and "liquidations" not in venue.feeds:
        imported = f"`liqtruth feed import PATH --venue {venue.name} --coin {coin}`"
        return f"{venue.name} tells none; {imported} reads files of them"
    return f"`liqtruth feed watch {venue.name} {coin}` collects them from now on"


def _coverage(venue: Venue, listening: pl.DataFrame, given: float | None) -> tuple[float | None, Note]:
    """The share of all liquidations that is told, and how that is known."""
    if given is not None:
        return given, note("coverage_given", share=given)
    if venue.name == VENUE:
        return 1.0, note("coverage_of_node")
    words = listening["coverage"].unique().sort().to_list() or [venue.liquidation_stream or "unknown"]
    if EVERY.issuperset(words):
        return 1.0, note("coverage_of_venue", venue=venue.name, word=words[0])
    return None, note("coverage_unknown", words=words)


def _said(events: pl.DataFrame, listening: pl.DataFrame, spans: IntArray, on_chain: bool) -> Iterator[Note]:
    hours = float((spans[:, 1] - spans[:, 0]).sum()) / 3.6e6
    yield note("listened", count=events.height, hours=hours, spans=len(spans))
    if listening.is_empty() and on_chain:
        yield note("spans_of_exchange", quiet_min=LONGEST_QUIET_MS / 60_000)
    elif listening.is_empty():
        yield note("spans_of_days")
    if not on_chain:
        yield note("venue_prices")
