"""Exact clusters followed by their accounts.

An account's position at both moments, on the same side, is the same position. What of it is gone is consumed where it
is known to have been liquidated or, without such records, where the price came to its liquidation price between two
readings; else it was closed. The more readings there are, the less that closed before the price came counts as
consumed.

Two clusters are one where the coins that the same accounts have in both are at least half of the smaller, and half of
what is left of the earlier; pairs are assigned so that the coins in common are most.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from liqtruth.compare.moved.moved import Amount, Flows, MovedCluster, largest_first, moved_cluster
from liqtruth.heatmap.clusters.distribution import Cluster
from liqtruth.heatmap.clusters.facts import bins_of
from liqtruth.heatmap.grid import FloatArray, IntArray, PriceGrid
from liqtruth.heatmap.levels import SIDE, SIDES, bin_levels

KEY: Final = ("address", "dex", "side")
PLACED: Final[dict[str, pl.DataType]] = {
    "address": pl.String(), "dex": pl.String(), "side": SIDE, "coins": pl.Float64(), "px": pl.Float64(),
    "cluster": pl.Int64(),
}  # fmt: skip
"""Positions with the cluster that they are in; -1 in none."""
CONSUMED: Final[dict[str, pl.DataType]] = {"address": pl.String(), "side": SIDE, "consumed": pl.Float64()}
"""Coins of each account that were consumed between two moments."""
IN_COMMON: Final = 0.5
NONE: Final = -1


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Positions of one moment as levels (`address`, `dex`, `side`, `szi`, `px`), and the clusters of their map."""

    levels: pl.DataFrame
    grid: PriceGrid
    clusters: Sequence[Cluster]

    def placed(self) -> pl.DataFrame:
        """Each position with its cluster: `PLACED`."""
        binned = bin_levels(self.levels, self.grid)
        found = np.full((len(SIDES), self.grid.bins + 1), NONE)
        for number, one in enumerate(self.clusters):
            low, high = bins_of(self.grid, one)
            found[SIDES.index(one.side), low : high + 1] = number
        bins = binned["bin"].fill_null(self.grid.bins).to_numpy()
        inside = np.where((bins >= 0) & (bins < self.grid.bins), bins, self.grid.bins)
        cluster = found[binned["side"].to_physical().to_numpy(), inside]
        return binned.with_columns(
            coins=pl.col("szi").abs(), cluster=pl.Series(cluster, dtype=pl.Int64)
        ).select(pl.col(name).cast(dtype) for name, dtype in PLACED.items())


@dataclass(frozen=True)
class Between:
    """What happened between the moments: the range of prices, and what was consumed of whom (`CONSUMED`; where it is
    null, whatever is gone at a liquidation price within the range)."""

    low_px: float
    high_px: float
    consumed: pl.DataFrame | None = None


def follow(before: Snapshot, after: Snapshot, between: Between) -> tuple[tuple[MovedCluster, ...], Flows]:
    """Every cluster of both moments once, the largest first, and what is in none."""
    mine = _joined(before.placed(), after.placed(), between)
    pairs = _pairs(mine, before.clusters, after.clusters)
    row_before, row_after, rows = _rows(pairs, len(before.clusters), len(after.clusters))
    flows = _flows(mine, row_before, row_after, len(rows), before.clusters, after.grid.mark_px)
    clusters = [
        moved_cluster(
            flows[at],
            None if old is None else before.clusters[old],
            None if new is None else after.clusters[new],
        )
        for at, (old, new) in enumerate(rows)
    ]
    return largest_first(clusters), flows[-1]


def consumed_between(
    readings: Sequence[pl.DataFrame], prices: Callable[[int], tuple[float, float]]
) -> pl.DataFrame:
    """Coins of each account that were gone at a reading after the price had come to their liquidation price since the
    reading before: `CONSUMED`. Readings are levels (`address`, `dex`, `side`, `szi`, `px`) in order of time; `prices`
    gives the lowest and the highest price between a reading and the next by its place."""
    placed = [
        one.select(*KEY, "px", coins=pl.col("szi").abs(), cluster=pl.lit(NONE, pl.Int64)) for one in readings
    ]
    parts = [
        _joined(placed[at], placed[at + 1], Between(*prices(at))).select(*CONSUMED)
        for at in range(len(placed) - 1)
    ]
    return pl.concat(parts).group_by("address", "side").agg(pl.col("consumed").sum())


def _joined(before: pl.DataFrame, after: pl.DataFrame, between: Between) -> pl.DataFrame:
    """Positions of either moment in one row each: coins before and after, kept, lost, and what of that is consumed."""
    both = before.join(after, on=KEY, how="full", coalesce=True, suffix="_after").with_columns(
        pl.col("coins", "coins_after").fill_null(0.0), pl.col("cluster", "cluster_after").fill_null(NONE)
    )
    kept = both.with_columns(kept=pl.min_horizontal("coins", "coins_after")).with_columns(
        lost=pl.col("coins") - pl.col("kept"), opened=pl.col("coins_after") - pl.col("kept")
    )
    if between.consumed is None:
        reached = (
            pl.when(pl.col("side") == "long")
            .then(pl.col("px") >= between.low_px)
            .otherwise(pl.col("px") <= between.high_px)
        )
        return kept.with_columns(consumed=pl.when(reached.fill_null(False)).then("lost").otherwise(0.0))
    known = kept.join(between.consumed, on=["address", "side"], how="left")
    return known.with_columns(consumed=pl.min_horizontal("lost", pl.col("consumed").fill_null(0.0)))


def _pairs(mine: pl.DataFrame, before: Sequence[Cluster], after: Sequence[Cluster]) -> dict[int, int]:
    """Which cluster of after is which of before."""
    if not (before and after):
        return {}
    from scipy.optimize import linear_sum_assignment

    old, new, kept = (mine[name].to_numpy() for name in ("cluster", "cluster_after", "kept"))
    inside = (old >= 0) & (new >= 0)
    common = np.zeros((len(before), len(after)))
    np.add.at(common, (old[inside], new[inside]), kept[inside])
    had, left, has = (
        np.bincount(where[where >= 0], mine[coins].to_numpy()[where >= 0], size)
        for where, coins, size in (
            (old, "coins", len(before)),
            (old, "kept", len(before)),
            (new, "coins_after", len(after)),
        )
    )
    least = np.maximum(np.minimum(had[:, None], has[None, :]), left[:, None])
    enough = common >= IN_COMMON * least
    rows, columns = linear_sum_assignment(np.where(enough, common, 0.0), maximize=True)
    return {int(r): int(c) for r, c in zip(rows, columns, strict=True) if enough[r, c] and common[r, c] > 0}


def _rows(
    pairs: dict[int, int], before: int, after: int
) -> tuple[IntArray, IntArray, list[tuple[int | None, int | None]]]:
    """The row of each cluster of before and of after, the last place being that of no cluster; and who is in each."""
    rows: list[tuple[int | None, int | None]] = [(old, pairs.get(old)) for old in range(before)]
    rows += [(None, new) for new in range(after) if new not in pairs.values()]
    places = np.full(before + 1, len(rows)), np.full(after + 1, len(rows))
    for at, (old, new) in enumerate(rows):
        for place, number in zip(places, (old, new), strict=True):
            if number is not None:
                place[number] = at
    return *places, rows


def _flows(
    mine: pl.DataFrame,
    row_before: IntArray,
    row_after: IntArray,
    rows: int,
    before: Sequence[Cluster],
    mark_px: float,
) -> list[Flows]:
    """Of each row, and last of what is in no cluster."""
    old, new = row_before[mine["cluster"].to_numpy()], row_after[mine["cluster_after"].to_numpy()]
    kept, moves = mine["kept"].to_numpy(), old != new

    def amounts(row: IntArray, coins: FloatArray) -> list[Amount]:
        usd = np.bincount(row, coins, rows + 1) * mark_px
        count = np.bincount(row, coins > 0, rows + 1)
        return [Amount(float(one), int(number)) for one, number in zip(usd, count, strict=True)]

    parts = (
        amounts(old, mine["coins"].to_numpy()),
        amounts(new, mine["opened"].to_numpy()),
        amounts(new, np.where(moves, kept, 0.0)),
        amounts(old, (mine["lost"] - mine["consumed"]).to_numpy()),
        amounts(old, mine["consumed"].to_numpy()),
        amounts(old, np.where(moves, kept, 0.0)),
        amounts(new, mine["coins_after"].to_numpy()),
        amounts(old, np.where(moves & _in_old_zone(mine, before), kept, 0.0)),
    )
    return [Flows(*found) for found in zip(*parts, strict=True)]


def _in_old_zone(mine: pl.DataFrame, before: Sequence[Cluster]) -> FloatArray:
    """Whether a position is liquidated within the zone that it was in."""
    low, high = (
        np.array([*(getattr(one, name) for one in before), np.nan]) for name in ("low_px", "high_px")
    )
    where, px = mine["cluster"].to_numpy(), mine["px_after"].cast(pl.Float64).to_numpy()
    return np.asarray((px >= low[where]) & (px < high[where]))
