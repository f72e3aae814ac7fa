"""A divergence is computed from the maps alone, says who is best, and refuses what has no answer."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.compare.divergence.as_json import to_json
from liqtruth.compare.divergence.baselines import null_of
from liqtruth.compare.divergence.divergence import SCHEMA, Divergence, undefined_reasons
from liqtruth.compare.divergence.measure import compare_maps
from liqtruth.compare.errors import NothingToCompare
from liqtruth.compare.statistics.distances import HEADLINE_PCT, RANGES_PCT
from liqtruth.heatmap.grid import PriceGrid
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.levels import Sides
from liqtruth.heatmap.words.notes import sentence
from tests.compare.maps import FAR, MANY, MARK, NEAR, NOON, TRUTH, Level, levels_of_both, map_of, mid_bin

LONGS = [("long", 4.0, 1e6)]
EDGE = [("long", 24.5, 1e6), ("short", 24.5, 1e6)]
"""Where the range of the headline ends."""
WIDEST = 50.0
"""Levels that are drawn lie within it."""


def modelled(levels: Sequence[Level], model: str = "tiers", **more: object) -> Heatmap:
    return map_of(levels, venue="binance", model=model, **more)


def compared(*models: Sequence[Level], within_pct: float = HEADLINE_PCT) -> Divergence:
    maps = [modelled(levels, f"m{n}") for n, levels in enumerate(models)]
    return compare_maps(map_of(MANY), maps, within_pct=within_pct)


@given(levels_of_both, levels_of_both)
def test_the_same_maps_give_the_same_bytes(truth: list[Level], model: list[Level]) -> None:
    first, second = (to_json(compare_maps(map_of(truth), [modelled(model)])) for _ in range(2))
    assert first == second


@given(levels_of_both)
def test_the_truth_as_its_own_model_is_not_off_at_all(levels: list[Level]) -> None:
    result = compare_maps(map_of(levels), [modelled(levels)], within_pct=WIDEST).models[0]
    assert result.scores.wasserstein_pct == 0
    assert result.skill == 1
    assert all(match.model_px == match.truth_px for match in result.matches)
    assert not any(match.matched for match in result.matches), "a few positions judge nothing"


@given(levels_of_both, levels_of_both)
def test_shares_of_the_bands_sum_to_one_and_usd_to_what_is_in_range(
    truth: list[Level], model: list[Level]
) -> None:
    found = compare_maps(map_of(truth), [modelled(model)], within_pct=WIDEST)
    for side in ("long", "short"):
        bands = [band for band in found.bands if band.side == side]
        for shares in zip(*((b.truth_share, b.null_share, *b.model_shares) for b in bands), strict=True):
            assert sum(shares) == pytest.approx(1)
        assert sum(band.truth_usd for band in bands) == pytest.approx(
            found.truth.in_grid_usd.of(side), rel=1e-6
        )


def test_a_band_holds_the_shares_of_truth_null_and_each_model_in_their_places() -> None:
    """All of the truth within 3 to 5 %, of the first model within 5 to 10, of the second beyond; the null is even."""
    both = [[("long", at, 1e6), ("short", at, 2e6)] for at in (4.0, 7.0, 30.0)]
    found = compare_maps(
        map_of(both[0]), [modelled(both[1], "m0"), modelled(both[2], "m1")], within_pct=WIDEST
    )
    rows = {(b.side, b.low_pct): (b.truth_share, *b.model_shares, b.null_share) for b in found.bands}
    for side in ("long", "short"):
        assert rows[side, 3.0] == pytest.approx((1, 0, 0, 0.04), abs=1e-3)
        assert rows[side, 5.0] == pytest.approx((0, 1, 0, 0.10), abs=1e-3)
        assert rows[side, 20.0] == pytest.approx((0, 0, 1, 0.60), abs=1e-3)


@given(levels_of_both, st.floats(0.5, 2.0))
def test_a_mark_elsewhere_is_no_error_since_distances_are_relative(
    levels: list[Level], factor: float
) -> None:
    settled = [(side, mid_bin(away, side), usd) for side, away, usd in levels]
    found = compare_maps(map_of(settled), [modelled(settled, mark_px=MARK * factor)], within_pct=WIDEST)
    assert found.models[0].scores.wasserstein_pct == pytest.approx(0, abs=1e-6)
    assert found.models[0].summary.basis_bps == pytest.approx(1e4 * (factor - 1), abs=1e-6)


def answer(found: Divergence) -> tuple[str, str | None]:
    assert found.conclusion is not None
    return found.conclusion.code, found.conclusion.label


def test_the_null_as_a_model_has_skill_nought_and_the_verdict_states_it() -> None:
    truth = map_of(MANY)
    found = compare_maps(truth, [null_of(truth)])
    assert found.models[0].skill == 0
    assert answer(found) == ("none_beats_mark", "null distance-only")
    assert found.headline.endswith(", no better.")


def test_the_verdict_names_the_best_model_and_its_widest_gap() -> None:
    """Within 50 %: within 25 % the best of three is no nearer than by chance."""
    found = compared(FAR, NEAR, EDGE, within_pct=WIDEST)
    skills = [result.skill for result in found.models]
    assert skills[1] == max(skills)
    assert answer(found) == ("nearest", "binance m1")
    gap = found.conclusion.gap if found.conclusion else None
    assert gap in found.layers[0].models[1].gaps if found.layers else gap in found.models[1].gaps
    assert found.headline.startswith("binance m1 puts "), "the shares that differ most come first"
    assert found.headline.endswith(", better.")


def test_where_no_model_beats_the_mark_the_verdict_names_them_all() -> None:
    found = compared(EDGE, EDGE)
    assert answer(found) == ("none_beats_mark", "binance m0")
    assert found.headline.endswith(", worse.")
    assert "No other map is nearer." in found.beside
    assert found.models[0].skill < 0
    assert found.models[0].verdict.endswith(": worse")


def test_an_unscorable_model_is_kept_with_its_reason_beside_a_scored_one() -> None:
    found = compared(LONGS, NEAR)
    assert found.models[0].skill is None
    assert answer(found)[1] == "binance m1"
    assert undefined_reasons(found) == ["binance m0: no shorts of binance m0 within 25 % of the mark"]
    assert [band.model_shares[0] for band in found.bands if band.side == "short"] == [None] * 7


def test_where_nothing_can_be_scored_the_verdict_gives_the_reason() -> None:
    found = compared(LONGS)
    assert answer(found) == ("none_scored", None)
    assert "no shorts of binance m0" in found.verdict


def test_without_a_model_there_is_nothing_to_compare() -> None:
    with pytest.raises(NothingToCompare, match="no model"):
        compare_maps(map_of(TRUTH), [])


@pytest.mark.parametrize("tolerance", [0.0, -1.0, 50.1, float("nan"), float("inf")])
def test_a_tolerance_that_is_no_distance_is_refused_with_its_value(tolerance: float) -> None:
    with pytest.raises(NothingToCompare, match=f"tolerance must be .* got {tolerance}"):
        compare_maps(map_of(TRUTH), [modelled(NEAR)], tolerance)


@pytest.mark.parametrize("tolerance", [0.01, 50.0])
def test_the_ends_of_the_tolerance_are_accepted(tolerance: float) -> None:
    assert compare_maps(map_of(TRUTH), [modelled(NEAR)], tolerance).tolerance_pct == tolerance


def test_a_narrow_grid_narrows_the_range_of_every_map() -> None:
    narrow = modelled(NEAR, grid=PriceGrid.around(MARK, reach=0.1))
    found = compare_maps(map_of(TRUTH), [narrow, modelled(NEAR, "wide")])
    assert found.range_pct == pytest.approx(9.602, abs=0.001)
    assert found.bands[-1].high_pct == found.range_pct
    assert found.models[0].scores.mean == found.models[1].scores.mean
    assert all(cluster.peak_pct <= found.range_pct for cluster in found.truth.clusters)


def test_only_maps_of_the_sandbox_make_it_synthetic() -> None:
    truth, model = map_of(TRUTH), modelled(NEAR)
    expected = replace(truth, coverage=replace(truth.coverage, synthetic=True))
    assert not compare_maps(truth, [model]).synthetic
    assert compare_maps(expected, [model]).synthetic
    fitted_there = replace(model, coverage=replace(model.coverage, synthetic=True))
    assert compare_maps(truth, [fitted_there]).synthetic


def test_it_carries_schema_moment_and_what_each_map_states_of_itself() -> None:
    truth = map_of(TRUTH, open_interest_usd=1e9)
    model = modelled(NEAR, assumptions=(sentence("equal tiers"),), as_of=NOON + timedelta(hours=1))
    found = compare_maps(truth, [model])
    assert (
        (found.schema, found.coin, found.as_of)
        == (SCHEMA, "BTC", NOON)
        == ("liqtruth.divergence/1", "BTC", NOON)
    )
    assert found.models[0].summary.assumptions == (sentence("equal tiers"),)
    assert found.truth.coverage_share == Sides(*(usd / 1e9 for usd in truth.coverage.seen_usd))
    assert len(found.truth.clusters) <= 10


def test_scores_are_given_within_10_25_and_50_pct_and_the_answer_is_of_the_one_that_is_asked_for() -> None:
    maps = [modelled(NEAR, "near"), modelled(FAR, "far")]
    found = {at: compare_maps(map_of(MANY), maps, within_pct=at) for at in RANGES_PCT}
    assert compare_maps(map_of(MANY), maps) == found[HEADLINE_PCT]
    for at, one in found.items():
        assert one.ranges == found[HEADLINE_PCT].ranges
        [same] = [row for row in one.ranges if row.range_pct == at]
        assert [row.scores for row in same.models] == [row.scores for row in one.models]
        assert one.conclusion is not None
        assert one.conclusion.range_pct == at
        assert f"of price within {at:g} %" in one.headline
    with pytest.raises(NothingToCompare, match="10, 25 or 50 % of price, got 15"):
        compare_maps(map_of(MANY), maps, within_pct=15)


def test_a_narrow_map_narrows_what_all_are_ranked_on_and_no_figure_of_the_others() -> None:
    narrow = replace(modelled(NEAR, "narrow"), covers=(0.92 * MARK, 1.08 * MARK))
    both = compare_maps(map_of(MANY), [narrow, modelled(FAR, "wide")])
    alone = compare_maps(map_of(MANY), [modelled(FAR, "wide")])
    assert both.range_pct == pytest.approx(8, abs=0.2)
    assert alone.range_pct == HEADLINE_PCT
    assert both.models[1].verdict == alone.models[0].verdict
    assert both.models[1].diagnosis == alone.models[0].diagnosis
    for one, other in zip(both.ranges, alone.ranges, strict=True):
        assert one.models[1] == other.models[0]
        assert one.models[0].reach_pct == both.range_pct
    assert [one.values["label"] for one in both.remarks if one.code == "ranked_on_common"] == [
        "binance narrow"
    ]
    assert "ranked_on_common" not in {one.code for one in alone.remarks}
