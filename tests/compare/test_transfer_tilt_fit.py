"""The tilt: what drew the liquidations is found, what nothing tells stays, and what both venues share cancels."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liqtruth.compare.transfer.flow import Flow, predicted_flow
from liqtruth.compare.transfer.tilt_fit import (
    NO_TILT,
    PRIOR_SD,
    REFERENCE_SD,
    SideSteps,
    Triple,
    fit_tilt,
    local_ratios,
    ratios,
)
from liqtruth.heatmap.grid import FloatArray
from tests.compare.transferred_markets import BRACKETS, COIN, HOUR, PRIOR, fitted_model, random_series

LEVERAGE = np.array(PRIOR.leverage)
Z = 4.0
"""Standard errors within which a property that is drawn at random must hold."""


@pytest.fixture(scope="module")
def flow() -> Flow:
    return predicted_flow(random_series(2, 300), fitted_model(), BRACKETS, COIN, HOUR)


def drawn(flow: Flow, b: Triple, seed: int, size_usd: float = 2000.0, coverage: float = 1.0) -> SideSteps:
    """Liquidations of `size_usd` each, as many as the tilted flow predicts."""
    mean = coverage * flow.long @ ratios(LEVERAGE, b)
    result = np.random.default_rng(seed).poisson(mean / size_usd)
    return SideSteps(
        flow.long,
        np.asarray(result * size_usd, dtype=np.float64),
        flow.start_ms // 86_400_000,
        int(result.sum()),
    )


@settings(max_examples=6)
@given(st.floats(-1.5, 1.5), st.integers(0, 1000))
def test_a_level_is_recovered_within_its_error(flow: Flow, level: float, seed: int) -> None:
    found = fit_tilt(drawn(flow, (level, 0.0, 0.0), seed), LEVERAGE, 1.0)
    assert abs(found.b[0] - level) < Z * found.sd[0]
    assert found.sd[0] < 0.3


def test_intervals_hold_the_level_about_as_often_as_they_say(flow: Flow) -> None:
    """80 % intervals over 24 draws; fewer than 14 of them have a chance below one in a hundred."""
    missed = []
    for seed in range(24):
        found = fit_tilt(drawn(flow, (-0.7, 0.05, 0.0), seed), LEVERAGE, 1.0)
        missed.append(abs(found.b[0] + 0.7) < 1.2816 * found.sd[0])
    assert sum(missed) >= 14


def test_without_any_data_the_prior_comes_back() -> None:
    nothing = SideSteps(np.zeros((0, LEVERAGE.size)), np.zeros(0), np.zeros(0, dtype=np.int64), 0)
    found = fit_tilt(nothing, LEVERAGE, 1.0)
    assert found.b == NO_TILT
    assert found.sd == pytest.approx(PRIOR_SD)
    assert found.by_days is None


def test_steps_in_which_nothing_was_predicted_tell_nothing(flow: Flow) -> None:
    blind = SideSteps(flow.long * 0, np.ones(len(flow.long)), flow.start_ms // 86_400_000, 9)
    assert fit_tilt(blind, LEVERAGE, 1.0).b == pytest.approx(NO_TILT, abs=1e-9)


@settings(max_examples=3)
@given(st.floats(0.05, 0.9), st.integers(0, 1000))
def test_half_of_the_coverage_and_half_of_what_is_reported_are_the_same(
    flow: Flow, share: float, seed: int
) -> None:
    whole = drawn(flow, (0.4, 0.1, 0.0), seed)
    part = replace(whole, realised_usd=whole.realised_usd * share)
    assert fit_tilt(part, LEVERAGE, share).b == pytest.approx(fit_tilt(whole, LEVERAGE, 1.0).b, abs=1e-6)


def test_a_feed_that_tells_three_tenths_gives_the_same_level_when_that_is_known(flow: Flow) -> None:
    found = fit_tilt(drawn(flow, (-0.5, 0.0, 0.0), 1, coverage=0.3), LEVERAGE, 0.3)
    assert abs(found.b[0] + 0.5) < Z * found.sd[0]
    mistaken = fit_tilt(drawn(flow, (-0.5, 0.0, 0.0), 1, coverage=0.3), LEVERAGE, 1.0)
    assert mistaken.b[0] == pytest.approx(found.b[0] + np.log(0.3), abs=0.1)


@settings(max_examples=3)
@given(st.floats(-1.5, 1.5), st.integers(0, 100))
def test_a_factor_that_both_venues_share_cancels_exactly(flow: Flow, shared: float, seed: int) -> None:
    def ratio(scale: float) -> FloatArray:
        theirs, ours = (
            drawn(flow, b, seed + place) for place, b in enumerate(((0.1, 0.1, 0.0), (0.6, 0.0, 0.1)))
        )
        theirs, ours = (replace(side, realised_usd=side.realised_usd * scale) for side in (theirs, ours))
        reference = fit_tilt(theirs, LEVERAGE, 1.0, prior_sd=REFERENCE_SD)
        own = fit_tilt(ours, LEVERAGE, 1.0, towards=reference.b)
        return np.asarray(np.array(own.b) - np.array(reference.b))

    assert ratio(float(np.exp(shared))) == pytest.approx(ratio(1.0), abs=1e-5)


def test_what_a_venue_cannot_tell_stays_as_on_hyperliquid(flow: Flow) -> None:
    """Two hours of few events move the tilt little, and its error stays near the prior's."""
    side = drawn(flow, NO_TILT, 4)
    quiet = np.argsort(np.where(side.realised_usd > 0, side.realised_usd, np.inf))[:2]
    few = SideSteps(side.predicted_usd[quiet], side.realised_usd[quiet], side.day[quiet], 2)
    found = fit_tilt(few, LEVERAGE, 1.0, towards=(-1.2, 0.3, 0.1))
    assert found.b[1:] == pytest.approx((0.3, 0.1), abs=0.1)
    assert found.sd[1:] == pytest.approx(PRIOR_SD[1:], rel=0.2)


def test_days_that_differ_widen_the_error(flow: Flow) -> None:
    """The same liquidations, but all of a day stronger or weaker together: hours do not know, days do."""
    side = drawn(flow, NO_TILT, 5)
    days = np.unique(side.day)
    strength = np.exp(np.random.default_rng(6).normal(0, 0.9, days.size))
    uneven = replace(side, realised_usd=side.realised_usd * strength[np.searchsorted(days, side.day)])
    calm, moved = (fit_tilt(one, LEVERAGE, 1.0) for one in (side, uneven))
    assert moved.by_days is not None
    assert calm.by_days is not None
    assert moved.by_days[0] > 2 * calm.by_days[0]
    assert moved.sd[0] >= moved.by_days[0]


def test_fewer_days_than_five_have_no_bootstrap(flow: Flow) -> None:
    side = drawn(flow, NO_TILT, 5)
    first = side.day < side.day[0] + 4
    short = SideSteps(side.predicted_usd[first], side.realised_usd[first], side.day[first], 9)
    assert fit_tilt(short, LEVERAGE, 1.0).by_days is None


@given(st.floats(-1.5, 1.5), st.floats(-0.5, 0.5), st.floats(-0.2, 0.2))
def test_near_the_mark_a_tilt_counts_whole_and_the_body_keeps_most_of_what_it_was(
    level: float, slope: float, bend: float
) -> None:
    """A 10x position stands four times as far away as a 40x one: a sixteenth of what liquidations say counts for it."""
    b = (level, slope, bend)
    near = np.array([40.0, 60.0, 115.0])
    assert local_ratios(near, b) == pytest.approx(ratios(near, b))
    further = np.array([2.0, 5.0, 10.0, 20.0])
    kept = np.array([1 / 400, 1 / 64, 1 / 16, 1 / 4])
    assert np.log(local_ratios(further, b)) == pytest.approx(kept * np.log(ratios(further, b)), abs=1e-12)


def test_errors_of_a_tilt_go_together(flow: Flow) -> None:
    """What is known best is a sum of level and slope: where the liquidations are, not at 10x."""
    found = fit_tilt(drawn(flow, NO_TILT, 5), LEVERAGE, 1.0)
    assert found.sd == pytest.approx(np.sqrt(np.diag(found.covariance)).tolist())
    assert np.all(np.linalg.eigvalsh(found.covariance) > 0)
    assert np.abs(found.covariance[0, 1]) > 0.05 * found.sd[0] * found.sd[1]


@pytest.mark.parametrize("b", [(0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.2, -0.1, 0.05)])
def test_at_ten_times_only_the_level_counts(b: Triple) -> None:
    assert ratios(np.array([10.0]), b) == pytest.approx([np.exp(b[0])])
