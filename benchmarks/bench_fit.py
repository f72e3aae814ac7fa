"""The fit of one side on 312 maps of 140 columns, and all that follows from it, beside a loop over pairs.

The loop is what one would write first: each pair's columns smoothed and weighed by themselves in double precision, its
dense normal equations added up, `nnls` at the end of each round. Both solve the same equations. Six coins of 52
synthetic maps; the columns are those of real dictionaries on random walks, a coin's targets drawn from known shares
with noise. Times are of the CPU on one thread, since others may use the machine.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Final

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from scipy.linalg import cholesky, solve_triangular
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import nnls

from liqtruth.compare.calibration.bands import (
    DRAWS,
    Spread,
    spread_of,
)
from liqtruth.compare.calibration.choices.fitted import coins_of, fit_coordinates
from liqtruth.compare.calibration.choices.pooled_fit import PooledFit
from liqtruth.compare.calibration.samples import SMOOTHING, Sample, sample_of
from liqtruth.compare.calibration.side_fit import (
    BEND,
    RIDGE,
    ROUNDS,
    VARIANCE_FLOOR,
    SideFit,
    fit_side,
    separable,
)
from liqtruth.compare.statistics.map_scores import BIN
from liqtruth.compare.workers import one_blas_thread
from liqtruth.estimator.model.brackets import Brackets
from liqtruth.estimator.model.leverage_model import COORDINATES, MAINTENANCE
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.levels import SIDES
from tests.compare.calibrated_markets import (
    CLASSES,
    PRIOR,
    VENUE,
    holdings_at,
    log_normal_shares,
    random_series,
    whole_market,
)

COINS: Final = ("A", "B", "C", "D", "E", "F")
MAPS, COLUMNS = 312, 140
HIGHEST: Final = 63.0 / MAINTENANCE
BRACKETS: Final = Brackets.flat("A", 0.5 / HIGHEST, HIGHEST, "28 nodes from 3x up to what maintenance allows")
FIT_AT_MOST_S: Final = 0.5
REST_AT_MOST_S: Final = 10.0
TOTAL: Final = 0.7
"""Part of open interest that is levered."""
PARTS: Final = 4


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    with one_blas_thread():
        yield


@pytest.fixture(scope="module")
def pairs() -> list[Sample]:
    """Of each day the same response matrix for all coins, with targets of their own."""
    rng = np.random.default_rng(20261121)
    truth = log_normal_shares(12.0, 0.7, TOTAL).ravel()
    found = []
    for day in range(MAPS // len(COINS)):
        series = random_series(day, start=timedelta(days=day))
        positions = whole_market(series, day)
        whole = sample_of("A", series, VENUE, positions, PRIOR, BRACKETS, coordinates=COORDINATES)
        found += [_with_targets(replace(whole, coin=coin), truth, rng) for coin in COINS]
    free = separable(found, PRIOR)
    assert (len(found), CLASSES * int(free.sum())) == (MAPS, COLUMNS)
    return found


def _with_targets(pair: Sample, shares: FloatArray, rng: np.random.Generator) -> Sample:
    """On both sides what the shares draw, times noise of mean one per bin."""
    for side in SIDES:
        one = pair.of(side)
        mass = one.columns["leverage"] @ shares
        noisy = holdings_at(mass * rng.gamma(4.0, 0.25, mass.shape), PARTS)
        pair = replace(pair, **{side: replace(one, holdings=noisy)})
    return pair


def one_side(pairs: list[Sample]) -> SideFit:
    sides, blocks = [pair.long for pair in pairs], [pair.block for pair in pairs]
    return fit_side(sides, blocks, PRIOR.shares("long"), separable(pairs, PRIOR))


def looped(pairs: list[Sample]) -> FloatArray:
    """Shares (classes, nodes) of the long side, one pair after the other."""
    prior, free = PRIOR.shares("long"), separable(pairs, PRIOR)
    chosen = np.flatnonzero(np.tile(free, CLASSES))
    others = np.flatnonzero(np.tile(~free, CLASSES))
    scale, start = 1.0, float(np.mean([pair.long.crowd.mean() for pair in pairs]))
    shares, weight = prior.ravel().copy(), None
    for _ in range(ROUNDS):
        matrix, right = np.zeros((len(chosen), len(chosen))), np.zeros(len(chosen))
        for pair in pairs:
            columns = gaussian_filter1d(pair.long.columns["leverage"].astype(float), SMOOTHING / BIN, axis=0)
            wanted = gaussian_filter1d(pair.long.crowd, SMOOTHING / BIN)
            rest = columns[:, others] @ prior.ravel()[others] * scale
            drawn = np.full(len(wanted), start) if weight is None else columns[:, chosen] @ weight + rest
            weighed = columns[:, chosen] / (drawn + VARIANCE_FLOOR * start)[:, None]
            matrix += weighed.T @ columns[:, chosen]
            right += weighed.T @ (wanted - rest)
        weight = _solution(matrix / len(pairs), right / len(pairs), prior[:, free])
        scale = min(1.0, max(0.0, 1.0 - weight.sum()) / prior.ravel()[others].sum())
        shares = prior.ravel() * scale
        shares[chosen] = weight
    return np.asarray(shares.reshape(prior.shape))


def _solution(matrix: FloatArray, right: FloatArray, prior: FloatArray) -> FloatArray:
    classes, nodes = prior.shape
    bend = np.diff(np.eye(nodes), n=2, axis=0)
    penalty = np.kron(np.eye(classes), BEND**2 * bend.T @ bend + RIDGE**2 * np.eye(nodes)) * matrix.trace()
    penalty /= len(matrix)
    upper = cholesky(matrix + penalty)
    weight = nnls(upper, solve_triangular(upper, right + penalty @ prior.ravel(), trans="T"))[0]
    assert weight.sum() <= 1.0, "the loop leaves the bound on the sum out"
    return np.asarray(weight)


def all_that_follows(pairs: list[Sample]) -> tuple[tuple[PooledFit, ...], tuple[Spread, ...]]:
    """Every coin left out, the coordinate chosen without it; the chosen fit's bootstrap and coins left out again."""
    fits = fit_coordinates(pairs, PRIOR, COORDINATES)
    without = tuple(PooledFit(PRIOR).choose(pairs, fits, coin) for coin in coins_of(pairs))
    fitted = PooledFit(PRIOR).choose(pairs, fits).fitted_
    return without, tuple(spread_of(fitted.of(side), coins_of(pairs), seed=0) for side in SIDES)


@pytest.mark.benchmark(group=f"fit of one side, {MAPS} maps x {COLUMNS} columns", timer=time.process_time)
def test_fit(benchmark: BenchmarkFixture, pairs: list[Sample]) -> None:
    found = benchmark.pedantic(lambda: one_side(pairs), rounds=5, warmup_rounds=1)
    np.testing.assert_allclose(found.shares, looped(pairs), atol=2e-4)
    assert benchmark.stats is None or benchmark.stats["min"] < FIT_AT_MOST_S


@pytest.mark.benchmark(group=f"fit of one side, {MAPS} maps x {COLUMNS} columns", timer=time.process_time)
def test_loop_over_pairs(benchmark: BenchmarkFixture, pairs: list[Sample]) -> None:
    benchmark.pedantic(lambda: looped(pairs), rounds=3)


@pytest.mark.benchmark(
    group="all coins left out in all coordinates, and the bootstrap", timer=time.process_time
)
def test_all_that_follows(benchmark: BenchmarkFixture, pairs: list[Sample]) -> None:
    """A loop would fit every coordinate and side, each with every coin left out once and twice, and every draw."""
    without, spreads = benchmark.pedantic(lambda: all_that_follows(pairs), rounds=2)
    assert len(without) == len(COINS)
    assert all(len(one.drawn) == DRAWS for one in spreads)
    apart = len(COINS) + len(COINS) * (len(COINS) - 1) // 2
    loops = len(SIDES) * (len(COORDINATES) * (1 + apart) + DRAWS)
    if benchmark.stats is not None:
        assert benchmark.stats["min"] < REST_AT_MOST_S
        started = time.process_time()
        looped(pairs)
        looped_s = loops * (time.process_time() - started)
        times = looped_s / benchmark.stats["min"]
        print(f"\n{loops} fits by the loop would take {looped_s:.0f} s, {times:.0f} times as long")  # noqa: T201
