"""What is wrong with a map, where one simple change would explain most of its distance from the truth.

Tried are: its sides exchanged, all distances from the mark multiplied (a leverage that is assumed too high puts
liquidations too near by about as much), and all prices moved (a map of another moment, or centred on another price).
Beside them single clusters: that only the map has, that it makes too large, that it lacks, and that are one
holder's. Nothing is said of a change that gains less than the truth's own noise, or less than what is not read of the
truth could undo, unless it takes away nearly all there is. A map of a vendor is held against the models of its venue
too, whose leverages may be others, but neither their sides nor their prices: that needs no truth. Where an exchange or
a move would fit about as well as the map does, it is stated that it cannot be told.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqtruth.compare.diagnosis.venues import ALL
from liqtruth.compare.imported.overlap import pair
from liqtruth.compare.matching.assignment import ClusterPair, Zone
from liqtruth.compare.statistics.changes import (
    AS_IT_IS,
    LEAST_FACTOR,
    LEAST_SHIFT_PCT,
    MOVES_PCT,
    Change,
    Fits,
    Shape,
    least_pct,
)
from liqtruth.estimator.model.maps import TOGETHER
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.heatmap import UNKNOWN_VENUE, Heatmap
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.words.notes import Note, Notes, note

SAME_SHIFT: Final = 0.25
"""A map is centred where a price is whose distance from the mark is its shift up to this part of it."""
LEAST_GAIN: Final = 0.4
"""Share of the distance that a change must take away, before it is called an explanation."""
LEAST_GAIN_PCT: Final = 0.3
LEAST_MIRRORED: Final = 0.3
"""The same of an exchange of the sides, of which there is only one."""
NEARLY_ALL: Final = 0.7
"""A change that takes away so much is the explanation, however large the noise is."""
LEAST_UNTOLD_PCT: Final = 2.0
"""Moves that differ by less than this are told apart well enough."""
LEAST_DISTANCE_PCT: Final = 0.1
"""Of price; nothing is explained of a map that is so near."""
FLOORS: Final = 1.5
"""And so much of price, or so many noise floors of the truth where that is more."""
MOST_LEFT: Final = 2.5
"""An exchange or a move that leaves more noise floors than this is no explanation: the map is another one anyway."""
MOST_FACTOR: Final = 1.6
"""A move is named where distances are multiplied by at most this factor beside it: with more, any two maps fit."""
LARGE_SHARE: Final = 0.10
"""Of its side: single clusters from here on are named."""
MINOR: Final = 0.2
"""A cluster is a phantom where the truth has less than this part of its share within it."""
HEAVY: Final = 2.0
"""Times the truth's share, and `HEAVY_SHARE` more of its side: what a map has beyond both in one cluster is named."""
HEAVY_SHARE: Final = 0.15
ONE_HOLDER: Final = 0.5
UNTOLD: Final = frozenset({"untold", "venue_untold"})
"""Codes of the notes on what cannot be told: nothing that is wrong."""
CHANGED: Final = frozenset({"looks_mirrored", "looks_moved", "looks_centred_on_mean", "looks_one_of"})
"""Codes of the notes that name another change than a leverage."""
MISSED: Final = ("missed_cluster", "missed_holder")


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
    are of it, `of_holders` those of the whole truth, of which only what is a single holder's is named. A map that
    fits the whole truth, as it is, better than any leverage fits the layer lacks no change: it has the whales.
    """
    wanted, unread = layer or truth, [_unseen(truth, side) for side in SIDES]
    fits = Fits.of(wanted, model, range_pct)
    whole = None if layer is None or any(unread) else Fits.of(truth, model, range_pct)
    found = _nearly_all(whole) or _other_leverage(whole)
    if fits is not None:
        if whole is None or whole.as_it_is_pct > fits.scaled.off_pct:
            found = found or _explained(fits, wanted, model, range_pct, floor_pct, unread)
        found = (*found, *_untold(fits, floor_pct, found))
    held = (one for one in _clusters(truth, model, of_holders) if one.code == "missed_holder")
    single = _clusters(wanted, model, pairs)
    return (*found, *(single if layer is None else map(_of_crowd, single)), *held)


def _of_crowd(single: Note) -> Note:
    """The shares beside it are the crowd's."""
    return note(single.code, **single.values, of_crowd=True)


def _explained(
    fits: Fits,
    wanted: Heatmap,
    model: Heatmap,
    range_pct: float,
    floor_pct: float | None,
    unread: Sequence[float],
) -> Notes:
    """The change that explains most of the distance: alone, or of what another leverage leaves of it."""

    def explains(change: Change, before: Shape, off_pct: float, least: float) -> bool:
        if not _is_sane(change):
            return False
        if not any(unread) and _is_nearly_all(off_pct, change.off_pct):
            return True
        if change.code != "looks_scaled" and floor_pct and change.off_pct > MOST_LEFT * floor_pct:
            return False
        off, then = least_pct(wanted, model, range_pct, [before, change.shape], unread).tolist()
        return _is_gain(off, then, floor_pct, least)

    alone = fits.single if explains(fits.single, AS_IT_IS, fits.as_it_is_pct, LEAST_GAIN) else None
    if alone is not None and alone.code != "looks_scaled":
        return (said(alone, fits),)
    for change in sorted((fits.mirrored, fits.moved), key=lambda one: one.off_pct):
        least = LEAST_MIRRORED if change.code == "looks_mirrored" else LEAST_GAIN
        if explains(change, fits.scaled.shape, fits.scaled.off_pct, least):
            return (said(change, fits),)
    return () if alone is None else (said(alone, fits),)


def _nearly_all(fits: Fits | None, beside: str | None = None) -> Notes:
    """An exchange or a move that leaves next to nothing of what another leverage does not explain."""
    if fits is None:
        return ()
    change = min((fits.mirrored, fits.moved), key=lambda one: one.off_pct)
    told = _is_nearly_all(fits.scaled.off_pct, change.off_pct) and _is_sane(change)
    return (said(change, fits, beside),) if told else ()


def _other_leverage(fits: Fits | None) -> Notes:
    """A leverage that leaves next to nothing of the distance."""
    if fits is None or fits.single.code != "looks_scaled":
        return ()
    told = _is_nearly_all(fits.as_it_is_pct, fits.single.off_pct)
    return (said(fits.single, fits),) if told else ()


def beside_models(model: Heatmap, maps: Sequence[Heatmap], range_pct: float) -> Notes:
    """What is wrong with a vendor's map by the models of its venue that it is compared with: one of a venue that its
    file does not state, or of several, is held against all of them."""
    if model.source != "imported":
        return ()
    for one in models_of(model, maps):
        own, wanted, reach_pct = pair(one, model, range_pct)
        if found := _nearly_all(Fits.of(wanted, own, reach_pct), one.label):
            return found
    return ()


def models_of(vendors: Heatmap, maps: Sequence[Heatmap]) -> list[Heatmap]:
    """Models of the market of a vendor's map, whole."""
    return [one for one in maps if one.source == "modelled" and not one.only and of_one_market(vendors, one)]


def of_one_market(vendors: Heatmap, model: Heatmap) -> bool:
    """Whether a model is of the venue, or of one of the venues, of a vendor's map, or that is not stated."""
    venues = set(vendors.venue.split(TOGETHER))
    return bool(venues & {UNKNOWN_VENUE, ALL} or venues & set(model.venue.split(TOGETHER)))


def _untold(fits: Fits, floor_pct: float | None, named: Notes) -> Notes:
    """Whether the sides are exchanged, and by how much prices may be moved, where the truth cannot tell: the map so
    changed fits it as well up to the truth's own noise. Nothing where a change is `named`."""
    if {one.code for one in named} - {"looks_scaled"}:
        return ()
    limit = fits.scaled.off_pct + max(LEAST_GAIN_PCT, floor_pct or 0.0)
    sides = fits.mirrored.off_pct <= limit
    low, high = _around_zero(fits.by_move <= limit)
    if high - low < LEAST_UNTOLD_PCT:
        low = high = 0.0
    if not sides and low == high:
        return ()
    return (note("untold", sides=sides, low_pct=low, high_pct=high),)


def _around_zero(fits: NDArray[np.bool_]) -> tuple[float, float]:
    """The least and the largest of `MOVES_PCT` up to which all fit from none on."""
    middle = fits.size // 2
    low, high = (int(np.argmin(np.append(part, False))) for part in (fits[middle::-1], fits[middle:]))
    return float(MOVES_PCT[middle - max(low - 1, 0)]), float(MOVES_PCT[middle + max(high - 1, 0)])


def said(change: Change, fits: Fits, beside: str | None = None) -> Note:
    """The note of a change."""
    values = {"value": change.value, "off_pct": fits.as_it_is_pct, "then_pct": change.off_pct}
    if change.code != "looks_scaled" and abs(np.log(change.factor)) >= np.log(LEAST_FACTOR):
        values["factor"] = change.factor
    return note(change.code, **values, **({} if beside is None else {"beside": beside}))


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
    values = {name: missed.values.get(name) for name in ("side", "px", "share", "holder", "of_crowd")}
    return note("missed_by_several", **values)


def _is_sane(change: Change) -> bool:
    """Whether a move suits leverages that are not far from those it is held against."""
    return change.code != "looks_moved" or bool(abs(np.log(change.factor)) <= np.log(MOST_FACTOR))


def _is_nearly_all(off_pct: float, then_pct: float) -> bool:
    return off_pct >= LEAST_DISTANCE_PCT and off_pct - then_pct >= NEARLY_ALL * off_pct


def _is_gain(off_pct: float, then_pct: float, floor_pct: float | None, least: float) -> bool:
    gain = off_pct - then_pct
    return gain >= max(LEAST_GAIN_PCT, FLOORS * (floor_pct or 0.0)) and gain >= least * off_pct


def _clusters(truth: Heatmap, model: Heatmap, pairs: Sequence[ClusterPair]) -> Iterator[Note]:
    """Large clusters that one map has alone; one that the map misses may be a single holder's."""
    for one in pairs:
        if not _mass(model, one.side).any():
            continue  # that it lacks the side is stated with its score
        if one.fate == "phantom" and one.model is not None:
            yield from _alone("phantom_cluster", one.side, one.model, model, truth)
        elif one.fate == "missed" and one.truth is not None:
            holder = one.truth.largest_holder_share
            code = "missed_holder" if holder is not None and holder >= ONE_HOLDER else "missed_cluster"
            yield from _alone(code, one.side, one.truth, truth, model)
        elif one.model is not None and one.truth is not None:
            yield from _too_heavy(one.side, one.model, one.truth, model, truth)
            yield from _one_holders(one.side, one.truth, one.model, truth, model)


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
    beside, unseen = _beside(side, (zone, model), (wanted, truth)), _unseen(truth, side)
    if zone.share_of_side >= max(HEAVY * beside, beside * (1 - unseen) + unseen + HEAVY_SHARE):
        yield note("heavy_cluster", side=side, px=zone.peak_px, share=zone.share_of_side, beside=beside)


def _one_holders(side: str, zone: Zone, offered: Zone, truth: Heatmap, model: Heatmap) -> Iterator[Note]:
    """Where both maps have a cluster, and one holder makes that of the truth far larger than the model's."""
    beside, holder = _beside(side, (zone, truth), (offered, model)), zone.largest_holder_share
    if holder is None or holder < ONE_HOLDER:
        return
    if zone.share_of_side >= max(HEAVY * beside, beside + HEAVY_SHARE):
        values = {"side": side, "px": zone.peak_px, "share": zone.share_of_side, "beside": beside}
        yield note("missed_holder", **values, holder=holder)


def _beside(side: str, own: tuple[Zone, Heatmap], other: tuple[Zone, Heatmap]) -> float:
    """Share of the other map's side where either of two clusters lies."""
    pairs = [(zone.low_px / of.mark_px, zone.high_px / of.mark_px) for zone, of in (own, other)]
    return _share_between(other[1], side, min(low for low, _ in pairs), max(high for _, high in pairs))


def _unseen(truth: Heatmap, side: str) -> float:
    """Share of a side's open interest that the truth lacks; 0 where that is not known."""
    share = truth.coverage.share
    return 0.0 if share is None else float(np.clip(1 - share.of(side), 0.0, 1.0))


def _mass(heatmap: Heatmap, side: str) -> FloatArray:
    return heatmap.long_usd if side == "long" else heatmap.short_usd


def _share_between(heatmap: Heatmap, side: str, low: float, high: float) -> float:
    """Of the side's mass on the grid, between two prices as ratios to the mark."""
    mass = _mass(heatmap, side)
    edges = heatmap.grid.edges / heatmap.mark_px
    reached = np.interp([low, high], edges, np.concatenate([[0.0], np.cumsum(mass)]))
    return float((reached[1] - reached[0]) / mass.sum()) if mass.any() else 0.0
