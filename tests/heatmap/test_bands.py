"""Mass by distance: read off the cumulative curve, so that the bins do not matter."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.heatmap.distribution import mass_within, nearest_mass_pct
from liqtruth.heatmap.grid import PriceGrid
from tests.heatmap.maps import MARK, Level, any_levels, at, levels_off_the_edges, map_of, side, widths

TEN = PriceGrid(MARK, 10.0, 500)
distances = st.floats(0.0, 45.0)


def nearer_than(levels: list[Level], name: str, log_move: float) -> float:
    """By brute force: USD of one side's levels that a move of `log_move` from the mark liquidates."""
    sign = -1 if name == "long" else 1
    return sum(
        usd for s, px, usd in levels if s == name and px is not None and sign * np.log(px / MARK) <= log_move
    )


def log_move(name: str, distance_pct: float) -> float:
    return float(-np.log1p(-distance_pct / 100) if name == "long" else np.log1p(distance_pct / 100))


@given(any_levels, side, distances, widths)
def test_mass_within_a_distance_is_that_of_the_levels_to_a_bin(
    levels: list[Level], name: str, distance: float, width_bps: float
) -> None:
    grid = PriceGrid.around(MARK, width_bps)
    found = float(mass_within(map_of(levels, grid), distance, name))
    move, slack = log_move(name, distance), 1e-9
    least = nearer_than(levels, name, move - grid.log_width) if move > grid.log_width else 0.0
    most = nearer_than(levels, name, move + grid.log_width)
    assert least * (1 - slack) - slack <= found <= most * (1 + slack) + slack


@given(levels_off_the_edges(TEN), side, st.integers(0, 500))
def test_at_the_edge_of_a_bin_mass_within_is_exact(levels: list[Level], name: str, bins: int) -> None:
    edge = bins * TEN.log_width
    distance = 100 * (-np.expm1(-edge) if name == "long" else np.expm1(edge))
    expected = nearer_than(levels, name, edge) if bins else 0.0
    assert float(mass_within(map_of(levels, TEN), distance, name)) == pytest.approx(
        expected, rel=1e-6, abs=10.0
    )


@given(any_levels, side, distances, st.integers(2, 7))
def test_a_distance_holds_as_much_on_a_finer_grid_to_a_bin(
    levels: list[Level], name: str, distance: float, factor: int
) -> None:
    grid = PriceGrid.around(MARK, 100.0)
    coarse, fine = map_of(levels, grid), map_of(levels, grid.refined(factor))
    sign = -1 if name == "long" else 1
    near, far = (
        max(100 * sign * np.expm1(sign * max(log_move(name, distance) + step, 0.0)), 0.0)
        for step in (-grid.log_width - 1e-9, grid.log_width + 1e-9)
    )
    low, high = (float(mass_within(coarse, bound, name)) for bound in (near, far))
    assert low * (1 - 1e-9) - 1e-3 <= float(mass_within(fine, distance, name)) <= high * (1 + 1e-9) + 1e-3


@given(any_levels.filter(bool))
def test_the_nearest_mass_is_at_most_as_far_as_the_nearest_level_and_less_than_a_bin_nearer(
    levels: list[Level],
) -> None:
    grid = PriceGrid.around(MARK)
    sizeable = [(s, px, usd + 1.0) for s, px, usd in levels]
    for name, found in zip(("long", "short"), nearest_mass_pct(map_of(sizeable, grid)), strict=True):
        sign = -1 if name == "long" else 1
        away = [max(sign * np.log(px / MARK), 0.0) for s, px, _ in sizeable if s == name and px is not None]
        if not away or min(away) > grid.bins_each_way * grid.log_width - 1e-9:
            assert found is None or min(away) < grid.bins_each_way * grid.log_width + 1e-9
        else:
            assert found is not None
            assert min(away) - grid.log_width - 1e-9 <= log_move(name, found) <= min(away) + 1e-9


def test_beyond_the_grid_the_curve_stays_at_the_mass_in_the_grid() -> None:
    built = map_of([("long", 60.0, 2.0), ("long", 10.0, 5.0), ("short", 900.0, 5.0)])
    assert mass_within(built, [60.0, 99.0, 100.0, 200.0], "long").tolist() == [2.0] * 4
    assert float(mass_within(built, 5_000.0, "short")) == 0.0


def test_a_bin_that_touches_the_mark_is_at_distance_zero_and_an_empty_side_has_none() -> None:
    assert nearest_mass_pct(map_of([("long", at(-0.0005), 1.0)])) == (0.0, None)
