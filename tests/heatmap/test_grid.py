"""The price grid: geometric bins around the mark, which is itself an edge."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.grid import PriceGrid

marks = st.floats(1e-6, 1e6)
grids = st.builds(PriceGrid, marks, st.floats(0.5, 500.0), st.integers(1, 300))


@given(grids)
def test_edges_ascend_by_one_ratio(grid: PriceGrid) -> None:
    ratios = grid.edges[1:] / grid.edges[:-1]
    assert grid.edges.size == grid.bins + 1
    assert ratios == pytest.approx(1 + grid.width_bps / 1e4, rel=1e-12)


@given(grids)
def test_the_mark_is_the_middle_edge_to_the_last_bit(grid: PriceGrid) -> None:
    assert grid.edges[grid.bins_each_way] == grid.mark_px
    assert int(grid.bin_of(grid.mark_px)) == grid.bins_each_way


@given(grids, st.floats(0.001, 0.999))
def test_a_price_inside_a_bin_has_the_index_of_the_edge_below(grid: PriceGrid, part: float) -> None:
    inside = grid.edges[:-1] + part * np.diff(grid.edges)
    assert grid.bin_of(inside).tolist() == list(range(grid.bins))
    assert grid.bin_of(inside).tolist() == (np.searchsorted(grid.edges, inside, "right") - 1).tolist()


@given(grids)
def test_a_price_on_an_edge_is_in_one_of_the_two_bins_that_touch_it(grid: PriceGrid) -> None:
    above = np.arange(grid.bins + 1)
    assert np.isin(above - grid.bin_of(grid.edges), [0, 1]).all()


@given(grids)
def test_prices_off_the_grid_have_the_two_outer_indices(grid: PriceGrid) -> None:
    outside = [grid.edges[0] * 0.999, grid.edges[-1] * 1.001, 1e-300, 1e300]
    assert grid.bin_of(outside).tolist() == [-1, grid.bins, -1, grid.bins]


@given(grids, st.lists(st.floats(1e-9, 1e9), min_size=2, max_size=20).map(sorted))
def test_a_higher_price_is_never_in_a_lower_bin(grid: PriceGrid, prices: list[float]) -> None:
    assert (np.diff(grid.bin_of(prices)) >= 0).all()


@given(grids)
def test_a_center_is_as_far_from_both_edges_in_log_price(grid: PriceGrid) -> None:
    below, above = np.log(grid.centers / grid.edges[:-1]), np.log(grid.edges[1:] / grid.centers)
    assert below == pytest.approx(above, abs=1e-12)
    assert grid.bin_of(grid.centers).tolist() == list(range(grid.bins))


@given(st.builds(PriceGrid, marks, st.floats(1.0, 500.0), st.integers(1, 100)), st.integers(1, 10))
def test_a_refined_grid_keeps_every_edge(grid: PriceGrid, factor: int) -> None:
    fine = grid.refined(factor)
    assert fine.bins == factor * grid.bins
    assert fine.edges[::factor] == pytest.approx(grid.edges, rel=1e-11)


@given(marks, st.floats(0.5, 500.0), st.floats(0.01, 2.0))
def test_a_grid_around_a_mark_covers_the_reach_and_less_than_a_bin_more(
    mark_px: float, width_bps: float, reach: float
) -> None:
    grid = PriceGrid.around(mark_px, width_bps, reach)
    assert reach <= grid.bins_each_way * grid.log_width + 1e-12
    assert (grid.bins_each_way - 1) * grid.log_width < reach


def test_the_default_grid_goes_from_half_the_mark_to_twice_the_mark() -> None:
    grid = PriceGrid.around(100.0)
    assert (grid.width_bps, grid.bins_each_way) == (10.0, 694)  # ln 2 / ln 1.001 = 693.5
    assert grid.edges[0] == pytest.approx(49.97, abs=0.01)
    assert grid.edges[-1] == pytest.approx(200.11, abs=0.01)


def test_a_grid_is_made_again_from_its_dictionary() -> None:
    grid = PriceGrid.around(63_123.5, 12.5)
    assert PriceGrid(**grid.to_dict()) == grid


@pytest.mark.parametrize("mark_px", [0.0, -1.0, float("nan"), float("inf")])
def test_a_mark_that_is_no_positive_number_is_refused(mark_px: float) -> None:
    with pytest.raises(BadInput, match=f"the mark price must be a positive number, got {mark_px!r}"):
        PriceGrid.around(mark_px)


@pytest.mark.parametrize("width_bps", [0.0, -5.0, 0.001, 2_001.0, float("inf")])
def test_a_width_without_use_is_refused(width_bps: float) -> None:
    with pytest.raises(BadInput, match=r"the bin width must be from 0\.01 to 2000 bps, got "):
        PriceGrid.around(100.0, width_bps)


@pytest.mark.parametrize("bins", [0, -3])
def test_a_grid_without_bins_is_refused(bins: int) -> None:
    with pytest.raises(BadInput, match="bins each way must be at least 1, got "):
        PriceGrid(100.0, 10.0, bins)
