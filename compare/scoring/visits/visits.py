"""Whether price comes to the major zones of a map more often than their distance explains.

A zone is visited within a horizon where the later range of prices comes within the tolerance of its peak. Beside the
share that was visited stands the share to be expected of levels as far away on the same side (`Touches`), once by
distance and once by distance in units of the volatility of the three days before, since both zones and prices are
further away in wild weeks. Shares are weighted by the notional of the zones, and plain. Intervals are drawn over blocks
of days as long as the horizon (`day_blocks`), with the chance had anew from the blocks of each draw.

A level at log distance d from the mark is touched within a horizon H where the later range of prices reaches it. Its
chance is the share of other moments s, with |s - t| >= H so that no price is used twice, whose own later range went at
least as far to the same side: P(d) = mean over s of 1[reach_s >= |d|]. It knows distance and drift, not the map.
Moments are counted by block of days, so that the chance can be had again on blocks that were drawn anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from liqtruth.compare.observed.price_path import PricePath
from liqtruth.compare.scoring.visits.major_zones import BoolArray, MajorZones
from liqtruth.compare.statistics.intervals import (
    FEWEST_BLOCKS,
    Estimate,
    blocks_of,
    drawn_blocks,
    ratio_estimate,
)
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.grid import FloatArray, IntArray
from liqtruth.heatmap.levels import SIDES

FEWEST_EVENTFUL: Final = 3
"""Blocks with a visited zone, and with one that was not, seen or to be expected: with fewer, drawing blocks cannot tell
how shares vary."""
HOUR_MS: Final = 3_600_000
HORIZONS_H: Final = (24, 168, 720)
VOLATILITY_BACK_MS: Final = 72 * HOUR_MS
BOTH: Final = "both"
TOLERANCE_PCT: Final = 0.25
DRAWS_AT_ONCE: Final = 100
LEAST_OTHERS: Final = 10
"""A chance that fewer other moments tell is none."""
MOST_AT_ONCE: Final = 4_000_000
"""Levels x moments that are compared at once."""


class Compared(msgspec.Struct, frozen=True):
    """Shares of zones: visited, expected by the null, and the first less the second; null where not known."""

    visited: Estimate | None
    expected: Estimate | None
    difference: Estimate | None


class VisitRow(msgspec.Struct, frozen=True):
    """One horizon and side; `zones` count each moment at which they were on the map, `why` is the reason for nulls."""

    horizon_h: int
    side: str
    moments: int
    zones: int
    blocks: int
    median_distance_pct: float | None
    weighted: Compared
    plain: Compared
    by_volatility: Compared
    why: str


@dataclass(frozen=True, eq=False)
class Touches:
    """Of levels of shape (moments, zones): how many other moments `going` as far (moments, zones, blocks) there are in
    each block, of how many `others` (moments, blocks)."""

    going: FloatArray
    others: FloatArray

    @property
    def chance(self) -> FloatArray:
        """Of each level; NaN where fewer than `LEAST_OTHERS` moments lie a horizon or more away."""
        others = self.others.sum(axis=1)[:, None]
        return np.where(others >= LEAST_OTHERS, self.going.sum(axis=2) / np.maximum(others, 1.0), np.nan)

    def drawn(self, taken: FloatArray) -> FloatArray:
        """The chances (moments, zones, draws) where each block is `taken` (draws, blocks) so often."""
        others = (self.others @ taken.T)[:, None, :]
        chance = (self.going @ taken.T) / np.maximum(others, 1.0)
        return np.where(others > 0, chance, self.chance[..., None])


def reach_after(path: PricePath, times_ms: IntArray, mark_px: FloatArray, horizon_ms: int) -> FloatArray:
    """How far prices went in the `horizon_ms` after each moment, in log price: (2, moments), down then up.

    NaN where prices do not cover the horizon; zero where price only went the other way.
    """
    low, high = path.extremes(times_ms, times_ms + horizon_ms)
    return np.asarray(np.maximum(np.stack([np.log(mark_px / low), np.log(high / mark_px)]), 0.0))


def touches(
    away: FloatArray, reach: FloatArray, times_ms: IntArray, horizon_ms: int, block: IntArray
) -> Touches:
    """Of levels `away` (moments, zones) on one side, given how far prices went after each moment.

    `times_ms` ascend and with them `block`, which leaves out no number. Distances and reaches are in the same unit: log
    price, or either in units of volatility. A moment whose reach is NaN tells nothing, a level that is NaN is not
    reached.
    """
    starts = np.searchsorted(block, np.arange(int(block.max(initial=-1)) + 1))
    if not starts.size:
        return Touches(np.zeros((*away.shape, 0)), np.zeros((len(away), 0)))
    apart = (np.abs(times_ms[:, None] - times_ms) >= horizon_ms) & np.isfinite(reach)
    rows = max(1, MOST_AT_ONCE // (away.shape[1] * times_ms.size))
    parts = []
    for begin in range(0, len(away), rows):
        chosen = slice(begin, begin + rows)
        hits = (reach >= away[chosen, :, None]) & apart[chosen, None, :]
        parts.append(np.add.reduceat(hits, starts, axis=2, dtype=np.float64))
    return Touches(np.concatenate(parts), np.add.reduceat(apart, starts, axis=1, dtype=np.float64))


def score_visits(
    zones: MajorZones,
    path: PricePath,
    *,
    tolerance_pct: float = TOLERANCE_PCT,
    horizons_h: Sequence[int] = HORIZONS_H,
    seed: int = 0,
) -> tuple[VisitRow, ...]:
    """A row per horizon for longs, shorts and both; raises `BadInput` for a tolerance that is no distance.

    Zones that are within the tolerance at the moment itself are left out: nobody has to wait for them.
    """
    if not 0 <= tolerance_pct < 10:
        raise BadInput(f"tolerance {tolerance_pct!r} % is not from 0 up to 10 % of price")
    rows = []
    for horizon_h in horizons_h:
        horizon = Horizon(zones, path, horizon_h, tolerance_pct, seed)
        rows += [
            horizon.row(name, part) for name, part in ((*zip(SIDES, ([0], [1]), strict=True), (BOTH, [0, 1])))
        ]
    return tuple(rows)


def at_the_mark(zones: MajorZones, tolerance_pct: float) -> int:
    """How many zones are left out because the price is within the tolerance of them already."""
    return int((_away(zones, tolerance_pct) <= 0).sum())


def _away(zones: MajorZones, tolerance_pct: float) -> FloatArray:
    """Log distance that price has to go to come within the tolerance of each peak."""
    return np.asarray(np.abs(zones.distance) - np.log1p(tolerance_pct / 100))


class Horizon:
    """All zones of the moments whose later prices are known, of shape (2, moments, top), against one horizon."""

    def __init__(
        self, zones: MajorZones, path: PricePath, horizon_h: int, tolerance_pct: float, seed: int
    ) -> None:
        self.horizon_h, horizon_ms = horizon_h, horizon_h * HOUR_MS
        reach = reach_after(path, zones.times_ms, zones.mark_px, horizon_ms)
        known = np.isfinite(reach[0])
        self.moments = known
        self.zones, reach = zones.at(known), reach[:, known]
        times = self.zones.times_ms
        self.block, self.blocks = blocks_of(times, horizon_ms)
        self.taken = np.concatenate([np.ones((1, self.blocks)), drawn_blocks(self.blocks, seed)])
        away = _away(self.zones, tolerance_pct)
        away[away <= 0] = np.nan
        self.known = np.isfinite(away)
        self.visited = reach[..., None] >= away
        unit = path.volatility(times, VOLATILITY_BACK_MS)
        unit[~(unit > 0)] = np.nan
        self.by_distance = [
            touches(*pair, times, horizon_ms, self.block) for pair in zip(away, reach, strict=True)
        ]
        self.by_volatility = [
            touches(*pair, times, horizon_ms, self.block)
            for pair in zip(away / unit[:, None], reach / unit, strict=True)
        ]

    def row(self, side: str, part: list[int], only: BoolArray | None = None) -> VisitRow:
        """Of one side, or both where `part` has both; of the zones (2, all moments, top) that are `only` true."""
        which = self.known if only is None else self.known & only[:, self.moments]
        known = which[part]
        away = self.zones.away_pct[part][known]
        mass, one = self.zones.mass_usd, np.ones(self.known.shape)
        weighted = self._compared(part, which, self.by_distance, mass)
        moments = int(known.any(axis=(0, 2)).sum())
        return VisitRow(
            horizon_h=self.horizon_h,
            side=side,
            moments=moments,
            zones=int(known.sum()),
            blocks=self.blocks,
            median_distance_pct=float(np.median(away)) if away.size else None,
            weighted=weighted,
            plain=self._compared(part, which, self.by_distance, one),
            by_volatility=self._compared(part, which, self.by_volatility, mass),
            why=self._why(weighted, moments),
        )

    def _compared(
        self, part: list[int], known: BoolArray, null: list[Touches], weight: FloatArray
    ) -> Compared:
        """Over zones whose chance is known; where it is of none, what was visited stands alone."""
        chances = np.stack([each.chance for each in null])
        has_null = bool((known[part] & np.isfinite(chances[part])).any())
        chosen = known & np.isfinite(chances) if has_null else known
        counted = np.where(chosen, weight, 0.0)
        weights, visited = (
            self._drawn((counted * what)[part].sum(axis=0)) for what in (np.ones(chosen.shape), self.visited)
        )
        sure = self._eventful(part, chosen, chances) >= FEWEST_EVENTFUL
        found = ratio_estimate(visited, weights, sure)
        if not has_null:
            return Compared(found, None, None)
        expected = np.sum([self._expected(null[side], counted[side]) for side in part], axis=0)
        rest = (ratio_estimate(sums, weights, sure) for sums in (expected, visited - expected))
        return Compared(found, *rest)

    def _drawn(self, values: FloatArray) -> FloatArray:
        """Sum of `values` (moments, top) as they stand, then per draw of blocks."""
        by_block = np.bincount(self.block, values.sum(axis=1), self.blocks)
        return np.asarray(self.taken @ by_block)

    def _expected(self, null: Touches, weight: FloatArray) -> FloatArray:
        """As `_drawn`, of `weight` times the chances that the same draw of blocks gives."""
        moments = np.flatnonzero(weight.any(axis=1))
        here = Touches(null.going[moments], null.others[moments])
        parts = []
        for begin in range(0, len(self.taken), DRAWS_AT_ONCE):
            taken = self.taken[begin : begin + DRAWS_AT_ONCE]
            by_moment = np.einsum("mz,mzd->md", weight[moments], np.nan_to_num(here.drawn(taken)))
            parts.append((by_moment * taken.T[self.block[moments]]).sum(axis=0))
        return np.concatenate(parts)

    def _eventful(self, part: list[int], chosen: BoolArray, chances: FloatArray) -> float:
        """Blocks in which some zone was visited, or should be; or in which one was not: whichever are fewer."""
        counts = [
            max(
                self._blocks_with(chosen & outcome, part),
                self._blocks_with(np.where(chosen, chance, 0.0), part),
            )
            for outcome, chance in ((self.visited, chances), (~self.visited, 1 - chances))
        ]
        return min(counts)

    def _blocks_with(self, share: FloatArray | BoolArray, part: list[int]) -> float:
        """Sum over blocks of the highest `share` of a zone in it."""
        highest = np.zeros(self.blocks)
        np.maximum.at(highest, self.block, np.nan_to_num(share[part].max(axis=(0, 2))))
        return float(highest.sum())

    def _why(self, found: Compared, moments: int) -> str:
        length = in_days(self.horizon_h)
        if found.visited is None:
            if self.moments.any():
                return f"there is no such zone on a map that has prices for {length} after it"
            return f"no map has prices for {length} after it"
        if found.expected is None:
            return (
                f"history is too short for a chance at {length}: no map has {LEAST_OTHERS} others of the {moments} "
                f"that lie {length} or more from it"
            )
        if found.visited.low is not None:
            return ""
        if self.blocks < FEWEST_BLOCKS:
            return (
                f"there is no interval: {self.blocks} blocks of {length}, at least {FEWEST_BLOCKS} are needed"
            )
        return f"there is no interval: too few of {self.blocks} blocks have zones that were visited, or that were not"


def in_days(horizon_h: int) -> str:
    """`24 h`, `7 d`."""
    return f"{horizon_h} h" if horizon_h < 48 else f"{horizon_h // 24} d"


def visit_sentence(row: VisitRow) -> str:
    """One row in words."""
    who = {"long": "zones of longs", "short": "zones of shorts"}.get(row.side, "major zones")
    visited, by, gap = row.weighted.visited, row.weighted.expected, row.weighted.difference
    if visited is None:
        return f"{in_days(row.horizon_h)}: {row.why}"
    measured = f"{in_days(row.horizon_h)}: {visited.value:.0%} of {who} (by notional) were visited"
    if by is None or gap is None:
        return f"{measured}; {row.why}"
    return f"{measured}, {by.value:.0%} is what their distance explains: {_judged(gap)}"


def _judged(gap: Estimate) -> str:
    if gap.low is None or gap.high is None:
        return "whether that is more than chance is not known, there is too little history"
    if gap.low > 0:
        return "more than distance explains"
    return "less than distance explains" if gap.high < 0 else "no more than chance"
