"""Rank correlations with the move taken out, their intervals, and Wilson's bounds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from liqtruth.compare.statistics.intervals import (
    DAY_MS,
    Draws,
    drawn_days,
    partial,
    rank_covariances,
    ranks,
    weighted_medians,
    wilson,
)
from liqtruth.heatmap.grid import FloatArray

seeds = st.integers(0, 2**32 - 1)


def one_day_each(count: int, seed: int = 0) -> Draws:
    return drawn_days(np.arange(count) * DAY_MS, seed)


def score(x: FloatArray, y: FloatArray, *controls: FloatArray) -> float:
    once = drawn_days(np.arange(len(x)), seed=0, draws=1)
    covariance = rank_covariances((y, x, *controls), once)
    return float(partial(covariance, 1, 0, tuple(range(2, 2 + len(controls))))[0])


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40))
def test_ranks_are_those_of_scipy(values: list[int]) -> None:
    assert np.array_equal(ranks(np.array(values, dtype=float)), stats.rankdata(values))


@given(seeds)
def test_without_controls_it_is_spearmans_correlation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, noise = rng.integers(0, 12, 50).astype(float), rng.normal(size=50)
    y = x + 5 * noise
    assert score(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)


@given(seeds)
def test_with_controls_it_correlates_what_regressions_on_their_ranks_leave(seed: int) -> None:
    rng = np.random.default_rng(seed)
    move, volatility = rng.normal(size=(2, 80))
    x, y = move + rng.normal(size=80), move + volatility + rng.normal(size=80)
    design = np.column_stack([np.ones(80), stats.rankdata(move), stats.rankdata(volatility)])

    def left(values: FloatArray) -> FloatArray:
        ranked = stats.rankdata(values)
        return np.asarray(ranked - design @ np.linalg.lstsq(design, ranked, rcond=None)[0])

    assert score(x, y, move, volatility) == pytest.approx(np.corrcoef(left(x), left(y))[0, 1], abs=1e-9)


@given(seeds)
def test_only_ranks_count(seed: int) -> None:
    x, y, control = np.random.default_rng(seed).normal(size=(3, 40))
    assert score(np.exp(x), y**3, control) == pytest.approx(score(x, y, control), abs=1e-12)


def test_what_is_a_function_of_the_controls_scores_zero_and_perfect_agreement_one() -> None:
    rng = np.random.default_rng(1)
    move, other, y = rng.normal(size=(3, 60))
    assert score(np.exp(move), y + move, move, other) == 0.0
    assert score(y, y, move, other) == pytest.approx(1.0)


def test_where_nothing_happened_there_is_no_score() -> None:
    rng = np.random.default_rng(1)
    assert np.isnan(score(rng.normal(size=30), np.zeros(30), rng.normal(size=30)))


def test_a_draw_of_days_is_the_score_of_the_windows_of_those_days() -> None:
    """Ranks stay those of all windows; only how often a window counts changes."""
    rng = np.random.default_rng(2)
    start_ms = np.repeat(np.arange(6), 5) * DAY_MS
    draws = drawn_days(start_ms, seed=3, draws=20)
    x, y, control = rng.normal(size=(3, 30))
    found = partial(rank_covariances((y, x, control), draws), 1, 0, (2,))
    times = draws.times[7].astype(int)
    again = np.repeat(np.arange(30), times[draws.day])
    ranked = np.stack([ranks(values)[again] for values in (y, x, control)])
    precision = np.linalg.inv(np.cov(ranked, bias=True))
    expected = -precision[0, 1] / np.sqrt(precision[0, 0] * precision[1, 1])
    assert found[7] == pytest.approx(expected)


def test_fewer_than_five_days_have_no_interval_and_the_same_seed_gives_the_same_one() -> None:
    values = np.random.default_rng(0).normal(size=401)
    four = one_day_each(4).estimate(values)
    five, again = (one_day_each(5, seed=9).estimate(values) for _ in range(2))
    assert four is not None
    assert (four.low, four.high) == (None, None)
    assert five == again
    assert five is not None
    assert five.low is not None


def test_the_interval_of_a_mean_is_as_wide_as_theory_has_it() -> None:
    """Of 400 independent days with standard deviation 1, 95 % lie within 1.96 / 20 on each side."""
    values = np.random.default_rng(4).normal(size=400)
    draws = one_day_each(400)
    found = draws.estimate(draws.sums(values) / 400)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low == pytest.approx(2 * 1.96 / 20, rel=0.2)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=25))
def test_the_median_of_all_windows_is_the_median(values: list[float]) -> None:
    draws = one_day_each(len(values))
    assert weighted_medians(np.array(values), draws.day, draws.times)[0] == pytest.approx(np.median(values))


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [(0, 10, 0.0, 0.2775), (1, 10, 0.0179, 0.4042), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662)],
)
def test_wilsons_bounds_of_the_textbooks(hits: int, count: int, low: float, high: float) -> None:
    """The last is Newcombe's (1998) example."""
    assert wilson(hits, count) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 500), st.floats(0, 1))
def test_the_bounds_hold_the_share_and_mirror(count: int, share: float) -> None:
    low, high = wilson(share * count, count)
    assert 0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1
    mirrored = wilson((1 - share) * count, count)
    assert (1 - mirrored[1], 1 - mirrored[0]) == pytest.approx((low, high), abs=1e-9)
