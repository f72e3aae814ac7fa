"""Steps of open interest that no trading explains: spikes that come back, and changes of unit.

Every contract that is opened or closed is traded, so open interest moves by no more than the volume of the same time
(Said and Giagkiozis, Ledger 2024, use this to find misquoted venues). Arrays in, arrays out; all quantities are coins.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqtruth.heatmap.grid import FloatArray, IntArray
from liqtruth.heatmap.words.notes import Note, Notes, note
from liqtruth.heatmap.words.text import utc_text_ms

BoolArray = NDArray[np.bool_]

SMALLEST_STEP: Final = 0.005
"""Share of the level below which a step means nothing: readings and bars are not taken at the same instant."""
SMALLEST_SPIKE: Final = 0.05
"""Share of the level from which a step there and back is a spike to leave out; below it is reported as a step."""
COMES_BACK: Final = 0.2
"""A spike ends within this share of its height from where it began."""
UNIT_FACTOR: Final = 2.0
UNIT_FACTOR_UNSEEN: Final = 3.0
"""A step by this factor that trading does not explain is a change of unit; the second where volume is not known."""
EXCURSION: Final = 6
"""So many readings at most in another unit, between readings that agree, are left out instead of cutting there."""


@dataclass(frozen=True, eq=False)
class Settled:
    """Which readings are `kept`, and what was found; a reading that is not kept is unknown, not corrected."""

    kept: BoolArray
    findings: Notes


@dataclass(frozen=True, eq=False)
class OpenInterest:
    """Readings of open interest: times (ms, ascending), coins, and the coins traded since the reading before.

    `traded` has one entry less than `coins`, NaN where it is not known. Steps up to `rounding` (coins) are no steps.
    """

    at_ms: IntArray
    coins: FloatArray
    traded: FloatArray
    rounding: float = 0.0

    def only(self, kept: BoolArray) -> "OpenInterest":
        """The kept readings; what was traded beside those left out is counted to the next one."""
        unknown = np.concatenate([[0], np.cumsum(np.isnan(self.traded))])
        filled = np.concatenate([[0.0], np.cumsum(np.nan_to_num(self.traded))])
        traded = np.where(np.diff(unknown[kept]) > 0, np.nan, np.diff(filled[kept]))
        return OpenInterest(self.at_ms[kept], self.coins[kept], traded, self.rounding)

    @property
    def steps(self) -> FloatArray:
        return np.diff(self.coins)

    @property
    def unexplained(self) -> BoolArray:
        """Steps that are larger than what was traded, where that is known."""
        size = np.abs(self.steps)
        least = np.maximum(SMALLEST_STEP * self.coins[:-1], self.rounding * (1 + 1e-9))
        return np.asarray((size > least) & (size > self.traded))

    @property
    def factors(self) -> FloatArray:
        """By how many times each step moves the level, whichever way: at least 1."""
        return np.asarray(np.exp(np.abs(np.diff(np.log(self.coins)))))

    @property
    def unit_steps(self) -> BoolArray:
        """Steps that look like another unit."""
        unseen = np.isnan(self.traded) & (self.factors >= UNIT_FACTOR_UNSEEN)
        return np.asarray(unseen | (self.unexplained & (self.factors >= UNIT_FACTOR)))


def settle(readings: OpenInterest) -> Settled:
    """Leave out what cannot be open interest, and report the rest: spikes, then units, then steps beyond the volume."""
    if len(readings.coins) < 2:
        return Settled(np.ones(len(readings.coins), dtype=bool), ())
    spikes = _spikes(readings)
    kept, findings = ~spikes, _spike_notes(readings, spikes)
    units = _one_unit(readings.only(kept))
    kept[np.flatnonzero(kept)[~units.kept]] = False
    return Settled(kept, (*findings, *units.findings, *_jump_notes(readings.only(kept))))


def _spikes(readings: OpenInterest) -> BoolArray:
    """Lone readings between two that agree, reached and left by steps that no trading explains."""
    odd = readings.unexplained | readings.unit_steps
    there, back = readings.steps[:-1], readings.steps[1:]
    tall = np.abs(there) >= SMALLEST_SPIKE * readings.coins[:-2]
    returns = tall & (np.abs(there + back) <= COMES_BACK * np.abs(there))
    spikes = np.zeros(len(readings.coins), dtype=bool)
    spikes[1:-1] = odd[:-1] & odd[1:] & returns
    spikes[1:] &= ~spikes[:-1]
    return spikes


def _spike_notes(readings: OpenInterest, spikes: BoolArray) -> Notes:
    places = np.flatnonzero(spikes)
    if not places.size:
        return ()
    first = places[0]
    before, coins, after = readings.coins[first - 1 : first + 2]
    at = utc_text_ms(readings.at_ms[first])
    return (note("lone_spikes", count=places.size, at=at, coins=coins, before=before, after=after),)


def _one_unit(readings: OpenInterest) -> Settled:
    """Short excursions and an unconfirmed last reading left out; what lies before the last change of unit cut off."""
    starts = np.flatnonzero(readings.unit_steps) + 1
    kept = np.ones(len(readings.coins), dtype=bool)
    for start, end in pairwise(starts):
        if end - start <= EXCURSION and _agree(readings.coins[start - 1], readings.coins[end]):
            kept[start:end] = False
            finding = note("in_another_unit", count=end - start, at=utc_text_ms(readings.at_ms[start]))
            return _after(readings, kept, finding)
    if not starts.size:
        return Settled(kept, ())
    last = int(starts[-1])
    change = {
        "before": readings.coins[last - 1],
        "after": readings.coins[last],
        "at": utc_text_ms(readings.at_ms[last]),
        "factor": readings.factors[last - 1],
    }
    if last == len(readings.coins) - 1:
        kept[last:] = False
        return _after(readings, kept, Note("unconfirmed", change))
    kept[:last] = False
    return Settled(kept, (Note("unit_changes", change),))


def _after(readings: OpenInterest, kept: BoolArray, finding: Note) -> Settled:
    """What is found in the rest once some readings are left out."""
    rest = _one_unit(readings.only(kept))
    kept[np.flatnonzero(kept)[~rest.kept]] = False
    return Settled(kept, (finding, *rest.findings))


def _agree(before: float, after: float) -> bool:
    return bool(abs(np.log(after / before)) < np.log(UNIT_FACTOR))


def _jump_notes(readings: OpenInterest) -> Notes:
    jumps = np.flatnonzero(readings.unexplained) if len(readings.coins) > 1 else np.array([], dtype=np.int64)
    if not jumps.size:
        return ()
    worst = jumps[np.argmax(np.abs(readings.steps[jumps]) - readings.traded[jumps])]
    return (
        note(
            "more_than_traded",
            count=jumps.size,
            steps=len(readings.steps),
            at=utc_text_ms(readings.at_ms[worst + 1]),
            coins=readings.steps[worst],
            traded=readings.traded[worst],
        ),
    )
