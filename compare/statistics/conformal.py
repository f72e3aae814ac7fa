"""Bounds from residuals of maps that were held out (split-conformal), and the distances at which they are withheld.

Residuals are r = ln((C + o) / (C' + o)), per map and distance (Mondrian: each distance for itself), of the true curve C
and the drawn C' of a side in shares of open interest, o = `CURVE_OFFSET`. With q their quantiles, widened by one rank
for their finite number, C lies between

    max(0, exp(q_low) (C' + o) - o)    and    max(0, exp(q_high) (C' + o) - o)

A distance has no bounds where the lower end would be nothing on more than a third of held-out maps, which tells nobody
anything, or where quantiles of the other coins held too rarely on each coin in turn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from liqtruth.estimator.model.leverage_model import CURVE_OFFSET, LEVEL
from liqtruth.heatmap.bounds import NOT_HELD, NOTHING_BELOW
from liqtruth.heatmap.grid import FloatArray

LEAST_ABOVE: Final = 2 / 3
"""Part of held-out maps whose lower end must be above zero."""
LEAST_HELD: Final = 0.6
"""Part of held-out maps on which the others' quantiles must hold: five coins with 17 days each show no difference to
`LEVEL` that is smaller."""


@dataclass(frozen=True, eq=False)
class Conformal:
    """Quantiles `low` and `high` of the residuals, shape (distances,), and per distance why they are withheld (null:
    they are not)."""

    low: FloatArray
    high: FloatArray
    withheld: tuple[str | None, ...]

    @classmethod
    def of(cls, found: FloatArray, drawn: FloatArray, coins: Sequence[str]) -> "Conformal":
        """Of residuals and drawn curves (maps, distances) of maps of these coins."""
        low, high = conformal(found)
        above = lower_end(low, drawn).mean(axis=0) >= LEAST_ABOVE
        held = held_on_others(found, coins) >= LEAST_HELD
        reasons = [
            NOTHING_BELOW if not is_above else None if is_held else NOT_HELD
            for is_above, is_held in zip(above.tolist(), held.tolist(), strict=True)
        ]
        return cls(low, high, tuple(reasons))

    def covers(self, found: FloatArray, drawn: FloatArray) -> FloatArray:
        """Of further maps: 1 where the truth lies within, 0 where not, nan where bounds are withheld."""
        given = lower_end(self.low, drawn) & np.array([reason is None for reason in self.withheld])
        return np.where(given, covered(self.low, self.high, found), np.nan)


def conformal(found: FloatArray, level: float = LEVEL) -> tuple[FloatArray, FloatArray]:
    """Lower and upper quantile per column of so many residuals, wider by one rank each for their finite number."""
    count, tail = len(found), (1.0 - level) / 2
    ordered = np.sort(found, axis=0)
    low = max(int(np.floor(tail * (count + 1))) - 1, 0)
    return ordered[low], ordered[count - 1 - low]


def covered(low: FloatArray, high: FloatArray, found: FloatArray) -> FloatArray:
    """Per residual whether it lies within the bounds of its distance."""
    return np.asarray((found >= low) & (found <= high))


def lower_end(low: FloatArray, drawn: FloatArray) -> FloatArray:
    """Whether the lower end of a drawn curve is above zero."""
    return np.asarray(np.exp(low) * (drawn + CURVE_OFFSET) > CURVE_OFFSET)


def held_on_others(found: FloatArray, coins: Sequence[str]) -> FloatArray:
    """Part of the maps, per distance, on which quantiles of all other coins hold; one with a single coin, of which
    nothing can be said."""
    names = np.array(coins)
    each = [
        covered(*conformal(found[names != coin]), found[names == coin])
        for coin in np.unique(names)
        if (names != coin).any()
    ]
    return np.concatenate(each).mean(axis=0) if each else np.ones(found.shape[1])
