"""What price swept on exact maps, step by step.

Each step stands on the last map that was read before it began. From one reading to the next a level is swept once: the
mass of a step is what lies between the furthest price since the reading before the step and that after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from liqtruth.compare.observed.price_path import PricePath
from liqtruth.compare.scoring.realised.swept import swept_by_map
from liqtruth.compare.statistics.intervals import DAY_MS
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.grid import FloatArray, IntArray
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.levels import SIDES
from liqtruth.indexer.maps.exact import STALE_AGE_S


@dataclass(frozen=True, eq=False)
class StepClock:
    """Steps of `step_ms` through whole days (UTC); `start_ms` is of shape (days * per_day,)."""

    start_ms: IntArray
    step_ms: int

    @property
    def per_day(self) -> int:
        return DAY_MS // self.step_ms

    @property
    def end_ms(self) -> IntArray:
        return self.start_ms + self.step_ms

    def by_day(self, values: FloatArray) -> FloatArray:
        """A series of the steps as (..., days, per_day)."""
        return values.reshape(*values.shape[:-1], -1, self.per_day)


@dataclass(frozen=True, eq=False)
class SweptSteps:
    """Longs, then shorts, of shape (2, steps): USD swept, and how far price went to that side of where it came from
    (log price); NaN where prices are lacking or no map was read in the `STALE_AGE_S` before."""

    usd: FloatArray
    move: FloatArray


def step_clock(first_ms: int, last_ms: int, step: timedelta) -> StepClock:
    """All steps of the days from one moment to another; raises `BadInput` for a step that does not divide a day."""
    step_ms = round(step / timedelta(milliseconds=1))
    if not 0 < step_ms <= DAY_MS // 4 or DAY_MS % step_ms:
        raise BadInput(
            f"a step of {step} does not divide a day into four or more: take e.g. --step 15m or 1h"
        )
    first, stop = first_ms // DAY_MS * DAY_MS, -(-last_ms // DAY_MS) * DAY_MS
    return StepClock(np.arange(first, stop, step_ms), step_ms)


def swept_steps(maps: Sequence[Heatmap], path: PricePath, clock: StepClock, own_prices: bool) -> SweptSteps:
    """Sweep `maps` (by time) with the prices of `path`, which are scaled to each map's mark unless they are its own."""
    low, high = path.extremes(clock.start_ms, clock.end_ms)
    came_from = path.middle_at(clock.start_ms)
    usd = np.full((2, clock.start_ms.size), np.nan)
    read_ms = np.array([round(1000 * heatmap.as_of.timestamp()) for heatmap in maps], dtype=np.int64)
    begins = np.searchsorted(clock.start_ms, read_ms)
    stale = np.searchsorted(clock.start_ms, read_ms + round(1000 * STALE_AGE_S), side="right")
    ends = np.minimum(np.append(begins[1:], clock.start_ms.size), stale)
    scales = np.ones(len(maps)) if own_prices else _marks(maps) / path.middle_at(read_ms)
    for heatmap, scale, begin, end in zip(maps, scales, begins, ends, strict=True):
        if end > begin:
            span = slice(int(begin), int(end))
            usd[:, span] = _swept(heatmap, low[span] * scale, high[span] * scale)
    move = np.stack([np.log(came_from / low), np.log(high / came_from)])
    return SweptSteps(usd, np.where(np.isfinite(usd), np.maximum(move, 0.0), np.nan))


def _swept(heatmap: Heatmap, low: FloatArray, high: FloatArray) -> FloatArray:
    """Of the steps of one reading; a step after one without prices is not known either, its share cannot be told."""
    swept = swept_by_map(heatmap)
    known = np.isfinite(low)
    after_known = known & np.append(True, known[:-1])
    rows = []
    for side, extremes, furthest in zip(SIDES, (low, high), (np.fmin, np.fmax), strict=True):
        reached = furthest.accumulate(np.append(heatmap.mark_px, extremes))
        mass = swept(side, np.zeros(reached.size, dtype=np.int64), reached)
        rows.append(np.where(after_known, np.maximum(np.diff(mass), 0.0), np.nan))
    return np.stack(rows)


def _marks(maps: Sequence[Heatmap]) -> FloatArray:
    return np.array([heatmap.mark_px for heatmap in maps])
