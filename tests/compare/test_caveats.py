"""What a reader must know is noted when it is true, with its figures, and is not noted when it is not."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.compare.divergence.caveats import floor_caveat, headline_caveats, remarks
from liqtruth.compare.statistics.effective_sample_size import Granularity, granularity
from liqtruth.heatmap.grid import PriceGrid
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.levels import Sides
from liqtruth.heatmap.words.notes import Note, note, of_codes, sentence
from tests.compare.maps import MARK, NEAR, NOON, Level, crowd, map_of

WHOLE = crowd(5, 4000)

near_or_far = st.floats(0.5, 9.8) | st.floats(10.2, 40.0)
"""Clear of 10 %: a level counts from the near edge of its bin."""


def seen(heatmap: Heatmap, long: float, short: float) -> Heatmap:
    """The map as if it had read these shares of the open interest."""
    usd = Sides(long * 1e8, short * 1e8)
    return replace(heatmap, coverage=replace(heatmap.coverage, open_interest_usd=1e8, seen_usd=usd))


def about(heatmap: Heatmap, **coverage: object) -> Heatmap:
    return replace(heatmap, coverage=replace(heatmap.coverage, **coverage))


def whole(levels: list[Level] = WHOLE) -> Heatmap:
    return seen(map_of(levels), 1.0, 1.0)


def tiers(model: str = "tiers", **more: object) -> Heatmap:
    return seen(map_of(NEAR, venue="binance", model=model, **more), 1.0, 1.0)


def codes(notes: Iterable[Note]) -> list[str]:
    return [one.code for one in notes]


def headline(truth: Heatmap, grains: Sequence[Granularity] = ()) -> tuple[Note, ...]:
    return (*headline_caveats(truth), *floor_caveat(grains))


def test_of_a_whole_fresh_fine_grained_truth_and_a_like_model_there_is_no_remark() -> None:
    truth = whole()
    assert remarks(truth, [tiers()], granularity(truth)) == ()
    assert headline(truth, granularity(truth)) == ()


@pytest.mark.parametrize(
    ("long", "short", "noted"), [(1.0, 1.09, False), (1.0, 1.2, True), (46.0, 1.0, True)]
)
def test_a_truth_of_more_than_the_open_interest_is_noted_beside_the_verdict(
    long: float, short: float, noted: bool
) -> None:
    found = of_codes(headline(seen(whole(), long, short)), ["truth_exceeds"])
    assert [(one.values["long"], one.values["short"]) for one in found] == ([(long, short)] if noted else [])


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_low_coverage_is_noted_with_both_shares_and_full_coverage_is_not(long: float, short: float) -> None:
    truth = seen(whole(), long, short)
    low = min(truth.coverage.share or ()) < 0.95
    for found, code in (
        (remarks(truth, [tiers()]), "truth_covers"),
        (headline(truth), "truth_is_incomplete"),
    ):
        assert codes(found) == [code] * low
        for one in found:
            assert (one.values["long"], one.values["short"]) == pytest.approx((long, short))


def test_unknown_open_interest_is_noted_of_the_truth() -> None:
    truth = about(map_of(WHOLE), open_interest_usd=None)
    assert remarks(truth, [tiers()]) == (note("coverage_unmeasured", label="hyperliquid exact"),)


@given(near_or_far, near_or_far)
def test_nothing_near_the_mark_is_noted_of_the_far_sides_and_of_no_other(long: float, short: float) -> None:
    found = remarks(whole([("long", long, 1e6), ("short", short, 1e6)]), [tiers()])
    far = [side for side, at in (("long", long), ("short", short)) if at > 10]
    assert ("nothing_near" in codes(found)) == (len(far) == 2)
    one_side = [one.values["side"] for one in of_codes(found, ["nothing_near_on_side"])]
    assert one_side == (far if len(far) == 1 else [])


def test_large_accounts_only_reaches_the_headline_when_coverage_is_low_too() -> None:
    far = seen(map_of([("long", 15.0, 1e6), ("short", 12.0, 1e6)]), 0.26, 0.17)
    near = seen(whole(), 0.26, 0.17)
    assert [one.values["empty_pct"] for one in (*headline(far), *headline(near))] == [10.0, None]


def test_an_empty_side_is_noted_of_that_side() -> None:
    (found,) = of_codes(remarks(whole([("long", 2.0, 1e6)]), [tiers()]), ["nothing_near_on_side"])
    assert (found.values["side"], found.values["nearest_pct"]) == ("short", None)


def test_few_positions_are_noted_with_their_number_and_floor_and_many_are_not() -> None:
    few = whole(crowd(6, 40))
    grains = granularity(few)
    floor = sum(side.noise_floor_pct for side in grains) / 2
    (found,) = remarks(few, [tiers()], grains)
    assert found.code == "few_positions"
    assert [side[:2] for side in found.values["sides"]] == [("long", 20), ("short", 20)]
    assert found.values["floor_pct"] == floor
    assert headline(few, grains) == (note("few_positions_floor", floor_pct=floor),)
    assert not remarks(whole(), [tiers()], granularity(whole()))


def test_what_is_true_of_several_models_is_noted_once() -> None:
    models = [tiers("tiers", mark_px=MARK * 1.002), tiers("bell", mark_px=MARK * 1.002), tiers("flat")]
    (found,) = remarks(whole(), models)
    assert (found.code, found.about) == ("basis", "binance tiers, binance bell")
    assert found.values["bps"] == pytest.approx(20)


def test_a_model_that_places_little_is_compared_in_shape() -> None:
    (found,) = remarks(whole(), [seen(tiers(), 0.4, 0.5)])
    assert found == note("model_places", long=0.4, short=0.5).of("binance tiers")


def test_a_model_of_another_moment_is_noted() -> None:
    found = remarks(whole(), [tiers(as_of=NOON - timedelta(hours=3))])
    assert found == (note("other_moment", gap_s=3 * 3600.0).of("binance tiers"),)
    assert remarks(whole(), [tiers(as_of=NOON + timedelta(minutes=29))]) == ()


def test_a_model_in_place_of_the_truth_is_noted_first() -> None:
    assert remarks(tiers(), [tiers("bell")])[0] == note("stands_in", label="binance tiers")
    assert headline(tiers()) == (note("truth_is_no_reading"),)


def test_another_coin_is_noted() -> None:
    found = remarks(whole(), [tiers(coin="ETH")])
    assert found == (note("other_coin", label="binance tiers", coin="ETH", truth_coin="BTC"),)


@pytest.mark.parametrize(
    ("coverage", "expected"),
    [
        (
            {"unpriced_positions": 40},
            note("never_liquidated", count=40, positions=4000, long_usd=0.0, short_usd=0.0),
        ),
        ({"unknown_usd": Sides(1e6, 2e6)}, note("collateral_unknown", usd=3e6)),
        ({"oldest_age_s": 7200.0}, note("oldest_position", age_s=7200.0)),
        ({"notes": (sentence("dex xyz left out"),)}, sentence("dex xyz left out")),
    ],
)
def test_what_the_reading_lacks_is_noted(coverage: dict[str, object], expected: Note) -> None:
    assert remarks(about(whole(), **coverage), [tiers()]) == (expected,)


def test_a_fresh_reading_is_not_called_old() -> None:
    assert remarks(about(whole(), oldest_age_s=3599.0), [tiers()]) == ()


def test_mass_that_is_not_scored_is_noted_per_side() -> None:
    truth = whole([*WHOLE, ("long", 60.0, 2e9), ("short", 200.0, 3e9)])
    (found,) = of_codes(remarks(truth, [tiers()]), ["out_of_range"])
    assert (found.values["long_usd"], found.values["short_usd"]) == pytest.approx((2e9, 3e9), rel=0.01)
    assert found.values["range_pct"] == 50


def test_a_narrow_grid_is_noted_to_narrow_the_comparison() -> None:
    narrow = tiers(grid=PriceGrid.around(MARK, reach=0.1))
    assert remarks(whole(), [narrow], range_pct=9.6)[0] == note("narrowest_grid", range_pct=9.6)
