"""Skill is 1 for a perfect model, 0 for one that knows only the mark, negative for a worse one; words follow it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.compare.divergence.baselines import null_of
from liqtruth.compare.statistics.scores import (
    PERFECT,
    SAME_SKILL,
    Gap,
    gap_sentence,
    judge,
    score,
    skill,
    verdict,
    widest_gaps,
)
from tests.compare.maps import TRUTH, Level, levels_of_both, map_of

WORST = [("long", 49.0, 1e6), ("short", 49.0, 1e6)]


def judged(truth: list[Level], model: list[Level] | None) -> dict[tuple[str, str], object]:
    """Every row by score and side; without a model, that of the null itself."""
    exact = map_of(truth)
    null = null_of(exact)
    offered = null if model is None else map_of(model, model="tiers")
    return {(row.score, row.side): row for row in judge(score(exact, offered), score(exact, null))}


@given(levels_of_both)
def test_the_truth_itself_has_skill_one(levels: list[Level]) -> None:
    for row in judged(levels, levels).values():
        assert row.skill == 1 or row.null <= PERFECT
        assert row.model == 0


@given(levels_of_both)
def test_the_null_itself_has_skill_nought_and_is_no_better(levels: list[Level]) -> None:
    for row in judged(levels, None).values():
        assert row.skill == 0 or row.null <= PERFECT
        if row.skill is not None:
            assert row.verdict == "no better than knowing only the mark"


def test_a_model_further_away_than_the_null_is_worse() -> None:
    row = judged(TRUTH, WORST)["wasserstein_pct", "mean"]
    assert row.model > row.null
    assert row.skill < 0
    assert row.verdict == "worse than knowing only the mark"


@given(st.floats(0, 100), st.floats(0.01, 100))
def test_less_error_is_more_skill(error: float, null: float) -> None:
    assert skill(error, null) <= 1
    assert skill(error / 2, null) >= skill(error, null)
    assert (skill(error, null) < 0) == (error > null)


@pytest.mark.parametrize(("error", "null"), [(None, 1.0), (1.0, None), (1.0, 0.0), (None, None)])
def test_without_both_scores_there_is_no_skill(error: float | None, null: float | None) -> None:
    assert skill(error, null) is None
    assert verdict(None) == "undefined"


@given(st.floats(-5, 1))
def test_a_verdict_is_better_only_when_the_skill_is_clearly_above_zero(gained: float) -> None:
    word = verdict(gained).removesuffix(" than knowing only the mark")
    assert word == ("no better" if abs(gained) <= SAME_SKILL else "better" if gained > 0 else "worse")


def test_an_undefined_row_gives_the_reason() -> None:
    rows = judged([("long", 4.0, 1e6)], [("long", 4.0, 1e6), ("short", 4.0, 1e6)])
    row = rows["wasserstein_pct", "short"]
    assert (row.skill, row.verdict) == (None, "undefined")
    assert row.undefined == "no shorts of hyperliquid exact within 50 % of the mark"
    assert rows["wasserstein_pct", "long"].undefined is None


def test_no_skill_can_be_had_over_a_null_that_is_right() -> None:
    truth = null_of(map_of(TRUTH))
    for row in judge(score(truth, map_of(TRUTH)), score(truth, null_of(truth))):
        assert row.null == pytest.approx(0, abs=1e-9)
        assert row.skill is None
        assert row.undefined == "the truth looks just like the map that knows only the mark"


def test_the_widest_gap_is_located_with_both_shares() -> None:
    """All longs of the model lie between 2 and 8 %, where the truth has a quarter of its own."""
    truth = map_of([("long", 5.05, 1e6), ("long", 20.05, 3e6), ("short", 5.05, 1e6)])
    model = map_of([("long", 2.05, 1e6), ("long", 8.05, 1e6), ("short", 5.05, 1e6)])
    long, short = widest_gaps(truth, model)
    assert long.side == "long"
    assert 8.0 <= long.within_pct <= 20.0
    assert (long.truth_share, long.model_share) == pytest.approx((0.25, 1.0))
    assert short.truth_share == pytest.approx(short.model_share)
    assert all(share in gap_sentence([long, short], "binance tiers") for share in ("100 %", "25 %"))


def test_where_a_side_is_missing_no_gap_is_claimed() -> None:
    found = widest_gaps(map_of([("long", 5.0, 1e6)]), map_of([("long", 5.0, 1e6), ("short", 5.0, 1e6)]))
    assert [gap.side for gap in found] == ["long"]


@pytest.mark.parametrize("gaps", [[], [Gap("long", 5.0, 0.5, 0.503)]])
def test_no_gap_worth_a_sentence_is_no_sentence(gaps: list[Gap]) -> None:
    assert gap_sentence(gaps, "binance tiers") == ""
