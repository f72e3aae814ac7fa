"""Faults that are planted in a right map are named; a right map has none, however it was drawn."""

from collections.abc import Callable

import pytest

from liqtruth.compare.divergence.assignment import assign_clusters
from liqtruth.compare.divergence.diagnosis import by_maps, diagnose
from liqtruth.compare.divergence.measure import compare_maps
from liqtruth.compare.statistics.effective_sample_size import granularity, mean_floor_pct
from liqtruth.heatmap.distribution import find_clusters
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.notes import note
from tests.compare.maps import TRUTH, Level, crowd, map_of

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
