"""Wasserstein-1 is a metric in percent of price; Jensen-Shannon lies between equal and disjoint."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from liqtruth.compare.statistics.distances import (
    RANGE_PCT,
    Curve,
    jensen_shannon,
    log_distance,
    side_curve,
    smoothed_density,
    smoothed_jensen_shannon,
    wasserstein_pct,
    widest_gap,
)
from tests.compare.maps import Level, map_of, sides

END = float(log_distance(RANGE_PCT, "long"))

curves = sides("long").map(lambda levels: side_curve(map_of(levels), "long"))


@st.composite
def rough_curves(draw: st.DrawFn) -> Curve:
    """Any piecewise linear curve on its own knots, not only those of a grid."""
    knots = sorted(draw(st.lists(st.floats(0.01, END - 0.01), max_size=6, unique=True)))
    steps = draw(st.lists(st.floats(0.0, 1e7), min_size=len(knots) + 1, max_size=len(knots) + 1))
    steps[0] += 1.0
    return Curve(np.array([0.0, *knots, END]), np.cumsum([0.0, *steps]))


def spike(at_pct: float, usd: float = 1e6) -> Curve:
    return side_curve(map_of([("long", at_pct, usd)]), "long")


@given(rough_curves())
def test_no_map_is_away_from_itself(curve: Curve) -> None:
    assert wasserstein_pct(curve, curve) == 0
    assert smoothed_jensen_shannon(curve, curve) == 0


@given(rough_curves(), rough_curves())
def test_the_order_of_two_maps_does_not_matter(a: Curve, b: Curve) -> None:
    assert wasserstein_pct(a, b) == pytest.approx(wasserstein_pct(b, a), abs=1e-9)
    assert smoothed_jensen_shannon(a, b) == pytest.approx(smoothed_jensen_shannon(b, a), abs=1e-9)


@given(rough_curves(), rough_curves(), rough_curves())
def test_a_detour_is_never_shorter(a: Curve, b: Curve, c: Curve) -> None:
    assert wasserstein_pct(a, c) <= wasserstein_pct(a, b) + wasserstein_pct(b, c) + 1e-9


@given(rough_curves(), rough_curves())
def test_wasserstein_is_the_area_between_the_curves_on_a_fine_mesh(a: Curve, b: Curve) -> None:
    at = np.linspace(0.0, END, 200_001)
    gap = np.abs(a.share(at) - b.share(at))
    area = float(np.sum((gap[1:] + gap[:-1]) / 2 * np.diff(at)))
    assert wasserstein_pct(a, b) == pytest.approx(100 * area, abs=0.01)


@given(sides("long"), sides("long"))
def test_wasserstein_is_that_of_scipy_to_the_width_of_a_bin(a: list[Level], b: list[Level]) -> None:
    points = [(log_distance([away for _, away, _ in m], "long"), [usd for *_, usd in m]) for m in (a, b)]
    expected = 100 * wasserstein_distance(points[0][0], points[1][0], points[0][1], points[1][1])
    found = wasserstein_pct(*(side_curve(map_of(levels), "long") for levels in (a, b)))
    assert found == pytest.approx(expected, abs=0.2)


@given(curves, st.floats(0.5, 1e3))
def test_only_shape_counts_not_the_amount(curve: Curve, factor: float) -> None:
    more = Curve(curve.at, curve.mass_usd * factor)
    assert wasserstein_pct(curve, more) == pytest.approx(0, abs=1e-9)
    assert smoothed_jensen_shannon(curve, more) == pytest.approx(0, abs=1e-9)


@given(st.floats(0.01, 0.2), st.floats(0.001, 0.2))
def test_mass_that_moves_as_one_is_off_by_the_move(start: float, shift: float) -> None:
    at = np.array([0.0, start, start + 0.1, END])
    mass = np.array([0.0, 0.0, 1e6, 1e6])
    moved = Curve(np.array([0.0, start + shift, start + 0.1 + shift, END]), mass)
    assert wasserstein_pct(Curve(at, mass), moved) == pytest.approx(100 * shift)


@given(rough_curves(), rough_curves())
def test_jensen_shannon_lies_between_equal_and_disjoint(a: Curve, b: Curve) -> None:
    assert 0 <= smoothed_jensen_shannon(a, b) <= 1


@given(curves, st.floats(0.05, 2.0))
def test_smoothing_moves_no_mass_over_the_ends(curve: Curve, smoothing_pct: float) -> None:
    density = smoothed_density(curve, smoothing_pct)
    assert density.sum() == pytest.approx(1)
    assert (density >= 0).all()


def test_disjoint_bands_are_one_apart() -> None:
    bands = np.eye(7)
    for p, q in product(bands, bands):
        assert jensen_shannon(p, q) == (0 if (p == q).all() else 1)


def test_a_hairs_miss_is_near_and_a_true_miss_is_not() -> None:
    """0.1 % is one bin and a third of the smoothing; unsmoothed, neighbouring bins count as nearly disjoint."""
    assert smoothed_jensen_shannon(spike(5.05), spike(5.15)) < 0.05
    assert smoothed_jensen_shannon(spike(5.05), spike(5.15), 0.001) > 0.8
    assert smoothed_jensen_shannon(spike(5.05), spike(9.05)) > 0.99


def test_the_widest_gap_lies_between_what_one_map_has_and_the_other_lacks() -> None:
    near, far = spike(5.0), spike(20.0)
    at = widest_gap(near, far)
    assert log_distance(5.0, "long") <= at <= log_distance(20.0, "long")
    assert abs(near.share(at) - far.share(at)) == pytest.approx(1)
