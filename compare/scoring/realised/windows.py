"""`Windows`: what maps predicted of the time after each moment, and what happened in it, on one side of the market.

Whether liquidations fall where a map is thick: the range that a window swept is cut into zones, the zones are ranked by
the map's mass inside the window, and events in the top tenth are hits. A tenth is never more than a tenth: of 10 to 19
zones it is one. Where zones tie, each of them is in the top with the same chance, so that a map without information is
hit by as many events as chance has it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from liqtruth.compare.observed.price_path import Ranges
from liqtruth.compare.observed.realised import Realised
from liqtruth.compare.scoring.realised.map_series import SweptUsd
from liqtruth.compare.statistics.intervals import wilson
from liqtruth.heatmap.grid import FloatArray, IntArray

ZONE_LOG: Final = float(np.log1p(25 / 1e4))
"""Width of a zone in log price: 25 bps."""
LEAST_ZONES: Final = 10
LEAST_EVENTS: Final = 10
SAME: Final = 9
"""Digits of a zone's share of its window that count; what is equal in them ties."""


@dataclass(frozen=True, eq=False)
class Windows:
    """Arrays of shape (windows,), by map where there are several.

    Attributes
    ----------
    start_ms : the moment of the map
    move : log price from the mark to the extreme on this side; 0 where the price never went that way
    volatility : of the window
    reported_usd : liquidated notional as the venue reports it
    coverage : share of liquidations that is reported; NaN where unknown
    events : liquidations
    predicted_usd : what each map had between the mark and the extreme
    zoned_events, hits : liquidations inside zones, and how many of them in the top tenth of each map
    """

    start_ms: IntArray
    move: FloatArray
    volatility: FloatArray
    reported_usd: FloatArray
    coverage: FloatArray
    events: FloatArray
    predicted_usd: Mapping[str, FloatArray]
    zoned_events: FloatArray
    hits: Mapping[str, FloatArray]

    @property
    def realised_usd(self) -> FloatArray:
        """Liquidated notional of all, reported or not; NaN where the coverage is unknown."""
        return self.reported_usd / self.coverage


def windows_of(
    moments_ms: IntArray,
    mark_px: FloatArray,
    maps: Mapping[str, SweptUsd],
    ranges: Ranges,
    realised: Realised,
    side: str,
) -> Windows:
    """The windows of one side whose bars are whole, that were observed, and of which every map knows the mark."""
    observed = realised.observed(ranges.from_ms, ranges.until_ms)
    place = np.flatnonzero(ranges.whole & observed & np.isfinite(mark_px))
    mark = mark_px[place]
    if side == "long":
        events, extreme = realised.long, np.minimum(ranges.low[place], mark)
    else:
        events, extreme = realised.short, np.maximum(ranges.high[place], mark)
    first, last = events.within(ranges.from_ms[place], ranges.until_ms[place])
    predicted = {name: swept(side, place, extreme) for name, swept in maps.items()}
    move = np.abs(np.log(extreme / mark))
    zoned, hits = _zoned(events.px, first, last, maps, side, place, mark_px, move)
    return Windows(
        start_ms=moments_ms[place],
        move=move,
        volatility=ranges.volatility[place],
        reported_usd=events.risen_usd[last] - events.risen_usd[first],
        coverage=np.full(place.size, np.nan if realised.coverage is None else realised.coverage),
        events=(last - first).astype(np.float64),
        predicted_usd=predicted,
        zoned_events=zoned,
        hits=hits,
    )


def joined(parts: Sequence[Windows]) -> Windows:
    """Windows one after the other; of the maps, those that all parts have."""
    names = [name for name in parts[0].predicted_usd if all(name in part.predicted_usd for part in parts)]

    def beside(attribute: str) -> FloatArray:
        return np.concatenate([getattr(part, attribute) for part in parts])

    return Windows(
        start_ms=np.concatenate([part.start_ms for part in parts]),
        move=beside("move"),
        volatility=beside("volatility"),
        reported_usd=beside("reported_usd"),
        coverage=beside("coverage"),
        events=beside("events"),
        predicted_usd={name: np.concatenate([part.predicted_usd[name] for part in parts]) for name in names},
        zoned_events=beside("zoned_events"),
        hits={name: np.concatenate([part.hits[name] for part in parts]) for name in names},
    )


def apart(start_ms: IntArray, horizon_ms: int) -> np.ndarray:
    """Windows that share no time with an earlier one that is taken, so that an event counts once.

    Where windows of both sides are joined, those of one moment are taken together.
    """
    taken: list[int] = []
    for moment in np.unique(start_ms).tolist():
        if not taken or moment >= taken[-1] + horizon_ms:
            taken.append(moment)
    return np.isin(start_ms, taken)


class Precision(msgspec.Struct, frozen=True):
    """Share of `events` in the top tenth of zones, its bounds by Wilson, and the share that chance gives."""

    events: int
    hits: float
    chance: float
    share: float
    low: float
    high: float


def precision_of(events: float, hits: float, by_chance: float) -> Precision | None:
    """Null with fewer than `LEAST_EVENTS` events."""
    if events < LEAST_EVENTS:
        return None
    low, high = wilson(hits, events)
    return Precision(round(events), hits, by_chance / events, hits / events, low, high)


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


def place_in_zones(zones: Zones, window: IntArray, away_log: FloatArray) -> IntArray:
    """The zone of each event by its window and its distance from the mark (log price); -1 outside all zones."""
    number = np.floor(away_log / ZONE_LOG + 1e-9)
    inside = (number >= 0) & (number < zones.count[window])
    return np.where(inside, zones.first[window] + np.maximum(number, 0), -1).astype(np.int64)


def _zoned(
    px: FloatArray,
    first: IntArray,
    last: IntArray,
    maps: Mapping[str, SweptUsd],
    side: str,
    moment: IntArray,
    mark_px: FloatArray,
    move: FloatArray,
) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Events in zones per window, and hits per map and window."""
    zones = zones_of(np.where(last > first, move, 0.0))
    count = last - first
    window = np.repeat(np.arange(count.size), count)
    event = np.arange(window.size) - np.repeat(np.cumsum(count) - count, count) + first[window]
    away = np.log(mark_px[moment[window]] / px[event]) * (1 if side == "long" else -1)
    zone = place_in_zones(zones, window, away)
    inside = zone >= 0
    zoned = np.bincount(window[inside], minlength=count.size).astype(np.float64)
    hits = {}
    for name, swept in maps.items():
        chance = top_chance(zones, swept, side, moment, mark_px[moment])
        struck = np.bincount(window[inside], chance[zone[inside]], minlength=count.size)
        hits[name] = struck.astype(np.float64)
    return zoned, hits


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
