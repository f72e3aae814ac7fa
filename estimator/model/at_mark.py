"""Levels that follow the mark: positions whose liquidation keeps its distance from the current price.

Cross collateral that moves with the price, profits that are withdrawn and margin that is added keep a position's
distance whatever its entry was. Such a part of open interest is the limit of an ever faster turnover: it is drawn anew
at each moment's mark, nothing of it was ever swept, and it has no age. Of a node's share, leverage being distance to
liquidation as everywhere, as much lies at each log price between the middles to both neighbouring nodes. So with fine
nodes any shape that is copied from the mark outward is one of these.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import ArrayLike

from liqtruth.estimator.model.brackets import LONG, SHORT, Brackets, liquidation_factors
from liqtruth.heatmap.grid import FloatArray, PriceGrid
from liqtruth.heatmap.levels import TwoSided

AT_THE_MARK: Final = "at the mark"
"""Its label among ages."""


@dataclass(frozen=True, eq=False)
class Reach:
    """Log distance from the mark at which each node begins and ends, shape (nodes,); infinite where no price
    liquidates. A node that ends at zero is nearer than maintenance allows: it places nothing."""

    near: FloatArray
    far: FloatArray

    @classmethod
    def of(cls, leverage: FloatArray, brackets: Brackets, side: str, position_usd: float) -> Self:
        """`leverage` (nodes,) ascending, at least 1."""
        sign = LONG if side == "long" else SHORT
        middle = np.sqrt(leverage[1:] * leverage[:-1])
        ends = np.concatenate([[leverage[0] ** 2 / middle[0]], middle, [leverage[-1] ** 2 / middle[-1]]])
        own, edges = (
            _distance(brackets, values, sign, position_usd) for values in (leverage, np.maximum(ends, 1.0))
        )
        far, without_end = edges[:-1].copy(), np.isfinite(own) & np.isinf(edges[:-1])
        far[without_end] = 2 * own[without_end] - edges[1:][without_end]
        return cls(edges[1:], far)

    def within(self, distance: ArrayLike) -> FloatArray:
        """Part of each node within log distances (k,) from the mark, shape (nodes, k)."""
        placed = self.far > 0
        near, far = (np.where(placed & np.isfinite(end), end, 0.0) for end in (self.near, self.far))
        width = np.maximum(far - near, np.finfo(float).eps)
        part = np.clip((np.asarray(distance) - near[:, None]) / width[:, None], 0.0, 1.0)
        return np.asarray(part * (placed & np.isfinite(self.far))[:, None])

    @property
    def never(self) -> FloatArray:
        """1 for nodes that no price liquidates, else 0."""
        return np.isinf(self.far).astype(np.float64)

    @property
    def placed(self) -> FloatArray:
        """1 for nodes that hold something, at a price or at none; 0 for those nearer than maintenance allows."""
        return (self.far > 0).astype(np.float64)

    def on_grid(self, grid: PriceGrid, side: str) -> FloatArray:
        """Part of each node per place of a response matrix on a grid around the mark, shape (nodes, bins + 3)."""
        middle = grid.bins_each_way
        steps = np.diff(self.within(np.arange(middle + 1) * grid.log_width), axis=1)
        found = np.zeros((len(self.far), grid.bins + 3))
        beyond = self.placed - self.never - steps.sum(axis=1)
        if side == "long":
            found[:, 1 : middle + 1], found[:, 0] = steps[:, ::-1], beyond
        else:
            found[:, middle + 1 : -2], found[:, -2] = steps, beyond
        found[:, -1] = self.never
        return found


@dataclass(frozen=True, eq=False)
class AtMark(TwoSided[FloatArray]):
    """Shares of open interest that follow the mark: `long` and `short` per node of `leverage` (nodes,), as seen from
    the mark on one market; `band` labels each node."""

    leverage: FloatArray
    long: FloatArray
    short: FloatArray
    band: tuple[str, ...]

    def reach(self, brackets: Brackets, side: str, position_usd: float) -> Reach:
        return Reach.of(self.leverage, brackets, side, position_usd)

    def over_time(
        self, mark_px: FloatArray, grid: PriceGrid, brackets: Brackets, side: str, position_usd: float
    ) -> tuple[FloatArray, FloatArray, float]:
        """Shares of open interest at each mark (moments,): in the grid's bins (moments, bins), beyond it (moments,),
        and at no price."""
        reach, share, sign = (
            self.reach(brackets, side, position_usd),
            self.of(side),
            -1.0 if side == "long" else 1.0,
        )
        away = sign * np.log(grid.edges / mark_px[:, None])
        known = np.unique(np.concatenate([[0.0], reach.near, reach.far]))
        known = known[np.isfinite(known) & (known >= 0)]
        curve = np.interp(away, known, share @ reach.within(known))
        on_map = np.abs(np.diff(curve, axis=1))
        whole = float(share @ (reach.placed - reach.never))
        return on_map, np.maximum(whole - on_map.sum(axis=1), 0.0), float(share @ reach.never)


def _distance(brackets: Brackets, leverage: FloatArray, sign: float, position_usd: float) -> FloatArray:
    """Log distance from the mark to liquidation, at least zero; infinite where no price liquidates."""
    factor = liquidation_factors(brackets, leverage, sign, position_usd)
    alive = factor > 0
    away = np.maximum(-sign * np.log(np.where(alive, factor, 1.0)), 0.0)
    return np.asarray(np.where(alive, away, np.inf))
