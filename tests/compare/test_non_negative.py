"""Weights that are not negative: the conditions of the optimum hold, and scipy's solver finds the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import nnls

from liqtruth.compare.statistics.non_negative import at_most_one, non_negative
from liqtruth.heatmap.grid import FloatArray


def problem(seed: int, places: int) -> tuple[FloatArray, FloatArray]:
    """Columns that resemble their neighbours, as those of a response matrix do."""
    rng = np.random.default_rng(seed)
    columns = np.cumsum(rng.normal(size=(2 * places, places)), axis=1)
    return columns.T @ columns + np.eye(places), columns.T @ rng.normal(size=2 * places)


@given(st.integers(0, 10**6), st.integers(1, 40), st.booleans())
def test_no_weight_is_negative_and_none_could_be_better(seed: int, places: int, guessed: bool) -> None:
    matrix, right = problem(seed, places)
    guess = np.random.default_rng(seed).normal(size=places) if guessed else None
    weight = non_negative(matrix, right, guess)
    pull, scale = matrix @ weight - right, np.abs(right).max()
    assert weight.min() >= 0
    assert pull.min() >= -1e-9 * scale
    assert np.abs(pull * (weight > 0)).max() <= 1e-8 * scale


@given(st.integers(0, 10**6), st.integers(1, 40), st.booleans())
def test_of_weights_that_sum_to_at_most_one_none_could_be_better(
    seed: int, places: int, guessed: bool
) -> None:
    """A price on all places alike, nothing where the bound is not reached, stands for it (Karush, Kuhn and Tucker)."""
    matrix, right = problem(seed, places)
    guess = np.random.default_rng(seed).normal(size=places) if guessed else None
    weight, bound = at_most_one(matrix, right, guess)
    pull, scale = matrix @ weight - right, np.abs(right).max()
    assert weight.min() >= 0
    assert bound == (non_negative(matrix, right).sum() > 1)
    if not bound:
        assert weight == pytest.approx(non_negative(matrix, right), abs=1e-9)
        return
    assert weight.sum() == pytest.approx(1.0, abs=1e-9)
    price = -pull[weight > 0].mean()
    assert price >= -1e-9 * scale
    assert (pull + price).min() >= -1e-9 * scale
    assert np.abs((pull + price) * (weight > 0)).max() <= 1e-8 * scale


def test_scipy_finds_the_same() -> None:
    for seed in range(20):
        matrix, right = problem(seed, 60)
        upper = cholesky(matrix)
        theirs = nnls(upper, solve_triangular(upper, right, trans="T"))[0]
        assert non_negative(matrix, right) == pytest.approx(theirs, abs=1e-9 * max(1.0, theirs.max()))


def test_where_nothing_pulls_nothing_is_given() -> None:
    assert not non_negative(np.eye(3), -np.ones(3)).any()
    assert not non_negative(np.eye(2), np.zeros(2)).any()
