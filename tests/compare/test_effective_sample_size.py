"""Few positions make an uncertain shape: the effective number counts them, the noise floor says how uncertain."""

from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.compare.statistics.distances import side_curve, wasserstein_pct
from liqtruth.compare.statistics.effective_sample_size import granularity, mean_floor_pct
from tests.compare.maps import Level, frame, map_of, mid_bin, sides

DRAWS = 60


def drawn(rng: np.random.Generator, positions: int, sizes: float = 0.0) -> list[Level]:
    """Longs of one population: lognormal distances, lognormal sizes of the given spread."""
    away = np.clip(8 * rng.lognormal(0.0, 0.6, positions), 0.1, 49.0)
    usd = 1e5 * rng.lognormal(0.0, sizes, positions) if sizes else np.full(positions, 1e5)
    return [("long", float(at), float(size)) for at, size in zip(away, usd, strict=True)]


def floor_pct(levels: list[Level]) -> float:
    return granularity(map_of(levels))[0].noise_floor_pct


@given(sides("long"))
def test_the_effective_number_lies_within_its_bounds(levels: list[Level]) -> None:
    long, _ = granularity(map_of(levels))
    usd = np.array([size for *_, size in levels])
    exact = usd.sum() ** 2 / (usd**2).sum()
    assert long.effective_least <= exact * (1 + 1e-9)
    assert long.effective_most >= exact * (1 - 1e-9)
    assert long.effective_least >= 1 - 1e-9
    assert long.effective_most <= long.positions * (1 + 1e-9)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=40, unique=True), st.floats(1e3, 1e8))
def test_positions_of_equal_notional_count_whole(bins: list[int], usd: float) -> None:
    levels = [("long", mid_bin(0.5 * n, "long"), usd) for n in bins]
    long, short = granularity(map_of(levels))
    assert long.positions == len(bins)
    assert long.effective_least == pytest.approx(len(bins))
    assert long.effective_most == pytest.approx(len(bins))
    assert (short.positions, short.noise_floor_pct) == (0, 0)


def test_positions_of_equal_notional_count_whole_even_within_one_bin() -> None:
    long, _ = granularity(map_of([("long", 5.05, 0.1)] * 30))
    assert long.effective_least == pytest.approx(30)
    assert long.effective_most == pytest.approx(30)
    assert long.noise_floor_pct == 0


def test_one_whale_among_many_counts_as_little_more_than_one() -> None:
    minnows = [("long", 0.5 * n, 1e3) for n in range(1, 80)]
    long, _ = granularity(map_of([*minnows, ("long", 12.0, 1e9)]))
    assert long.effective_most == pytest.approx(1, abs=1e-3)
    assert long.positions == 80


def test_a_dimension_of_the_breakdown_changes_little() -> None:
    """The same positions split by venue: fewer are pooled, so the bounds may only tighten."""
    levels = frame(drawn(np.random.default_rng(4), 300, 1.0))
    split = levels.with_columns(pl.Series("venue", ["a", "b"] * 150))
    whole, parts = (granularity(map_of(each, by=by))[0] for each, by in ((levels, ()), (split, ("venue",))))
    assert whole.positions == parts.positions == 300
    assert whole.effective_least <= parts.effective_least <= parts.effective_most <= whole.effective_most


def test_the_floor_falls_as_one_over_the_root_of_the_number() -> None:
    """Four times as many, half the floor; a little less among few, whose tails are not seen."""
    rng = np.random.default_rng(1)
    floors = [np.mean([floor_pct(drawn(rng, n)) for _ in range(40)]) for n in (50, 200, 800, 3200)]
    for few, many in pairwise(floors):
        assert few / many == pytest.approx(2, rel=0.15)


@pytest.mark.parametrize(("positions", "sizes"), [(40, 0.0), (200, 0.0), (200, 1.0)])
def test_the_floor_is_how_far_a_draw_lies_from_its_population(positions: int, sizes: float) -> None:
    """60 draws: the mean is good to a few percent, the formula is asymptotic. Two draws differ by root two of it."""
    rng = np.random.default_rng(2)
    population = side_curve(map_of(drawn(rng, 40_000)), "long")
    draws = [drawn(rng, positions, sizes) for _ in range(DRAWS)]
    curves = [side_curve(map_of(levels), "long") for levels in draws]
    floor = np.mean([floor_pct(levels) for levels in draws])
    measured = np.mean([wasserstein_pct(curve, population) for curve in curves])
    between = np.mean([wasserstein_pct(a, b) for a, b in pairwise(curves)])
    assert floor == pytest.approx(measured, rel=0.2)
    assert np.sqrt(2) * floor == pytest.approx(between, rel=0.2)


def test_positions_beyond_the_range_do_not_count() -> None:
    levels = [("long", 5.0, 1e6), ("long", 30.0, 1e6), ("short", 90.0, 1e6), ("short", 300.0, 1e6)]
    assert [side.positions for side in granularity(map_of(levels))] == [2, 0]
    assert [side.positions for side in granularity(map_of(levels), 20.0)] == [1, 0]


def test_only_an_exact_map_knows_its_positions() -> None:
    assert granularity(map_of([("long", 5.0, 1e6)], model="tiers")) == ()
    assert mean_floor_pct(()) is None


def test_the_mean_floor_needs_both_sides() -> None:
    longs = drawn(np.random.default_rng(3), 30)
    both = granularity(map_of([*longs, *(("short", at, usd) for _, at, usd in longs)]))
    assert mean_floor_pct(granularity(map_of(longs))) is None
    assert mean_floor_pct(both) == pytest.approx(sum(side.noise_floor_pct for side in both) / 2)
