"""The null map knows the mark and how much there is; nothing else of the truth leaks into it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.compare.divergence.baselines import LABEL, SAYS, null_of
from liqtruth.compare.statistics.distances import side_curve
from liqtruth.compare.statistics.scores import score
from liqtruth.heatmap.clusters.distribution import BANDS, mass_within
from liqtruth.heatmap.grid import PriceGrid
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.words.notes import texts
from tests.compare.maps import MARK, TRUTH, Level, levels_of_both, map_of


def shape(heatmap: Heatmap) -> np.ndarray:
    return np.concatenate([heatmap.long_usd, heatmap.short_usd]) / heatmap.in_grid_usd.total


@given(levels_of_both, st.floats(1.0, 100.0), st.floats(0.05, 1.0))
def test_neither_levels_nor_grid_nor_sides_change_its_shape(
    levels: list[Level], width_bps: float, reach: float
) -> None:
    truth = map_of(levels, grid=PriceGrid.around(MARK, width_bps, reach))
    if truth.in_grid_usd.total:
        assert shape(null_of(truth)) == pytest.approx(shape(null_of(map_of(TRUTH))), abs=1e-15)


@given(levels_of_both)
def test_its_mass_is_the_truths_half_on_each_side(levels: list[Level]) -> None:
    truth = map_of(levels)
    null = null_of(truth)
    assert null.in_grid_usd.total == pytest.approx(truth.in_grid_usd.total)
    assert null.in_grid_usd.long == pytest.approx(null.in_grid_usd.short)
    assert null.mark_px == truth.mark_px


def test_it_is_even_in_percent_of_the_mark() -> None:
    null = null_of(map_of(TRUTH))
    for side in ("long", "short"):
        within = mass_within(null, BANDS, side)
        assert np.diff(within) / within[-1] == pytest.approx(np.diff(BANDS) / BANDS[-1], rel=1e-3)


def test_nothing_lies_beyond_half_the_mark() -> None:
    null = null_of(map_of(TRUTH))
    for side in ("long", "short"):
        assert side_curve(null, side).total_usd == pytest.approx(null.in_grid_usd.total / 2, rel=1e-3)


def test_against_itself_it_is_perfect() -> None:
    null = null_of(map_of(TRUTH))
    scores = score(null, null_of(null))
    assert scores.mean.wasserstein_pct == pytest.approx(0, abs=1e-9)
    assert scores.mean.jensen_shannon == pytest.approx(0, abs=1e-9)
    assert scores.share_above_error == pytest.approx(0, abs=1e-12)


def test_of_an_empty_map_it_is_empty() -> None:
    assert null_of(map_of([("long", 60.0, 1e6)])).in_grid_usd.total == 0


def test_it_states_what_it_is() -> None:
    null = null_of(map_of(TRUTH))
    assert (null.label, null.source) == ("null distance-only", "modelled")
    assert texts(null.assumptions) == (SAYS,)
    assert "50 %" in SAYS
    assert LABEL == "knows only the mark"
