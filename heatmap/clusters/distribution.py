"""Where a map's mass lies: by distance from the mark, in bands, and in clusters; and all of that about one map.

Distances are read off the cumulative curve, so that they do not depend on the bins. A cluster is a contiguous price
zone where one side's liquidations stand out from what surrounds them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from liqtruth.heatmap.clusters.smoothing import gaussian, peaks
from liqtruth.heatmap.grid import FloatArray, IntArray
from liqtruth.heatmap.heatmap import Heatmap

BANDS: Final = (0.0, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0)
"""Bounds of the distance bands, percent of the mark."""
SMOOTHING_PCT: Final = 0.3
"""Standard deviation of the Gaussian that the map is smoothed with before peaks are sought, percent of price."""
PROMINENCE: Final = 0.10
"""A peak counts when it rises by this share of the side's highest peak above the valleys beside it."""
FLANK: Final = 0.10
"""A zone ends where the smoothed map has fallen to this share of its peak, or in the valley to the next zone."""
SIDES: Final = ("long", "short")
ROUNDED: Final = 1e-6
WITHIN_PCT: Final = (2.0, 5.0, 10.0)
"""Distances from the mark within which longs and shorts are weighed against each other."""


def mass_within(heatmap: Heatmap, distance_pct: ArrayLike, side: str) -> FloatArray:
    """Mass (USD) that a move of each distance (percent of the mark) liquidates on one side.

    Inside a bin the curve is linear in log price; past the grid it stays at the in-grid mass.
    """
    ratio = np.asarray(distance_pct, dtype=np.float64) / 100
    grid, middle = heatmap.grid, heatmap.grid.bins_each_way
    curve = heatmap.cumulative()
    steps = np.arange(grid.bins_each_way + 1)
    if side == "long":
        with np.errstate(divide="ignore"):
            moved = -np.log1p(-np.minimum(ratio, 1.0)) / grid.log_width
        return np.asarray(np.interp(moved, steps, curve[middle::-1]), dtype=np.float64)
    return np.asarray(np.interp(np.log1p(ratio) / grid.log_width, steps, curve[middle:]), dtype=np.float64)


def nearest_mass_pct(heatmap: Heatmap) -> tuple[float | None, float | None]:
    """Distance (percent) from the mark to the near edge of the first bin with mass: long, short; null if none."""
    grid, middle = heatmap.grid, heatmap.grid.bins_each_way
    below = np.flatnonzero(heatmap.long_usd[:middle])
    above = np.flatnonzero(heatmap.short_usd[middle:])
    long_pct = float(100 * (1 - grid.edges[below[-1] + 1] / grid.mark_px)) if below.size else None
    short_pct = float(100 * (grid.edges[middle + above[0]] / grid.mark_px - 1)) if above.size else None
    return long_pct, short_pct


@dataclass(frozen=True)
class Cluster:
    """One zone; distances are from the mark, positive away from it. Counts are null where the map does not know."""

    side: Literal["long", "short"]
    low_px: float
    high_px: float
    peak_px: float
    mass_usd: float
    share_of_side: float
    near_pct: float
    peak_pct: float
    positions: int | None
    largest_holder_share: float | None


def find_clusters(
    heatmap: Heatmap, *, smoothing_pct: float = SMOOTHING_PCT, prominence: float = PROMINENCE
) -> list[Cluster]:
    """Zones of both sides, heaviest first; empty where the grid holds no mass."""
    middle = heatmap.grid.bins_each_way
    found = []
    sides: tuple[tuple[Literal["long", "short"], FloatArray, int], ...] = (
        ("long", heatmap.long_usd[:middle], 0),
        ("short", heatmap.short_usd[middle:], middle),
    )
    for side, mass, offset in sides:
        for low, peak, high in _zones(mass, smoothing_pct / 100 / heatmap.grid.log_width, prominence):
            found.append(_cluster(heatmap, side, mass, offset, low, peak, high))
    return sorted(found, key=lambda cluster: -cluster.mass_usd)


def nearest(clusters: Sequence[Cluster], side: str) -> Cluster | None:
    """The cluster of one side whose peak is nearest to the mark."""
    return min((c for c in clusters if c.side == side), key=lambda c: c.peak_pct, default=None)


def largest(clusters: Sequence[Cluster], side: str) -> Cluster | None:
    """The heaviest cluster of one side."""
    return max((c for c in clusters if c.side == side), key=lambda c: c.mass_usd, default=None)


@dataclass(frozen=True)
class Balance:
    """What a move of `within_pct` percent liquidates on either side; null where the map has no prices so far away.

    `net_usd` is long minus short, `asymmetry` that as a share of both: 1 is all long, -1 all short.
    """

    within_pct: float
    long_usd: float | None
    short_usd: float | None
    net_usd: float | None
    asymmetry: float | None


@dataclass(frozen=True)
class HeaviestBin:
    """The bin of one side with the most mass; of several the nearest to the mark."""

    low_px: float
    high_px: float
    distance_pct: float
    mass_usd: float


@dataclass(frozen=True)
class MapProfile:
    """One map in figures. By side (`long`, `short`) its heaviest bin (max pain), its nearest and its largest cluster,
    null where a side has none; `clusters` are all, heaviest first; `net_usd` is long minus short per bin."""

    balance: tuple[Balance, ...]
    max_pain: Mapping[str, HeaviestBin | None]
    nearest: Mapping[str, Cluster | None]
    largest: Mapping[str, Cluster | None]
    clusters: tuple[Cluster, ...]
    net_usd: tuple[float, ...]


def profile_of(heatmap: Heatmap) -> MapProfile:
    """The figures of a map of any source."""
    found = find_clusters(heatmap)
    return MapProfile(
        balance=tuple(_balance(heatmap, one) for one in WITHIN_PCT),
        max_pain={side: _heaviest_bin(heatmap, side) for side in SIDES},
        nearest={side: nearest(found, side) for side in SIDES},
        largest={side: largest(found, side) for side in SIDES},
        clusters=tuple(found),
        net_usd=tuple(heatmap.net_usd.tolist()),
    )


def _balance(heatmap: Heatmap, within_pct: float) -> Balance:
    low_px, high_px = _known_prices(heatmap)
    moved = heatmap.mark_px * within_pct / 100
    long = float(mass_within(heatmap, within_pct, "long")) if low_px <= heatmap.mark_px - moved else None
    short = float(mass_within(heatmap, within_pct, "short")) if high_px >= heatmap.mark_px + moved else None
    if long is None or short is None:
        return Balance(within_pct, long, short, None, None)
    return Balance(
        within_pct, long, short, long - short, (long - short) / (long + short) if long + short else None
    )


def _known_prices(heatmap: Heatmap) -> tuple[float, float]:
    """The lowest and the highest price of which the map states what is there, within a millionth."""
    edges = heatmap.grid.edges
    low_px, high_px = heatmap.covers or (float(edges[0]), float(edges[-1]))
    return max(low_px, float(edges[0])) * (1 - ROUNDED), min(high_px, float(edges[-1])) * (1 + ROUNDED)


def _heaviest_bin(heatmap: Heatmap, side: str) -> HeaviestBin | None:
    middle, edges, mark_px = heatmap.grid.bins_each_way, heatmap.grid.edges, heatmap.mark_px
    outward = heatmap.long_usd[:middle][::-1] if side == "long" else heatmap.short_usd[middle:]
    if not outward.any():
        return None
    at = int(np.flatnonzero(outward >= outward.max() * (1 - ROUNDED))[0])
    place = middle - 1 - at if side == "long" else middle + at
    away = 100 * abs(float(heatmap.grid.centers[place]) / mark_px - 1)
    return HeaviestBin(float(edges[place]), float(edges[place + 1]), away, float(outward[at]))


def _zones(mass: FloatArray, smoothing_bins: float, prominence: float) -> list[tuple[int, int, int]]:
    """First bin, peak bin and last bin of each zone; zones do not overlap and begin and end with mass."""
    if not mass.any():
        return []
    smooth = gaussian(mass, smoothing_bins)
    padded = np.concatenate([[0.0], smooth, [0.0]])
    tops = peaks(padded, prominence * float(smooth.max())) - 1
    zones = []
    for index, peak in enumerate(tops):
        left = 0 if index == 0 else _valley(smooth, tops[index - 1], peak) + 1
        right = mass.size - 1 if index == tops.size - 1 else _valley(smooth, peak, tops[index + 1])
        zone = _trimmed(mass, smooth, int(left), int(peak), int(right))
        zones += [zone] if zone else []
    return zones


def _valley(smooth: FloatArray, left: int, right: int) -> int:
    return int(left + np.argmin(smooth[left : right + 1]))


def _trimmed(
    mass: FloatArray, smooth: FloatArray, left: int, peak: int, right: int
) -> tuple[int, int, int] | None:
    low_flank = np.flatnonzero(smooth[left : peak + 1] < FLANK * smooth[peak])
    high_flank = np.flatnonzero(smooth[peak : right + 1] < FLANK * smooth[peak])
    low = left + int(low_flank[-1]) + 1 if low_flank.size else left
    high = peak + int(high_flank[0]) - 1 if high_flank.size else right
    filled: IntArray = np.flatnonzero(mass[low : high + 1])
    if not filled.size:
        return None
    low, high = low + int(filled[0]), low + int(filled[-1])
    return low, int(np.clip(peak, low, high)), high


def _cluster(
    heatmap: Heatmap,
    side: Literal["long", "short"],
    mass: FloatArray,
    offset: int,
    low: int,
    peak: int,
    high: int,
) -> Cluster:
    edges, mark_px = heatmap.grid.edges, heatmap.mark_px
    low_px, high_px = float(edges[offset + low]), float(edges[offset + high + 1])
    peak_px = float(heatmap.grid.centers[offset + peak])
    near_px = high_px if side == "long" else low_px
    mass_usd = float(mass[low : high + 1].sum())
    positions, largest_usd = _holders(heatmap, side, offset + low, offset + high)
    return Cluster(
        side=side,
        low_px=low_px,
        high_px=high_px,
        peak_px=peak_px,
        mass_usd=mass_usd,
        share_of_side=mass_usd / float(mass.sum()),
        near_pct=abs(near_px / mark_px - 1) * 100,
        peak_pct=abs(peak_px / mark_px - 1) * 100,
        positions=positions,
        largest_holder_share=None if largest_usd is None else largest_usd / mass_usd,
    )


def _holders(heatmap: Heatmap, side: str, low: int, high: int) -> tuple[int | None, float | None]:
    """Positions and the largest one's notional; an exact map has one level per position, a model and a map of others
    have none."""
    if heatmap.source != "exact" or heatmap.breakdown is None or heatmap.origin is not None:
        return None, None
    rows = heatmap.breakdown.filter((pl.col("side") == side) & pl.col("bin").is_between(low, high))
    largest_usd = rows["largest_usd"].max()
    return int(rows["positions"].sum()), float(largest_usd) if isinstance(largest_usd, float) else None
