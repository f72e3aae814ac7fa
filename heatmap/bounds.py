"""`MapBounds`: between which amounts the truth lies that a modelled map was made for, by distance from the mark.

A map states one amount for what a move liquidates; its bounds state how far such amounts were off on maps that the
model had not seen. Whales are part of them: how much they hold is bounded, where it lies is not known. Where nothing
can be promised the bounds are withheld: null, with the reason.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.levels import SIDES, TwoSided
from liqtruth.heatmap.words.notes import Notes, note
from liqtruth.heatmap.words.text import percent, usd

SHOWN_PCT: Final = (2.0, 5.0, 10.0)
"""Moves of the mark for which bounds are shown, percent."""

NOTHING_BELOW: Final = "nothing-below"
"""The lower end would be nothing: bounds would only say that there may be none."""
NOT_HELD: Final = "not-held"
"""On held-out maps bounds there held too rarely."""
OTHER_POPULATION: Final = "other-population"
"""The venue's liquidations are too far from what the model predicts for its held-out maps to speak for it."""
NOTES: Final = {
    NOTHING_BELOW: "withheld_nothing_below",
    NOT_HELD: "withheld_not_held",
    OTHER_POPULATION: "withheld_other_population",
}
REASONS: Final = tuple(NOTES)
WITHHELD: Final = "withheld"

Amounts = tuple[float, ...]
Bounded = tuple[float | None, ...]
"""Null where withheld."""


@dataclass(frozen=True)
class SideBounds:
    """USD that a move of each `distance_pct` of the mark (ascending) liquidates on one side.

    `modelled_usd` is the map's own amount and `crowd_usd` the crowd's part of it; the truth lies between `low_usd` and
    `high_usd`, as often above as below `likely_usd`, and of it what whales hold beyond the crowd between
    `whales_low_usd` and `whales_high_usd`. A model draws the crowd's shape at the level of the whole, and whales stand
    further from the mark, so what is likely is less than what is drawn near it. Where bounds are withheld these four
    are null, and `withheld` has one of `REASONS` (null: given; empty: all are).
    """

    distance_pct: Amounts
    modelled_usd: Amounts
    low_usd: Bounded
    high_usd: Bounded
    crowd_usd: Amounts
    whales_low_usd: Bounded
    whales_high_usd: Bounded
    likely_usd: Amounts
    withheld: tuple[str | None, ...] = ()

    def __post_init__(self) -> None:
        rows = self._rows()
        given = np.array([reason is None for reason in self.reasons])
        withheld = np.isnan(rows[list(ENDS)])
        if not (np.all(np.isfinite(rows[:, given])) and np.all(np.isfinite(rows[list(AMOUNTS)]))):
            raise BadInput("bounds must be numbers, or null where `withheld` has a reason")
        if not np.all(withheld[:, ~given]) or not {*self.reasons} <= {None, *REASONS}:
            raise BadInput(f"bounds that are withheld must be null, for one of {', '.join(REASONS)}")
        if np.any(rows < 0) or np.any(np.diff(rows[0]) <= 0):
            raise BadInput("bounds must be numbers of at least 0, at distances that ascend")
        if np.any(rows[2] > rows[3]) or np.any(rows[5] > rows[6]):
            raise BadInput("a lower bound must not lie above its upper bound")

    @property
    def reasons(self) -> tuple[str | None, ...]:
        """Why bounds are withheld, per distance; null where they are given."""
        return self.withheld or (None,) * len(self.distance_pct)

    def _rows(self) -> FloatArray:
        """The amounts (fields, distances), nan for null; refused where one has another length."""
        count, found = len(self.distance_pct), []
        for name in self.__dataclass_fields__:
            row = self.reasons if name == "withheld" else getattr(self, name)
            if len(row) != count or not count:
                raise BadInput(f"{name} must have an amount for each of {count} distances, got {len(row)}")
            if name != "withheld":
                found.append(np.array(row, dtype=np.float64))
        return np.stack(found)

    def at(self, distance_pct: float) -> tuple[float | None, ...]:
        """The amounts of a move, in the order of the fields; between two distances on the line between them, from
        nothing at the mark, null where either of the two is."""
        known = np.append(0.0, self.distance_pct)
        rows = np.pad(self._rows()[1:], ((0, 0), (1, 0)))
        after = int(np.clip(np.searchsorted(known, distance_pct), 1, len(known) - 1))
        part = float(np.clip((distance_pct - known[after - 1]) / (known[after] - known[after - 1]), 0.0, 1.0))
        below, above = rows[:, after - 1], rows[:, after]
        found = above if part == 1 else below if part == 0 else below + part * (above - below)
        return tuple(None if np.isnan(amount) else float(amount) for amount in found)


AMOUNTS: Final = (0, 1, 4, 7)
"""Places of the fields of `SideBounds` that are never withheld, and of those that may be."""
ENDS: Final = (2, 3, 5, 6)


@dataclass(frozen=True)
class MapBounds(TwoSided[SideBounds]):
    """Bounds of both sides. `level` is the share of held-out maps that lay within, `basis` how they were measured."""

    long: SideBounds
    short: SideBounds
    level: float
    basis: str

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise BadInput(f"the level of bounds must be between 0 and 1, got {self.level!r}")


@dataclass(frozen=True)
class Move:
    """One row of what is shown: a move of `move_pct` (below zero: a fall, which liquidates longs)."""

    move_pct: float
    modelled_usd: float
    low_usd: float | None
    high_usd: float | None
    crowd_usd: float
    whales_low_usd: float | None
    whales_high_usd: float | None
    likely_usd: float

    @property
    def side(self) -> str:
        return "long" if self.move_pct < 0 else "short"

    @property
    def range_text(self) -> str:
        """`$2M to $5M`, or that it is withheld."""
        return _between(self.low_usd, self.high_usd)

    @property
    def whales_text(self) -> str:
        return _between(self.whales_low_usd, self.whales_high_usd)

    def text(self, level: float) -> str:
        """`a move of -5 % likely liquidates $3M (80 %: $2M to $5M), of it whales $0 to $1M`."""
        likely = f"a move of {self.move_pct:+g} % likely liquidates {usd(self.likely_usd)}"
        if self.low_usd is None:
            return f"{likely} (bounds {WITHHELD})"
        return f"{likely} ({percent(level, 0)}: {self.range_text}), of it whales {self.whales_text}"


def _between(low: float | None, high: float | None) -> str:
    return WITHHELD if low is None or high is None else f"{usd(low)} to {usd(high)}"


def moves(bounds: MapBounds) -> tuple[Move, ...]:
    """`SHOWN_PCT` each way as far as the bounds reach, from the largest rise to the largest fall."""
    up = [_move(pct, pct, bounds.short) for pct in SHOWN_PCT if pct <= bounds.short.distance_pct[-1]]
    down = [_move(-pct, pct, bounds.long) for pct in SHOWN_PCT if pct <= bounds.long.distance_pct[-1]]
    return (*reversed(up), *down)


def _move(move_pct: float, distance_pct: float, side: SideBounds) -> Move:
    return Move(move_pct, *side.at(distance_pct))  # type: ignore[arg-type]


def withheld_notes(bounds: MapBounds) -> Notes:
    """On which side and at which distances bounds are withheld, and why."""
    return tuple(
        note(NOTES[reason], side=side, distances=_where(bounds.of(side), reason))
        for side in SIDES
        for reason in REASONS
        if reason in bounds.of(side).reasons
    )


def _where(side: SideBounds, reason: str) -> tuple[float, ...]:
    return tuple(pct for pct, why in zip(side.distance_pct, side.reasons, strict=True) if why == reason)
