"""A heatmap holds the mass that it was given: whatever the grid, the side, the filter."""

import pickle
from dataclasses import replace
from datetime import datetime
from math import fsum

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.grid import PriceGrid
from liqtruth.heatmap.heatmap import Coverage, Heatmap
from liqtruth.heatmap.levels import Sides, count_crossed
from liqtruth.heatmap.words.notes import note, sentence
from tests.heatmap.maps import (
    MARK,
    NOON,
    Level,
    any_level,
    any_levels,
    frame,
    levels_off_the_edges,
    map_of,
    mid_bin,
    widths,
)

MODES = ("isolated", "cross")
BANDS = ("1-5x", "5-20x", "20x+")
COARSE = PriceGrid(MARK, 100.0, 20)
dimensioned = st.lists(st.tuples(any_level, st.sampled_from(MODES), st.sampled_from(BANDS)), max_size=20)


def same_mass(a: float | np.ndarray, b: float | np.ndarray) -> bool:
    return bool(np.allclose(a, b, rtol=1e-9, atol=1e-3))


@given(any_levels, widths)
def test_total_is_in_the_grid_plus_beyond_plus_never(levels: list[Level], width_bps: float) -> None:
    built = map_of(levels, PriceGrid.around(MARK, width_bps))
    for side in ("long", "short"):
        parts = [part.of(side) for part in (built.in_grid_usd, built.beyond_usd, built.never_usd)]
        given_usd = fsum(usd for name, _, usd in levels if name == side)
        never = fsum(usd for name, px, usd in levels if name == side and px is None)
        assert same_mass(built.total_usd.of(side), given_usd)
        assert same_mass(fsum(parts), given_usd)
        assert same_mass(built.never_usd.of(side), never)


@given(levels_off_the_edges(COARSE.refined(5)), st.sampled_from([1, 5]))
def test_refining_the_grid_moves_no_mass(levels: list[Level], factor: int) -> None:
    """At every common edge the cumulative curve is the same, except for levels booked at the mark."""
    coarse, fine = map_of(levels, COARSE), map_of(levels, COARSE.refined(factor))
    assert same_mass(fine.cumulative()[::factor], coarse.cumulative())
    assert same_mass(fine.beyond_usd, coarse.beyond_usd)


@given(levels_off_the_edges(COARSE))
def test_mirroring_prices_mirrors_sides(levels: list[Level]) -> None:
    other = {"long": "short", "short": "long"}
    mirrored = map_of([(other[side], MARK**2 / px, usd) for side, px, usd in levels], COARSE)
    built = map_of(levels, COARSE)
    assert same_mass(mirrored.long_usd, built.short_usd[::-1])
    assert same_mass(mirrored.short_usd, built.long_usd[::-1])
    assert same_mass(mirrored.beyond_usd, built.beyond_usd[::-1])
    assert same_mass(mirrored.net_usd, -built.net_usd[::-1])


@given(any_levels)
def test_longs_are_below_the_mark_and_shorts_above_it(levels: list[Level]) -> None:
    built = map_of(levels)
    middle = built.grid.bins_each_way
    assert not built.long_usd[middle:].any()
    assert not built.short_usd[:middle].any()


@given(any_levels)
def test_the_cumulative_curve_rises_away_from_the_mark_from_zero_to_all_in_the_grid(
    levels: list[Level],
) -> None:
    built = map_of(levels)
    middle, curve = built.grid.bins_each_way, built.cumulative()
    assert curve.size == built.grid.edges.size
    assert curve[middle] == 0
    assert (np.diff(curve[middle::-1]) >= 0).all()
    assert (np.diff(curve[middle:]) >= 0).all()
    assert same_mass(curve[[0, -1]], built.in_grid_usd)


@given(dimensioned)
def test_the_parts_by_every_value_of_a_dimension_sum_to_the_whole(
    found: list[tuple[Level, str, str]],
) -> None:
    whole = apart(found)
    for name, values in (("margin_mode", MODES), ("leverage_band", BANDS)):
        parts = [whole.part({name: [value]}) for value in values]
        assert same_mass(sum(part.long_usd for part in parts), whole.long_usd)
        assert same_mass(sum(part.short_usd for part in parts), whole.short_usd)
        assert same_mass(np.sum([part.beyond_usd for part in parts], axis=0), whole.beyond_usd)
        assert same_mass(np.sum([part.never_usd for part in parts], axis=0), whole.never_usd)


@given(dimensioned, st.sampled_from(MODES), st.lists(st.sampled_from(BANDS), min_size=1, max_size=2))
def test_a_filter_is_the_map_of_the_levels_that_it_keeps(
    found: list[tuple[Level, str, str]], mode: str, bands: list[str]
) -> None:
    kept = apart([row for row in found if row[1] == mode and row[2] in bands])
    for part in (
        apart(found).part({"margin_mode": [mode], "leverage_band": bands}),
        apart(found).part({"leverage_band": bands}).filter(margin_mode=mode),
    ):
        assert same_mass(part.long_usd, kept.long_usd)
        assert same_mass(part.short_usd, kept.short_usd)
        assert same_mass(part.total_usd, kept.total_usd)


def test_a_breakdown_is_made_once_by_whoever_looks_and_stays_with_copies() -> None:
    drawn = map_of(frame([("long", 90.0, 1.0), ("short", 110.0, 2.0)], margin_mode=MODES), by=["margin_mode"])
    sent = pickle.loads(pickle.dumps(drawn))
    assert drawn.breakdown is drawn.breakdown is replace(drawn, model="renamed").breakdown
    assert sent.breakdown.equals(drawn.breakdown)
    assert replace(drawn, breakdown=None).dimensions == ()


def apart(found: list[tuple[Level, str, str]]) -> Heatmap:
    modes, bands = [mode for _, mode, _ in found], [band for _, _, band in found]
    levels = frame([level for level, _, _ in found], margin_mode=modes, leverage_band=bands)
    return map_of(levels, by=["margin_mode", "leverage_band"])


def test_a_filter_states_it_among_the_assumptions_and_keeps_the_rest() -> None:
    whole = map_of(
        frame([("long", 90.0, 1.0)], margin_mode=["cross"]), by=["margin_mode"], assumptions=[sentence("a")]
    )
    part = whole.part({"margin_mode": ["cross", "isolated"]})
    assert part.assumptions == (sentence("a"), note("filtered", kept={"margin_mode": ["cross", "isolated"]}))
    assert (part.coin, part.venue, part.as_of, part.coverage) == ("BTC", "hyperliquid", NOON, whole.coverage)


def test_a_filter_by_what_the_map_does_not_know_is_refused_with_what_it_knows() -> None:
    whole = map_of(frame([("long", 90.0, 1.0)], margin_mode=["cross"]), by=["margin_mode"])
    with pytest.raises(BadInput, match="no breakdown by 'age_band'; it has: margin_mode"):
        whole.filter(age_band="1 d")
    with pytest.raises(BadInput, match="no breakdown by 'side'"):
        whole.filter(side="long")
    with pytest.raises(BadInput, match="it has: none"):
        replace(whole, breakdown=None).filter(margin_mode="cross")


@given(dimensioned, st.lists(st.sampled_from((*BANDS, "17x")), max_size=3))
def test_a_label_that_a_whole_map_has_not_is_refused_with_those_it_has(
    found: list[tuple[Level, str, str]], bands: list[str]
) -> None:
    whole, known = apart(found), {band for _, _, band in found}
    if set(bands) <= known:
        assert same_mass(
            whole.filter(leverage=bands).total_usd, whole.part({"leverage_band": bands}).total_usd
        )
        return
    with pytest.raises(BadInput, match="this map has no leverage_band") as refused:
        whole.filter(leverage=bands)
    assert all(band in str(refused.value) for band in known)


def test_a_level_already_crossed_is_booked_next_to_the_mark() -> None:
    levels = [("long", 150.0, 3.0), ("long", 1e6, 4.0), ("short", 60.0, 5.0)]
    built = map_of(levels)
    middle = built.grid.bins_each_way
    assert (built.long_usd[middle - 1], built.short_usd[middle]) == (7.0, 5.0)
    assert built.beyond_usd == (0.0, 0.0)
    assert count_crossed(frame(levels), MARK) == (3, Sides(7.0, 5.0))


def test_one_level_is_in_the_bin_of_its_price() -> None:
    px = mid_bin(90.0, PriceGrid.around(MARK))
    built = map_of([("long", px, 5.0), ("short", 1_000.0, 6.0), ("short", None, 7.0)])
    assert np.flatnonzero(built.long_usd).tolist() == [int(built.grid.bin_of(px))]
    assert (built.in_grid_usd, built.beyond_usd, built.never_usd) == ((5.0, 0.0), (0.0, 6.0), (0.0, 7.0))
    assert built.net_usd.sum() == 5.0


def test_a_map_that_contradicts_itself_is_refused() -> None:
    built = map_of([("long", 90.0, 5.0)])
    wrong = {
        "got shape": {"short_usd": np.zeros(3)},
        "negative or missing": {"long_usd": -built.long_usd},
        "below the mark": {"long_usd": built.long_usd[::-1].copy()},
        "must have a time zone": {"as_of": datetime(2026, 8, 20)},
    }
    for message, change in wrong.items():
        with pytest.raises(BadInput, match=message):
            replace(built, **change)
    with pytest.raises(BadInput, match="negative or missing"):
        replace(built, short_usd=np.full(built.grid.bins, np.nan))


def test_coverage_is_a_share_of_each_side_and_unknown_without_open_interest() -> None:
    assert Coverage(200.0, Sides(100.0, 50.0)).share == (0.5, 0.25)
    assert Coverage(None, Sides(100.0, 50.0)).share is None


def test_a_filter_keeps_what_was_found_wrong_with_the_input() -> None:
    levels = frame([("long", 90.0, 1.0), ("long", 80.0, 2.0)], margin_mode=["cross", "isolated"])
    flawed = replace(map_of(levels, by=["margin_mode"]), quality=(sentence("a gap of 2.0 h"),))
    assert flawed.filter(margin_mode="cross").quality == (sentence("a gap of 2.0 h"),)
