"""Levels as a file has them: amounts over intervals of price, and how they are placed on a grid.

A bucket named by its centre reaches half-way to its neighbours, one named by its edge to the next edge; a level of one
price is an interval without width. The amount of an interval is spread evenly over its prices, and over both sides of
the mark where it lies across it.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from liqtruth.heatmap.grid import FloatArray, IntArray, PriceGrid
from liqtruth.heatmap.levels import SIDES

INSIDE: Final = 1e-9
"""Relative: so much above a price is the end of what holds it."""
STEP: Final = 4_000_000
"""So many pairs of a level and a bin are worked on at once."""
FARTHEST_MARK: Final = 2.0
"""So many times above or below all prices of a map its mark is not."""
ROUNDED: Final = 1e-3
"""Relative, between a range that is stated and the levels at its ends."""
LONG, SHORT, UNNAMED = 0, 1, -1


@dataclass(frozen=True, eq=False)
class Levels:
    """Arrays of one length: prices from `low_px` up to `high_px`, equal for one price; amounts; sides as 0 long,
    1 short and -1 not named; leverage, NaN where not known."""

    low_px: FloatArray
    high_px: FloatArray
    amount: FloatArray
    side: IntArray | None = None
    leverage: FloatArray | None = None

    @property
    def sides(self) -> IntArray:
        return np.full(self.amount.size, UNNAMED) if self.side is None else self.side

    def at(self, which: Any) -> "Levels":
        """Those of an index or a mask."""
        parts = (self.low_px, self.high_px, self.amount, self.side, self.leverage)
        return Levels(*(None if part is None else part[which] for part in parts))  # type: ignore[arg-type]

    def times(self, factor: float) -> "Levels":
        """At prices multiplied by a factor."""
        return replace(self, low_px=self.low_px * factor, high_px=self.high_px * factor)


def buckets(centres: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Low and high edges of buckets that are named by their centres, evenly spaced or not."""
    if centres.size < 2:
        return centres.copy(), centres.copy()
    middles = (centres[1:] + centres[:-1]) / 2
    low = np.concatenate([[max(2 * centres[0] - middles[0], centres[0] / 2)], middles])
    return low, np.concatenate([middles, [2 * centres[-1] - middles[-1]]])


def span(levels: Levels) -> tuple[float, float]:
    """Lowest and highest price; a level of the highest price alone lies within."""
    return float(levels.low_px.min()), float(max(levels.high_px.max(), levels.low_px.max() * (1 + INSIDE)))


def misplaced(levels: Levels, mark_px: float, covers: tuple[float, float], most_beyond: float) -> str | None:
    """What must hold and does not, of where amounts lie: the mark is in the unit of their prices, and no more than a
    share of `most_beyond` is outside the stated range; null where both do, or where there are no amounts."""
    held = levels.at(levels.amount > 0)
    if not held.amount.size:
        return None
    lowest, highest = float(held.low_px.min()), float(held.high_px.max())
    if not lowest / FARTHEST_MARK <= mark_px <= highest * FARTHEST_MARK:
        return (
            f"the mark must be near the prices of the map, {lowest:,.6g} to {highest:,.6g}, got {mark_px:,.6g}: are "
            "both in one unit?"
        )
    middle = (held.low_px + held.high_px) / 2
    beyond = (middle < covers[0] * (1 - ROUNDED)) | (middle > covers[1] * (1 + ROUNDED))
    share = float(held.amount[beyond].sum() / held.amount.sum())
    if covers[0] <= covers[1] and share <= most_beyond:
        return None
    return (
        f"the range that is stated must hold the levels, got {covers[0]:,.6g} to {covers[1]:,.6g} and "
        f"{100 * share:.0f} % of the amounts beyond it"
    )


def split(levels: Levels, mark_px: FloatArray | float) -> tuple[Levels, IntArray, FloatArray]:
    """Levels of which each lies on one side of its mark, with that side; the place of each in the input; and how much
    of each of the input has a named side that the price contradicts."""
    low, high, amount, named = levels.low_px, levels.high_px, levels.amount, levels.sides
    mark = np.broadcast_to(np.asarray(mark_px, dtype=np.float64), low.shape)
    width = high - low
    below = np.where(
        width > 0, (np.clip(mark, low, high) - low) / np.where(width > 0, width, 1.0), low < mark
    )
    wrong = np.where(named == LONG, 1 - below, np.where(named == SHORT, below, 0.0)) * amount
    long = np.flatnonzero((below > 0) & (named != SHORT) & (amount > 0))
    short = np.flatnonzero((below < 1) & (named != LONG) & (amount > 0))
    which = np.concatenate([long, short])
    parts = Levels(
        np.concatenate([low[long], np.maximum(low, mark)[short]]),
        np.concatenate([np.minimum(high, mark)[long], high[short]]),
        np.concatenate([(amount * below)[long], (amount * (1 - below))[short]]),
        np.repeat([LONG, SHORT], [long.size, short.size]),
        None if levels.leverage is None else levels.leverage[which],
    )
    return parts, which, wrong


def spread(
    levels: Levels, grid: PriceGrid, group: IntArray | None = None, groups: int = 1, *, at_mark: bool = True
) -> FloatArray:
    """Amounts per group, side and place (below the grid, bins, above it), shape (groups, 2, bins + 2), of levels with
    sides. `at_mark` where the grid's mark is theirs, so that no bin is one of both sides."""
    mass = np.zeros((groups, len(SIDES), grid.bins + 2))
    if not levels.amount.size:
        return mass
    group = np.zeros(levels.amount.size, dtype=np.int64) if group is None else group
    low, high, amount, side = levels.low_px, levels.high_px, levels.amount, levels.sides
    first, last = grid.bin_of(low), grid.bin_of(high)
    if at_mark:
        least = np.where(side == LONG, -1, grid.bins_each_way)
        most = np.where(side == LONG, grid.bins_each_way - 1, grid.bins)
        first, last = np.clip(first, least, most), np.clip(last, least, most)
    count = np.maximum(last - first, 0) + 1
    edges = np.concatenate([[0.0], grid.edges, [np.inf]])
    starts = np.flatnonzero(np.diff((np.cumsum(count) - 1) // STEP)) + 1
    for part in np.split(np.arange(count.size), starts):
        row = np.repeat(part, count[part])
        within = np.arange(row.size) - np.repeat(np.cumsum(count[part]) - count[part], count[part])
        place = first[row] + within
        inside = np.minimum(edges[place + 2], high[row]) - np.maximum(edges[place + 1], low[row])
        inside = np.maximum(inside, 0.0)
        whole = np.bincount(row - part[0], weights=inside)[row - part[0]]
        share = np.where(whole > 0, inside / np.where(whole > 0, whole, 1.0), 1 / count[row])
        key = (group[row] * len(SIDES) + side[row]) * (grid.bins + 2) + place + 1
        mass += np.bincount(key, weights=amount[row] * share, minlength=mass.size).reshape(mass.shape)
    return mass
