"""Visits of major zones by what is said to make them likelier: near in usual moves, shown by all windows, stacked.

A zone's distance in average true ranges is that at its moment. A window shows a zone where a zone of its map has its
peak within the tolerance on the same side: the windows are what was opened in the last 24 h, in the last 7 days, and
all. Beside each group stands what the distance of its own zones explains (`visits`), so that near zones are not better
for being near.

Large moves are asked the other way round: of the moves of 10 % and more within 24 h, how many had a stacked zone on
their way (no further than 10 %), beside how many moments and sides have one whatever came after.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from liqtruth.compare.observed.price_path import PricePath
from liqtruth.compare.scoring.visits.alignment import deviations
from liqtruth.compare.scoring.visits.major_zones import BoolArray, MajorZones
from liqtruth.compare.scoring.visits.visits import (
    BOTH,
    HOUR_MS,
    Horizon,
    VisitRow,
    reach_after,
)
from liqtruth.compare.statistics.intervals import (
    FEWEST_BLOCKS,
    Estimate,
    blocks_of,
    drawn_blocks,
    ratio_estimate,
)
from liqtruth.heatmap.clusters.facts import ATR_BOUNDS, ATR_CLASSES
from liqtruth.heatmap.grid import FloatArray, IntArray

SPLIT_HORIZONS_H: Final = (24, 168)
SAME_PCT: Final = 1.0
"""A window shows a zone where one of its own is at most so many percent of price away."""
MOVE_PCT: Final = 10.0
MOVE_H: Final = 24
ATR, STACKING, CONFLUENCE = "ATR", "stacking", "confluence"
TRIPLE: Final = "3 windows"
STACKED: Final = "stacked"


class GroupRow(msgspec.Struct, frozen=True):
    """Visits of the zones of one group; `by` is what they are grouped by."""

    by: str
    group: str
    visits: VisitRow


class MoveRow(msgspec.Struct, frozen=True):
    """Large moves that had a stacked zone on their way; `moves` counts moments and sides, `days` blocks with any."""

    move_pct: float
    horizon_h: int
    moves: int
    days: int
    share: Estimate | None
    chance: Estimate | None
    difference: Estimate | None
    why: str


@dataclass(frozen=True, eq=False)
class Marks:
    """What is known of zones of shape (2, moments, top): the average true range of each moment in percent (moments,),
    NaN where it is not known, and how many windows show each zone, null where there are none."""

    atr_pct: FloatArray
    windows: IntArray | None = None


def windows_showing(zones: MajorZones, others: Sequence[MajorZones]) -> IntArray:
    """How many windows show each zone, itself among them: (2, moments, top). A window without the moment does not."""
    count = np.ones(zones.distance.shape, dtype=np.int64)
    for other in others:
        place = np.minimum(np.searchsorted(other.times_ms, zones.times_ms), max(other.moments - 1, 0))
        if not other.moments:
            continue
        known = other.times_ms[place] == zones.times_ms
        near = deviations(zones.away_pct, other.at(place).away_pct) <= SAME_PCT
        count += near & known[None, :, None]
    return count


def score_groups(
    zones: MajorZones, path: PricePath, marks: Marks, *, tolerance_pct: float, seed: int = 0
) -> tuple[GroupRow, ...]:
    """A row per group and horizon, both sides together; groups that cannot be told are left out."""
    masks = list(_masks(zones, marks))
    if not masks:
        return ()
    horizons = [Horizon(zones, path, hours, tolerance_pct, seed) for hours in SPLIT_HORIZONS_H]
    return tuple(
        GroupRow(by, name, horizon.row(BOTH, [0, 1], mask))
        for by, name, mask in masks
        for horizon in horizons
    )


def score_moves(zones: MajorZones, path: PricePath, seed: int = 0) -> MoveRow | None:
    """Whether stacked zones stand in the way of large moves more often than of others; null where it is not known which
    are stacked."""
    if zones.stacked is None:
        return None
    reach = reach_after(path, zones.times_ms, zones.mark_px, MOVE_H * HOUR_MS)
    known = np.isfinite(reach[0])
    near: BoolArray = np.asarray(zones.away_pct <= MOVE_PCT)
    on_way = np.asarray((zones.stacked & near).any(axis=2), dtype=np.float64)[:, known]
    moved = _large(reach[:, known])
    block, blocks = blocks_of(zones.times_ms[known], MOVE_H * HOUR_MS)
    taken = np.concatenate([np.ones((1, blocks)), drawn_blocks(blocks, seed)])

    def drawn(values: FloatArray) -> FloatArray:
        return np.asarray(taken @ np.bincount(block, values.sum(axis=0), blocks))

    moves, everything = drawn(moved), drawn(np.ones(moved.shape))
    days = int(np.unique(block[moved.any(axis=0)]).size)
    sure = days >= FEWEST_BLOCKS
    share = ratio_estimate(drawn(moved * on_way), moves, sure)
    chance = ratio_estimate(drawn(on_way), everything, sure)
    gap = ratio_estimate(_gap(drawn(moved * on_way), moves, drawn(on_way), everything), moves, sure)
    why = _why(moved, days)
    return MoveRow(
        MOVE_PCT, MOVE_H, int(moved.sum()), days, share, chance, None if share is None else gap, why
    )


def _large(reach: FloatArray) -> FloatArray:
    """One where price went `MOVE_PCT` down or up: (2, moments)."""
    least = np.array([-np.log1p(-MOVE_PCT / 100), np.log1p(MOVE_PCT / 100)])
    return np.asarray(reach >= least[:, None], dtype=np.float64)


def _gap(hits: FloatArray, moves: FloatArray, near: FloatArray, everything: FloatArray) -> FloatArray:
    """Sums whose ratio to `moves` is the share of hits less that of all."""
    return np.asarray(hits - moves * near / np.maximum(everything, 1.0))


def _why(moved: FloatArray, days: int) -> str:
    if not moved.size:
        return f"no map has prices for {MOVE_H} h after it"
    if days < FEWEST_BLOCKS:
        return f"price moved {MOVE_PCT:g} % within {MOVE_H} h on {days} days, at least {FEWEST_BLOCKS} are needed"
    return ""


def _masks(zones: MajorZones, marks: Marks) -> Iterator[tuple[str, str, BoolArray]]:
    """What zones are grouped by, the group, and which are in it."""
    away = zones.away_pct / marks.atr_pct[None, :, None]
    near, far = ATR_BOUNDS
    if np.isfinite(away).any():
        for name, mask in zip(
            ATR_CLASSES, (away < near, (away >= near) & (away <= far), away > far), strict=True
        ):
            yield ATR, f"{name} ATR", mask
    if zones.stacked is not None:
        yield STACKING, "isolated", ~zones.stacked
        yield STACKING, STACKED, zones.stacked
    if marks.windows is not None:
        for count in (1, 2, 3):
            yield (
                CONFLUENCE,
                TRIPLE if count == 3 else f"{count} window{'s' if count > 1 else ''}",
                marks.windows == count,
            )
