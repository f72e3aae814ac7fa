"""Which clusters two maps share, beside what chance would find.

Cluster recall flatters: a map full of clusters finds some by luck. So every match stands beside its chance, the share
of the distances from the mark to the end of the range that lie within the tolerance of what was looked for: what a map
would score if its clusters were shuffled over the side.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from liqtruth.compare.statistics.distances import RANGE_PCT, once_per_map
from liqtruth.heatmap.clusters.distribution import Cluster, find_clusters, largest, nearest
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.levels import SIDES

LARGEST: Final = 5
clusters_found: Final = once_per_map(find_clusters)
Role = Literal["nearest", "largest"]


@dataclass(frozen=True)
class ClusterMatch:
    """One cluster of the truth, the model's counterpart in the same role, and whether their peaks agree.

    Distances are percent of each map's own mark. `chance` is that of a cluster put anywhere on the side. `matched` is
    null where no layer of the truth may judge it.
    """

    role: Role
    side: str
    truth_px: float
    truth_pct: float
    truth_usd: float
    model_px: float | None
    model_pct: float | None
    gap_pct: float | None
    matched: bool | None
    chance: float

    @property
    def unjudged(self) -> "ClusterMatch":
        """Where both clusters lie, and not whether they agree."""
        return replace(self, gap_pct=None, matched=None)


@dataclass(frozen=True)
class Recall:
    """Of the largest clusters `of` one map, how many have any cluster of the other map within the tolerance.

    `chance` is the share of the side that the other map's clusters cover, `expected` what luck would find.
    """

    of: Literal["truth", "model"]
    side: str
    wanted: int
    found: int
    chance: float

    @property
    def share(self) -> float | None:
        return self.found / self.wanted if self.wanted else None

    @property
    def expected(self) -> float:
        return self.wanted * self.chance


def clusters_of(whole: Heatmap, part: Heatmap) -> list[Cluster]:
    """Clusters of the whole map, so that what is known of one does not change with the maps beside it; their shares are
    of what each side has in `part`, the map cut to what all maps cover: none of those that lie outside."""
    found = clusters_found(whole)
    if part is whole:
        return found
    (low_px, high_px), sides = part.covers or (0.0, np.inf), part.in_grid_usd
    return [
        replace(
            one,
            share_of_side=min(one.mass_usd / sides.of(one.side), 1.0)
            if low_px <= one.peak_px <= high_px and sides.of(one.side) > 0
            else 0.0,
        )
        for one in found
    ]


def in_range(clusters: Sequence[Cluster], range_pct: float = RANGE_PCT) -> list[Cluster]:
    """The clusters whose peak lies within the scored range, and within what all maps cover."""
    return [cluster for cluster in clusters if cluster.peak_pct <= range_pct and cluster.share_of_side > 0]


def match_clusters(
    truth: Sequence[Cluster], model: Sequence[Cluster], tolerance_pct: float, range_pct: float = RANGE_PCT
) -> list[ClusterMatch]:
    """The nearest and the largest cluster each way of both maps; roles that the truth does not fill are left out."""
    truth, model = in_range(truth, range_pct), in_range(model, range_pct)
    roles: tuple[Role, Role] = ("nearest", "largest")
    found = []
    for side in SIDES:
        for role, pick in zip(roles, (nearest, largest), strict=True):
            wanted = pick(truth, side)
            if wanted is not None:
                found.append(_match(role, wanted, pick(model, side), tolerance_pct, range_pct))
    return found


def recall_clusters(
    truth: Sequence[Cluster], model: Sequence[Cluster], tolerance_pct: float, range_pct: float = RANGE_PCT
) -> list[Recall]:
    """Both ways and both sides: what of the truth's five largest the model has, and what of the model's the truth."""
    maps = in_range(truth, range_pct), in_range(model, range_pct)
    rows = []
    for of, (mine, others) in zip(("truth", "model"), (maps, maps[::-1]), strict=True):
        for side in SIDES:
            wanted = [c.peak_pct for c in _heaviest_first(mine, side)][:LARGEST]
            peaks = [c.peak_pct for c in others if c.side == side]
            found = sum(any(abs(peak - at) <= tolerance_pct for peak in peaks) for at in wanted)
            chance = covered_share(peaks, tolerance_pct, range_pct)
            rows.append(Recall("truth" if of == "truth" else "model", side, len(wanted), found, chance))
    return rows


def covered_share(peaks_pct: Sequence[float], tolerance_pct: float, range_pct: float = RANGE_PCT) -> float:
    """Share of the distances from the mark to the end of the range within the tolerance of any of these peaks."""
    covered, reached = 0.0, 0.0
    for peak in sorted(peaks_pct):
        low = min(max(peak - tolerance_pct, reached), range_pct)
        high = min(max(peak + tolerance_pct, low), range_pct)
        covered += high - low
        reached = high
    return float(np.clip(covered / range_pct, 0.0, 1.0))


def recall_sentence(recall: Recall, label: str) -> str:
    """What was found and what chance would find; `label` is the model's."""
    whose, other = ("the truth", label) if recall.of == "truth" else (label, "the truth")
    return (
        f"largest {recall.side}s of {whose}: {other} has {recall.found} of {recall.wanted} "
        f"(by chance {recall.expected:.1f})"
    )


def _heaviest_first(clusters: Sequence[Cluster], side: str) -> list[Cluster]:
    return sorted((c for c in clusters if c.side == side), key=lambda c: -c.mass_usd)


def _match(
    role: Role, truth: Cluster, model: Cluster | None, tolerance_pct: float, range_pct: float
) -> ClusterMatch:
    gap = None if model is None else abs(model.peak_pct - truth.peak_pct)
    return ClusterMatch(
        role=role,
        side=truth.side,
        truth_px=truth.peak_px,
        truth_pct=truth.peak_pct,
        truth_usd=truth.mass_usd,
        model_px=None if model is None else model.peak_px,
        model_pct=None if model is None else model.peak_pct,
        gap_pct=gap,
        matched=gap is not None and gap <= tolerance_pct,
        chance=covered_share([truth.peak_pct], tolerance_pct, range_pct),
    )
