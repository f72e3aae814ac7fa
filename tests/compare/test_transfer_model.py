"""The transferred model: shares stay those of a whole, bounds only widen, and assumptions are stated."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liqtruth.compare.calibration.bands import DISTANCES_PCT
from liqtruth.compare.observed.realised import Liquidations, side_of
from liqtruth.compare.transfer.flow import mass_by_leverage
from liqtruth.compare.transfer.sample import Sample, sample_from
from liqtruth.compare.transfer.shown import tilt_curve, tilt_figure, transfer_lines
from liqtruth.compare.transfer.tilt_fit import local_ratios
from liqtruth.compare.transfer.transfer import (
    BODY_SD,
    Z80,
    carried_over,
    curve_moved,
    tilted_shares,
    widened,
    widened_side,
)
from liqtruth.estimator.model.brackets import Brackets
from liqtruth.estimator.model.cohort_model import CohortModel
from liqtruth.estimator.model.leverage_model import Bounds, LeverageModel, SideBounds
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.levels import SIDES
from tests.compare.transferred_markets import BRACKETS, COIN, HOUR, fitted_model, liquidated, random_series

MODEL = fitted_model()
factors = st.floats(0.05, 20.0)
WIDE = Brackets.flat(COIN, 0.004, 125.0, "a venue of 125x")


@st.composite
def side_bounds(draw: st.DrawFn) -> SideBounds:
    low, high = sorted((draw(factors), draw(factors)))
    return SideBounds((5.0,), (low,), (high,), 0.5, (0.01,), (0.1,))


def sample(brackets: Brackets, level: float, seed: int, drawn_with: LeverageModel = MODEL) -> Sample:
    """Liquidations are those that the shared model says; `drawn_with` predicts them."""
    series = random_series(2, 200)
    result = liquidated(series, MODEL, brackets, (level, 0.0, 0.0), seed=seed)
    span = np.array([[0, series.end_ms[-1]]])
    observed = Liquidations(COIN, side_of(result, "long"), side_of(result, "short"), span, True)
    return sample_from("bybit", [(series, observed, brackets)], drawn_with, HOUR)


class TestShares:
    @settings(max_examples=20)
    @given(st.floats(-3, 3), st.floats(-0.5, 0.5), st.floats(-0.3, 0.3))
    def test_they_are_those_of_a_whole_and_say_by_what_they_were_multiplied(
        self, level: float, slope: float, bend: float
    ) -> None:
        found = tilted_shares(MODEL, "long", (level, slope, bend))
        assert found.shares.sum() <= 1.0
        leverage = np.array(MODEL.leverage)
        z, w = np.log(leverage / 10) / 0.8, np.minimum(1.0, (leverage / 40) ** 2)
        factor = found.cut_to * np.exp(w * (found.b[0] + found.b[1] * z + found.b[2] * z**2))
        assert found.shares == pytest.approx(MODEL.shares("long") * factor, abs=1e-8)
        assert found.cut_to == pytest.approx(1 / max(1.0, found.shares.sum() / found.cut_to), abs=1e-6)

    def test_no_tilt_changes_nothing(self) -> None:
        assert tilted_shares(MODEL, "short", (0.0, 0.0, 0.0)).shares == pytest.approx(
            MODEL.shares("short"), abs=2e-9
        )


class TestBounds:
    @given(side_bounds(), st.floats(0.01, 2.0))
    def test_they_are_wider_after_than_before(self, bounds: SideBounds, error: float) -> None:
        wider = widened_side(bounds, np.array([error]))
        assert wider.low[0] < bounds.low[0]
        assert wider.high[0] > bounds.high[0]
        assert wider.whales_low[0] < bounds.whales_low[0]
        assert wider.whales_high[0] > bounds.whales_high[0]

    @given(side_bounds())
    def test_a_level_without_error_leaves_them(self, bounds: SideBounds) -> None:
        kept = widened_side(bounds, np.zeros(1))
        assert kept.low == pytest.approx(bounds.low)
        assert kept.high == pytest.approx(bounds.high)

    def test_errors_add_in_quadrature(self) -> None:
        bounds = SideBounds((5.0,), (np.exp(-0.3),), (np.exp(0.3),), 0.5, (0.01,), (0.1,))
        wider = widened_side(bounds, np.array([0.4]))
        assert np.log(wider.low[0]) == pytest.approx(-0.5)
        assert np.log(wider.high[0]) == pytest.approx(0.5)

    def test_a_model_with_bounds_keeps_them_wider_by_the_error_there_and_one_without_has_none(self) -> None:
        side = SideBounds((5.0, 10.0), (0.7, 0.8), (1.3, 1.4), 0.5, (0.01, 0.02), (0.1, 0.2))
        bounded = msgspec.structs.replace(MODEL, bounds=Bounds(side, side, "a test"))
        own, reference = sample(BRACKETS, 0.5, 1), sample(BRACKETS, 0.0, 2)
        transferred = carried_over(bounded, own, reference, coverage=1.0, name="carried")
        done, errors = transferred.model, transferred.record.long.curve_sd
        assert done.bounds is not None
        assert done.correction is not None
        assert done.correction.level_sd[0] == errors[DISTANCES_PCT.index(10.0)]
        for place, (low, reach) in enumerate(zip((0.7, 0.8), (5.0, 10.0), strict=True)):
            error = Z80 * errors[DISTANCES_PCT.index(reach)]
            assert np.log(done.bounds.long.low[place]) == pytest.approx(-np.hypot(np.log(low), error))
        assert done.bounds.basis == "a test; widened by the transfer to bybit"
        assert carried_over(MODEL, own, reference, coverage=1.0, name="carried").model.bounds is None
        assert widened(None, (np.zeros(9), np.zeros(9)), "") is None


class TestCurve:
    @pytest.mark.parametrize(("level", "is_held"), [(0.8, False), (3.4, True)])
    def test_what_is_reported_of_the_curve_is_what_the_correction_makes_of_it(
        self, level: float, is_held: bool
    ) -> None:
        own, reference = sample(BRACKETS, level, 1), sample(BRACKETS, 0.0, 2)
        done = carried_over(MODEL, own, reference, coverage=1.0, name="carried")
        again = sample(BRACKETS, level, 1, drawn_with=done.model)
        assert (done.record.long.cut_to < 1) == is_held
        for side in SIDES:
            before, after = (one.mass_by_leverage.of(side).sum(axis=1) for one in (own, again))
            assert np.all(np.diff(before) >= 0)
            assert after == pytest.approx(before * done.record.of(side).curve_factor, rel=1e-5, abs=1e-6)
            assert before[-1] > 0

    def test_it_is_corrected_most_and_known_least_near_the_mark(self) -> None:
        own, reference = sample(BRACKETS, 0.8, 1), sample(BRACKETS, 0.0, 2)
        done = carried_over(MODEL, own, reference, coverage=1.0, name="carried")
        for side in (done.record.long, done.record.short):
            near, body = (DISTANCES_PCT.index(reach) for reach in (2.0, 20.0))
            assert side.curve_factor[near] > 1.1 > side.curve_factor[body] > 1.0
            assert side.curve_sd[near] > side.curve_sd[body] > BODY_SD
            assert side.b[0] > 0.5

    def test_the_curve_of_a_model_is_that_of_its_map(self) -> None:
        """As `CohortModel` draws it: the same bins, by another way."""
        series = random_series(2, 200)
        drawn = CohortModel(MODEL, brackets=BRACKETS).fit(series, venue_named("bybit"), COIN).heatmap()
        away_pct = 100 * np.abs(drawn.grid.centers / drawn.mark_px - 1)
        below = drawn.grid.centers < drawn.mark_px
        found = mass_by_leverage(series, MODEL, BRACKETS)
        for place, reach in enumerate(DISTANCES_PCT):
            long = float(drawn.long_usd[below & (away_pct < reach)].sum())
            short = float(drawn.short_usd[~below & (away_pct < reach)].sum())
            assert found.long[place].sum() == pytest.approx(long)
            assert found.short[place].sum() == pytest.approx(short)

    def test_where_nothing_stands_nothing_is_moved(self) -> None:
        leverage = np.array(MODEL.leverage)
        found = tilted_shares(MODEL, "long", (0.5, 0.1, 0.0))
        empty = np.zeros((len(DISTANCES_PCT), leverage.size))
        factor, sd = curve_moved(empty, leverage, found, np.eye(3))
        assert factor == pytest.approx(1.0)
        assert sd == pytest.approx(BODY_SD)
        one = empty.copy()
        one[:, 20] = 3.0
        assert curve_moved(one, leverage, found, np.eye(3))[0] == pytest.approx(
            local_ratios(leverage[20:21], found.b)[0]
        )


class TestSaid:
    def test_a_venue_like_the_source_keeps_its_model(self) -> None:
        """The same liquidations on both: nothing is left of their ratio but the pull of the slopes' prior."""
        own = sample(BRACKETS, -0.8, 1)
        done = carried_over(MODEL, own, own, coverage=1.0, name="carried")
        assert done.record.long.b == pytest.approx((0.0, 0.0, 0.0), abs=0.06)
        assert done.record.long.predicted_usd > 1.5 * done.record.long.realised_usd
        assert done.record.long.transferred_usd == pytest.approx(done.record.long.realised_usd, rel=0.1)

    def test_leverage_above_what_was_fitted_is_called_extrapolation(self) -> None:
        own, reference = sample(WIDE, 0.3, 1), sample(BRACKETS, 0.0, 2)
        done = carried_over(MODEL, own, reference, coverage=1.0, name="carried", trained_to=38.5)
        assert "leverage above 38.5x is extrapolation: nothing was fitted there" in done.model.note
        assert any("bybit allows 125x" in line for line in transfer_lines(done.record))
        assert done.model.correction is not None
        assert done.model.correction.trained_to == 38.5
        low = carried_over(MODEL, reference, reference, coverage=1.0, name="carried", trained_to=50.0)
        assert "extrapolation" not in low.model.note

    def test_shares_that_would_not_fit_are_limited_to_the_whole_and_that_is_stated(self) -> None:
        own, reference = sample(BRACKETS, 3.4, 1), sample(BRACKETS, 0.0, 2)
        done = carried_over(MODEL, own, reference, coverage=1.0, name="carried")
        assert done.record.long.cut_to < 1
        assert sum(sum(row) for row in done.model.long) == pytest.approx(1.0, abs=1e-6)
        assert "held to the whole" in done.model.note

    def test_its_figure_shades_what_is_extrapolated(self) -> None:
        own, reference = sample(WIDE, 0.3, 1), sample(BRACKETS, 0.0, 2)
        done = carried_over(MODEL, own, reference, coverage=1.0, name="carried")
        for side in ("long", "short"):
            assert [shape.x0 for shape in tilt_figure(done.record, side).layout.shapes] == [40.0]
        middle, low, high = tilt_curve(done.record.long.b, done.record.long.covariance)
        assert np.all((low < middle) & (middle < high))
