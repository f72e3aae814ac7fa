"""The transferred model: shares stay those of a whole, bounds only widen, and assumptions are stated."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liqtruth.compare.calibration.bands import DISTANCES_PCT
from liqtruth.compare.observed.realised import Liquidations, side_of
from liqtruth.compare.transfer.deviation import FARTHEST, LEFT_SD, WIDENING, Known, speaks
from liqtruth.compare.transfer.flow import mass_by_leverage
from liqtruth.compare.transfer.sample import Sample, sample_from
from liqtruth.compare.transfer.shown import mass_figure, transfer_lines
from liqtruth.compare.transfer.transfer import Z80, carried_over, curve_moved, moved_shares, widened_side
from liqtruth.estimator.model.brackets import Brackets
from liqtruth.estimator.model.cohort_model import CohortModel
from liqtruth.estimator.model.leverage_model import Bounds, LeverageModel, SideBounds
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.bounds import NOT_HELD, OTHER_POPULATION
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
    result = liquidated(series, MODEL, brackets, level, seed=seed)
    span = np.array([[0, series.end_ms[-1]]])
    observed = Liquidations(COIN, side_of(result, "long"), side_of(result, "short"), span, True)
    return sample_from("bybit", [(series, observed, brackets)], drawn_with, HOUR)


class TestShares:
    @settings(max_examples=20)
    @given(st.floats(-3, 3))
    def test_they_are_those_of_a_whole_and_say_by_what_they_were_multiplied(self, deviation: float) -> None:
        found = moved_shares(MODEL, "long", deviation)
        assert found.shares.sum() <= 1.0
        factor = found.cut_to * np.exp(deviation * speaks(np.array(MODEL.leverage), deviation))
        assert found.shares == pytest.approx(MODEL.shares("long") * factor, abs=2e-6)
        assert found.cut_to == pytest.approx(1 / max(1.0, found.shares.sum() / found.cut_to), abs=1e-6)

    def test_no_deviation_changes_nothing(self) -> None:
        assert moved_shares(MODEL, "short", 0.0).shares == pytest.approx(MODEL.shares("short"), abs=2e-9)


class TestDeviation:
    @pytest.mark.parametrize("level", [-1.0, 0.0, 0.7])
    def test_what_drew_the_liquidations_is_found_within_its_error(self, level: float) -> None:
        own, reference = sample(BRACKETS, level, 1), sample(BRACKETS, 0.0, 2)
        for side in SIDES:
            found = own.of(side).log_ratio(1.0, 0).beside(reference.of(side).log_ratio(1.0, 0))
            assert abs(found.log - level) < 4 * found.sd
            assert found.sd < 0.4

    @given(st.floats(-2, 2), st.floats(0.01, 3))
    def test_the_less_is_known_the_less_counts(self, log: float, sd: float) -> None:
        less, more = Known(log, 2 * sd).shrunk(), Known(log, sd).shrunk()
        assert abs(less.log) <= abs(more.log) <= abs(log)
        assert more.sd <= sd

    def test_without_a_prediction_nothing_is_known(self) -> None:
        steps = sample(BRACKETS, 0.0, 1).long
        nothing = replace(steps, predicted_usd=np.zeros_like(steps.predicted_usd))
        assert nothing.log_ratio(1.0, 0).log == 0.0
        assert nothing.log_ratio(1.0, 0).shrunk().sd > 0.5


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
        side = SideBounds(
            (5.0, 10.0), (0.7, None), (1.3, None), 0.5, (0.01, None), (0.1, None), withheld=(None, NOT_HELD)
        )
        bounded = msgspec.structs.replace(MODEL, bounds=Bounds(side, side, "a test"))
        own, reference = sample(BRACKETS, 0.5, 1), sample(BRACKETS, 0.0, 2)
        transferred = carried_over(bounded, own, reference, coverage=1.0, name="carried")
        done, errors = transferred.model, transferred.record.long.curve_sd
        assert done.bounds is not None
        assert done.correction is not None
        assert done.correction.level_sd[0] == errors[DISTANCES_PCT.index(10.0)]
        near = DISTANCES_PCT.index(5.0)
        told = np.sqrt(errors[near] ** 2 - LEFT_SD[near] ** 2)
        error = Z80 * np.hypot(told, WIDENING * LEFT_SD[near])
        assert np.log(done.bounds.long.low[0]) == pytest.approx(-np.hypot(np.log(0.7), error))
        assert done.bounds.long.low[1] is None
        assert done.bounds.long.withheld == (None, NOT_HELD)
        assert done.bounds.basis == "a test; widened by the transfer to bybit"
        assert carried_over(MODEL, own, reference, coverage=1.0, name="carried").model.bounds is None

    def test_where_the_ratio_says_that_the_people_are_others_they_are_withheld(self) -> None:
        side = SideBounds((5.0,), (0.7,), (1.3,), 0.5, (0.01,), (0.1,), (1.0,))
        bounded = msgspec.structs.replace(MODEL, bounds=Bounds(side, side, "a test"))
        own, reference = sample(BRACKETS, FARTHEST + 1.0, 1), sample(BRACKETS, 0.0, 2)
        done = carried_over(bounded, own, reference, coverage=1.0, name="carried")
        assert done.model.bounds is not None
        assert done.model.bounds.short.low == done.model.bounds.short.whales_high == (None,)
        assert done.model.bounds.short.withheld == (OTHER_POPULATION,)
        assert done.model.bounds.short.middle == (1.0,)
        assert any("bounds are withheld" in line for line in transfer_lines(done.record))


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
            assert side.curve_sd[near] > side.curve_sd[body] >= LEFT_SD[body]
            assert side.deviation > 0.5

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
        found = moved_shares(MODEL, "long", 0.5)
        empty = np.zeros((len(DISTANCES_PCT), leverage.size))
        factor, sd = curve_moved(empty, leverage, found, Known(0.5, 1.0))
        assert factor == pytest.approx(1.0)
        assert sd == pytest.approx(0.0)
        one = empty.copy()
        one[:, 20] = 3.0
        factor, _ = curve_moved(one, leverage, found, Known(0.5, 1.0))
        assert factor == pytest.approx(np.exp(0.5 * speaks(leverage[20:21], 0.5)[0]))


class TestSaid:
    def test_a_venue_like_the_source_keeps_its_model(self) -> None:
        """The same liquidations on both: nothing is left of their ratio."""
        own = sample(BRACKETS, -0.8, 1)
        done = carried_over(MODEL, own, own, coverage=1.0, name="carried")
        assert done.record.long.deviation == 0.0
        assert done.model.shares("long") == pytest.approx(MODEL.shares("long"), abs=2e-9)
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

    def test_its_figure_holds_the_factor_within_its_interval(self) -> None:
        done = carried_over(
            MODEL, sample(WIDE, 0.3, 1), sample(BRACKETS, 0.0, 2), coverage=1.0, name="carried"
        )
        for side in SIDES:
            band, line = mass_figure(done.record, side).data
            count = len(line.y)
            assert np.all(np.array(band.y[:count]) > line.y)
            assert np.all(np.array(band.y[: count - 1 : -1]) < line.y)
