"""`MapBounds`: between which amounts the truth lies that a modelled map was made for, by distance from the mark.

A map states one amount for what a move liquidates; its bounds state how far such amounts were off on maps that the
model had not seen. Whales are part of them: how much they hold is bounded, where it lies is not known.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.levels import TwoSided
from liqtruth.heatmap.text import percent, usd

SHOWN_PCT: Final = (2.0, 5.0, 10.0)
"""Moves of the mark for which bounds are shown, percent."""

Amounts = tuple[float, ...]


@dataclass(frozen=True)
class SideBounds:
    """USD that a move of each `distance_pct` of the mark (ascending) liquidates on one side.

    `modelled_usd` is the map's own amount and `crowd_usd` the crowd's part of it; the truth lies between `low_usd` and
    `high_usd`, as often above as below `likely_usd`, and of it what whales hold beyond the crowd between
    `whales_low_usd` and `whales_high_usd`. A model draws the crowd's shape at the level of the whole, and whales stand
    further from the mark, so what is likely is less than what is drawn near it.
    """

    distance_pct: Amounts
    modelled_usd: Amounts
    low_usd: Amounts
    high_usd: Amounts
    crowd_usd: Amounts
    whales_low_usd: Amounts
    whales_high_usd: Amounts
    likely_usd: Amounts

    def __post_init__(self) -> None:
        rows = np.array([getattr(self, name) for name in self.__dataclass_fields__ if self._fits(name)])
        if not (np.all(np.isfinite(rows)) and np.all(rows >= 0) and np.all(np.diff(rows[0]) > 0)):
            raise BadInput("bounds must be numbers of at least 0, at distances that ascend")
        if np.any(rows[2] > rows[3]) or np.any(rows[5] > rows[6]):
            raise BadInput("a lower bound must not lie above its upper bound")

    def _fits(self, name: str) -> bool:
        if len(getattr(self, name)) != len(self.distance_pct) or not self.distance_pct:
            count = len(self.distance_pct)
            raise BadInput(
                f"{name} must have an amount for each of {count} distances, got {len(getattr(self, name))}"
            )
        return True

    def at(self, distance_pct: float) -> tuple[float, ...]:
        """The amounts of a move, in the order of the fields; between two distances on the line between them, from
        nothing at the mark."""
        amounts = [getattr(self, name) for name in list(self.__dataclass_fields__)[1:]]
        known = (0.0, *self.distance_pct)
        return tuple(float(np.interp(distance_pct, known, (0.0, *amount))) for amount in amounts)


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
    low_usd: float
    high_usd: float
    crowd_usd: float
    whales_low_usd: float
    whales_high_usd: float
    likely_usd: float

    @property
    def side(self) -> str:
        return "long" if self.move_pct < 0 else "short"

    def text(self, level: float) -> str:
        """`a move of -5 % likely liquidates $3M (80 %: $2M to $5M), of it whales $0 to $1M`."""
        return (
            f"a move of {self.move_pct:+g} % likely liquidates {usd(self.likely_usd)} ({percent(level, 0)}: "
            f"{usd(self.low_usd)} to {usd(self.high_usd)}), of it whales "
            f"{usd(self.whales_low_usd)} to {usd(self.whales_high_usd)}"
        )


def moves(bounds: MapBounds) -> tuple[Move, ...]:
    """`SHOWN_PCT` each way as far as the bounds reach, from the largest rise to the largest fall."""
    up = [Move(pct, *bounds.short.at(pct)) for pct in SHOWN_PCT if pct <= bounds.short.distance_pct[-1]]
    down = [Move(-pct, *bounds.long.at(pct)) for pct in SHOWN_PCT if pct <= bounds.long.distance_pct[-1]]
    return (*reversed(up), *down)
