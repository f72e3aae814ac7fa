"""Curves say where mass lies from the mark outward, whatever the bins, the mark or the reach of the grid."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.compare.statistics.distances import (
    RANGE_PCT,
    band_bounds_pct,
    band_mass_usd,
    both_curve,
    common_range_pct,
    distance_pct,
    log_distance,
    side_curve,
)
from liqtruth.heatmap.clusters.distribution import BANDS, mass_within
from liqtruth.heatmap.grid import PriceGrid
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.levels import Sides
from tests.compare.maps import MARK, Level, levels_of_both, map_of, mid_bin, price_at

both_sides = pytest.mark.parametrize("side", ["long", "short"])


def refined(heatmap: Heatmap, factor: int) -> Heatmap:
    """Every bin cut into equal parts with equal shares of its mass: the same piecewise linear curve."""
    parts = {name: np.repeat(getattr(heatmap, name) / factor, factor) for name in ("long_usd", "short_usd")}
    return Heatmap(
        coin=heatmap.coin,
        venue=heatmap.venue,
        source=heatmap.source,
        as_of=heatmap.as_of,
        grid=heatmap.grid.refined(factor),
        beyond_usd=Sides(0.0, 0.0),
        never_usd=Sides(0.0, 0.0),
        coverage=heatmap.coverage,
        **parts,
    )


@both_sides
@given(distance=st.floats(0.0, 99.0))
def test_log_distance_and_percent_are_inverse(side: str, distance: float) -> None:
    assert distance_pct(log_distance(distance, side), side) == pytest.approx(distance, abs=1e-9)


@both_sides
@given(distance=st.floats(0.0, 99.0))
def test_log_distance_is_that_of_the_price_from_the_mark(side: str, distance: float) -> None:
    expected = abs(np.log(price_at(side, distance) / MARK))
    assert float(log_distance(distance, side)) == pytest.approx(expected, abs=1e-12)


@both_sides
@given(levels=levels_of_both, factor=st.integers(2, 5))
def test_cutting_bins_changes_no_curve(side: str, levels: list[Level], factor: int) -> None:
    heatmap = map_of(levels)
    at = np.linspace(0, log_distance(RANGE_PCT, side), 997)
    coarse, fine = (side_curve(each, side).share(at) for each in (heatmap, refined(heatmap, factor)))
    assert fine == pytest.approx(coarse, abs=1e-9)


@both_sides
@given(levels=levels_of_both, width_bps=st.floats(1.0, 50.0))
def test_a_curve_on_any_grid_is_right_to_one_bin(side: str, levels: list[Level], width_bps: float) -> None:
    heatmap = map_of(levels, grid=PriceGrid.around(MARK, width_bps))
    curve, width = side_curve(heatmap, side), heatmap.grid.log_width
    mine = [(float(log_distance(away, side)), usd) for name, away, usd in levels if name == side]
    for at, _ in mine:
        inside = sum(usd for other, usd in mine if other < at - width)
        within = sum(usd for other, usd in mine if other < at + 2 * width)
        assert inside * (1 - 1e-9) <= np.interp(at, curve.at, curve.mass_usd) <= within * (1 + 1e-9)


@given(levels=levels_of_both, factor=st.floats(0.001, 1000.0))
def test_a_map_of_another_mark_has_the_same_curves_by_relative_distance(
    levels: list[Level], factor: float
) -> None:
    settled = [(side, mid_bin(away, side), usd) for side, away, usd in levels]
    here, there = map_of(settled), map_of(settled, mark_px=MARK * factor)
    for side in ("long", "short"):
        a, b = side_curve(here, side), side_curve(there, side)
        assert a.mass_usd == pytest.approx(b.mass_usd)
        assert a.at == pytest.approx(b.at)


@given(levels_of_both)
def test_one_axis_holds_both_sides_and_splits_at_the_mark(levels: list[Level]) -> None:
    heatmap = map_of(levels)
    curve = both_curve(heatmap)
    longs, shorts = (side_curve(heatmap, side).total_usd for side in ("long", "short"))
    assert curve.total_usd == pytest.approx(longs + shorts)
    assert np.interp(0.0, curve.at, curve.mass_usd) == pytest.approx(longs)
    for side, sign in (("long", -1), ("short", 1)):
        away = side_curve(heatmap, side)
        between = np.abs(np.interp(sign * away.at, curve.at, curve.mass_usd) - longs)
        assert between == pytest.approx(away.mass_usd, abs=1e-3)
    assert (np.diff(curve.at) > 0).all()
    assert (np.diff(curve.mass_usd) >= -1e-6).all()


@both_sides
@given(levels=levels_of_both)
def test_bands_are_those_of_the_map_and_lose_nothing(side: str, levels: list[Level]) -> None:
    heatmap = map_of(levels)
    curve = side_curve(heatmap, side)
    mass = band_mass_usd(curve, side)
    assert mass.sum() == pytest.approx(curve.total_usd)
    assert mass == pytest.approx(np.diff(mass_within(heatmap, BANDS, side)), abs=1e-3)


def test_what_lies_beyond_the_range_is_cut_off() -> None:
    heatmap = map_of([("long", 4.0, 1e6), ("long", 30.0, 3e6), ("short", 80.0, 5e6)])
    assert side_curve(heatmap, "long").total_usd == pytest.approx(4e6)
    assert side_curve(heatmap, "long", 10.0).total_usd == pytest.approx(1e6)
    assert side_curve(heatmap, "short").empty


def test_maps_are_compared_as_far_as_the_narrowest_grid_reaches() -> None:
    wide, narrow = (
        map_of([("long", 4.0, 1e6)]),
        map_of([("long", 4.0, 1e6)], grid=PriceGrid.around(MARK, reach=0.1)),
    )
    assert common_range_pct(wide, wide) == RANGE_PCT
    # 101 bins of 10 bps are the fewest that reach a log distance of 0.1; they end at 1 - 1.001^-101.
    assert common_range_pct(wide, narrow) == pytest.approx(9.602, abs=0.001)
    assert band_bounds_pct(common_range_pct(wide, narrow))[:-1] == (0.0, 1.0, 2.0, 3.0, 5.0)
