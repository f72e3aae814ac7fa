"""What a drawing shows: whole bins pooled, nothing lost in view; and beside it what the map is and has seen."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.heatmap.drawing.view import (
    SHOWN_SHARE,
    coverage_line,
    head_lines,
    kind,
    outside_line,
    position_counts,
    reach_bins,
    remainder_line,
    side_notes,
    title,
    zoomed,
)
from liqtruth.heatmap.grid import PriceGrid
from liqtruth.heatmap.heatmap import UNKNOWN_VENUE, Coverage, Heatmap
from liqtruth.heatmap.levels import Sides
from liqtruth.heatmap.words.notes import note, sentence, texts
from tests.heatmap.maps import MARK, Level, any_levels, at, levels_off_the_edges, map_of, widths

MAP = map_of([("long", 90.0, 1e6), ("short", 1_000.0, 2e6), ("short", None, 3e6)])


def seen(**coverage: Any) -> Heatmap:
    return replace(
        MAP, coverage=Coverage(**{"open_interest_usd": 4e6, "seen_usd": Sides(1e6, 3e6), **coverage})
    )


def test_the_title_names_coin_venue_kind_moment_and_mark() -> None:
    assert title(MAP) == "BTC on hyperliquid: exact positions, 2026-08-20 12:00:00 UTC, mark 100"


def test_the_kind_names_the_model_where_there_is_one() -> None:
    assert kind(replace(MAP, source="modelled", model="tiers")) == "model tiers"
    assert kind(replace(MAP, model="crowd")) == "exact positions, crowd"
    assert kind(replace(MAP, source="imported")) == "imported map"


def test_a_map_whose_venue_is_not_stated_is_not_named_by_one() -> None:
    nowhere = replace(MAP, source="imported", venue=UNKNOWN_VENUE, model="coinank")
    assert title(nowhere).startswith("BTC on a venue that is not stated: imported map coinank")
    assert title(replace(MAP, venue="all")).startswith("BTC on all venues: ")
    assert nowhere.label == "coinank"


def test_the_label_is_venue_and_model_or_source() -> None:
    assert MAP.label == "hyperliquid exact"
    assert replace(MAP, venue="binance", source="modelled", model="tiers").label == "binance tiers"


def test_coverage_is_reported_per_side_with_the_open_interest() -> None:
    assert coverage_line(seen()) == "covers 25.0 % of long and 75.0 % of short open interest ($4M)"


def test_a_model_does_not_cover_open_interest_but_places_it() -> None:
    assert coverage_line(replace(seen(), source="modelled")).startswith("places 25.0 % of long")


def test_without_open_interest_what_was_seen_is_reported_in_dollars() -> None:
    assert coverage_line(seen(open_interest_usd=None)) == "open interest unknown; seen $1M long / $3M short"


def test_positions_accounts_and_age_are_reported_where_they_are_known() -> None:
    message = coverage_line(seen(positions=12_345, accounts=6_789, oldest_age_s=720.0))
    assert message.endswith("; 12,345 positions of 6,789 accounts, oldest read 12 min before its moment")


def test_what_is_not_drawn_is_reported_per_side() -> None:
    message = remainder_line(MAP)
    assert message == "not drawn: no price liquidates $0 long / $3M short; off the grid $0 long / $2M short"


def test_a_picture_that_ends_before_its_map_states_what_lies_past_its_ends() -> None:
    far = map_of([("long", 99.0, 1e6), ("long", 60.0, 1e3), ("short", 104.0, 2e6)], PriceGrid.around(100.0))
    view = zoomed(far, 15)
    line = outside_line(far, view)
    assert line.startswith("past the ends of the picture, -")
    assert line.endswith(": $1k long / $0 short")
    assert side_notes(far, view)[:2] == (remainder_line(far), line)
    shorts = [("short", 101.0 + 0.1 * step, 1e6 / (3 + step)) for step in range(15)]
    rounded = map_of([("long", 60.0, 1e3), ("long", 99.0, 1e6), *shorts], PriceGrid.around(100.0))
    assert outside_line(rounded, zoomed(rounded, 15)).endswith(": $1k long / $0 short"), "not -$0"
    near = map_of([("long", 99.0, 1e6)], PriceGrid.around(100.0))
    assert not outside_line(near, zoomed(near, 15))


def test_unknown_collateral_and_crossed_positions_are_reported_only_where_there_are_some() -> None:
    message = remainder_line(
        seen(unknown_usd=Sides(5e5, 0.0), crossed_positions=2, crossed_usd=Sides(0.0, 7e5))
    )
    assert "collateral unknown $500k long / $0 short" in message
    assert "already past their price $0 long / $700k short, booked at the mark" in message
    assert "collateral" not in remainder_line(MAP)
    assert "past their price" not in remainder_line(seen(crossed_positions=0))


def test_what_was_wrong_with_the_input_is_reported_between_the_remainder_and_the_notes() -> None:
    flawed = replace(seen(notes=(sentence("a note"),)), quality=(sentence("2 prices of zero dropped"),))
    assert side_notes(flawed) == (remainder_line(MAP), "input: 2 prices of zero dropped", "a note")
    assert side_notes(MAP) == (remainder_line(MAP),)


def test_how_much_is_whales_is_read_first_and_not_twice() -> None:
    whales = note(
        "only_crowd", shares=(0.5, 0.25), cut_share=0.003, cut_usd=(1e5, 1e5), of_open_interest=True
    )
    drawn = seen(notes=(sentence("a note"), whales))
    assert head_lines(drawn) == (coverage_line(drawn), whales.text)
    assert side_notes(drawn) == (remainder_line(MAP), "a note")


def test_what_a_fitted_model_does_not_know_here_is_reported_beside_every_drawing() -> None:
    lacking = (
        note("not_levelled", venue="okx", whose="Hyperliquid"),
        note("unbounded_not_levelled", venue="okx"),
    )
    drawn = replace(seen(notes=(sentence("a note"),)), assumptions=(sentence("an assumption"), *lacking))
    assert side_notes(drawn) == (remainder_line(MAP), *texts(lacking), "a note")


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
