"""The transferred model: shares stay those of a whole, bounds only widen, and what was assumed is said."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compare.transfer.carried import carried_over
from compare.transfer.heard import Heard
from compare.transfer.sample import Sample, sample_from
from compare.transfer.shown import tilt_curve, transfer_figure, transfer_lines
from compare.transfer.tilted import Z80, tilted, widened, widened_side
from estimator.brackets import Brackets
from estimator.leverage_model import Bounds, LeverageModel, SideBounds
from tests.compare.transferred_markets import BRACKETS, COIN, HOUR, fitted_model, liquidated, random_series

MODEL = fitted_model()
factors = st.floats(0.05, 20.0)
WIDE = Brackets.flat(COIN, 0.004, 125.0, "a venue of 125x")


@st.composite
def side_bounds(draw: st.DrawFn) -> SideBounds:
    low, high = sorted((draw(factors), draw(factors)))
    return SideBounds((5.0,), (low,), (high,), 0.5, (0.01,), (0.1,))


def sample(brackets: Brackets, level: float, seed: int, source: LeverageModel = MODEL) -> Sample:
    series = random_series(2, 200)
    told = liquidated(series, source, brackets, (level, 0.0, 0.0), seed=seed)
    heard = Heard(COIN, told["ts"].dt.epoch("ms").to_numpy(), (told["side"] == "long").to_numpy(),
                  told["coins"].to_numpy(), np.array([[0, series.end_ms[-1]]]), True)  # fmt: skip
    return sample_from("bybit", [(series, heard, brackets)], source, HOUR)


class TestShares:
    @settings(max_examples=20)
    @given(st.floats(-3, 3), st.floats(-0.5, 0.5), st.floats(-0.3, 0.3))
    def test_they_are_those_of_a_whole_and_say_by_what_they_were_multiplied(
        self, level: float, slope: float, bend: float
    ) -> None:
        found = tilted(MODEL, "long", (level, slope, bend))
        assert found.shares.sum() <= 1.0
        z = np.log(np.array(MODEL.leverage) / 10) / 0.8
        factor = np.exp(found.b[0] + found.b[1] * z + found.b[2] * z**2)
        assert found.shares == pytest.approx(MODEL.shares("long") * factor, abs=1e-8)
        assert found.held_to == pytest.approx(min(1.0, np.exp(found.b[0] - level)))

    def test_no_tilt_changes_nothing(self) -> None:
        assert tilted(MODEL, "short", (0.0, 0.0, 0.0)).shares == pytest.approx(
            MODEL.shares("short"), abs=2e-9
        )


class TestBounds:
    @given(side_bounds(), st.floats(0.01, 2.0))
    def test_they_are_wider_after_than_before(self, bounds: SideBounds, error: float) -> None:
        wider = widened_side(bounds, error)
        assert wider.low[0] < bounds.low[0]
        assert wider.high[0] > bounds.high[0]
        assert wider.whales_low[0] < bounds.whales_low[0]
        assert wider.whales_high[0] > bounds.whales_high[0]

    @given(side_bounds())
    def test_a_level_without_error_leaves_them(self, bounds: SideBounds) -> None:
        kept = widened_side(bounds, 0.0)
        assert kept.low == pytest.approx(bounds.low)
        assert kept.high == pytest.approx(bounds.high)

    def test_errors_add_in_quadrature(self) -> None:
        bounds = SideBounds((5.0,), (np.exp(-0.3),), (np.exp(0.3),), 0.5, (0.01,), (0.1,))
        wider = widened_side(bounds, 0.4)
        assert np.log(wider.low[0]) == pytest.approx(-0.5)
        assert np.log(wider.high[0]) == pytest.approx(0.5)

    def test_a_model_with_bounds_keeps_them_wider_by_the_levels_error_and_one_without_has_none(self) -> None:
        side = SideBounds((5.0, 10.0), (0.7, 0.8), (1.3, 1.4), 0.5, (0.01, 0.02), (0.1, 0.2))
        bounded = msgspec.structs.replace(MODEL, bounds=Bounds(side, side, "a test"))
        own, reference = sample(BRACKETS, 0.5, 1), sample(BRACKETS, 0.0, 2)
        done = carried_over(bounded, own, reference, coverage=1.0, name="carried").model
        assert done.bounds is not None
        assert done.correction is not None
        error = Z80 * done.correction.level_sd[0]
        assert np.log(done.bounds.long.low[0]) == pytest.approx(-np.hypot(np.log(0.7), error))
        assert done.bounds.basis == "a test; widened by the transfer to bybit"
        assert carried_over(MODEL, own, reference, coverage=1.0, name="carried").model.bounds is None
        assert widened(None, (0.1, 0.1), "") is None


class TestSaid:
    def test_a_venue_like_the_source_keeps_its_model(self) -> None:
        """The same liquidations on both: nothing is left of their ratio but the pull of the slopes' prior."""
        own = sample(BRACKETS, -0.8, 1)
        done = carried_over(MODEL, own, own, coverage=1.0, name="carried", carried=1.0)
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

    def test_shares_that_would_not_fit_are_held_to_the_whole_and_that_is_said(self) -> None:
        own, reference = sample(BRACKETS, 1.6, 1), sample(BRACKETS, 0.0, 2)
        done = carried_over(MODEL, own, reference, coverage=1.0, name="carried", carried=1.0)
        assert done.record.long.held_to < 1
        assert sum(sum(row) for row in done.model.long) == pytest.approx(1.0, abs=1e-6)
        assert "held to the whole" in done.model.note

    def test_its_figure_shades_what_is_extrapolated(self) -> None:
        own, reference = sample(WIDE, 0.3, 1), sample(BRACKETS, 0.0, 2)
        done = carried_over(MODEL, own, reference, coverage=1.0, name="carried")
        figure = transfer_figure(done)
        assert [shape.x0 for shape in figure.layout.shapes] == [40.0, 40.0]
        middle, low, high = tilt_curve(done.record.long.b, done.record.long.sd)
        assert np.all((low < middle) & (middle < high))
