"""Who leads: a shifted series is found at its shift, one without connection is not found, a shared move is no lead."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.compare.observed.price_path import MarkPath, PricePath
from liqtruth.compare.scoring.lead_lag.job import lead_sentence, step_clock, swept_steps
from liqtruth.compare.scoring.lead_lag.lead_lag import FEWEST_DAYS, Lead, lead_of
from liqtruth.heatmap.clusters.distribution import mass_within
from liqtruth.heatmap.errors import BadInput, MissingData
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.levels import SIDES
from tests.compare.maps import MARK, TRUTH, map_of

HOUR = timedelta(hours=1)
HOUR_MS = 3_600_000
DAYS, STEPS = 12, 24


def wild_days(seed: int, days: int = DAYS) -> tuple[FloatArray, FloatArray, np.random.Generator]:
    """Moves of days that are wild or calm, and what they sweep: something on most steps."""
    rng = np.random.default_rng(seed)
    wild = np.exp(rng.normal(0, 0.5, (days, 1))) * np.exp(rng.normal(0, 0.7, (days, STEPS)))
    move = np.abs(rng.normal(0, 1, (days, STEPS))) * wild
    return move, some_of(move, rng), rng


def some_of(move: FloatArray, rng: np.random.Generator) -> FloatArray:
    """USD that grow with the move, on most steps, by luck."""
    return np.where(rng.random(move.shape) < 0.8, move**2 * rng.lognormal(0, 0.5, move.shape) * 1e6, 0.0)


def shifted(values: FloatArray, steps: int) -> FloatArray:
    return np.roll(values.ravel(), steps).reshape(values.shape)


class TestLead:
    @pytest.mark.parametrize(("shift", "expected"), [(3, "leads"), (-3, "lags"), (0, "same step")])
    def test_liquidations_that_are_the_sweep_shifted_are_found_at_their_shift(
        self, shift: int, expected: str
    ) -> None:
        move, swept, _ = wild_days(1)
        found = lead_of("both", swept, shifted(swept, shift), move, max_lag=6, shuffles=200)
        assert found.best_lag == shift
        assert found.p_value is not None
        assert found.p_value < 0.05
        assert found.answer == expected

    def test_a_lead_is_found_through_noise_and_where_steps_are_lacking(self) -> None:
        move, swept, rng = wild_days(2, days=20)
        result = shifted(swept, 2) * rng.lognormal(0, 1, swept.shape) + some_of(move, rng)
        result[rng.random(result.shape) < 0.2] = np.nan
        swept[4] = np.nan
        found = lead_of("long", swept, result, move, max_lag=6, shuffles=200)
        assert (found.best_lag, found.answer) == (2, "leads")
        assert found.steps < swept.size

    def test_what_has_no_connection_but_the_move_is_rarely_found(self) -> None:
        """Both grow with the move; of 100 markets five may seem connected, their p-values lie all over."""
        p_values = []
        for seed in range(100):
            move, swept, rng = wild_days(seed)
            found = lead_of("both", swept, some_of(move, rng), move, max_lag=6, shuffles=200, seed=seed)
            assert found.p_value is not None
            p_values.append(found.p_value)
        assert sum(p < 0.05 for p in p_values) <= 10
        assert 0.3 < np.median(p_values) < 0.7

    def test_days_with_more_of_both_are_no_lead(self) -> None:
        """A common level of the day lifts all lags alike: which of them is highest would be luck."""
        false = 0
        for seed in range(40):
            move, swept, rng = wild_days(seed)
            level = rng.lognormal(0, 1.5, (DAYS, 1))
            result = level * some_of(move, rng)
            found = lead_of("both", level * swept, result, move, max_lag=6, shuffles=200, seed=seed)
            false += found.answer in ("leads", "lags")
        assert false <= 8

    def test_the_plain_correlation_flatters_and_the_partial_one_does_not(self) -> None:
        move, swept, rng = wild_days(3, days=40)
        found = lead_of("both", swept, some_of(move, rng), move, max_lag=4, shuffles=200)
        here = found.lags.index(0)
        plain, partial = found.correlation[here], found.partial[here]
        assert plain is not None
        assert partial is not None
        assert plain > 0.3
        assert abs(partial) < 0.1

    def test_turned_round_the_lags_are_turned_round(self) -> None:
        move, swept, rng = wild_days(4)
        result = some_of(move, rng)
        there, back = (
            lead_of("both", *pair, move, max_lag=5, shuffles=200)
            for pair in ((swept, result), (result, swept))
        )
        assert there.partial == pytest.approx(tuple(reversed(back.partial)))

    def test_the_same_seed_gives_the_same_answer(self) -> None:
        move, swept, rng = wild_days(5)
        result = some_of(move, rng)
        first, again, other = (
            lead_of("both", swept, result, move, max_lag=5, shuffles=200, seed=seed) for seed in (1, 1, 2)
        )
        assert first == again
        assert first.band_high != other.band_high

    def test_fewer_than_six_days_are_refused_with_the_remedy(self) -> None:
        move, swept, _ = wild_days(6)
        swept[FEWEST_DAYS - 1 :] = np.nan
        with pytest.raises(MissingData, match=r"5 days have .* at least 6 .*feed watch"):
            lead_of("both", swept, swept, move, max_lag=3)

    @pytest.mark.parametrize("max_lag", [0, STEPS + 1])
    def test_a_lag_that_is_none_is_refused(self, max_lag: int) -> None:
        move, swept, _ = wild_days(7)
        with pytest.raises(BadInput, match="--max-lag"):
            lead_of("both", swept, swept, move, max_lag=max_lag)

    def test_without_any_liquidation_nothing_is_known(self) -> None:
        move, swept, _ = wild_days(8)
        found = lead_of("short", swept, np.zeros(swept.shape), move, max_lag=3)
        assert found.p_value is None
        assert found.answer == "not known"
        assert (
            lead_sentence(found, "binance", HOUR)
            == "Not known: nothing of short varies beyond the move and the day."
        )

    def test_the_answer_is_reported_in_steps_and_time(self) -> None:
        move, swept, _ = wild_days(9)
        found: Lead = lead_of("both", swept, shifted(swept, 2), move, max_lag=3, shuffles=200)
        result = lead_sentence(found, "binance", timedelta(minutes=15))
        assert result.startswith("The exact map leads binance by 2 steps (30 min) (highest")
        assert "0 of 200 shuffles" in result


class TestSweptSteps:
    def swept(self, low: FloatArray, high: FloatArray, scale: float = 1.0) -> FloatArray:
        """Of one map read an hour before the first of hourly bars."""
        heatmap = map_of(TRUTH)
        first = round(1000 * heatmap.as_of.timestamp())
        start = first + HOUR_MS * np.arange(low.size)
        path = PricePath(MarkPath(start, start + HOUR_MS, low * scale, high * scale, HOUR_MS, 1.0))
        clock = step_clock(first, first + HOUR_MS * low.size, HOUR)
        found = swept_steps([heatmap], path, clock, own_prices=scale == 1.0)
        at = np.searchsorted(clock.start_ms, start)
        return found.usd[:, at]

    @given(st.integers(0, 50))
    def test_over_all_steps_each_level_is_swept_once(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        middle = MARK * np.exp(np.cumsum(rng.normal(0, 0.02, 6)))
        low, high = middle * 0.99, middle * 1.01
        usd = self.swept(low, high)
        reach = 100 * max(1 - low.min() / MARK, 0.0), 100 * max(high.max() / MARK - 1, 0.0)
        for row, side, pct in zip(usd, SIDES, reach, strict=True):
            assert row.sum() == pytest.approx(mass_within(map_of(TRUTH), pct, side), rel=1e-6, abs=1.0)
            assert (row >= 0).all()

    def test_a_level_that_was_swept_is_not_swept_again(self) -> None:
        low, high = np.array([95.0, 97.0, 95.0, 90.0]), np.full(4, 100.0)
        longs = self.swept(low, high)[0]
        assert longs[0] > 0
        assert longs[1:3].tolist() == [0.0, 0.0]
        assert longs[3] > 0

    def test_a_map_is_forgotten_when_it_is_stale(self) -> None:
        longs = self.swept(np.linspace(99, 80, 12), np.full(12, 100.0))[0]
        assert np.isfinite(longs[:6]).all()
        assert np.isnan(longs[8:]).all()

    @pytest.mark.parametrize("step", [timedelta(minutes=7), timedelta(hours=12), timedelta(0)])
    def test_a_step_that_does_not_divide_a_day_is_refused(self, step: timedelta) -> None:
        at = round(1000 * datetime(2026, 8, 1, tzinfo=UTC).timestamp())
        with pytest.raises(BadInput, match="divide a day"):
            step_clock(at, at + 86_400_000, step)
