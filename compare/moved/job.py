"""From what is stored to what became of clusters: two moments of one map, and the prices between them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal

import numpy as np
import polars as pl

from liqtruth.compare.modelled import modelled_map
from liqtruth.compare.moved.followed import CONSUMED, Between, Snapshot, consumed_between, follow
from liqtruth.compare.moved.moved import SCHEMA, Flows, Moved, MovedCluster, Role, Taken
from liqtruth.compare.moved.placed import follow_places
from liqtruth.compare.observed.coverage import spans_observed
from liqtruth.compare.observed.price_path import MarkPath, load_path
from liqtruth.compare.scoring.visits.major_zones import reading_times
from liqtruth.estimator.model.maps import TOGETHER
from liqtruth.heatmap.clusters.distribution import find_clusters
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.words.notes import Notes, note
from liqtruth.heatmap.words.text import utc_text
from liqtruth.indexer.frames import LIQUIDATIONS
from liqtruth.indexer.maps.exact import PlacedLevels, levels_of, map_of_positions
from liqtruth.indexer.positions.catalogue import check_coin, no_positions
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.indexer.positions.readings import CoinKnown, coin_over_time
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Store

EXACT: Final = "exact"
BACK: Final = timedelta(hours=24)
STEPS: Final = 24
"""Readings between the moments that are looked at, where there are so many."""
NO_END: Final = 2**62
PLACES: Final = ("address", "dex", "side", "szi", "px", "notional_usd")


@dataclass(frozen=True)
class MovedPlan:
    """Which map to follow; `end` is by default the latest moment, `start` a day before it."""

    coin: str
    start: datetime | None = None
    end: datetime | None = None
    model: str = EXACT
    venue: str = "binance"
    window: str = "30d"


def moved_stored(store: Store, plan: MovedPlan) -> Moved:
    """Follow the clusters of a stored exact map by accounts, those of a model by place.

    Raises `BadInput` for moments in the wrong order or of the same reading, `NothingStored` and `MissingData` as the
    makers of the maps do.
    """
    if plan.start and plan.end and plan.start >= plan.end:
        raise BadInput(f"--from must be before --to, got {utc_text(plan.start)} and {utc_text(plan.end)}")
    return _exact(store.view(), plan) if plan.model == EXACT else _modelled(store.view(), plan)


def _exact(store: Store, plan: MovedPlan) -> Moved:
    check_coin(store, plan.coin)
    [last] = coin_over_time(store, plan.coin, [plan.end])
    if last is None:
        raise no_positions(plan.coin, plan.end)
    after = map_of_positions(last.positions, plan.coin, last.market, notes=last.notes)
    start = plan.start or after.as_of - BACK
    between_at = _read_between(store, plan.coin, start, after.as_of)
    first, *others = coin_over_time(store, plan.coin, [start, *between_at])
    if first is None:
        raise no_positions(plan.coin, start)
    before = map_of_positions(first.positions, plan.coin, first.market, notes=first.notes)
    if before.as_of >= after.as_of:
        raise BadInput(
            f"two moments must show two readings: nothing of {plan.coin} was read between {utc_text(start)} and "
            f"{utc_text(plan.end or after.as_of)}"
        )
    prices = Prices.stored(store, before, after)
    readings = [levels_of(one.positions, one.market, one.notes) for one in (first, *others, last) if one]
    recorded = _recorded(store, before, after)
    gone = _gone(readings, prices) if recorded is None else recorded
    found = follow(
        Snapshot(readings[0].rows.select(*PLACES), before.grid, find_clusters(before)),
        Snapshot(readings[-1].rows.select(*PLACES), after.grid, find_clusters(after)),
        Between(*prices.range(), gone),
    )
    again = int((last.positions["as_of"] > before.as_of).sum())
    notes = (
        note("moved_by_accounts", by_records=recorded is not None, readings=len(readings)),
        note("moved_read", before=first.positions.height, after=last.positions.height, again=again),
    )
    taken = [
        _taken(first, "before"),
        *(_taken(one, "between") for one in others if one),
        _taken(last, "after"),
    ]
    return replace(report(before, after, prices, "accounts", found, notes), readings=tuple(taken))


def _taken(known: CoinKnown, role: Role) -> Taken:
    by_id = known.positions.group_by("reading_id").agg(pl.col("as_of").max()).sort("as_of", "reading_id")
    first, last = (known.positions["as_of"].min(), known.positions["as_of"].max())
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    return Taken(role, tuple(by_id["reading_id"]), first, last, known.positions.height)


def _modelled(store: Store, plan: MovedPlan) -> Moved:
    after = modelled_map(store, plan.coin, plan.venue, plan.model, plan.window, at=plan.end)
    start = plan.start or after.as_of - BACK
    before = modelled_map(store, plan.coin, plan.venue, plan.model, plan.window, at=start)
    prices = Prices.stored(store, before, after)
    found = follow_places(before, after, Between(*prices.range()))
    return report(before, after, prices, "place", found, (note("moved_by_place"),))


def report(
    before: Heatmap,
    after: Heatmap,
    prices: "Prices",
    by: Literal["accounts", "place"],
    found: tuple[tuple[MovedCluster, ...], Flows],
    notes: Notes,
) -> Moved:
    """Of what was found of two maps of one kind."""
    clusters, elsewhere = found
    low_px, high_px = prices.range()
    return Moved(
        schema=SCHEMA,
        coin=after.coin,
        map=after.label,
        synthetic=before.synthetic or after.synthetic,
        before_at=before.as_of,
        after_at=after.as_of,
        before_mark_px=before.mark_px,
        after_mark_px=after.mark_px,
        low_px=low_px,
        high_px=high_px,
        followed_by=by,
        clusters=clusters,
        elsewhere=elsewhere,
        unit="usd" if after.origin is None else after.origin.unit,
        notes=(*notes, *prices.notes),
    )


@dataclass(frozen=True, eq=False)
class Prices:
    """Where the price was between two maps: in stored bars, and at marks where there are none."""

    bars: MarkPath | None
    marks: tuple[float, float]
    notes: Notes

    @classmethod
    def stored(cls, store: Store, before: Heatmap, after: Heatmap) -> "Prices":
        venue, marks = after.venue.split(TOGETHER)[0], (before.mark_px, after.mark_px)
        try:
            bars = load_path(store, venue, after.coin, before.as_of, after.as_of)
        except NothingStored:
            return cls(None, marks, (note("moved_marks_alone", venue=venue),))
        covered_s = float((bars.end_ms - bars.start_ms).sum()) / 1000
        share = min(covered_s / (after.as_of - before.as_of).total_seconds(), 1.0)
        about = note("moved_path", venue=venue, covered=share, bar_min=bars.bar_ms / 60_000)
        return cls(bars, marks, (about, bars.prices("reached")))

    def range(self) -> tuple[float, float]:
        """Of all the time, both marks among it."""
        return self.within(0, NO_END, self.marks)

    def within(self, start_ms: int, end_ms: int, marks: tuple[float, float]) -> tuple[float, float]:
        """Of bars that overlap with a span, and of the marks at its ends."""
        low, high = min(marks), max(marks)
        if self.bars is None:
            return low, high
        inside = (self.bars.end_ms > start_ms) & (self.bars.start_ms < end_ms)
        return (
            float(self.bars.low[inside].min(initial=low)),
            float(self.bars.high[inside].max(initial=high)),
        )


def _read_between(store: Store, coin: str, start: datetime, end: datetime) -> list[datetime]:
    """Moments of readings after the start and before the end, at most `STEPS`."""
    if start >= end:
        return []
    times = reading_times(store, coin, start, end, (end - start) / STEPS)
    return [at for at in times if start < at < end]


def _gone(readings: Sequence[PlacedLevels], prices: Prices) -> pl.DataFrame:
    """What is gone at any of the readings after the price came: `CONSUMED`."""

    def between(at: int) -> tuple[float, float]:
        one, other = readings[at], readings[at + 1]
        start_ms, end_ms = (round(1000 * each.as_of.timestamp()) for each in (one, other))
        return prices.within(start_ms, end_ms, (one.mark_px, other.mark_px))

    return consumed_between([one.rows.select(*PLACES) for one in readings], between)


def _recorded(store: Store, before: Heatmap, after: Heatmap) -> pl.DataFrame | None:
    """Who was liquidated between the moments (`CONSUMED`), where liquidations were recorded throughout."""
    start, end = (round(1000 * one.as_of.timestamp()) for one in (before, after))
    spans = spans_observed(store, VENUE, after.coin)
    if not np.any((spans[:, 0] <= start) & (spans[:, 1] >= end)):
        return None
    events = store.lake.read_series(
        "liquidations", VENUE, after.coin, LIQUIDATIONS, before.as_of, after.as_of
    )
    return (
        events.group_by("address", "side")
        .agg(pl.col("size").sum())
        .select("address", pl.col("side").cast(CONSUMED["side"]), consumed=pl.col("size"))
    )
