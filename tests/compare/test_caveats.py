"""What a reader must know is said when it is true, with its figures, and is not said when it is not."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.compare.divergence.caveats import headline_caveat, remarks
from liqtruth.compare.statistics.effective_sample_size import granularity
from liqtruth.heatmap.grid import PriceGrid
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.levels import Sides
from liqtruth.heatmap.notes import sentence
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


def test_of_a_whole_fresh_fine_grained_truth_and_a_like_model_nothing_need_be_said() -> None:
    truth = whole()
    assert remarks(truth, [tiers()], granularity(truth)) == []
    assert headline_caveat(truth, granularity(truth)) == ""


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_low_coverage_is_said_with_both_percents_and_full_coverage_is_not(long: float, short: float) -> None:
    truth = seen(whole(), long, short)
    told = f"{100 * long:.1f} % of long and {100 * short:.1f} % of short open interest"
    expected = min(long, short) < 0.95
    assert any(told in remark for remark in remarks(truth, [tiers()])) == expected
    assert (told in headline_caveat(truth, ())) == expected


def test_unknown_open_interest_is_said_of_the_truth() -> None:
    truth = about(map_of(WHOLE), open_interest_usd=None)
    said = remarks(truth, [tiers()])
    assert said == [
        "open interest is unknown, so nobody can say how much of the market hyperliquid exact covers"
    ]


@given(near_or_far, near_or_far)
def test_nothing_near_the_mark_is_said_of_the_far_sides_and_of_no_other(long: float, short: float) -> None:
    said = " ".join(remarks(whole([("long", long, 1e6), ("short", short, 1e6)]), [tiers()]))
    far = [side for side, at in (("long", long), ("short", short)) if at > 10]
    assert ("nothing of hyperliquid exact lies within 10 % of the mark" in said) == (len(far) == 2)
    for side in ("long", "short"):
        assert (f"nothing lies within 10 % of the mark on the {side} side" in said) == (far == [side])


def test_large_accounts_only_reaches_the_headline_when_coverage_is_low_too() -> None:
    far = seen(map_of([("long", 15.0, 1e6), ("short", 12.0, 1e6)]), 0.26, 0.17)
    assert headline_caveat(far, ()) == (
        "The truth covers 26.0 % of long and 17.0 % of short open interest, with nothing within 10 % of the "
        "mark: large accounts only?"
    )
    near = seen(whole(), 0.26, 0.17)
    assert headline_caveat(near, ()) == "The truth covers 26.0 % of long and 17.0 % of short open interest."


def test_an_empty_side_is_said_of_that_side() -> None:
    said = remarks(whole([("long", 2.0, 1e6)]), [tiers()])
    assert any(remark.startswith("hyperliquid exact has no shorts at all") for remark in said)


def test_few_positions_are_said_with_their_number_and_floor_and_many_are_not() -> None:
    few = whole(crowd(6, 40))
    grains = granularity(few)
    floor = sum(side.noise_floor_pct for side in grains) / 2
    (said,) = remarks(few, [tiers()], grains)
    assert "of 20 longs" in said
    assert "of 20 shorts" in said
    assert f"off by about {floor:.1f} %" in said
    assert f"off by about {floor:.1f} %" in headline_caveat(few, grains)
    assert not remarks(whole(), [tiers()], granularity(whole()))


def test_what_is_true_of_several_models_is_said_once() -> None:
    models = [tiers("tiers", mark_px=MARK * 1.002), tiers("bell", mark_px=MARK * 1.002), tiers("flat")]
    assert remarks(whole(), models) == [
        "binance tiers, binance bell: the mark is +20 bps from the truth's; distances are from each map's own mark"
    ]


def test_a_model_that_places_little_is_said_to_be_compared_in_shape() -> None:
    (said,) = remarks(whole(), [seen(tiers(), 0.4, 0.5)])
    assert said.startswith(
        "binance tiers: places 40.0 % of long and 50.0 % of short open interest of its venue"
    )


def test_a_model_of_another_moment_is_said_to_be() -> None:
    (said,) = remarks(whole(), [tiers(as_of=NOON - timedelta(hours=3))])
    assert said == "binance tiers: made for a moment 3.0 h away from the truth's reading"
    assert remarks(whole(), [tiers(as_of=NOON + timedelta(minutes=29))]) == []


def test_a_model_as_the_truth_is_said_to_be_none() -> None:
    said = remarks(tiers(), [tiers("bell")])
    assert said[0].startswith("binance tiers stands in for the truth but is no reading of positions")
    assert headline_caveat(tiers(), ()) == "The truth here is itself no reading of positions."


def test_another_coin_is_said() -> None:
    (said,) = remarks(whole(), [tiers(coin="ETH")])
    assert said == "binance tiers is a map of ETH, the truth one of BTC"


@pytest.mark.parametrize(
    ("coverage", "said"),
    [
        ({"unpriced_positions": 40}, "40 of 4,000 positions have no liquidation price"),
        ({"unknown_usd": Sides(1e6, 2e6)}, "$3M is not on the map: its collateral was not captured"),
        ({"oldest_age_s": 7200.0}, "the oldest position was read 2.0 h before the map's moment"),
        ({"notes": (sentence("dex xyz left out"),)}, "dex xyz left out"),
    ],
)
def test_what_the_reading_lacks_is_said(coverage: dict[str, object], said: str) -> None:
    (remark,) = remarks(about(whole(), **coverage), [tiers()])
    assert remark.startswith(said)


def test_a_fresh_reading_is_not_called_old() -> None:
    assert remarks(about(whole(), oldest_age_s=3599.0), [tiers()]) == []


def test_mass_that_is_not_scored_is_said_per_side() -> None:
    truth = whole([*WHOLE, ("long", 60.0, 2e9), ("short", 200.0, 3e9)])
    assert any(
        r.startswith("$2B long and $3B short lie further than 50 % away") for r in remarks(truth, [tiers()])
    )


def test_a_narrow_grid_is_said_to_narrow_the_comparison() -> None:
    narrow = tiers(grid=PriceGrid.around(MARK, reach=0.1))
    said = remarks(whole(), [narrow], range_pct=9.6)
    assert said[0] == (
        "the narrowest grid reaches 9.6 % from its mark: nothing further away is compared, on any map"
    )
