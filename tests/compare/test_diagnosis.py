"""Faults that are planted in a right map are named; a right map has none, however it was drawn."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from liqtruth.compare.diagnosis.diagnosis import by_maps, diagnose
from liqtruth.compare.divergence.measure import compare_maps
from liqtruth.compare.matching.assignment import assign_clusters
from liqtruth.compare.statistics.effective_sample_size import granularity, mean_floor_pct
from liqtruth.heatmap.clusters.distribution import find_clusters
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.words.notes import Notes, note
from tests.compare.maps import TRUTH, Level, crowd, map_of
from tests.compare.test_missing_venue import market, vendors

RANGE_PCT = 50.0
MANY = crowd(1, positions=900)
SKEWED = [
    *((side, away, usd) for side, away, usd in MANY if side == "long"),
    *((side, min(49.0, 3 * away), usd) for side, away, usd in MANY if side == "short"),
]
"""Longs near, shorts far: mirrored it is another map."""


def found(truth: list[Level], model: list[Level] | Heatmap) -> dict[str, dict[str, object]]:
    right = map_of(truth)
    other = model if isinstance(model, Heatmap) else map_of(model, model="planted")
    pairs = assign_clusters(find_clusters(right), find_clusters(other), 1.0)
    floor_pct = mean_floor_pct(granularity(right, RANGE_PCT))
    return {one.code: dict(one.values) for one in diagnose(right, other, RANGE_PCT, floor_pct, pairs)}


def changed(levels: list[Level], change: Callable[[str, float], tuple[str, float]]) -> list[Level]:
    return [(*change(side, away), usd) for side, away, usd in levels]


def moved(levels: list[Level], shift_pct: float) -> list[Level]:
    """Each price moved; what comes to the other side of the mark is of that side, as a vendor's file has it."""
    rows = []
    for side, away, usd in levels:
        signed = (1 + (away if side == "short" else -away) / 100) * (1 + shift_pct / 100) - 1
        rows.append(("short" if signed > 0 else "long", max(100 * abs(signed), 0.05), usd))
    return rows


def test_sides_that_were_exchanged_are_named() -> None:
    other = {"long": "short", "short": "long"}
    assert "looks_mirrored" in found(SKEWED, changed(SKEWED, lambda side, away: (other[side], away)))


@pytest.mark.parametrize("factor", [0.4, 0.5, 2.0])
def test_a_leverage_that_is_wrong_by_a_factor_is_named_with_it(factor: float) -> None:
    wrong = changed(MANY, lambda side, away: (side, away / factor if away / factor < 49 else 49.0))
    assert found(MANY, wrong)["looks_scaled"]["value"] == pytest.approx(factor, rel=0.15)


@pytest.mark.parametrize("shift_pct", [-4.0, -2.0, 3.0])
def test_a_map_of_another_price_is_named_with_how_far_it_must_be_moved(shift_pct: float) -> None:
    near = crowd(4, positions=900, middle_pct=4.0, spread=0.4)
    assert found(near, moved(near, shift_pct))["looks_moved"]["value"] == pytest.approx(-shift_pct, abs=0.6)


@pytest.mark.parametrize("away", [0.03, -0.04])
def test_a_map_that_is_centred_on_the_mean_price_is_named_with_that_price(away: float) -> None:
    near = crowd(4, positions=900, middle_pct=4.0, spread=0.4)
    mean = note("opened_at_mean", px=100 * (1 + away), window_s=259_200.0, by_volume=True, away=away)
    free = map_of(near, venue="binance", model="moving-average", assumptions=(mean,))
    centred = map_of(moved(near, 100 * away), model="other")
    elsewhere = map_of(moved(near, -100 * away), model="other")
    codes = []
    for one in (centred, elsewhere):
        [result] = compare_maps(map_of(near), [one], baselines=[free]).models
        codes.append([found.code for found in result.diagnosis if found.code.startswith("looks_")])
    assert codes == [["looks_centred_on_mean"], ["looks_moved"]]


def test_a_phantom_and_a_missed_cluster_are_named_with_their_places() -> None:
    total = sum(usd for _, _, usd in MANY)
    extra = [("short", 30.0, 0.12 * total)]
    phantom = found(MANY, [*MANY, *extra])["phantom_cluster"]
    assert phantom["px"] == pytest.approx(130.0, rel=0.01)
    assert phantom["share"] == pytest.approx(0.12 / 0.62, abs=0.05)
    missed = found([*MANY, *extra], MANY)
    assert missed.get("missed_holder", missed.get("missed_cluster"))["px"] == pytest.approx(130.0, rel=0.01)  # type: ignore[index]


@pytest.mark.parametrize("away", [2.0, 5.0, 8.0, 12.0])
def test_a_cluster_that_is_made_too_large_is_named_where_the_truth_has_a_small_one(away: float) -> None:
    """What is planted among the truth's own clusters is paired with one of them and would go unnamed as `agreed`."""
    total = sum(usd for _, _, usd in MANY)
    planted = found(MANY, [*MANY, ("long", away, 0.3 * total)])["heavy_cluster"]
    assert planted["px"] == pytest.approx(100 - away, rel=0.01)
    assert planted["share"] > 2 * planted["beside"]  # type: ignore[operator]


def test_a_right_map_has_nothing_wrong_whichever_draw_it_is() -> None:
    """A hundred draws of the same population: at most five are said to be wrong by a change, or in one cluster."""
    wrong = {"looks_mirrored", "looks_scaled", "looks_moved", "heavy_cluster"}
    named = [bool(found(MANY, crowd(seed, positions=900)).keys() & wrong) for seed in range(100, 200)]
    assert sum(named) <= 5


def test_where_too_few_positions_speak_nothing_is_said_to_be_wrong() -> None:
    half = changed(TRUTH, lambda side, away: (side, away / 2))
    found = compare_maps(map_of(TRUTH), [map_of(half, model="near")])
    assert found.conclusion is not None
    assert found.conclusion.layer is None
    assert found.models[0].diagnosis == ()


def test_a_comparison_that_may_speak_carries_its_diagnosis() -> None:
    half = changed(MANY, lambda side, away: (side, away / 2))
    [result] = compare_maps(map_of(MANY), [map_of(half, model="near")]).models
    assert result.diagnosis[0].code == "looks_scaled"


def test_what_several_maps_miss_is_one_finding_of_all_of_them() -> None:
    values = {"side": "long", "px": 60_894.4, "share": 0.11}
    missed = note("missed_cluster", **values, beside=0.0)
    other = note("missed_holder", **values, beside=0.01, holder=0.6)
    alone = note("looks_mirrored", value=0.0, off_pct=4.0, then_pct=1.0)
    found = by_maps({"a": (alone, missed), "b": (other,), "c": ()})
    assert [(labels, one.code) for labels, one in found] == [
        ("a", "looks_mirrored"),
        ("a, b", "missed_by_several"),
    ]
    assert by_maps({"a": (missed,)}) == [("a", missed)]


@pytest.mark.parametrize("seed", range(3))
def test_a_map_of_the_whole_truth_is_compared_with_it_and_not_only_with_its_crowd(seed: int) -> None:
    """Few whales hold half: a leverage that is wrong is named though the crowd lies elsewhere; a map that only lacks
    one of the whales has no wrong leverage."""
    few = [(side, min(45.0, 3 * away), 40 * usd) for side, away, usd in crowd(seed, positions=16)]
    levels = [*crowd(50 + seed, positions=900), *few]
    truth, many = (
        map_of(levels),
        map_of([*levels[:-16], *((side, away, usd / 40) for side, away, usd in few)]),
    )

    def codes(model: list[Level]) -> set[str]:
        return {
            one.code for one in diagnose(truth, map_of(model, model="theirs"), RANGE_PCT, 1.0, layer=many)
        }

    half = changed(levels, lambda side, away: (side, away / 2))
    assert "looks_scaled" in codes(half)
    assert not codes([*levels[:-1]]) & {"looks_scaled", "looks_moved", "looks_mirrored"}


def test_of_a_side_that_a_map_does_not_have_no_cluster_is_said_to_be_missed() -> None:
    longs = [one for one in MANY if one[0] == "long"]
    whales = [*MANY, ("short", 30.0, sum(usd for *_, usd in MANY))]
    assert not found(whales, longs)


# ------------------------------------------------------------------- faults of a vendor's file

CHANGED = {"looks_mirrored", "looks_moved", "looks_one_of"}
EXCHANGED = {"long": "short", "short": "long"}


def planted(levels: list[Level], fault: float | None) -> Heatmap:
    """A vendor's file of these levels with its sides exchanged (null), or moved by so many percent."""
    if fault is None:
        levels = changed(levels, lambda side, away: (EXCHANGED[side], away))
    return replace(map_of(moved(levels, fault) if fault else levels), source="imported", model="theirs")


def named(truth: Heatmap, *maps: Heatmap, **given: Any) -> tuple[set[str], Notes]:
    """Codes of changes of the first map, and what is not told of it."""
    [first, *_] = compare_maps(truth, maps, **given).models
    return {one.code for one in first.diagnosis} & {*CHANGED, "looks_scaled"}, first.untold


@pytest.mark.parametrize(("fault", "code"), [(None, "mirrored"), (-3.0, "moved"), (3.0, "moved")])
@pytest.mark.parametrize("seed", range(4))
def test_on_a_market_alike_on_both_sides_a_planted_fault_is_named(
    seed: int, fault: float | None, code: str
) -> None:
    """What exchanges or moves nearly all of it explains it, however small that is beside the noise of the truth."""
    levels = crowd(seed, positions=900)
    truth = map_of(levels)
    assert named(truth, planted(levels, fault))[0] == {f"looks_{code}"}
    assert named(truth, planted(levels, 0.0))[0] == set()


@pytest.mark.parametrize(("fault", "code"), [(None, "mirrored"), (-3.0, "moved"), (3.0, "moved")])
def test_a_fault_is_named_beside_a_model_of_the_venue_though_the_truth_may_judge_nothing(
    fault: float | None, code: str
) -> None:
    """Leverages may be other ones: the model's liquidations lie nearer by a third."""
    levels = crowd(5, positions=500)
    ours = map_of(changed(levels, lambda side, away: (side, 0.7 * away)), venue="binance", model="tiers")
    theirs = replace(planted(levels, fault), venue="binance")
    other = replace(ours, venue="okx")
    few = map_of(TRUTH[:30])
    [first, _] = compare_maps(few, [theirs, ours]).models
    [found] = [one for one in first.diagnosis if one.code in CHANGED]
    assert (found.code, found.values["beside"]) == (f"looks_{code}", ours.label)
    assert found.values["factor"] == pytest.approx(0.7, abs=0.1)
    assert named(few, theirs, other)[0] == set(), "of another venue"
    assert named(few, replace(planted(levels, 0.0), venue="binance"), ours)[0] == set()


@pytest.mark.parametrize("fault", [None, -3.0, 3.0])
def test_a_fault_that_the_truth_cannot_tell_is_not_passed_over_in_silence(fault: float | None) -> None:
    """Another draw of the same population: what is not named is among what cannot be told."""
    for seed in range(4):
        truth = map_of(crowd(seed, positions=900))
        codes, untold = named(truth, planted(crowd(100 + seed, positions=900), fault))
        assert codes or untold
        if untold:
            values = untold[0].values
            assert values["sides"] if fault is None else values["low_pct"] <= -2 or values["high_pct"] >= 2


def test_what_the_truth_does_tell_is_not_among_what_it_cannot() -> None:
    many = crowd(3, positions=6000, middle_pct=4.0, spread=0.3)
    skewed = [(side, away if side == "long" else 2 * away, usd) for side, away, usd in many]
    again = [(side, away * 1.02, usd) for side, away, usd in skewed]
    assert named(map_of(skewed), planted(again, 0.0)) == (set(), ())


def test_of_vendors_with_leverages_of_their_own_none_is_said_to_be_changed_and_no_exchange_is_passed_over() -> (
    None
):
    false, silent = 0, 0
    for seed in range(8):
        ours = market(seed)
        honest = replace(vendors(ours, seed), venue="binance")
        truth = replace(
            map_of(MANY), grid=ours[0].grid, long_usd=ours[0].long_usd, short_usd=ours[0].short_usd
        )
        truth = replace(truth, breakdown=None)
        false += bool(named(truth, honest, *ours)[0] & CHANGED)
        both = (honest.long_usd + honest.short_usd)[::-1]
        below = np.arange(both.size) < both.size // 2
        wrong = replace(honest, long_usd=both * below, short_usd=both * ~below)
        [first, *_] = compare_maps(truth, [wrong, *ours]).models
        causes = [one.values.get("causes", [(one.code, 0.0)]) for one in first.diagnosis]
        silent += "looks_mirrored" not in {code for one in causes for code, _ in one}
    assert false == 0
    assert silent == 0
