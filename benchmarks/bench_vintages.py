"""A snapshot of the vintage model: the response matrix and one map, beside a loop over bars."""

import bisect
import math
import tracemalloc

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from liqtruth.estimator.model.brackets import LONG, SHORT, Brackets, liquidation_factors
from liqtruth.estimator.model.leverage_model import leverage_model_named
from liqtruth.estimator.model.response_matrix import Lots, ResponseMatrix, build_response_matrix
from liqtruth.estimator.model.turnover import activity, turn_over
from liqtruth.estimator.series.time_line import ENTRY_POINTS, Bars
from liqtruth.heatmap.grid import FloatArray, PriceGrid

MODEL = leverage_model_named("prior")
RATES = np.array(MODEL.rates)
WEIGHT = MODEL.shares("long")
FLAT = Brackets.flat("X", 0.004, 125, "for the benchmark")
FACTORS = tuple(liquidation_factors(FLAT, np.array(MODEL.leverage), side) for side in (LONG, SHORT))
WIDTH_BPS = 1e4 * math.expm1(math.log(2) / 240)
SIZES = {"8,640 bars of 5 minutes": (8640, 300), "180 days of 1 hour bars": (4320, 3600)}


@pytest.fixture(scope="module", params=SIZES, ids=["30d-5m", "180d-1h"])
def market(request: pytest.FixtureRequest) -> tuple[Bars, int]:
    """A synthetic random walk."""
    count, step_s = SIZES[request.param]
    rng = np.random.default_rng(20261121)
    scale = math.sqrt(step_s / 300)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.0015 * scale, count)))
    before = np.append(100.0, close[:-1])
    open_interest = 1e5 * np.exp(np.cumsum(rng.normal(0, 0.001 * scale, count + 1)))
    high, low = np.maximum(before, close) * 1.0005, np.minimum(before, close) * 0.9995
    return Bars(high, low, close, open_interest, rng.lognormal(5, 1, count)), step_s


def turned(bars: Bars, step_s: int) -> Lots:
    active = activity(bars.open_interest, bars.volume, step_s)
    return Lots.of(bars.open_interest, turn_over(bars.open_interest, active.coins, RATES))


def columns(bars: Bars, step_s: int) -> tuple[ResponseMatrix, FloatArray, FloatArray]:
    """480 bins, 40 nodes, 5 classes, 2 sides; one map of the prior's weights."""
    grid = PriceGrid(float(bars.close[-1]), WIDTH_BPS, 240)
    age = np.zeros(len(bars.close), dtype=np.int64)
    made = build_response_matrix(bars, turned(bars, step_s), age, 1, (FACTORS[0], FACTORS[1]), grid)
    return made, made.long.weighted(WEIGHT).sum(axis=(0, 1)), made.short.weighted(WEIGHT).sum(axis=(0, 1))


def looped(bars: Bars, step_s: int) -> list[list[float]]:
    """One bar after the other, backward, with running extremes: nodes and classes by hand, straight to the map."""
    lots, grid = turned(bars, step_s).left.tolist(), PriceGrid(float(bars.close[-1]), WIDTH_BPS, 240)
    weight, width, mark = WEIGHT.T.tolist(), grid.log_width, grid.mark_px
    shifts = [[math.log(factor) / width for factor in factors] for factors in FACTORS]
    logs = [[math.log(factor) for factor in factors] for factors in FACTORS]
    maps = [[0.0] * 483, [0.0] * 483]
    lowest, highest = math.inf, -math.inf
    rows = list(zip(bars.low.tolist(), bars.high.tolist(), bars.close.tolist(), lots, strict=True))
    for low, high, close, left in reversed(rows):
        per_node = [sum(a * b for a, b in zip(left, of_node, strict=True)) / 3 for of_node in weight]
        floor, roof = math.log(min(close, lowest)), math.log(max(close, highest))
        for point in ENTRY_POINTS:
            entry = math.log(low) + point * math.log(high / low)
            at = (entry - math.log(mark)) / width + 240 + 1e-9
            alive = bisect.bisect_left(logs[0], floor - entry)
            for node in range(alive):
                maps[0][min(max(math.floor(at + shifts[0][node]), -1), 239) + 1] += per_node[node]
            for node, log in enumerate(logs[1]):
                if log <= roof - entry:
                    break
                maps[1][min(max(math.floor(at + shifts[1][node]), 240), 480) + 1] += per_node[node]
        lowest, highest = min(lowest, low), max(highest, high)
    return maps


def group(benchmark: BenchmarkFixture, bars: Bars) -> None:
    benchmark.group = f"snapshot of {len(bars.close):,} bars, 40 nodes, 5 classes, 480 bins"


def test_columns(benchmark: BenchmarkFixture, market: tuple[Bars, int]) -> None:
    group(benchmark, market[0])
    _, long, short = benchmark(lambda: columns(*market))
    again = looped(*market)
    for mass, expected in ((long, again[0]), (short, again[1])):
        assert np.cumsum(mass) == pytest.approx(np.cumsum(expected), abs=1e-6)


def test_loop_over_bars(benchmark: BenchmarkFixture, market: tuple[Bars, int]) -> None:
    group(benchmark, market[0])
    benchmark.pedantic(lambda: looped(*market), rounds=3)


def test_another_map_of_the_same_columns(benchmark: BenchmarkFixture, market: tuple[Bars, int]) -> None:
    group(benchmark, market[0])
    made, _, _ = columns(*market)
    benchmark(lambda: (made.long.weighted(WEIGHT), made.short.weighted(WEIGHT)))


def test_floor_of_one_bincount(benchmark: BenchmarkFixture, market: tuple[Bars, int]) -> None:
    """Lots of both sides, placed beforehand, added up."""
    group(benchmark, market[0])
    lots = 2 * len(market[0].close) * len(ENTRY_POINTS) * 40
    place, coins = np.arange(lots) % 480, np.ones(lots)
    assert benchmark(lambda: np.bincount(place, coins, 480)).sum() == lots


def test_peak_memory(market: tuple[Bars, int]) -> None:
    tracemalloc.start()
    columns(*market)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"peak of one snapshot of {len(market[0].close):,} bars: {peak / 1e6:.0f} MB")  # noqa: T201
    assert peak < 300e6
