"""Crowd and whales are two parts of one map: nothing is lost between them, and their notes state what they are."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.heatmap import Coverage, Heatmap
from liqtruth.heatmap.layers import (
    ABOUT_LAYERS,
    LARGEST_SHARE,
    LAYERS,
    Cut,
    effective_positions,
    layer_note,
    layer_of,
    whales_note,
)
from liqtruth.heatmap.levels import Sides
from tests.heatmap.maps import Level, any_levels, frame, map_of

open_interests = st.none() | st.floats(1.0, 1e12)


def cut_of(levels: list[Level], open_interest_usd: float | None) -> Cut:
    seen = Sides(*(sum(usd for name, _, usd in levels if name == side) for side in ("long", "short")))
    return Cut.of(Coverage(open_interest_usd, seen))


def layers_of(levels: list[Level], open_interest_usd: float | None) -> list[Heatmap]:
    holdings, cut = frame(levels), cut_of(levels, open_interest_usd)
    return [map_of(layer_of(holdings, cut, layer)) for layer in LAYERS]


@given(any_levels, open_interests)
def test_crowd_and_whales_add_up_to_the_whole_map_everywhere(
    levels: list[Level], open_interest_usd: float | None
) -> None:
    whole, (crowd, whales) = map_of(levels), layers_of(levels, open_interest_usd)
    for side in ("long_usd", "short_usd"):
        parts = getattr(crowd, side) + getattr(whales, side)
        assert np.allclose(parts, getattr(whole, side), rtol=1e-12, atol=0)
    for rest in ("beyond_usd", "never_usd"):
        parts = np.add(getattr(crowd, rest), getattr(whales, rest))
        assert np.allclose(parts, getattr(whole, rest), rtol=1e-12, atol=0)


@given(any_levels, open_interests)
def test_no_position_of_the_crowd_is_above_the_cut_and_every_whale_was(
    levels: list[Level], open_interest_usd: float | None
) -> None:
    holdings, cut = frame(levels), cut_of(levels, open_interest_usd)
    crowd, whales = (layer_of(holdings, cut, layer) for layer in LAYERS)
    assert crowd.height == holdings.height
    for side in ("long", "short"):
        largest = cut.at_usd.of(side)
        own = pl.col("side") == side
        assert all(usd <= largest for usd in crowd.filter(own)["notional_usd"])
        above = [usd for usd in holdings.filter(own)["notional_usd"] if usd > largest]
        assert whales.filter(own)["notional_usd"].to_list() == [usd - largest for usd in above]


def test_the_cut_is_a_share_of_open_interest_and_of_what_was_seen_where_that_is_unknown() -> None:
    known = Cut.of(Coverage(8e8, Sides(1e8, 2e8)))
    assert known.at_usd == (LARGEST_SHARE * 8e8, LARGEST_SHARE * 8e8)
    assert "0.3 % of open interest ($2.4M)" in only_whales(known)
    unknown = Cut.of(Coverage(None, Sides(1e8, 2e8)))
    assert unknown.at_usd == (LARGEST_SHARE * 1e8, LARGEST_SHARE * 2e8)
    assert "open interest being unknown ($300k long, $600k short)" in only_whales(unknown)


def only_whales(cut: Cut) -> str:
    return layer_note("whales", Sides(1.0, 0.0), Sides(4.0, 0.0), cut).text


def test_one_line_states_how_much_is_the_whales_and_on_how_many_the_crowd_rests() -> None:
    """Open interest of 1,000,000: cut at 3,000. Near: 3 x 3,000 and 1 x 1,000 of the crowd, 6,000 + 2,000 above."""
    levels = frame(
        [
            ("long", 95.0, 9_000.0),
            ("long", 90.0, 1_000.0),
            ("short", 105.0, 5_000.0),
            ("short", 125.0, 3_000.0),
            ("short", 140.0, 50_000.0),  # further than 30 %
            ("long", None, 70_000.0),  # no price liquidates it
        ]
    )
    line = whales_note(levels, Cut.of(Coverage(1e6, Sides(1e5, 1e5))), 100.0)
    assert line.text == (
        "whales hold 44 % of what lies within 30 % of the mark: 2 positions beyond 0.3 % of open interest ($3k) each; "
        "the crowd 56 % in 4 positions (effective number 2 long, 2 short)"
    )
    assert line.code in ABOUT_LAYERS


def test_a_position_that_the_mark_has_passed_counts_as_near() -> None:
    line = whales_note(frame([("long", 150.0, 100.0)]), Cut.of(Coverage(1e6, Sides(100.0, 0.0))), 100.0)
    assert "the crowd 100 % in 1 position (" in line.text


def test_nothing_near_is_reported_too() -> None:
    line = whales_note(frame([]), Cut.of(Coverage(None, Sides(0.0, 0.0))), 100.0)
    assert line.text == "whales hold nothing within 30 % of the mark, and the crowd neither"
    assert line.code in ABOUT_LAYERS


def test_what_a_layer_shows_is_reported_as_shares_of_each_side() -> None:
    message = layer_note("whales", Sides(1.0, 0.0), Sides(4.0, 0.0), Cut.of(Coverage(1e6, Sides(4.0, 0.0))))
    assert message.text == (
        "only the whales: of each position what it has above 0.3 % of open interest ($3k); 25.0 % of long and 0.0 % of "
        "short mass"
    )
    assert message.code in ABOUT_LAYERS


@given(st.integers(1, 50), st.floats(1.0, 1e6))
def test_equal_positions_are_as_many_as_they_are(count: int, usd: float) -> None:
    assert effective_positions(np.full(count, usd)) == pytest.approx(count)


def test_another_layer_is_refused() -> None:
    with pytest.raises(BadInput, match="the layer must be crowd or whales, got 'fish'"):
        layer_of(frame([]), Cut.of(Coverage(1.0, Sides(0.0, 0.0))), "fish")
