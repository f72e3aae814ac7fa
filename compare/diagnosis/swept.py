"""Levels of a vendor's map where the price has just been: whoever was liquidated there is gone, so that little is left.

Every maker clears what the price has reached, whatever leverages it assumes, and positions that were opened since are
few a few hours later; what our models of the same venue have there, and the truth, shows how few. A map that has far
more is of an earlier moment, keeps what is gone, is moved, or has its sides exchanged. That needs no noise floor: it is
no difference of shape. Which of these it is, the truth tells as far as it can: what clears the prices and fits best.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np

from liqtruth.compare.diagnosis.diagnosis import models_of, said
from liqtruth.compare.imported.overlap import apart, pair
from liqtruth.compare.observed.reached import WINDOW, Reached
from liqtruth.compare.statistics.changes import AS_IT_IS, LEAST_SHIFT_PCT, Axis, Change, Fits, Shape
from liqtruth.heatmap.heatmap import UNKNOWN_VENUE, Heatmap
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.words.notes import Note, Notes, note

NEAREST: Final = 0.0025
"""Log distance from the mark up to which nothing is counted: bins of others are so wide."""
LEAST_SHARE: Final = 0.015
"""Of its side: less is no finding."""
TIMES: Final = 3.0
"""And so many times what the truth and our models have."""
CLEARER: Final = 0.7
"""A change is named where it is off by at most this part of what the map is off without its levels there."""
APART: Final = 0.9
"""And of what the other change is off."""
KEPT: Final = 0.5
"""A change that leaves more than this part of what a map has there does not explain it."""
MIRRORED: Final = ((-1.0, 0.0, 0.0), (1.0, 0.0, 1.0))
"""Sides exchanged in log price, and in percent of the mark."""


@dataclass(frozen=True)
class _Swept:
    """What of a side lies where the price was, and the most of it that the truth or a model of ours has there."""

    side: str
    share: float
    beside: float
    away: float


def swept_levels(
    truth: Heatmap,
    whole: Heatmap,
    model: Heatmap,
    maps: Sequence[Heatmap],
    reached: Reached | None,
    range_pct: float,
    *,
    told: bool,
) -> Notes:
    """That levels are left where the price was, after the change that would explain it, if any; empty where there are
    few, where it is not known where the price was, or no model of the map's venue is among `maps`: of a map that does
    not state it, one of another venue than the truth's, since venues part by more than a level. A change is looked for
    only where the truth may judge the map (`told`)."""
    ours = models_of(model, maps)
    if not ours or (model.venue == UNKNOWN_VENUE and all(one.venue == truth.venue for one in ours)):
        return ()
    if reached is None or model.source != "imported" or apart(truth, model):
        return ()
    found = max(_found(model, [truth, whole, *ours], reached), key=lambda one: one.share, default=None)
    if found is None:
        return ()
    changed = _change(*pair(truth, model, range_pct), reached) if told else ()
    return (*changed, _noted(found, model.mark_px, alone=not changed))


def _noted(found: _Swept, mark_px: float, *, alone: bool) -> Note:
    sign = -1 if found.side == "long" else 1
    near, far = (mark_px * float(np.exp(sign * one)) for one in (NEAREST, found.away))
    return note(
        "swept_levels",
        side=found.side,
        share=found.share,
        beside=found.beside,
        low_px=min(near, far),
        high_px=max(near, far),
        window_s=WINDOW.total_seconds(),
        alone=alone,
    )


def contradicted(
    model: Heatmap, change: Note, truth: Heatmap, reached: Reached | None, ours: Sequence[Heatmap] = ()
) -> bool:
    """Whether a vendor's map that has little where the price was would have much there, were it so changed: then it is
    not; and whether one that has much would keep it. What those maps have there that it is named by, `ours`, is not
    much."""
    if reached is None or model.source != "imported" or apart(truth, model):
        return False
    axis, factor = Axis.of(model), float(change.values.get("factor", 1.0))
    move = float(np.log1p(change.values["value"] / 100)) / factor
    shapes: Sequence[Shape] = MIRRORED if change.code == "looks_mirrored" else ((1.0, move, 0.0),)
    left, *found = (_most(axis, reached, shape) for shape in (AS_IT_IS, *shapes))
    beside = (_most(Axis.of(one), reached, AS_IT_IS) for one in ours if one.source == "modelled")
    return min(found) >= max(LEAST_SHARE, KEPT * left, *beside)


def _most(axis: Axis, reached: Reached, shape: Shape) -> float:
    return max(_share(axis, side, reached.away(side), shape) for side in SIDES)


def _found(model: Heatmap, beside: Sequence[Heatmap], reached: Reached) -> Iterator[_Swept]:
    own, others = Axis.of(model), [Axis.of(one) for one in beside]
    for side in SIDES:
        away = reached.away(side)
        share, *shares = (_share(one, side, away) for one in (own, *others))
        if share >= max(LEAST_SHARE, TIMES * max(shares)):
            yield _Swept(side, share, max(shares), away)


def _share(axis: Axis, side: str, away: float, shape: Shape = AS_IT_IS) -> float:
    """Of a side that is so changed: what lies farther from the mark than `NEAREST`, up to `away`."""
    at = (-1 if side == "long" else 1) * np.array([0.0, NEAREST, max(away, NEAREST), np.inf])
    start, near, far, end = np.abs(axis.reached([shape], at)[0] - axis.reached([shape], np.zeros(1))[0])
    return float((far - near) / end) if end > start else 0.0


def _change(model: Heatmap, truth: Heatmap, range_pct: float, reached: Reached) -> Notes:
    """The exchange, or the move, that clears these prices and fits far better than the map does without its levels
    there, and than the other of the two; whatever its leverages are."""
    fits, cleared = (Fits.of(truth, one, range_pct) for one in (model, _without(model, reached)))
    if fits is None or cleared is None:
        return ()
    axis = Axis.of(model)
    moves = (one for one in fits.moves if abs(one.move_pct) >= LEAST_SHIFT_PCT)
    move = min(filter(partial(_clears, axis, reached), moves), key=_off, default=None)
    found = [one for one in (fits.mirrored, move) if one is not None and _clears(axis, reached, one)]
    best, *others = sorted(found, key=_off) or [fits.scaled]
    limits = [CLEARER * cleared.scaled.off_pct, *(APART * one.off_pct for one in others)]
    return (said(best, fits),) if found and best.off_pct <= min(limits) else ()


def _off(change: Change) -> float:
    return change.off_pct


def _clears(axis: Axis, reached: Reached, change: Change) -> bool:
    """By itself: what suits another leverage best is no part of it."""
    factor, move, by_percent = change.shape
    return _most(axis, reached, (float(np.sign(factor)), move / abs(factor), by_percent)) < LEAST_SHARE


def _without(model: Heatmap, reached: Reached) -> Heatmap:
    """The map without what the price has reached."""
    at = np.log(model.grid.centers / model.mark_px)
    kept = (at < np.log(reached.low)) | (at > np.log(reached.high))
    return replace(model, long_usd=model.long_usd * kept, short_usd=model.short_usd * kept, breakdown=None)
