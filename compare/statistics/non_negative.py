"""Least squares under non-negative weights, from normal equations, by block principal pivoting.

    min over w >= 0    w' M w / 2 - b' w,    M symmetric and positive definite

The solution is the one w with w >= 0, M w - b >= 0 and one of both zero in every place. Which places are positive is
guessed, the equations of those are solved, and all places that contradict the guess change sides at once; one at a time
where that has stopped to help, which ends (Kostreva 1978; Judice and Pires 1994; Kim and Park 2011). A guess from a
neighbouring problem, such as another draw of a bootstrap, is mostly right within a few steps. Steps that differ from
the last factorised one in few places border its equations with these instead of factorising anew.

Weights that must sum to at most one solve the same with a price p >= 0 on every place, M w - b + p. While the same
places are positive their sum falls linearly in p, so that the price is found in a few steps of Newton's.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqtruth.heatmap.grid import FloatArray, IntArray

BoolArray = NDArray[np.bool_]

PATIENCE: Final = 3
"""Exchanges of all places that may fail to bring fewer contradictions."""
STEPS_PER_PLACE: Final = 20
STEPS_OF_PRICE: Final = 100
BORDERED: Final = 12
"""Equations are factorised anew from where one in so many places has changed sides."""
ROUNDED: Final = 1e-10
"""By what a sum may miss one."""
ROUNDING: Final = 1e-12


def non_negative(matrix: FloatArray, right: FloatArray, guess: FloatArray | None = None) -> FloatArray:
    """Weights (places,) for `matrix` (places, places) and `right` (places,); `guess` only changes how soon."""
    positive = np.zeros(len(right), np.bool_) if guess is None else guess > 0
    slack = ROUNDING * float(np.abs(right).max(initial=0.0))
    fewest, patience = len(right) + 1, PATIENCE
    near = _Factorised.of(matrix, right, positive)
    for _ in range(STEPS_PER_PLACE * (len(right) + 1)):
        if not near.resembles(positive):
            near = _Factorised.of(matrix, right, positive)
        weight = near.solved(positive)
        pull = matrix @ weight - right
        wrong = np.where(positive, weight < 0, pull < -slack)
        count = int(wrong.sum())
        if count == 0:
            return weight
        if count < fewest:
            fewest, patience = count, PATIENCE
        elif patience > 0:
            patience -= 1
        else:
            wrong[: int(np.flatnonzero(wrong)[-1])] = False
        positive = positive ^ wrong
    return _one_after_the_other(matrix, right)


def at_most_one(
    matrix: FloatArray, right: FloatArray, guess: FloatArray | None = None
) -> tuple[FloatArray, bool]:
    """As `non_negative`, of weights that sum to at most one, and whether that bound was needed."""
    weight = non_negative(matrix, right, guess)
    if weight.sum() <= 1.0:
        return weight, False
    price, low, high = 0.0, 0.0, float(right.max())
    for _ in range(STEPS_OF_PRICE):
        over = float(weight.sum()) - 1.0
        if abs(over) <= ROUNDED or high - low <= ROUNDING * high:
            break
        low, high = (price, high) if over > 0 else (low, price)
        price += over / _fall(matrix, weight > 0)
        if not low < price < high:
            price = (low + high) / 2
        weight = non_negative(matrix, right - price, weight)
    return weight, True


def _fall(matrix: FloatArray, positive: BoolArray) -> float:
    """By how much the sum of the weights falls per unit of price while these are positive; infinite without any."""
    return float(_Factorised.of(matrix, np.ones(len(matrix)), positive).weight.sum()) or np.inf


@dataclass(frozen=True, eq=False)
class _Factorised:
    """The equations of the places `at`, solved: `factor` of their part of the matrix (Cholesky) and `weight` (places,),
    zero elsewhere."""

    matrix: FloatArray
    right: FloatArray
    at: IntArray
    factor: FloatArray
    weight: FloatArray

    @classmethod
    def of(cls, matrix: FloatArray, right: FloatArray, positive: BoolArray) -> "_Factorised":
        from scipy.linalg.lapack import dposv

        at, factor, weight = positive.nonzero()[0], np.zeros((0, 0)), np.zeros(len(right))
        if at.size:
            factor, weight[at], failed = dposv(
                matrix.take(at, axis=0).take(at, axis=1).T, right[at], overwrite_a=True
            )
            if failed:
                raise np.linalg.LinAlgError(f"the equations of {at.size} places are not positive definite")
        return cls(matrix, right, at, factor, weight)

    @cached_property
    def places(self) -> BoolArray:
        held = np.zeros(len(self.right), np.bool_)
        held[self.at] = True
        return held

    def resembles(self, positive: BoolArray) -> bool:
        """Whether few of these places differ from the own."""
        return BORDERED * int((positive ^ self.places).sum()) <= self.at.size

    def solved(self, positive: BoolArray) -> FloatArray:
        """The equations of these places, zero elsewhere: the own ones, bordered by one that holds each place gone at
        zero and by those of the new places (Schur complement)."""
        from scipy.linalg.lapack import dpotrs

        gone, new = (self.places & ~positive)[self.at].nonzero()[0], (positive & ~self.places).nonzero()[0]
        if not gone.size + new.size:
            return self.weight
        border = np.zeros((self.at.size, gone.size + new.size), order="F")
        border[gone, np.arange(gone.size)] = 1.0
        border[:, gone.size :] = self.matrix.take(new, axis=0).take(self.at, axis=1).T
        inner, _ = dpotrs(self.factor, border)
        corner, wanted = -border.T @ inner, -border.T @ self.weight[self.at]
        corner[gone.size :, gone.size :] += self.matrix[np.ix_(new, new)]
        wanted[gone.size :] += self.right[new]
        along = np.linalg.solve(corner, wanted)
        weight = self.weight.copy()
        weight[self.at] -= inner @ along
        weight[self.at[gone]], weight[new] = 0.0, along[gone.size :]
        return weight


def _one_after_the_other(matrix: FloatArray, right: FloatArray) -> FloatArray:
    """The active-set method, for where rounding lets places change sides for ever."""
    from scipy.linalg import cholesky, solve_triangular
    from scipy.optimize import nnls

    upper = cholesky(matrix)
    return np.asarray(nnls(upper, solve_triangular(upper, right, trans="T"))[0])
