"""Whether liquidations fall where a map is thick: the range that a window swept is cut into zones, the zones are
ranked by the map's mass inside the window, and events in the top tenth are hits.

A tenth is never more than a tenth: of 10 to 19 zones it is one. Where zones tie, each of them is in the top with the
same chance, so that a map without information is hit by as many events as chance has it.
"""

from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from liqtruth.compare.scoring.realised.swept import SweptUsd
from liqtruth.compare.statistics.intervals import wilson
from liqtruth.heatmap.grid import FloatArray, IntArray

ZONE_LOG: Final = float(np.log1p(25 / 1e4))
"""Width of a zone in log price: 25 bps."""
LEAST_ZONES: Final = 10
LEAST_EVENTS: Final = 10
SAME: Final = 9
"""Digits of a zone's share of its window that count; what is equal in them ties."""


class Precision(msgspec.Struct, frozen=True):
    """Share of `events` in the top tenth of zones, its bounds by Wilson, and the share that chance gives."""

    events: int
    hits: float
    chance: float
    share: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Zones:
    """Zones of many windows end to end: `window` and `number` (0 next to the mark) per zone, `first` per window."""

    window: IntArray
    number: IntArray
    first: IntArray
    count: IntArray


def zones_of(swept_log: FloatArray) -> Zones:
    """Zones of windows that swept `swept_log` of log price; a window with fewer than `LEAST_ZONES` has none."""
    whole = np.floor(swept_log / ZONE_LOG + 1e-9).astype(np.int64)
    count = np.where(whole >= LEAST_ZONES, whole, 0)
    first = np.cumsum(count) - count
    window = np.repeat(np.arange(count.size), count)
    return Zones(window, np.arange(window.size) - first[window], first, count)


def top_chance(zones: Zones, swept: SweptUsd, side: str, moment: IntArray, mark_px: FloatArray) -> FloatArray:
    """Per zone: 1 where the map ranks it in the top tenth of its window, 0 where not, between where it ties.

    `moment` is the map's place and `mark_px` its mark, per window.
    """
    away = -ZONE_LOG if side == "long" else ZONE_LOG
    mark, at = mark_px[zones.window], moment[zones.window]
    near, far = (swept(side, at, mark * np.exp(away * (zones.number + edge))) for edge in (0, 1))
    mass = far - near
    whole = np.zeros(zones.count.size)
    np.add.at(whole, zones.window, mass)
    share = np.round(mass / np.maximum(whole[zones.window], np.finfo(float).tiny), SAME)
    return _chances(zones, share)


def _chances(zones: Zones, share: FloatArray) -> FloatArray:
    order = np.lexsort((-share, zones.window))
    window, ordered = zones.window[order], share[order]
    new = np.ones(order.size, dtype=bool)
    new[1:] = (window[1:] != window[:-1]) | (ordered[1:] != ordered[:-1])
    group = np.cumsum(new) - 1
    starts = np.flatnonzero(new)
    before = (starts - zones.first[window[starts]])[group]
    ties = np.diff(np.append(starts, order.size))[group]
    chance = np.empty(order.size)
    chance[order] = np.clip((zones.count[window] // 10 - before) / ties, 0.0, 1.0)
    return chance


def place_in_zones(zones: Zones, window: IntArray, away_log: FloatArray) -> IntArray:
    """The zone of each event by its window and its distance from the mark (log price); -1 outside all zones."""
    number = np.floor(away_log / ZONE_LOG + 1e-9)
    inside = (number >= 0) & (number < zones.count[window])
    return np.where(inside, zones.first[window] + np.maximum(number, 0), -1).astype(np.int64)


def precision_of(events: float, hits: float, by_chance: float) -> Precision | None:
    """Null with fewer than `LEAST_EVENTS` events."""
    if events < LEAST_EVENTS:
        return None
    low, high = wilson(hits, events)
    return Precision(round(events), hits, by_chance / events, hits / events, low, high)
