"""Modelled clusters followed by their place: a map that knows no accounts shows what is where, and nothing of who."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from liqtruth.compare.matching.assignment import FARTHEST, assign_clusters
from liqtruth.compare.moved.followed import Between
from liqtruth.compare.moved.moved import Amount, Flows, MovedCluster, largest_first, moved_cluster
from liqtruth.heatmap.clusters.distribution import Cluster, find_clusters
from liqtruth.heatmap.clusters.facts import bins_of
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.levels import SIDES

SAME_PLACE_PCT: Final = 1.0
"""Peaks at most so many percent of price apart may be one cluster."""
NOTHING: Final = Amount(0.0)


def follow_places(
    before: Heatmap, after: Heatmap, between: Between
) -> tuple[tuple[MovedCluster, ...], Flows]:
    """Every cluster of both maps once, the largest first, and what is in none.

    Only net changes are known: what a cluster lost is consumed as far as the price reached it, else closed."""
    old, new = find_clusters(before), find_clusters(after)
    of_shares = after.origin is not None and after.origin.unit == "percent"
    scale = 1.0 if of_shares else after.mark_px / before.mark_px
    found = []
    for one, other in _paired(old, new, before.mark_px):
        start = 0.0 if one is None else scale * one.mass_usd
        end = 0.0 if other is None else other.mass_usd
        reached = 0.0 if one is None else scale * _reached_usd(before, one, between)
        found.append(moved_cluster(_net(start, end, reached), one, other))
    return largest_first(found), _elsewhere(before, after, old, new, scale)


def _net(start: float, end: float, reached: float) -> Flows:
    lost = max(start - end, 0.0)
    consumed = min(lost, reached)
    return Flows(
        Amount(start), Amount(max(end - start, 0.0)), NOTHING, Amount(lost - consumed), Amount(consumed), NOTHING,
        Amount(end), NOTHING,
    )  # fmt: skip


def _paired(
    old: Sequence[Cluster], new: Sequence[Cluster], mark_px: float
) -> list[tuple[Cluster | None, Cluster | None]]:
    """One to one by price: distances of both are taken from the earlier mark."""
    then: dict[tuple[str, float], Cluster] = {(one.side, one.peak_px): one for one in old}
    now: dict[tuple[str, float], Cluster] = {(one.side, one.peak_px): one for one in new}
    moved = [replace(one, peak_pct=_away(one, mark_px)) for one in new]
    pairs = assign_clusters(old, moved, SAME_PLACE_PCT / FARTHEST, np.inf)
    return [
        (
            None if pair.truth is None else then[pair.side, pair.truth.peak_px],
            None if pair.model is None else now[pair.side, pair.model.peak_px],
        )
        for pair in pairs
    ]


def _away(cluster: Cluster, mark_px: float) -> float:
    """Percent of the mark, positive away from it on the cluster's side."""
    return 100 * (cluster.peak_px / mark_px - 1) * (-1 if cluster.side == "long" else 1)


def _reached_usd(heatmap: Heatmap, cluster: Cluster, between: Between) -> float:
    """Mass of a cluster at prices that were reached."""
    low, high = bins_of(heatmap.grid, cluster)
    chosen, px = slice(low, high + 1), heatmap.grid.centers[low : high + 1]
    if cluster.side == "long":
        return float(heatmap.long_usd[chosen][px >= between.low_px].sum())
    return float(heatmap.short_usd[chosen][px <= between.high_px].sum())


def _elsewhere(
    before: Heatmap, after: Heatmap, old: Sequence[Cluster], new: Sequence[Cluster], scale: float
) -> Flows:
    start, end = (
        max(0.0, sum(one.total_usd.of(side) for side in SIDES) - sum(each.mass_usd for each in clusters))
        for one, clusters in ((before, old), (after, new))
    )
    return _net(scale * start, end, 0.0)
