"""Bounds from residuals of maps that were held out (split-conformal), and the distances at which they are withheld.

Residuals are r = ln((C + o) / (C' + o)), per map and distance (Mondrian: each distance for itself), of the true curve C
and the drawn C' of a side in shares of open interest, o = `CURVE_OFFSET`. With q their quantiles C lies between

    max(0, exp(q_low) (C' + o) - o)    and    max(0, exp(q_high) (C' + o) - o)

Of n independent residuals the one of rank k = (n + 1)(1 - level) / 2 has (1 - level) / 2 of further ones below it. Maps
of a coin soon after each other hold the same positions, so n is not their number but that of `independent_maps`, and
rank k of n is the quantile (k - 1) / (n - 1) of all. Fewer than `FEWEST_INDEPENDENT` have no such rank.

A distance has no bounds where the lower end would be nothing on more than a third of held-out maps, which tells
nobody anything, or where quantiles of the other coins held too rarely on each coin in turn. Elsewhere all maps have
them: those whose lower end is above nothing are maps that draw much, and the truth lies below bounds of these more
often.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from liqtruth.estimator.model.leverage_model import CURVE_OFFSET, LEVEL
from liqtruth.heatmap.bounds import NOT_HELD, NOTHING_BELOW
from liqtruth.heatmap.grid import FloatArray, IntArray

LEAST_ABOVE: Final = 2 / 3
"""Part of held-out maps whose lower end must be above zero."""
LEAST_HELD: Final = 0.6
"""Part of held-out maps on which the others' quantiles must hold: five coins with 17 days each show no difference to
`LEVEL` that is smaller."""
STANDS_DAYS: Final = 2
"""Days of a coin that count as one map: on synthetic markets a coin's residuals beyond 5 % of the mark, less their
mean, were correlated by 0.3 on average a day apart and by 0.1 two days apart, no longer four days apart."""
FEWEST_INDEPENDENT: Final = 9
"""The outermost of fewer residuals would still have more than (1 - `LEVEL`) / 2 of further ones beyond them."""


def independent_maps(coins: Sequence[str], days: Sequence[int]) -> IntArray:
    """A number per map; maps of one coin within the same `STANDS_DAYS` share it."""
    names = [(coin, day // STANDS_DAYS) for coin, day in zip(coins, days, strict=True)]
    order = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return np.array([order[name] for name in names], np.int64)


@dataclass(frozen=True, eq=False)
class Conformal:
    """Quantiles `low` and `high` of the residuals, shape (distances,), and per distance why they are withheld (null:
    they are not)."""

    low: FloatArray
    high: FloatArray
    withheld: tuple[str | None, ...]

    @classmethod
    def of(
        cls, found: FloatArray, drawn: FloatArray, coins: Sequence[str], days: Sequence[int]
    ) -> "Conformal":
        """Of residuals and drawn curves (maps, distances) of maps of these coins and days."""
        block = independent_maps(coins, days)
        low, high = conformal(found, counted(block))
        above = lower_end(low, drawn).mean(axis=0) >= LEAST_ABOVE
        held = held_on_others(found, coins, block) >= LEAST_HELD
        reasons = [
            NOTHING_BELOW if not is_above else None if is_held else NOT_HELD
            for is_above, is_held in zip(above.tolist(), held.tolist(), strict=True)
        ]
        return cls(low, high, tuple(reasons))

    def covers(self, found: FloatArray) -> FloatArray:
        """Of further maps: 1 where the truth lies within, 0 where not, nan where bounds are withheld."""
        given = np.array([reason is None for reason in self.withheld])
        return np.where(given, covered(self.low, self.high, found), np.nan)


def counted(block: IntArray) -> int:
    return len(np.unique(block))


def conformal(found: FloatArray, independent: int, level: float = LEVEL) -> tuple[FloatArray, FloatArray]:
    """Lower and upper quantile per column of residuals, of which so many are independent."""
    rank = (independent + 1) * (1.0 - level) / 2
    part = max(rank - 1.0, 0.0) / max(independent - 1, 1)
    low, high = np.quantile(found, [part, 1.0 - part], axis=0)
    return low, high


def covered(low: FloatArray, high: FloatArray, found: FloatArray) -> FloatArray:
    """Per residual whether it lies within the bounds of its distance."""
    return np.asarray((found >= low) & (found <= high))


def lower_end(low: FloatArray, drawn: FloatArray) -> FloatArray:
    """Whether the lower end of a drawn curve is above zero."""
    return np.asarray(np.exp(low) * (drawn + CURVE_OFFSET) > CURVE_OFFSET)


def held_on_others(found: FloatArray, coins: Sequence[str], block: IntArray) -> FloatArray:
    """Part of the maps, per distance, on which quantiles of all other coins hold; one with a single coin, of which
    nothing can be said."""
    names = np.array(coins)
    each = [
        covered(*conformal(found[names != coin], counted(block[names != coin])), found[names == coin])
        for coin in np.unique(names)
        if (names != coin).any()
    ]
    return np.concatenate(each).mean(axis=0) if each else np.ones(found.shape[1])
