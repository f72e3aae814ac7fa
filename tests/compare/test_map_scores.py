"""Scores of maps on the axis of pairs: perfect maps, known shifts, agreement with the scores of heatmaps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from liqtruth.compare.statistics.distances import Curve, log_distance
from liqtruth.compare.statistics.distances import wasserstein_pct as wasserstein_of_curves
from liqtruth.compare.statistics.map_scores import (
    BIN,
    BINS,
    EDGES,
    HIGHER_IS_BETTER,
    SCORES,
    log_ratio,
    peaks,
    scores,
    within,
)
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.levels import SIDES

maps = arrays(np.float64, BINS, elements=st.floats(0, 0.01)).filter(lambda mass: mass[:100].sum() > 1e-6)
sides = st.sampled_from(SIDES)


def single(place: int, mass: float = 0.1) -> FloatArray:
    drawn = np.zeros(BINS)
    drawn[place] = mass
    return drawn


@given(maps, sides)
def test_a_map_is_at_no_distance_from_itself(mass: FloatArray, side: str) -> None:
    found = scores(mass, mass, side)
    assert set(found) == set(SCORES)
    for name, value in found.items():
        assert value == pytest.approx(1.0 if name in HIGHER_IS_BETTER else 0.0, abs=1e-9), name


@given(maps, maps, sides)
def test_shape_scores_do_not_see_the_level(truth: FloatArray, drawn: FloatArray, side: str) -> None:
    once, twice = scores(truth, drawn, side), scores(truth, drawn * 2, side)
    for name in ("wasserstein_pct", "jensen_shannon", "fractions_1pct"):
        assert once[name] == pytest.approx(twice[name], abs=1e-9)


@given(maps, st.floats(0.1, 10.0), sides)
def test_the_mass_score_is_the_log_of_the_factor(truth: FloatArray, factor: float, side: str) -> None:
    assert scores(truth, truth * factor, side)["mass"] == pytest.approx(abs(np.log(factor)))


@pytest.mark.parametrize("side", SIDES)
def test_a_level_ten_bins_off_is_ten_bins_away(side: str) -> None:
    assert scores(single(20), single(30), side)["wasserstein_pct"] == pytest.approx(100 * 10 * BIN)


@given(maps, maps, sides)
def test_wasserstein_is_that_of_the_curves_of_heatmaps(
    truth: FloatArray, drawn: FloatArray, side: str
) -> None:
    """The same area, computed there between piecewise linear curves; within half a bin of each other."""
    end = float(log_distance(25.0, side))
    at = np.append(EDGES[end > EDGES], end)
    curves = [Curve(at, np.interp(at, EDGES, np.append(0.0, np.cumsum(mass)))) for mass in (truth, drawn)]
    expected = wasserstein_of_curves(*curves)
    assert scores(truth, drawn, side)["wasserstein_pct"] == pytest.approx(expected, abs=100 * BIN / 2)


def test_what_a_move_liquidates_counts_the_reached_part_of_a_bin() -> None:
    mass = np.full(BINS, 0.01)
    assert within(mass, 5.0, "short") == pytest.approx(0.01 * np.log(1.05) / BIN)


def test_a_curve_of_twice_the_truth_is_low_by_its_log_raised_by_the_offset() -> None:
    ratio = log_ratio(single(5, 0.1), single(5, 0.2), 5.0, "long")
    assert ratio == pytest.approx(np.log(0.105 / 0.205))


def test_a_map_that_is_empty_has_no_shape_score() -> None:
    found = scores(single(10), np.zeros(BINS), "long")
    assert np.isnan(found["wasserstein_pct"])
    assert np.isnan(found["mass"])


def test_peaks_are_where_mass_stands() -> None:
    drawn = single(10) + single(40, 0.2) + single(80, 0.05)
    assert peaks(drawn, "short")[:3].tolist() == [40.0, 10.0, 80.0]
    assert np.isnan(peaks(drawn, "short")[3:]).all()


def test_recall_is_the_share_of_clusters_with_one_near() -> None:
    """One percent of price is five bins: the first is met, the second is not."""
    truth, drawn = single(10) + single(50), single(13) + single(70)
    assert scores(truth, drawn, "long")["recall_5"] == pytest.approx(0.5)
