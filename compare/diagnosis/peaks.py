"""Whether a vendor's map has its peaks where the truth and our models of its venue have theirs.

Peaks and gaps lie where prices turned and where the price swept, whatever leverages a maker assumes, so that they tell
a move or an exchange of sides where broad shapes differ. What is compared is the logarithm of mass by log distance from
the mark, without what is broader than `BROAD` and what is narrower than `NARROW`: its correlation with each reference,
mean of them, for the map as it is, moved, and with its sides exchanged.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from liqtruth.compare.imported.overlap import apart, common_reach
from liqtruth.compare.statistics.changes import Axis
from liqtruth.heatmap.clusters.smoothing import gaussian
from liqtruth.heatmap.grid import FloatArray, IntArray
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.words.notes import Note, Notes, note

STEP: Final = 0.001
"""All lengths are in log price."""
NARROW: Final = 0.002
BROAD: Final = 0.03
NEAR: Final = 0.2
"""Distance from the mark up to which peaks are compared, where both maps reach so far."""
LEAST_NEAR: Final = 0.1
FARTHEST_MOVE: Final = 0.06
LEAST_MOVE: Final = 0.01
SAME_PLACE: Final = 0.006
"""Peaks so far from one another may be in the same place: marks and bins of two makers differ."""
LEAST_SHARE: Final = 3e-6
"""Of mass in a step: less counts as this much."""
LEAST_ALIKE: Final = 0.3
"""Correlation with the references below which a change explains nothing."""
CLEARER: Final = 0.15
"""By so much more than as it is must a map be alike that is so changed."""
TIED: Final = 0.05
"""Changes that differ by less cannot be told apart."""

CERTAIN: Final = 2.8
"""Times the root mean square of all correlations, those of other moves among them: below that the peaks may be alike by
chance, and the map may be of another moment or of other positions altogether."""
OTHER: Final = ("other", 0.0)


@dataclass(frozen=True)
class Placed:
    """How alike the peaks are (correlation) with prices moved by `move_pct`, or with sides exchanged."""

    alike: float
    move_pct: float = 0.0
    exchanged: bool = False

    def noted(self, before: float) -> Note:
        about = {"alike": self.alike, "before": before}
        if self.exchanged:
            return note("looks_mirrored", value=0.0, **about)
        return note("looks_moved", value=self.move_pct, **about)


@dataclass(frozen=True)
class Places:
    """A map as it is, and the best of each change of it; `by_chance` is the root mean square of all correlations."""

    as_it_is: Placed
    changes: tuple[Placed, ...]
    by_chance: float

    @classmethod
    def of(cls, model: Heatmap, references: Sequence[Heatmap]) -> "Places | None":
        """Null where a reference and the map do not reach far enough together."""
        reach = min((one for of in references for one in _reaches(of, model)), default=0.0)
        near = min(NEAR, reach - 2 * FARTHEST_MOVE)
        if near < LEAST_NEAR:
            return None
        farthest = near + 2 * FARTHEST_MOVE
        own, *others = (_peaks(one, farthest) for one in (model, *references))
        moves = np.arange(-round(FARTHEST_MOVE / STEP), round(FARTHEST_MOVE / STEP) + 1)
        moved, mirrored = (
            np.mean([_alike(peaks, other, moves, near) for other in others], axis=0)
            for peaks in (own, own[::-1])
        )
        away = moves * STEP
        same = np.abs(away) <= SAME_PLACE
        changes = [Placed(float(mirrored[same].max()), exchanged=True)]
        for some in (away >= LEAST_MOVE, away <= -LEAST_MOVE):
            at = int(np.argmax(np.where(some, moved, -np.inf)))
            changes.append(Placed(float(moved[at]), 100 * float(np.expm1(-away[at]))))
        by_chance = float(np.sqrt(np.mean([moved**2, mirrored**2])))
        return cls(Placed(float(moved[same].max())), tuple(changes), by_chance)

    @property
    def in_place(self) -> bool:
        """Whether as it is the map is clearly more alike than with any change."""
        best = max(one.alike for one in self.changes)
        return self.as_it_is.alike >= LEAST_ALIKE and self.as_it_is.alike - best >= CLEARER

    def noted(self) -> Notes:
        """The change that puts the peaks in place, or a set of causes that cannot be told apart; empty where as it is
        the map is about as much alike.

        A set is of at most three: where chance may have put the peaks in place, and at most two changes do, that it is
        another map altogether is one of them.
        """
        before = self.as_it_is.alike
        found = sorted(self.changes, key=lambda one: -one.alike)
        best = found[0].alike
        if best < max(LEAST_ALIKE, before + CLEARER):
            return ()
        tied = [one.noted(before) for one in found if best - one.alike < TIED]
        causes = [(change.code, change.values["value"]) for change in tied]
        causes += [OTHER] if best < CERTAIN * self.by_chance and len(causes) < 3 else []
        if len(causes) == 1:
            return (tied[0],)
        return (note("looks_one_of", causes=causes, alike=best, before=before),)


def one_of(causes: Note, single: Note) -> bool:
    """Whether a single change is among the causes of a set: of moves one the same way."""
    return any(
        single.code == code and single.values["value"] * value >= 0 for code, value in causes.values["causes"]
    )


def places_of(model: Heatmap, truth: Heatmap, ours: Sequence[Heatmap]) -> Places | None:
    """Of a vendor's map beside the truth and `ours`, models of its venue; null for other maps, where there is no such
    model, and where the moments or the marks are apart."""
    if model.source != "imported" or not ours or apart(truth, model):
        return None
    return Places.of(model, (truth, *ours))


def _reaches(one: Heatmap, other: Heatmap) -> tuple[float, float]:
    reach = common_reach(one, other)
    ends = [abs(float(np.log(edge / of.mark_px))) for of in (one, other) for edge in of.grid.edges[[0, -1]]]
    return min(reach.long, *ends), min(reach.short, *ends)


def _peaks(heatmap: Heatmap, farthest: float) -> FloatArray:
    """Shape (steps,), from as far below the mark to as far above it."""
    steps = round(farthest / STEP)
    mass = np.diff(Axis.of(heatmap).reached([(1.0, 0.0, 0.0)], STEP * np.arange(-steps, steps + 1.0))[0])
    share = np.log(mass / max(float(mass.sum()), 1e-30) + LEAST_SHARE)
    narrow, broad = (gaussian(share, width / STEP, reflect=True) for width in (NARROW, BROAD))
    return narrow - broad


def _alike(own: FloatArray, other: FloatArray, moves: IntArray, near: float) -> FloatArray:
    """Correlation of what lies so far from where it would be with what the other has within `near`: shape (moves,)."""
    middle, reach = own.size // 2, round(near / STEP)
    within = np.arange(middle - reach, middle + reach)
    parts = own[within[None, :] + moves[:, None]]
    parts = parts - parts.mean(axis=1, keepdims=True)
    wanted = other[within] - other[within].mean()
    size = np.sqrt((parts**2).sum(axis=1) * (wanted**2).sum())
    return np.asarray(np.where(size > 0, parts @ wanted / np.where(size > 0, size, 1.0), 0.0))
