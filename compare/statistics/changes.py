"""How much nearer to another map one simple change would bring a map: its sides exchanged, or all of its prices moved.

Another leverage is no such change: distances from the mark multiplied by whatever suits best stand beside each of them,
so that a map is not called moved whose leverages are other ones, and one whose sides are exchanged is found whatever
they are. Distances between maps are W1 of each side's shares, mean of the sides, in percent of price.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from liqtruth.compare.statistics.distances import log_distance
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.levels import SIDES

FACTORS: Final = np.geomspace(0.2, 5.0, 65)
SHIFTS_PCT: Final = np.linspace(-8.0, 8.0, 65)
LEAST_FACTOR: Final = 1.2
LEAST_SHIFT_PCT: Final = 0.5
ALONG: Final = FACTORS[14:51:2]
"""Factors that are tried together with an exchange or a move."""
NEARER: Final = np.geomspace(0.91, 1 / 0.91, 15)
"""Times a factor: those up to its neighbours."""
MOVES_PCT: Final = SHIFTS_PCT[::2]
"""Moves that are tried together with a factor."""
POINTS: Final = 500
COARSE: Final = 200
"""Points where two changes are tried together."""
AS_IT_IS: Final = (1.0, 0.0, 0.0)
"""Factor of distances (below zero the sides are exchanged in log price), move in log price, and 1 where the sides are
exchanged in percent of the mark: a program that has bins exchanges the first, one that has prices the second."""

Kind = Literal["looks_mirrored", "looks_scaled", "looks_moved"]
Shape = tuple[float, float, float]
Shares = Sequence[FloatArray | None]
"""Cumulative shares of longs and of shorts; null where a side is empty."""


@dataclass(frozen=True)
class Change:
    """`off_pct` is W1 after it; `factor` multiplies distances, `move_pct` moves prices."""

    code: Kind
    off_pct: float
    factor: float = 1.0
    move_pct: float = 0.0
    by_percent: bool = False

    @property
    def value(self) -> float:
        """The factor of a scaling, the percent of a move."""
        return {"looks_mirrored": 0.0, "looks_scaled": self.factor, "looks_moved": self.move_pct}[self.code]

    @property
    def shape(self) -> Shape:
        sign = -1.0 if self.code == "looks_mirrored" and not self.by_percent else 1.0
        return sign * self.factor, float(np.log1p(self.move_pct / 100)), float(self.by_percent)


@dataclass(frozen=True, eq=False)
class Axis:
    """A map's cumulative mass from its lowest price up, by signed log distance from its mark."""

    at: FloatArray
    mass_usd: FloatArray

    @classmethod
    def of(cls, heatmap: Heatmap) -> "Axis":
        middle = heatmap.grid.bins_each_way
        at = np.arange(-middle, middle + 1, dtype=np.float64) * heatmap.grid.log_width
        return cls(at, np.concatenate([[0.0], np.cumsum(heatmap.long_usd + heatmap.short_usd)]))

    def shares(
        self, range_pct: float, shapes: Sequence[Shape] = (AS_IT_IS,), points: int = POINTS
    ) -> list[FloatArray | None]:
        """Cumulative share of each side from the mark outward, at so many log distances up to the range, for each of
        the shapes: shape (shapes, points); null where the side is empty in all of them, NaN where it is in one."""
        start = self.reached(shapes, np.zeros(1))
        found: list[FloatArray | None] = []
        for side, sign in zip(SIDES, (-1.0, 1.0), strict=True):
            at = np.linspace(0.0, float(log_distance(range_pct, side)), points)
            mass = np.abs(self.reached(shapes, sign * at) - start)
            whole = mass[:, -1:]
            found.append(mass / np.where(whole > 0, whole, np.nan) if whole.any() else None)
        return found

    def reached(self, shapes: Sequence[Shape], at: FloatArray) -> FloatArray:
        """Mass up to each signed log distance from the mark, for each of the shapes: shape (shapes, distances)."""
        factor, move, by_percent = np.hsplit(np.array(shapes, dtype=np.float64), 3)
        from_mark = (at - move) / factor
        turned = np.log(np.maximum(2 - np.exp(np.minimum(from_mark, 1.0)), 1e-9))
        return np.interp(np.where(by_percent > 0, turned, from_mark), self.at, self.mass_usd)


@dataclass(frozen=True)
class Fits:
    """How a map fits another as it is, with the best single change, with its distances `scaled` by what suits best, and
    with its sides `mirrored` or its prices `moved` beside that; `moves` are the best at each of `MOVES_PCT`."""

    as_it_is_pct: float
    single: Change
    scaled: Change
    mirrored: Change
    moved: Change
    moves: tuple[Change, ...]

    @property
    def by_move(self) -> FloatArray:
        """W1 at each of `MOVES_PCT`."""
        return np.array([one.off_pct for one in self.moves])

    @classmethod
    def of(cls, wanted: Heatmap, model: Heatmap, range_pct: float) -> "Fits | None":
        """Null where a side of either is empty."""
        axis, whole = Axis.of(model), Axis.of(wanted)
        fine = off_pct(whole.shares(range_pct), axis.shares(range_pct, SINGLE_SHAPES), range_pct)
        if fine is None or np.isnan(fine[0]):
            return None
        singles = _changes(SINGLES, fine[1:])
        wanted_shares = whole.shares(range_pct, points=COARSE)
        rough = off_pct(wanted_shares, axis.shares(range_pct, PAIR_SHAPES, COARSE), range_pct)
        assert rough is not None
        each = np.where(np.isnan(rough), np.inf, rough).reshape(-1, ALONG.size)
        scaled, mirrored, moved = (
            _refined(_best(PAIRS, each, rows), wanted_shares, axis, range_pct)
            for rows in (slice(0, 1), slice(1, 3), slice(3, None))
        )
        moves = tuple(_best(PAIRS, each, slice(row, row + 1)) for row in range(3, len(each)))
        return cls(float(fine[0]), min(singles, key=_off), scaled, mirrored, moved, moves)


def off_pct(
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


def least_pct(
    wanted: Heatmap, model: Heatmap, range_pct: float, shapes: Sequence[Shape], unread: Sequence[float]
) -> FloatArray:
    """W1 of each shape of the model, were all that is `unread` where it suits the shape best."""
    found = off_pct(
        Axis.of(wanted).shares(range_pct), Axis.of(model).shares(range_pct, shapes), range_pct, unread
    )
    return np.zeros(len(shapes)) if found is None else found


def _off(change: Change) -> float:
    return change.off_pct


def _refined(change: Change, wanted: Shares, axis: Axis, range_pct: float) -> Change:
    """With the factor that suits best between those that were tried."""
    near = [replace(change, factor=change.factor * float(one)) for one in NEARER]
    found = off_pct(wanted, axis.shares(range_pct, [one.shape for one in near], COARSE), range_pct)
    assert found is not None
    return min(_changes(near, found), key=_off)


def _changes(tried: Sequence[Change], found: FloatArray) -> Iterator[Change]:
    for one, off in zip(tried, found.tolist(), strict=True):
        yield replace(one, off_pct=np.inf if np.isnan(off) else off)


def _best(tried: Sequence[Change], off: FloatArray, rows: slice) -> Change:
    """The change that fits best among some rows of factors."""
    some = np.arange(off.size).reshape(off.shape)[rows]
    at = int(some.flat[int(np.argmin(off[rows]))])
    return replace(tried[at], off_pct=float(off.flat[at]))


SINGLES: Final = (
    Change("looks_mirrored", 0.0),
    Change("looks_mirrored", 0.0, by_percent=True),
    *(Change("looks_scaled", 0.0, float(one)) for one in FACTORS if abs(np.log(one)) >= np.log(LEAST_FACTOR)),
    *(Change("looks_moved", 0.0, 1.0, float(one)) for one in SHIFTS_PCT if abs(one) >= LEAST_SHIFT_PCT),
)
SINGLE_SHAPES: Final = (AS_IT_IS, *(one.shape for one in SINGLES))
PAIRS: Final = tuple(
    replace(one, factor=float(factor))
    for one in (
        Change("looks_scaled", 0.0),
        Change("looks_mirrored", 0.0),
        Change("looks_mirrored", 0.0, by_percent=True),
        *(Change("looks_moved", 0.0, 1.0, float(pct)) for pct in MOVES_PCT),
    )
    for factor in ALONG
)
PAIR_SHAPES: Final = tuple(one.shape for one in PAIRS)
