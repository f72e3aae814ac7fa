"""Least squares under non-negative weights, from normal equations, by block principal pivoting.

    min over w >= 0    w' M w / 2 - b' w,    M symmetric and positive definite

The solution is the one w with w >= 0, M w - b >= 0 and one of both zero in every place. Which places are positive is
guessed, the equations of those are solved, and all places that contradict the guess change sides at once; one at a time
where that has stopped to help, which ends (Kostreva 1978; Judice and Pires 1994; Kim and Park 2011). A guess from a
neighbouring problem, such as another draw of a bootstrap, is mostly right within a few steps.

Weights that must sum to at most one solve the same with a price p >= 0 on every place, M w - b + p. While the same
places are positive their sum falls linearly in p, so that the price is found in a few steps of Newton's.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqtruth.heatmap.grid import FloatArray

PATIENCE: Final = 3
"""Exchanges of all places that may fail to bring fewer contradictions."""
STEPS_PER_PLACE: Final = 20
STEPS_OF_PRICE: Final = 100
ROUNDED: Final = 1e-10
"""By what a sum may miss one."""
ROUNDING: Final = 1e-12


def non_negative(matrix: FloatArray, right: FloatArray, guess: FloatArray | None = None) -> FloatArray:
    """Weights (places,) for `matrix` (places, places) and `right` (places,); `guess` only changes how soon."""
    positive = np.zeros(len(right), np.bool_) if guess is None else guess > 0
    slack = ROUNDING * float(np.abs(right).max(initial=0.0))
    fewest, patience = len(right) + 1, PATIENCE
    for _ in range(STEPS_PER_PLACE * (len(right) + 1)):
        weight = _solved(matrix, right, positive)
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


def _fall(matrix: FloatArray, positive: NDArray[np.bool_]) -> float:
    """By how much the sum of the weights falls per unit of price while these are positive; infinite without any."""
    return float(_solved(matrix, np.ones(len(matrix)), positive).sum()) or np.inf


def _solved(matrix: FloatArray, right: FloatArray, positive: NDArray[np.bool_]) -> FloatArray:
    """The equations of the positive places, zero elsewhere."""
    from scipy.linalg.lapack import dposv

    weight = np.zeros(len(right))
    at = positive.nonzero()[0]
    if at.size:
        chosen = matrix.take(at, axis=0).take(at, axis=1)
        _, weight[at], failed = dposv(chosen.T, right[at], overwrite_a=True)
        if failed:
            raise np.linalg.LinAlgError(f"the equations of {at.size} places are not positive definite")
    return weight


def _one_after_the_other(matrix: FloatArray, right: FloatArray) -> FloatArray:
    """The active-set method, for where rounding lets places change sides for ever."""
    from scipy.linalg import cholesky, solve_triangular
    from scipy.optimize import nnls

    upper = cholesky(matrix)
    return np.asarray(nnls(upper, solve_triangular(upper, right, trans="T"))[0])
