"""Clusters of two maps, one to one: which agree, which are shifted, which one map misses and which only it has.

Assigned so that the sum of all costs is least. A pair costs its distance, as a share of the farthest that a cluster may
be shifted, and how unlike the shares of their sides are; a cluster alone costs 1, so that two clusters of like size are
taken for one that is shifted, rather than for one missed and one phantom, as long as they are near enough.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from liqtruth.compare.matching.matching import in_range
from liqtruth.compare.statistics.distances import RANGE_PCT
from liqtruth.heatmap.clusters.distribution import Cluster
from liqtruth.heatmap.clusters.facts import AtrClass, is_stacked
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.levels import SIDES

Fate = Literal["agreed", "shifted", "missed", "phantom"]
FATES: Final[tuple[Fate, ...]] = ("agreed", "shifted", "missed", "phantom")
FARTHEST: Final = 5.0
"""Tolerances that a cluster may be shifted by."""
ALONE: Final = 2.0
"""Cost of two clusters that stay alone."""
UNLIKE: Final = 10.0
"""Ratio of shares of their sides beyond which two clusters are never one."""


@dataclass(frozen=True)
class Zone:
    """A cluster of one map; distances are percent of its own mark. `stacked` where another of its side has its peak
    within 2 % of price; `largest_holder_share` is null where the map does not know positions. `distance_atr` is in
    average true ranges of the map's market, null where these are not known, and `atr_class` its class; `windows` are
    those that show it, null where they were not asked for or the map has none."""

    low_px: float
    high_px: float
    peak_px: float
    peak_pct: float
    mass_usd: float
    share_of_side: float
    stacked: bool
    largest_holder_share: float | None
    distance_atr: float | None = None
    atr_class: AtrClass | None = None
    windows: tuple[str, ...] | None = None


@dataclass(frozen=True)
class ClusterPair:
    """A cluster of the truth and the model's that stands for it: `agreed` within the tolerance, `shifted` beyond it,
    `missed` where the model has none, `phantom` where the truth has none. `shift_pct` is positive where the model has
    it farther from the mark. `fate` is null where no layer of the truth may judge it; each cluster is alone then."""

    fate: Fate | None
    side: str
    truth: Zone | None
    model: Zone | None
    shift_pct: float | None = None

    def with_zones(
        self, truth: Callable[[str, Zone], Zone], model: Callable[[str, Zone], Zone]
    ) -> "ClusterPair":
        """Each zone completed by a function of its side."""
        return replace(
            self,
            truth=None if self.truth is None else truth(self.side, self.truth),
            model=None if self.model is None else model(self.side, self.model),
        )

    @property
    def share_of_side(self) -> float:
        """The larger of the two shares."""
        return max(zone.share_of_side for zone in (self.truth, self.model) if zone is not None)


def assign_clusters(
    truth: Sequence[Cluster], model: Sequence[Cluster], tolerance_pct: float, range_pct: float = RANGE_PCT
) -> tuple[ClusterPair, ...]:
    """Every cluster of both maps within the range in exactly one pair, the one with the largest share first."""
    pairs = [
        ClusterPair(
            fate,
            side,
            None if one is None else _zone(one, truth),
            None if other is None else _zone(other, model),
            None if one is None or other is None else other.peak_pct - one.peak_pct,
        )
        for side in SIDES
        for fate, one, other in _of_side(
            [one for one in in_range(truth, range_pct) if one.side == side],
            [one for one in in_range(model, range_pct) if one.side == side],
            tolerance_pct,
        )
    ]
    return tuple(sorted(pairs, key=lambda pair: -pair.share_of_side))


def unjudged(pairs: Sequence[ClusterPair]) -> tuple[ClusterPair, ...]:
    """The clusters of both maps, each alone: where they lie, and not which of them belong together."""
    return tuple(
        ClusterPair(None, pair.side, *zones)
        for pair in pairs
        for zones in ((pair.truth, None), (None, pair.model))
        if any(zones)
    )


def fates_sentence(pairs: Sequence[ClusterPair]) -> str:
    """How many of each fate, and how far the shifted ones are off on average."""
    shifts = [abs(pair.shift_pct) for pair in pairs if pair.fate == "shifted" and pair.shift_pct is not None]
    by = f" (by {float(np.mean(shifts)):.1f} % of price on average)" if shifts else ""
    counts = {fate: sum(pair.fate == fate for pair in pairs) for fate in FATES}
    return (
        f"{counts['agreed']} agreed, {counts['shifted']} shifted{by}, {counts['missed']} missed, "
        f"{counts['phantom']} phantom"
    )


def _of_side(
    truth: Sequence[Cluster], model: Sequence[Cluster], tolerance_pct: float
) -> Iterator[tuple[Fate, Cluster | None, Cluster | None]]:
    partner = _assigned(truth, model, tolerance_pct)
    for at, one in enumerate(truth):
        other = model[partner[at]] if at in partner else None
        near = other is not None and abs(other.peak_pct - one.peak_pct) <= tolerance_pct
        yield "missed" if other is None else "agreed" if near else "shifted", one, other
    for at, one in enumerate(model):
        if at not in partner.values():
            yield "phantom", None, one


def _assigned(truth: Sequence[Cluster], model: Sequence[Cluster], tolerance_pct: float) -> dict[int, int]:
    """Which of the model's stands for which of the truth's."""
    if not truth or not model:
        return {}
    costs = _costs(truth, model, tolerance_pct)
    edges = [
        {int(column): float(row[column]) for column in np.flatnonzero(row < ALONE)} | {len(model) + at: ALONE}
        for at, row in enumerate(costs)
    ]
    return {row: column for row, column in enumerate(cheapest(edges)) if column < len(model)}


def cheapest(edges: Sequence[Mapping[int, float]]) -> list[int]:
    """Column of each row, no column twice, at the least sum of costs; `edges` are the costs of each row's columns.

    Rows join one by one along the shortest path to a free column, costs being lowered by potentials (Jonker and
    Volgenant, 1987). Each row needs a column that no other has. Loading scipy's takes longer than some tens of rows.
    """
    of_row, of_column = [-1] * len(edges), dict[int, int]()
    rows, columns = [0.0] * len(edges), dict[int, float]()
    for start in range(len(edges)):
        row, far, before, settled = start, 0.0, dict[int, int](), dict[int, float]()
        open_to = dict[int, float]()
        while True:
            for column, cost in edges[row].items():
                distance = far + cost - rows[row] - columns.get(column, 0.0)
                if column not in settled and distance < open_to.get(column, np.inf):
                    open_to[column], before[column] = distance, row
            column = min(open_to, key=open_to.__getitem__)
            far = settled[column] = open_to.pop(column)
            if column not in of_column:
                break
            row = of_column[column]
        for one, distance in settled.items():
            columns[one] = columns.get(one, 0.0) - (far - distance)
            if one in of_column:
                rows[of_column[one]] += far - distance
        rows[start] += far
        while column >= 0:
            row = before[column]
            of_column[column], of_row[row], column = row, column, of_row[row]
    return of_row


def _costs(truth: Sequence[Cluster], model: Sequence[Cluster], tolerance_pct: float) -> FloatArray:
    """Infinite where two clusters are too far apart, or too unlike in size, to be one."""
    reach = FARTHEST * tolerance_pct
    peaks, others = (np.array([one.peak_pct for one in maps]) for maps in (truth, model))
    shares, other_shares = (np.array([one.share_of_side for one in maps]) for maps in (truth, model))
    apart = np.abs(peaks[:, None] - others[None, :]) / reach
    unlike = np.abs(np.log(shares[:, None] / other_shares[None, :])) / np.log(UNLIKE)
    return np.where((apart <= 1) & (unlike <= 1), apart + 0.99 * unlike, np.inf)


def _zone(cluster: Cluster, beside: Sequence[Cluster]) -> Zone:
    return Zone(
        low_px=cluster.low_px,
        high_px=cluster.high_px,
        peak_px=cluster.peak_px,
        peak_pct=cluster.peak_pct,
        mass_usd=cluster.mass_usd,
        share_of_side=cluster.share_of_side,
        stacked=is_stacked(cluster, beside),
        largest_holder_share=cluster.largest_holder_share,
    )
