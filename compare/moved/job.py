"""From what is stored to what became of clusters: two moments of one map, and the prices between them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

import numpy as np
import polars as pl

from liqtruth.compare.modelled import modelled_map
from liqtruth.compare.moved.followed import LIQUIDATED, Between, Snapshot, follow
from liqtruth.compare.moved.moved import SCHEMA, Flows, Moved, MovedCluster
from liqtruth.compare.moved.placed import follow_places
from liqtruth.compare.observed.coverage import spans_observed
from liqtruth.compare.observed.price_path import load_path
from liqtruth.estimator.model.maps import TOGETHER
from liqtruth.heatmap.distribution import find_clusters
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.notes import Notes, note
from liqtruth.heatmap.text import utc_text
from liqtruth.indexer.frames import LIQUIDATIONS
from liqtruth.indexer.maps.exact import levels_of, map_of_positions
from liqtruth.indexer.positions.catalogue import check_coin, no_positions
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.indexer.positions.readings import CoinKnown, coin_over_time
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Store

EXACT: Final = "exact"
BACK: Final = timedelta(hours=24)
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
    [first] = coin_over_time(store, plan.coin, [start])
    if first is None:
        raise no_positions(plan.coin, start)
    before = map_of_positions(first.positions, plan.coin, first.market, notes=first.notes)
    if before.as_of >= after.as_of:
        raise BadInput(
            f"two moments must show two readings: nothing of {plan.coin} was read between {utc_text(start)} and "
            f"{utc_text(plan.end or after.as_of)}"
        )
    between, notes = _between(store, before, after)
    recorded = _recorded(store, before, after)
    between = Between(between.low_px, between.high_px, recorded)
    clusters, elsewhere = follow(_snapshot(first, before), _snapshot(last, after), between)
    again = int((last.positions["as_of"] > before.as_of).sum())
    read = note("moved_read", before=first.positions.height, after=last.positions.height, again=again)
    by = note("moved_by_accounts", by_records=recorded is not None)
    return _report(before, after, between, "accounts", (clusters, elsewhere), (by, read, *notes))


def _modelled(store: Store, plan: MovedPlan) -> Moved:
    after = modelled_map(store, plan.coin, plan.venue, plan.model, plan.window, at=plan.end)
    start = plan.start or after.as_of - BACK
    before = modelled_map(store, plan.coin, plan.venue, plan.model, plan.window, at=start)
    between, notes = _between(store, before, after)
    found = follow_places(before, after, between)
    return _report(before, after, between, "place", found, (note("moved_by_place"), *notes))


def _report(
    before: Heatmap,
    after: Heatmap,
    between: Between,
    by: Literal["accounts", "place"],
    found: tuple[tuple[MovedCluster, ...], Flows],
    notes: Notes,
) -> Moved:
    clusters, elsewhere = found
    return Moved(
        schema=SCHEMA,
        coin=after.coin,
        map=after.label,
        synthetic=before.synthetic or after.synthetic,
        before_at=before.as_of,
        after_at=after.as_of,
        before_mark_px=before.mark_px,
        after_mark_px=after.mark_px,
        low_px=between.low_px,
        high_px=between.high_px,
        followed_by=by,
        clusters=clusters,
        elsewhere=elsewhere,
        notes=notes,
    )


def _snapshot(known: CoinKnown, heatmap: Heatmap) -> Snapshot:
    rows = levels_of(known.positions, known.market, known.notes).rows
    return Snapshot(rows.select(*PLACES), heatmap.grid, find_clusters(heatmap))


def _between(store: Store, before: Heatmap, after: Heatmap) -> tuple[Between, Notes]:
    """The range of prices between the moments, both marks among them."""
    venue, marks = after.venue.split(TOGETHER)[0], (before.mark_px, after.mark_px)
    try:
        path = load_path(store, venue, after.coin, before.as_of, after.as_of)
    except NothingStored:
        return Between(min(marks), max(marks)), (note("moved_marks_alone", venue=venue),)
    covered = float((path.end_ms - path.start_ms).sum()) / (
        1000 * (after.as_of - before.as_of).total_seconds()
    )
    low, high = float(min(path.low.min(), *marks)), float(max(path.high.max(), *marks))
    return Between(low, high), (
        note("moved_path", venue=venue, covered=min(covered, 1.0), bar_min=path.bar_ms / 60_000),
        path.prices("reached"),
    )


def _recorded(store: Store, before: Heatmap, after: Heatmap) -> pl.DataFrame | None:
    """Who was liquidated between the moments (`LIQUIDATED`), where liquidations were recorded throughout."""
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
        .select("address", pl.col("side").cast(LIQUIDATED["side"]), liquidated=pl.col("size"))
    )
