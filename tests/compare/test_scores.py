"""Scores are per side, symmetric between sides, and null with a reason where there is nothing to compare."""

from dataclasses import astuple

import pytest
from hypothesis import given

from liqtruth.compare.statistics.scores import Distance, score, share_above
from tests.compare.maps import FAR, NEAR, TRUTH, Level, levels_of_both, map_of

BOTH = [("long", 4.0, 3e6), ("short", 6.0, 1e6)]
LONGS = BOTH[:1]


def numbers(distance: Distance) -> tuple[float | None, float | None, float | None]:
    return distance.wasserstein_pct, distance.jensen_shannon, distance.jensen_shannon_bands


@given(levels_of_both)
def test_a_map_scores_zero_against_itself(levels: list[Level]) -> None:
    heatmap = map_of(levels)
    scores = score(heatmap, heatmap)
    for part in (scores.long, scores.short, scores.mean, scores.both):
        assert numbers(part) == (0, 0, 0)
        assert part.undefined is None
    assert scores.share_above_error == 0


@given(levels_of_both, levels_of_both)
def test_scores_are_the_same_either_way_round(a: list[Level], b: list[Level]) -> None:
    there, back = (score(map_of(x), map_of(y)) for x, y in ((a, b), (b, a)))
    for part in ("long", "short", "mean", "both"):
        assert numbers(getattr(there, part)) == pytest.approx(numbers(getattr(back, part)), abs=1e-9)


@given(levels_of_both, levels_of_both)
def test_the_mean_is_that_of_the_sides_and_bands_lie_between_0_and_1(a: list[Level], b: list[Level]) -> None:
    scores = score(map_of(a), map_of(b))
    pairs = zip(numbers(scores.long), numbers(scores.short), numbers(scores.mean), strict=True)
    for long, short, mean in pairs:
        assert mean == pytest.approx((long + short) / 2)
    for part in (scores.long, scores.short, scores.mean, scores.both):
        assert 0 <= part.jensen_shannon <= 1
        assert 0 <= part.jensen_shannon_bands <= 1 + 1e-12
    assert scores.wasserstein_pct == scores.mean.wasserstein_pct


def test_more_on_one_side_changes_the_axis_but_no_side() -> None:
    """Sides are normalised each by itself; only the axis and the share above know how they weigh."""
    truth = map_of(BOTH)
    tilted = map_of([("long", 4.0, 1e6), ("short", 6.0, 3e6)])
    scores = score(truth, tilted)
    assert numbers(scores.mean) == pytest.approx((0, 0, 0), abs=1e-9)
    assert scores.both.wasserstein_pct > 4
    assert (share_above(truth), share_above(tilted)) == pytest.approx((0.25, 0.75))
    assert scores.share_above_error == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("truth", "model", "who"), [(LONGS, BOTH, "hyperliquid exact"), (BOTH, LONGS, "binance tiers")]
)
def test_an_empty_side_leaves_its_scores_undefined_with_the_side_named(
    truth: list[Level], model: list[Level], who: str
) -> None:
    scores = score(map_of(truth), map_of(model, venue="binance", model="tiers"))
    assert numbers(scores.short) == numbers(scores.mean) == (None, None, None)
    assert scores.short.undefined == scores.mean.undefined == f"no shorts of {who} within 50 % of the mark"
    assert numbers(scores.long) == (0, 0, 0)
    assert scores.both.undefined is None
    assert scores.share_above_error == pytest.approx(0.25)


def test_without_any_mass_nothing_is_defined() -> None:
    nothing = map_of([("short", 70.0, 1e6)], venue="binance", model="tiers")
    scores = score(map_of(BOTH), nothing)
    assert {figure for part in astuple(scores)[:4] for figure in part[:3]} == {None}
    assert scores.both.undefined == "no mass of binance tiers within 50 % of the mark"
    assert scores.mean.undefined.count("; ") == 1
    assert scores.share_above is scores.share_above_error is None


def test_what_lies_beyond_the_range_is_not_scored() -> None:
    near, more = map_of(BOTH), map_of([*BOTH, ("long", 30.0, 9e9)])
    assert numbers(score(near, more, 20.0).mean) == pytest.approx((0, 0, 0), abs=1e-9)
    assert score(near, more).mean.wasserstein_pct > 10


def test_another_draw_of_the_same_crowd_is_nearer_than_another_crowd() -> None:
    truth = map_of(TRUTH)
    near, far = (score(truth, map_of(levels)).mean for levels in (NEAR, FAR))
    for mine, other in zip(numbers(near), numbers(far), strict=True):
        assert mine < other / 2
