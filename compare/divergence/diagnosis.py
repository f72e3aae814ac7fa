"""What is wrong with a map, where one simple change would explain most of its distance from the truth.

Tried are: its sides exchanged, all distances from the mark multiplied (a leverage that is assumed too high puts
liquidations too near by about as much), and all prices moved (a map of another moment, or centred on another price).
Beside them single clusters: that only the map has, that it makes too large, that it lacks, and that are one
holder's. Nothing is said of a change that gains less than the truth's own noise, or less than what is not read of the
truth could undo.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from liqtruth.compare.divergence.assignment import ClusterPair, Zone
from liqtruth.compare.statistics.distances import log_distance
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.notes import Note, Notes, note

FACTORS: Final = np.geomspace(0.2, 5.0, 65)
SHIFTS_PCT: Final = np.linspace(-8.0, 8.0, 65)
LEAST_FACTOR: Final = 1.2
LEAST_SHIFT_PCT: Final = 0.5
SAME_SHIFT: Final = 0.25
"""A map is centred where a price is whose distance from the mark is its shift up to this part of it."""
LEAST_GAIN: Final = 0.4
"""Share of the distance that a change must take away, before it is called an explanation."""
LEAST_GAIN_PCT: Final = 0.3
FLOORS: Final = 1.5
"""And so much of price, or so many noise floors of the truth where that is more."""
LARGE_SHARE: Final = 0.10
"""Of its side: single clusters from here on are named."""
MINOR: Final = 0.2
"""A cluster is a phantom where the truth has less than this part of its share within it."""
HEAVY: Final = 2.0
"""Times the truth's share, and `HEAVY_SHARE` more of its side: what a map has beyond both in one cluster is named."""
HEAVY_SHARE: Final = 0.15
ONE_HOLDER: Final = 0.5
POINTS: Final = 500
AS_IT_IS: Final = (1.0, 0.0)
"""Factor of distances, and move in log price."""
MISSED: Final = ("missed_cluster", "missed_holder")

Shares = Sequence[FloatArray | None]
"""Cumulative shares of longs and of shorts; null where a side is empty."""


@dataclass(frozen=True)
class _Change:
    """`off_pct` is W1, mean of the sides, after it; `value` a factor or a shift in percent."""

    code: str
    value: float
    off_pct: float

    @property
    def shape(self) -> tuple[float, float]:
        """Factor of distances (-1 exchanges the sides), and move in log price."""
        return _shape(self.code, self.value)


def diagnose(
    truth: Heatmap,
    model: Heatmap,
    range_pct: float,
    floor_pct: float | None,
    pairs: Sequence[ClusterPair] = (),
    layer: Heatmap | None = None,
    of_holders: Sequence[ClusterPair] = (),
) -> Notes:
    """The one change that explains most, where any does, then single clusters of `pairs`.

    `layer` is what the model is judged by, where that is not the whole truth; `floor_pct` is its noise floor. `pairs`
    are of it, `of_holders` those of the whole truth, of which only what is a single holder's is named.
    """
    wanted, part = _Axis.of(layer or truth).shares(range_pct), _Axis.of(model)
    off_pct = _off_one(wanted, part.shares(range_pct), range_pct)
    found: list[Note] = []
    if off_pct is not None:
        best = min(_changes(part, wanted, range_pct), key=lambda one: one.off_pct, default=None)
        if best is not None and _explains(*_at_least(truth, wanted, part, best, range_pct), floor_pct):
            found.append(note(best.code, value=best.value, off_pct=off_pct, then_pct=best.off_pct))
    held = (one for one in _clusters(truth, model, of_holders) if one.code == "missed_holder")
    return (*found, *_clusters(layer or truth, model, pairs), *held)


def on_mean(found: Notes, means: Sequence[Note]) -> Notes:
    """The findings, where a map that fits best moved seems to be centred on one of these mean prices, which are notes
    of baselines that are (`opened_at_mean`): as far from the mark as the move is, the other way."""
    return tuple(_on_mean(one, means) if one.code == "looks_moved" else one for one in found)


def _on_mean(moved: Note, means: Sequence[Note]) -> Note:
    shift_pct = moved.values["value"]
    for mean in means:
        back_pct = 100 * (1 / (1 + mean.values["away"]) - 1)
        if abs(back_pct) >= LEAST_SHIFT_PCT and abs(shift_pct - back_pct) <= max(
            LEAST_SHIFT_PCT, SAME_SHIFT * abs(back_pct)
        ):
            about = {name: mean.values[name] for name in ("px", "window_s", "away")}
            return note("looks_centred_on_mean", **moved.values, **about)
    return moved


def _at_least(
    truth: Heatmap, wanted: Shares, model: "_Axis", change: "_Change", range_pct: float
) -> tuple[float, float]:
    """W1 before and after the change, were all that is not read of the truth where it suits the map best."""
    unread = [_unseen(truth, side) for side in SIDES]
    shapes = np.array([AS_IT_IS, change.shape])
    found = _off(wanted, model.shares(range_pct, shapes), range_pct, unread)
    return (0.0, 0.0) if found is None else (float(found[0]), float(found[1]))


def by_maps(diagnoses: Mapping[str, Notes]) -> list[tuple[str, Note]]:
    """Each finding with the labels of its maps; what several maps miss is one finding."""
    labels: dict[Note, list[str]] = {}
    missed: dict[tuple[str, float], Note] = {}
    for label, notes in diagnoses.items():
        for one in notes:
            if one.code in MISSED:
                one = missed.setdefault((one.values["side"], one.values["px"]), one)
            labels.setdefault(one, []).append(label)
    return [
        (", ".join(whose), _of_several(one) if len(whose) > 1 and one.code in MISSED else one)
        for one, whose in labels.items()
    ]


def _of_several(missed: Note) -> Note:
    """Without what each map has there."""
    values = {name: missed.values.get(name) for name in ("side", "px", "share", "holder")}
    return note("missed_by_several", **values)


def _explains(off_pct: float, then_pct: float, floor_pct: float | None) -> bool:
    gain = off_pct - then_pct
    return gain >= max(LEAST_GAIN_PCT, FLOORS * (floor_pct or 0.0)) and gain >= LEAST_GAIN * off_pct


@dataclass(frozen=True, eq=False)
class _Axis:
    """A map's cumulative mass from its lowest price up, by signed log distance from its mark."""

    at: FloatArray
    mass_usd: FloatArray

    @classmethod
    def of(cls, heatmap: Heatmap) -> "_Axis":
        middle = heatmap.grid.bins_each_way
        at = np.arange(-middle, middle + 1, dtype=np.float64) * heatmap.grid.log_width
        return cls(at, np.concatenate([[0.0], np.cumsum(heatmap.long_usd + heatmap.short_usd)]))

    def shares(self, range_pct: float, shapes: FloatArray | None = None) -> list[FloatArray | None]:
        """Cumulative share of each side from the mark outward, at `POINTS` log distances up to the range, for each row
        of `shapes` (factor, move), by default the map as it is: shape (rows, points); null where the side is empty in
        all of them, NaN where it is in one."""
        factor, move = np.hsplit(np.array([AS_IT_IS]) if shapes is None else shapes, 2)
        start = np.interp(-move / factor, self.at, self.mass_usd)
        found: list[FloatArray | None] = []
        for side, sign in zip(SIDES, (-1.0, 1.0), strict=True):
            at = np.linspace(0.0, float(log_distance(range_pct, side)), POINTS)
            mass = np.abs(np.interp((sign * at - move) / factor, self.at, self.mass_usd) - start)
            whole = mass[:, -1:]
            found.append(mass / np.where(whole > 0, whole, np.nan) if whole.any() else None)
        return found


def _off(
    wanted: Shares, shares: Shares, range_pct: float, unread: Sequence[float] = (0.0, 0.0)
) -> FloatArray | None:
    """W1 of each row of shares, mean of the sides, in percent of price; null where a side of either is empty, as the
    score itself is, and NaN where it is in one row.

    With shares of the sides `unread`, the least that it can be, wherever those are.
    """
    found = []
    for side, truth, other, rest in zip(SIDES, wanted, shares, unread, strict=True):
        if truth is None or other is None:
            return None
        least = (1 - rest) * truth
        gap = np.maximum(np.maximum(least - other, other - least - rest), 0.0)
        found.append(100 * float(log_distance(range_pct, side)) * gap.mean(axis=1))
    return np.asarray((found[0] + found[1]) / 2, dtype=np.float64)


def _off_one(wanted: Shares, shares: Shares, range_pct: float) -> float | None:
    found = _off(wanted, shares, range_pct)
    return None if found is None or np.isnan(found[0]) else float(found[0])


def _shape(code: str, value: float) -> tuple[float, float]:
    """As `_Axis.shares` takes it."""
    if code == "looks_mirrored":
        return -1.0, 0.0
    return (value, 0.0) if code == "looks_scaled" else (1.0, float(np.log1p(value / 100)))


TRIED: Final = (
    ("looks_mirrored", 0.0),
    *(("looks_scaled", float(one)) for one in FACTORS if abs(np.log(one)) >= np.log(LEAST_FACTOR)),
    *(("looks_moved", float(one)) for one in SHIFTS_PCT if abs(one) >= LEAST_SHIFT_PCT),
)
SHAPES: Final = np.array([_shape(*one) for one in TRIED])


def _changes(model: _Axis, wanted: Shares, range_pct: float) -> Iterator[_Change]:
    found = _off(wanted, model.shares(range_pct, SHAPES), range_pct)
    if found is not None:
        for (code, value), off_pct in zip(TRIED, found.tolist(), strict=True):
            if not np.isnan(off_pct):
                yield _Change(code, value, off_pct)


def _clusters(truth: Heatmap, model: Heatmap, pairs: Sequence[ClusterPair]) -> Iterator[Note]:
    """Large clusters that one map has alone; one that the map misses may be a single holder's."""
    for pair in pairs:
        if pair.fate == "phantom" and pair.model is not None:
            yield from _alone("phantom_cluster", pair.side, pair.model, model, truth)
        elif pair.fate == "missed" and pair.truth is not None:
            holder = pair.truth.largest_holder_share
            code = "missed_holder" if holder is not None and holder >= ONE_HOLDER else "missed_cluster"
            yield from _alone(code, pair.side, pair.truth, truth, model)
        elif pair.model is not None and pair.truth is not None:
            yield from _too_heavy(pair.side, pair.model, pair.truth, model, truth)


def _alone(code: str, side: str, zone: Zone, own: Heatmap, other: Heatmap) -> Iterator[Note]:
    beside = _share_between(other, side, zone.low_px / own.mark_px, zone.high_px / own.mark_px)
    unseen = _unseen(other, side) if code == "phantom_cluster" else 0.0
    if beside * (1 - unseen) + unseen >= zone.share_of_side:
        return  # what was not read of the truth may all lie there
    if zone.share_of_side >= LARGE_SHARE and beside < MINOR * zone.share_of_side:
        values = {"side": side, "px": zone.peak_px, "share": zone.share_of_side, "beside": beside}
        held = {"holder": zone.largest_holder_share} if code == "missed_holder" else {}
        yield note(code, **values, **held)


def _too_heavy(side: str, zone: Zone, wanted: Zone, model: Heatmap, truth: Heatmap) -> Iterator[Note]:
    """Where both maps have a cluster, and the model puts far more of its side there than the truth can have."""
    low = min(zone.low_px / model.mark_px, wanted.low_px / truth.mark_px)
    high = max(zone.high_px / model.mark_px, wanted.high_px / truth.mark_px)
    beside, unseen = _share_between(truth, side, low, high), _unseen(truth, side)
    if zone.share_of_side >= max(HEAVY * beside, beside * (1 - unseen) + unseen + HEAVY_SHARE):
        yield note("heavy_cluster", side=side, px=zone.peak_px, share=zone.share_of_side, beside=beside)


def _unseen(truth: Heatmap, side: str) -> float:
    """Share of a side's open interest that the truth lacks; 0 where that is not known."""
    share = truth.coverage.share
    return 0.0 if share is None else float(np.clip(1 - share.of(side), 0.0, 1.0))


def _share_between(heatmap: Heatmap, side: str, low: float, high: float) -> float:
    """Of the side's mass on the grid, between two prices as ratios to the mark."""
    mass = heatmap.long_usd if side == "long" else heatmap.short_usd
    edges = heatmap.grid.edges / heatmap.mark_px
    reached = np.interp([low, high], edges, np.concatenate([[0.0], np.cumsum(mass)]))
    return float((reached[1] - reached[0]) / mass.sum()) if mass.any() else 0.0
