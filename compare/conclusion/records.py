"""What is known of each map that is scored, and the answer, as data."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from liqtruth.compare.statistics.distances import HEADLINE_PCT
from liqtruth.compare.statistics.scores import (
    ALIKE,
    BY_CHANCE,
    Gap,
)

RAW: Final = "raw"
CROWD: Final = "crowd"

BarCode = Literal["saw_this_moment", "fails_its_gate", "no_record"]
Standing = Literal["nearer", "as_near", "beaten"]
Code = Literal[
    "nearest",
    "by_chance",
    "cannot_be_told",
    "none_beats_mark",
    "too_few_positions",
    "none_scored",
    "none_ranked",
    "readings",
]
Aside = Literal["reading", "too_few"]
"""Why a map is not ranked among the others: it is itself a reading of the same positions, or covers too few of them."""
Alike = Literal["agrees", "differs", "cannot_be_told"]


@dataclass(frozen=True)
class Barred:
    """Why a model is shown and not ranked; `start` and `end` are the span of what its fit has seen."""

    code: BarCode
    fit: str
    start: datetime | None = None
    end: datetime | None = None
    effective_positions: float | None = None


@dataclass(frozen=True)
class Scored:
    """One model on the layer that speaks: mean W1 of the sides in percent of price, and its skill against the mark;
    `chance` is that of a map which knows nothing to be as near, null where it was not asked for. `turned_at` is
    the coverage of open interest at which what was not read could turn whether it beats the mark, null where not. What
    is set `aside` is scored on its own: within `reach_pct` of the mark, where a map that knows only the mark is off by
    `null_pct`; a reading against the whole truth."""

    label: str
    off_pct: float | None
    skill: float | None
    undefined: str | None
    gaps: tuple[Gap, ...]
    barred: Barred | None
    chance: float | None = None
    turned_at: float | None = None
    aside: Aside | None = None
    null_pct: float | None = None
    reach_pct: float | None = None

    @property
    def alike(self) -> Alike:
        """Of a reading: whether it has the same positions in the same places."""
        if (self.skill or 0.0) >= ALIKE:
            return "agrees"
        return "differs" if self.turned_at is None else "cannot_be_told"

    @property
    def lucky(self) -> bool:
        """Whether it is no nearer to the truth than chance may bring a map."""
        return self.chance is not None and self.chance > BY_CHANCE


@dataclass(frozen=True)
class Rival:
    """A baseline beside the best map: its mean W1 in percent of price, and whether it is `nearer`, `as_near` or
    `beaten`."""

    model: str
    off_pct: float
    stands: Standing


@dataclass(frozen=True)
class OtherReading:
    """A reading of the same positions against the whole truth, within `range_pct` of the mark, where a map that knows
    only the mark is off by `null_pct`."""

    label: str
    off_pct: float
    null_pct: float
    range_pct: float
    says: Alike
    coverage: float | None = None


@dataclass(frozen=True)
class Conclusion:
    """The answer as data. `layer` is the one that speaks, null where none may; `label` the model that is nearest of
    `ranked` models; `effective` the numbers of longs and shorts that the gate was applied to, where they are known,
    `of_layer` whose they are; all of it within `range_pct` of the mark. `baselines` are maps that anyone has for free,
    nearest first; none of them is ranked. `coverage` is that at which it cannot be told. `readings` are those of the
    maps that have the same positions; where there are no others, they are the answer.
    """

    code: Code
    layer: str | None = None
    label: str | None = None
    ranked: int = 0
    off_pct: float | None = None
    null_pct: float | None = None
    floor_pct: float | None = None
    skill: float | None = None
    gap: Gap | None = None
    effective: tuple[float, ...] = ()
    of_layer: str = RAW
    undefined: str | None = None
    barred: tuple[str, ...] = ()
    chance: float | None = None
    baselines: tuple[Rival, ...] = ()
    range_pct: float = HEADLINE_PCT
    coverage: float | None = None
    readings: tuple[OtherReading, ...] = ()
