"""When a venue's liquidations were observed, and what share of all of them it reports.

A venue's pushed liquidations are known in its spans of `listening`, and so are those that public fills on Hyperliquid
show, or a provider pushes. A node's fills there have none: the exchange is taken as observed from one liquidation of
any coin to the next, if that is soon enough. Imported files of other venues do not state it: a day (UTC) counts as
known from its first to its last liquidation, and a day without any is not known.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

import numpy as np
import polars as pl

from liqtruth.estimator.frames import DATASETS
from liqtruth.estimator.venues.table import VENUES, Venue
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.grid import IntArray
from liqtruth.heatmap.words.notes import Note, note
from liqtruth.indexer.frames import LIQUIDATIONS
from liqtruth.indexer.positions.markets import VENUE as HYPERLIQUID
from liqtruth.storage.lake.listening import IN_PART, LISTENING, SPANS
from liqtruth.storage.store import Store

EVERY: Final = frozenset(
    venue.liquidation_stream for venue in VENUES.values() if venue.pushes_every_liquidation
)
"""What is stored as the coverage of streams that push all liquidations."""

LONGEST_QUIET_MS: Final = 3_600_000
"""On a whole exchange an hour without any liquidation is an hour of which no file was read."""


def spans_observed(store: Store, venue: str, coin: str) -> IntArray:
    """When the liquidations of a market were observed, ms, shape (spans, 2): in order and apart from each other; none
    where nothing is stored. What was imported without spans counts by its days."""
    rows = store.lake.read_series("listening", venue, coin, DATASETS["listening"].schema)
    if rows.height:
        return joined(*(rows[name].dt.epoch("ms").to_numpy() for name in ("ts", "until")))
    if venue != HYPERLIQUID:
        return spans_of_days(store, venue, coin)
    times = store.once(_any_liquidation)
    soon = np.diff(times) <= LONGEST_QUIET_MS
    return joined(times[:-1][soon], times[1:][soon])


def partly_seen(store: Store, coin: str) -> bool:
    """Whether Hyperliquid's liquidations are stored as public fills show them, of which nobody knows the share."""
    spans = store.lake.read_series(LISTENING, HYPERLIQUID, coin, SPANS)
    return in_part(spans)


def in_part(spans: pl.DataFrame) -> bool:
    """Whether any of the spans (`SPANS`) is one of public fills."""
    return bool(spans["coverage"].str.starts_with(IN_PART).any())


def _any_liquidation(store: Store) -> IntArray:
    """When anything was liquidated on Hyperliquid, whatever the coin."""
    coins = [coin for venue, coin in store.lake.series_coins("liquidations") if venue == HYPERLIQUID]
    parts = [store.lake.read_series("liquidations", HYPERLIQUID, coin, LIQUIDATIONS)["ts"] for coin in coins]
    return np.unique(pl.concat(parts).dt.epoch("ms").to_numpy()) if parts else np.zeros(0, dtype=np.int64)


def spans_of_days(store: Store, venue: str, coin: str) -> IntArray:
    """Where no spans are stored: from the first to the last liquidation of each day that has any; days that follow each
    other are joined."""
    rows = [
        (row.day, row.first_at, row.last_at) for row in store.lake.series_files("liquidations", venue, coin)
    ]
    if not rows:
        return np.zeros((0, 2), dtype=np.int64)
    frame = pl.DataFrame(rows, schema=["day", "first", "last"], orient="row")
    by_day = frame.group_by("day").agg(pl.col("first").min(), pl.col("last").max()).sort("day")
    run = (by_day["day"].diff().dt.total_days().fill_null(0) != 1).cum_sum()
    runs = by_day.with_columns(run=run).group_by("run").agg(pl.col("first").min(), pl.col("last").max())
    return np.stack(
        [runs.sort("first")[name].dt.epoch("ms").to_numpy() for name in ("first", "last")], axis=1
    )


def joined(start_ms: IntArray | Sequence[int], until_ms: IntArray | Sequence[int]) -> IntArray:
    """Spans that overlap or touch as one, in order, shape (spans, 2)."""
    order = np.argsort(start_ms, kind="stable")
    start, until = np.asarray(start_ms, dtype=np.int64)[order], np.asarray(until_ms, dtype=np.int64)[order]
    if not start.size:
        return np.zeros((0, 2), dtype=np.int64)
    latest = np.maximum.accumulate(until)
    first = np.flatnonzero(np.append(True, start[1:] > latest[:-1]))
    return np.stack([start[first], latest[np.append(first[1:], start.size) - 1]], axis=1)


def clipped(spans_ms: IntArray, start: datetime | None, end: datetime | None) -> IntArray:
    """What of the spans lies between two times."""
    low, high = (None if at is None else int(at.timestamp() * 1000) for at in (start, end))
    cut = np.clip(spans_ms, low, high) if low is not None or high is not None else spans_ms
    return np.asarray(cut[cut[:, 1] > cut[:, 0]])


def known_coverage(venue: Venue, given: float | None) -> float:
    """Share of all liquidations that the venue's feed reports.

    Raises `BadInput` where it is not known, with what the venue pushes, and for a share that is none.
    """
    if given is not None:
        check_coverage(given)
        return given
    word = venue.liquidation_stream or "nothing"
    if venue.pushes_every_liquidation:
        return 1.0
    raise BadInput(
        f"{venue.name} pushes {word}: what share of all liquidations that is nobody knows, and a level set by it "
        "would be wrong by as much; take a venue that pushes every one (bybit), or give --coverage SHARE if you know it"
    )


def reported_share(venue: Venue, listening: pl.DataFrame, given: float | None) -> tuple[float | None, Note]:
    """The share of all liquidations that is reported, and how that is known."""
    if given is not None:
        return given, note("coverage_given", share=given)
    if venue.name == HYPERLIQUID and not in_part(listening):
        stated = listening["coverage"].unique().sort().to_list()
        if not stated:
            return 1.0, note("coverage_of_node")
        return 1.0, note("coverage_of_venue", venue=venue.name, word="; ".join(stated))
    words = listening["coverage"].unique().sort().to_list() or [venue.liquidation_stream or "unknown"]
    if EVERY.issuperset(words):
        return 1.0, note("coverage_of_venue", venue=venue.name, word=words[0])
    return None, note("coverage_unknown", words=words)


def check_coverage(share: float) -> None:
    """Raises `BadInput` for a share of liquidations that is not above 0 and at most 1."""
    if not 0 < share <= 1:
        raise BadInput(
            f"--coverage must be above 0 and at most 1, got {share:g}: e.g. 0.3 for three tenths of what is liquidated"
        )


def span_notes(events: int, listening: pl.DataFrame, spans: IntArray, on_chain: bool) -> Iterator[Note]:
    """How many liquidations were seen, in which spans, and how the spans are known."""
    hours = float((spans[:, 1] - spans[:, 0]).sum()) / 3.6e6
    yield note("listened", count=events, hours=hours, spans=len(spans))
    if listening.is_empty() and on_chain:
        yield note("spans_of_exchange", quiet_min=LONGEST_QUIET_MS / 60_000)
    elif listening.is_empty():
        yield note("spans_of_days")
    if not on_chain:
        yield note("venue_prices")
