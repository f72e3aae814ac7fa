"""What became of the clusters of a map between two moments: each with where its mass came from and where it went.

All amounts are at the mark of the later moment, so that a move of price is no flow. Of every cluster, and of what is in
none (`elsewhere`), start + opened + moved in = closed + consumed + moved out + end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import polars as pl

from liqtruth.heatmap.clusters.distribution import Cluster
from liqtruth.heatmap.words.notes import Notes

SCHEMA: Final = "liqtruth.moved/1"
Fate = Literal["born", "grew", "stayed", "shrank", "consumed", "closed", "moved", "faded"]
FATES: Final[tuple[Fate, ...]] = (
    "born", "grew", "stayed", "shrank", "consumed", "closed", "moved", "faded",
)  # fmt: skip
FLOWS: Final = ("start", "opened", "moved_in", "closed", "consumed", "moved_out", "end")
FRAME: Final[Mapping[str, pl.DataType]] = {
    "fate": pl.String(),
    "side": pl.String(),
    "before_px": pl.Float64(),
    "after_px": pl.Float64(),
    **{f"{name}_usd": pl.Float64() for name in FLOWS},
    **{f"{name}_positions": pl.Int64() for name in FLOWS},
}
"""Columns of `Moved.frame`; prices are those of peaks."""
SAME: Final = 0.1
"""A cluster whose mass changed by at most this share has stayed."""


@dataclass(frozen=True)
class Place:
    """Where a cluster is at one moment; the distance is that of its peak from the mark of then."""

    low_px: float
    high_px: float
    peak_px: float
    distance_pct: float


@dataclass(frozen=True)
class Amount:
    """USD at the later mark, and of how many positions; null where a map knows none."""

    usd: float
    positions: int | None = None


@dataclass(frozen=True)
class Flows:
    """What a cluster had, what came, what left and what it has. `consumed` is gone as the price came to it: liquidated,
    or closed just before where liquidations are not recorded (`Moved.notes`). `still_there` is the part of `moved_out`
    that is liquidated within the old zone still, which no longer stands out."""

    start: Amount
    opened: Amount
    moved_in: Amount
    closed: Amount
    consumed: Amount
    moved_out: Amount
    end: Amount
    still_there: Amount


@dataclass(frozen=True)
class MovedCluster:
    """One cluster: `before` is null where it was born, `after` where it is gone.

    `consumed`, `closed`, `moved` and `faded` are clusters that are gone: most of their mass was consumed, was closed,
    is liquidated at another price now, or is there still without standing out."""

    fate: Fate
    side: str
    before: Place | None
    after: Place | None
    flows: Flows

    @property
    def size_usd(self) -> float:
        """The larger of what it had and has."""
        return max(self.flows.start.usd, self.flows.end.usd)


Role = Literal["before", "between", "after"]


@dataclass(frozen=True)
class Taken:
    """What was known at one moment: `ids` of the readings that its positions are of, in the order of time; the first
    and the last of the positions were read at `first_read_at` and `last_read_at`."""

    role: Role
    ids: tuple[str, ...]
    first_read_at: datetime
    last_read_at: datetime
    positions: int


@dataclass(frozen=True)
class Moved:
    """Clusters of one map at two moments, the largest first; `low_px` and `high_px` are between which the price was.

    `followed_by` is `accounts` where positions are known at both moments, else `place`. `readings` are those that
    were taken, the earliest first; of a model, which rests on none, empty."""

    schema: str
    coin: str
    map: str
    synthetic: bool
    before_at: datetime
    after_at: datetime
    before_mark_px: float
    after_mark_px: float
    low_px: float
    high_px: float
    followed_by: Literal["accounts", "place"]
    clusters: tuple[MovedCluster, ...]
    elsewhere: Flows
    notes: Notes
    unit: Literal["usd", "percent", "unknown"] = "usd"
    """Of all amounts: a vendor's map may state none, or be shares."""
    readings: tuple[Taken, ...] = ()

    def of_fate(self, fate: Fate) -> tuple[MovedCluster, ...]:
        return tuple(one for one in self.clusters if one.fate == fate)

    def frame(self) -> pl.DataFrame:
        """A row per cluster, columns `FRAME`; USD at the later mark."""
        return pl.DataFrame([_cells(one) for one in self.clusters], schema=dict(FRAME), orient="row")


def place_of(cluster: Cluster) -> Place:
    return Place(cluster.low_px, cluster.high_px, cluster.peak_px, cluster.peak_pct)


def fate_of(flows: Flows, before: Cluster | None, after: Cluster | None) -> Fate:
    """Of a cluster that is gone, what became of the largest part of it."""
    if before is None:
        return "born"
    if after is not None:
        change = flows.end.usd / flows.start.usd - 1
        return "stayed" if abs(change) <= SAME else "grew" if change > 0 else "shrank"
    parts: tuple[tuple[Fate, float], ...] = (
        ("consumed", flows.consumed.usd),
        ("closed", flows.closed.usd),
        ("moved", flows.moved_out.usd - flows.still_there.usd),
        ("faded", flows.still_there.usd),
    )
    return max(parts, key=lambda part: part[1])[0]


def moved_cluster(flows: Flows, before: Cluster | None, after: Cluster | None) -> MovedCluster:
    known = before or after
    assert known is not None
    then, now = (None if one is None else place_of(one) for one in (before, after))
    return MovedCluster(fate_of(flows, before, after), known.side, then, now, flows)


def largest_first(clusters: Sequence[MovedCluster]) -> tuple[MovedCluster, ...]:
    return tuple(sorted(clusters, key=lambda one: -one.size_usd))


def _cells(one: MovedCluster) -> tuple[object, ...]:
    parts: list[Amount] = [vars(one.flows)[name] for name in FLOWS]
    peaks = (None if at is None else at.peak_px for at in (one.before, one.after))
    return (one.fate, one.side, *peaks, *(part.usd for part in parts), *(part.positions for part in parts))
