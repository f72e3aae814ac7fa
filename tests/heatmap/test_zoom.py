"""The part of a map that a picture shows: whole bins pooled, nothing lost inside the window."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.heatmap.drawing.view import SHOWN_SHARE, position_counts, reach_bins, zoomed
from liqtruth.heatmap.grid import PriceGrid
from tests.heatmap.maps import MARK, Level, any_levels, at, levels_off_the_edges, map_of, widths

bars = st.integers(1, 80)
near_levels = st.lists(
    st.tuples(st.just("long"), st.floats(-0.5, 0.0).map(at), st.floats(1.0, 1e9))
    | st.tuples(st.just("short"), st.floats(0.0, 0.5).map(at), st.floats(1.0, 1e9)),
    max_size=12,
)


@given(any_levels, widths, bars)
def test_bars_hold_exactly_the_mass_of_the_bins_that_they_pool(
    levels: list[Level], width_bps: float, most: int
) -> None:
    built = map_of(levels, PriceGrid.around(MARK, width_bps))
    view = zoomed(built, most)
    past_the_grid = built.grid.edges.size - 1
    index = np.minimum(np.searchsorted(built.grid.edges, view.edges), past_the_grid)
    for pooled, mass in ((view.long_usd, built.long_usd), (view.short_usd, built.short_usd)):
        whole = np.concatenate([[0.0], np.cumsum(mass)])
        assert np.allclose(pooled, np.diff(whole[index]), rtol=1e-9, atol=1e-3)


@given(any_levels, widths, bars)
def test_there_are_as_many_bars_below_the_mark_as_above_and_no_more_than_asked_for(
    levels: list[Level], width_bps: float, most: int
) -> None:
    view = zoomed(map_of(levels, PriceGrid.around(MARK, width_bps)), most)
    each_way = view.long_usd.size // 2
    assert view.short_usd.size == view.long_usd.size == view.edges.size - 1 == 2 * each_way
    assert each_way <= most
    assert view.edges[each_way] == MARK


@given(near_levels, bars)
def test_a_view_shows_nine_tenths_of_either_side(levels: list[Level], most: int) -> None:
    """Of mass which is not at the very end of the grid, where whole bars may not fit."""
    built = map_of(levels)
    view = zoomed(built, min(most + 6, 80))
    for shown, whole in ((view.long_usd, built.long_usd), (view.short_usd, built.short_usd)):
        assert shown.sum() >= SHOWN_SHARE * whole.sum() * (1 - 1e-9)


@given(levels_off_the_edges(PriceGrid.around(MARK)))
def test_positions_are_counted_per_bin(levels: list[Level]) -> None:
    built = map_of(levels)
    counts = position_counts(built)
    assert counts is not None
    bounds = built.grid.edges[[0, -1]]
    is_crossed = [(side == "long") == (px >= MARK) for side, px, _ in levels]
    placed = [
        past or bounds[0] <= px < bounds[1] for past, (_, px, _) in zip(is_crossed, levels, strict=True)
    ]
    assert counts.sum() == sum(placed)


def test_a_view_reaches_ten_percent_even_where_all_mass_is_nearer() -> None:
    view = zoomed(map_of([("long", 99.0, 1e6)]), 60)
    assert view.edges[-1] == pytest.approx(110.0, rel=0.01)
    assert view.edges[0] == pytest.approx(100 / 1.1, rel=0.01)


def test_a_far_whale_widens_the_view() -> None:
    built = map_of([("long", 99.0, 1e6), ("short", 160.0, 5e6)])
    assert reach_bins(built) > 4 * reach_bins(map_of([("long", 99.0, 1e6)]))
    assert zoomed(built, 60).edges[-1] > 160.0


def test_a_model_has_no_positions_to_count() -> None:
    built = map_of([("long", 99.0, 1e6)], source="modelled")
    assert position_counts(built) is None
    assert zoomed(built, 60).positions is None


def test_a_view_without_mass_is_empty() -> None:
    assert zoomed(map_of([("long", 1.0, 1e6)]), 60).empty
    assert not zoomed(map_of([("long", 99.0, 1e6)]), 60).empty
