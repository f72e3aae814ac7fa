"""720 hours x 480 bins over 8,640 five-minute bars, 40 leverage nodes, 5 classes: one recursion beside rebuilding."""

import sys
import tracemalloc
from typing import Final

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from liqtruth.estimator.model.turnover import Turnover, activity, turn_over
from liqtruth.estimator.over_time.time_evolution import PriceTime, Steps, price_time
from liqtruth.estimator.series.time_line import Bars
from liqtruth.heatmap.grid import FloatArray, PriceGrid

HOURS: Final = 720
PER_HOUR: Final = 12
RATES: Final = np.array([0.0, 0.03, 0.1, 0.3, 1.0])
LEVERAGE: Final = np.geomspace(1.6, 115, 40)
GROUP: Final = "price-time heatmap of 720 hours x 480 bins"


def market() -> Bars:
    """A synthetic random walk of five-minute bars with open interest and volume."""
    rng = np.random.default_rng(20260906)
    count = HOURS * PER_HOUR
    close = 60_000 * np.exp(np.cumsum(rng.normal(0, 0.0010, count)))
    opened = np.append(close[0], close[:-1])
    high = np.maximum(opened, close) * np.exp(np.abs(rng.normal(0, 0.0005, count)))
    low = np.minimum(opened, close) * np.exp(-np.abs(rng.normal(0, 0.0005, count)))
    open_interest = 80_000 * np.exp(np.cumsum(rng.normal(0, 0.002, count + 1)))
    return Bars(high, low, close, open_interest, volume=rng.lognormal(6, 1, count))


BARS: Final = market()
TURNOVER: Final = turn_over(BARS.open_interest, activity(BARS.open_interest, BARS.volume, 300.0).coins, RATES)
GRID: Final = PriceGrid(float(BARS.close[-1]), 15.0, 240)
FACTORS: Final = ((1 - 1 / LEVERAGE) / 0.996, (1 + 1 / LEVERAGE) / 1.004)
WEIGHTS: Final = np.full((5, 40), 0.8 / 200)
STEPS: Final = Steps(np.arange(1, HOURS + 1) * PER_HOUR)


def drawn() -> PriceTime:
    return price_time(BARS, TURNOVER, FACTORS, (WEIGHTS, WEIGHTS), STEPS, GRID)


def rebuilt(hours: int) -> tuple[FloatArray, FloatArray]:
    """The snapshot of each of the last `hours` hours from all bars before it, lot by lot, as the field does it."""
    rows = [_snapshot(int(end)) for end in STEPS.ends[-hours:]]
    return np.stack([row[0] for row in rows]), np.stack([row[1] for row in rows])


def _snapshot(end: int) -> tuple[FloatArray, FloatArray]:
    sofar = Turnover(TURNOVER.openings[:end], TURNOVER.closed[:end])
    left = sofar.openings * sofar.survival / 3
    low = np.append(np.minimum.accumulate(BARS.low[:end][::-1])[::-1][1:], np.inf)
    high = np.append(np.maximum.accumulate(BARS.high[:end][::-1])[::-1][1:], -np.inf)
    lowest, highest = np.minimum(BARS.close[:end], low), np.maximum(BARS.close[:end], high)
    sides = []
    for factor, is_long in zip(FACTORS, (True, False), strict=True):
        px = BARS.entries[:end, :, None] * factor
        alive = px < lowest[:, None, None] if is_long else px > highest[:, None, None]
        bins = GRID.bin_of(px)
        alive &= (bins >= 0) & (bins < GRID.bins)
        coins = np.broadcast_to((left @ WEIGHTS)[:, None, :], px.shape)
        sides.append(np.asarray(np.bincount(bins[alive], coins[alive], GRID.bins), dtype=np.float64))
    return sides[0], sides[1]


@pytest.mark.benchmark(group=GROUP)
def test_recursion(benchmark: BenchmarkFixture) -> None:
    got = benchmark.pedantic(drawn, rounds=7, warmup_rounds=1)
    exact = rebuilt(1)
    for side, lots in ((got.long, exact[0]), (got.short, exact[1])):
        lost = 1 - side.on_map[-1].sum() / lots.sum()
        benchmark.extra_info.setdefault("less than by lots", []).append(f"{lost:.2%}")
        assert 0 <= lost < 0.05
    tracemalloc.start()
    drawn()
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    benchmark.extra_info["peak memory, MB"] = round(peak)
    sys.stderr.write(f"\npeak memory of the recursion {peak:.0f} MB; {benchmark.extra_info}\n")
    assert peak < 300


@pytest.mark.benchmark(group=GROUP)
def test_rebuilding_every_hour(benchmark: BenchmarkFixture) -> None:
    longs, _ = benchmark.pedantic(lambda: rebuilt(HOURS), rounds=1)
    assert longs.shape == (HOURS, GRID.bins)


@pytest.mark.benchmark(group=GROUP)
def test_floor_of_one_pass(benchmark: BenchmarkFixture) -> None:
    """Over what is kept of both sides: classes, hours and bins."""
    kept = np.ones((2, RATES.size, HOURS, GRID.bins))
    assert benchmark(lambda: kept * 0.5).shape == kept.shape
