"""Two maps are compared where both state anything, by shape alone; what is cut off, moved or apart is stated."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.compare.comparison.comparison import compare
from liqtruth.compare.comparison.report import render_report
from liqtruth.compare.divergence.as_json import to_json
from liqtruth.compare.divergence.measure import compare_maps
from liqtruth.compare.imported.overlap import Reach, apart, common_reach, cut, lined_up, shift
from liqtruth.compare.imported.read import read_map
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.heatmap import Heatmap, Origin
from liqtruth.heatmap.levels import NOTHING
from tests.compare.imported import layouts
from tests.compare.imported.layouts import LONG_USD, SHORT_USD, written
from tests.compare.maps import MANY, MARK, NOON, Level, levels_of_both, map_of
from tests.compare.test_report import words

WIDTH = 1e-3
"""Of a bin, in log price, nearly."""


def vendors(levels: Sequence[Level], low_pct: float, high_pct: float, **more: object) -> Heatmap:
    """A vendor's map that covers so much of the mark."""
    drawn = map_of(levels, venue="binance", model="coinank", **more)
    covers = drawn.mark_px * (1 + low_pct / 100), drawn.mark_px * (1 + high_pct / 100)
    inside = cut(drawn, Reach.of(replace(drawn, covers=covers)))
    return replace(
        inside,
        source="imported",
        origin=Origin("coinank", "by exchange"),
        covers=covers,
        coverage=drawn.coverage,
        beyond_usd=NOTHING,
    )


def test_a_page_states_up_to_where_its_shares_are_counted() -> None:
    truth, model = map_of(MANY), vendors(MANY, -7.5, 4.6)
    cut_truth, cut_models, _, _ = lined_up(truth, [model])
    page = words(render_report(compare_maps(truth, [model]), cut_truth, cut_models))
    assert re.search(r"Shares are of what lies up to −7.[4-6]\s% and \+4.[5-7]\s% from the mark", page)
    whole = map_of(MANY, venue="binance", model="tiers")
    assert "Shares are of" not in words(render_report(compare_maps(truth, [whole]), truth, [whole]))


def test_maps_of_other_moments_are_named_before_what_too_few_positions_mean() -> None:
    few = [("long", 3.0, 5e6), ("short", 3.0, 5e6)]
    late = vendors(few, -7.5, 4.6, as_of=NOON + timedelta(days=1))
    found = [one.code for one in compare_maps(map_of(few), [late]).caveats]
    assert found.index("moments_apart") < found.index("few_positions_floor") == len(found) - 1


@given(levels_of_both, st.floats(-40, -1), st.floats(1, 40))
def test_a_cut_moves_mass_and_loses_none(levels: list[Level], low_pct: float, high_pct: float) -> None:
    whole = map_of(levels)
    reach = Reach.of(vendors(levels, low_pct, high_pct))
    part = cut(whole, reach)
    assert part.total_usd == pytest.approx(whole.total_usd)
    assert part.breakdown is not None
    assert part.breakdown["notional_usd"].sum() == pytest.approx(whole.total_usd.total)
    low, high = (MARK * np.exp(-reach.long), MARK * np.exp(reach.short))
    filled = part.grid.centers[(part.long_usd + part.short_usd) > 0]
    assert all(low * (1 - WIDTH) < px < high * (1 + WIDTH) for px in filled)
    assert cut(part, reach) is part


def test_a_cut_states_how_much_of_each_side_it_cut_off() -> None:
    whole = map_of([("long", 2.0, 3e6), ("long", 20.0, 1e6), ("short", 3.0, 5e6)])
    part = cut(whole, Reach.of(vendors(MANY, -10.0, 10.0)))
    (note,) = (one for one in part.coverage.notes if one.code == "cut_to_common")
    assert note.values["shares"] == pytest.approx((0.25, 0.0))
    assert (note.values["low_pct"], note.values["high_pct"]) == pytest.approx((-10.0, 10.0), abs=0.15)
    assert part.in_grid_usd == pytest.approx((3e6, 5e6))
    assert part.beyond_usd == pytest.approx((1e6, 0.0))


def test_maps_without_an_end_stay_as_they_are() -> None:
    truth, model = map_of(MANY), map_of(MANY, venue="binance", model="tiers")
    assert lined_up(truth, [model]) == (truth, (model,), None, ())


def test_each_side_has_a_range_of_its_own() -> None:
    reach = common_reach(map_of(MANY), vendors(MANY, -7.5, 4.6), vendors(MANY, -30.0, 2.0))
    assert reach.pct == pytest.approx((-7.5, 2.0), abs=0.15)


def test_the_same_map_within_a_narrow_axis_is_not_off_at_all() -> None:
    """What lies beyond the axis counts against nobody: neither the map nor the map that knows only the mark."""
    truth, model = map_of(MANY), vendors(MANY, -7.5, 4.6)
    found = compare_maps(truth, [model])
    assert found.range_pct == pytest.approx(7.5, abs=0.15)
    assert found.models[0].scores.wasserstein_pct == pytest.approx(0.0, abs=1e-6)
    assert found.null_scores.short.wasserstein_pct < 4.6
    assert "cut_to_common" in {one.code for one in found.truth.coverage.notes}


@given(st.floats(1e-6, 1e6))
def test_totals_are_never_compared(factor: float) -> None:
    """A vendor's amounts times any number give the same scores."""
    truth, model = map_of(MANY), vendors(MANY, -20.0, 20.0)
    scaled = replace(
        model, long_usd=model.long_usd * factor, short_usd=model.short_usd * factor, breakdown=None
    )
    one, other = (compare_maps(truth, [each]).models[0].scores for each in (model, scaled))
    assert one.wasserstein_pct == pytest.approx(other.wasserstein_pct, abs=1e-9)
    assert one.share_above == pytest.approx(other.share_above)


def test_a_side_that_one_map_lacks_has_no_score_there_and_takes_it_from_no_other() -> None:
    one_sided = vendors([("long", 3.0, 1e6)], -10.0, 0.0)
    found = compare_maps(map_of(MANY), [one_sided, map_of(MANY, venue="binance", model="tiers")])
    assert found.models[0].scores.long.wasserstein_pct is not None
    assert found.models[0].scores.short.wasserstein_pct is None
    assert found.models[1].scores.wasserstein_pct == pytest.approx(0.0, abs=1e-6)
    for note in found.truth.coverage.notes:
        assert all(np.isfinite(value) for value in note.values.values() if isinstance(value, float))


def test_lining_up_again_changes_nothing() -> None:
    truth, model = map_of(MANY), vendors(MANY, -7.5, 4.6, as_of=NOON - timedelta(hours=2), mark_px=102.0)
    first = lined_up(truth, [model], truth)
    second = lined_up(first[0], first[1], first[2])
    assert second[0] is first[0]
    assert second[1][0] is first[1][0]
    assert second[3] == first[3]
    assert to_json(compare_maps(truth, [model])) == to_json(
        replace(compare(truth, model).divergence, clusters=())
    )


# ----------------------------------------------------------------------------------------- apart


def codes(a: Heatmap, b: Heatmap) -> list[str]:
    return [one.code for one in apart(a, b)]


@pytest.mark.parametrize(
    ("minutes", "mark_px", "found"),
    [
        (0, 100.0, []),
        (15, 100.4, []),
        (16, 100.0, ["moments_apart"]),
        (-16, 100.0, ["moments_apart"]),
        (0, 100.6, ["marks_apart"]),
        (600, 99.0, ["moments_apart", "marks_apart"]),
    ],
)
def test_13_maps_of_other_moments_or_marks_are_named_in_the_headline(
    minutes: float, mark_px: float, found: list[str]
) -> None:
    model = vendors(MANY, -20.0, 20.0, as_of=NOON + timedelta(minutes=minutes), mark_px=mark_px)
    truth = map_of(MANY)
    assert codes(truth, model) == found
    assert codes(model, truth) == found
    result = compare_maps(truth, [model])
    for one in apart(truth, model):
        assert one.text in result.caveat
        assert one.code in {note.code for note in result.models[0].summary.coverage.notes}


def test_maps_of_this_program_are_made_for_the_moment_and_not_named() -> None:
    model = map_of(MANY, venue="binance", model="tiers", as_of=NOON + timedelta(hours=5))
    assert codes(map_of(MANY), model) == []


# ----------------------------------------------------------------------------------------- shift


@given(levels_of_both, st.floats(0.8, 1.25))
def test_a_shift_keeps_levels_at_their_prices_and_counts_what_was_swept(
    levels: list[Level], factor: float
) -> None:
    before = vendors(levels, -45.0, 80.0)
    after = shift(before, MARK * factor)
    assert after.mark_px == MARK * factor
    swept = before.total_usd.total - after.total_usd.total
    between = (before.grid.centers > MARK * min(factor, 1)) & (before.grid.centers < MARK * max(factor, 1))
    whole = float((before.long_usd + before.short_usd)[between].sum())
    near = float(
        (before.long_usd + before.short_usd)[np.abs(before.grid.centers / (MARK * factor) - 1) < 2e-3].sum()
    )
    assert swept == pytest.approx(whole, abs=near + 1e-6 * before.total_usd.total)


def test_a_shift_by_nothing_is_nothing_and_there_is_no_shift_to_no_price() -> None:
    model = vendors(MANY, -20.0, 20.0)
    assert shift(model, model.mark_px) is model
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(BadInput, match="mark to shift to"):
            shift(model, wrong)


def test_a_map_is_not_shifted_to_where_it_states_nothing() -> None:
    """Else what it does not know between its end and the new mark would count as nothing there."""
    ending = vendors(MANY, -20.0, 4.0)
    assert ending.covers is not None
    assert shift(ending, 0.999 * ending.covers[1]).covers == ending.covers
    with pytest.raises(BadInput, match="nothing is known around"):
        shift(ending, 1.001 * ending.covers[1])


def test_a_shift_keeps_the_tiers_and_states_what_was_swept(tmp_path: Path) -> None:
    before = read_map(written(tmp_path, layouts.coinank_by_leverage()))
    after = shift(before, 58_000.0)
    assert after.in_grid_usd == pytest.approx((5e6, SHORT_USD))
    assert after.filter(leverage="25x").in_grid_usd.long == pytest.approx(5e6 / 9)
    (note,) = (one for one in after.coverage.notes if one.code == "shifted")
    assert note.values["swept"] == pytest.approx(4e6 / (LONG_USD + SHORT_USD))


def test_a_stale_map_that_is_shifted_to_the_truths_mark_agrees_again() -> None:
    """Made at a mark 3 % higher, its levels are right; only distances from its own mark are not."""
    truth = map_of(MANY)
    stale = shift(vendors(MANY, -40.0, 40.0), 103.0)
    off, again = (
        compare_maps(truth, [one]).models[0].scores.long.wasserstein_pct
        for one in (stale, shift(stale, 100.0))
    )
    assert off is not None
    assert again is not None
    assert again < 0.2 < off
