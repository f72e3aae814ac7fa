"""Open interest is conserved: what is left of every bar's openings and of the first stock is the last open interest.

Here nobody turns over: openings are net increases alone, the accounting of field practice.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from liqtruth.estimator.model.turnover import later_extremes, turn_over
from liqtruth.estimator.series.time_line import Bars
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.grid import FloatArray
from tests.estimator.markets import bars_of, paths, random_bars


@dataclass(frozen=True)
class Aged:
    openings: FloatArray
    surviving: FloatArray
    before_window: float


def aged_without_turnover(path: FloatArray) -> Aged:
    lots = turn_over(path, np.zeros(len(path) - 1), np.zeros(1))
    openings = lots.openings[:, 0]
    return Aged(openings, openings * lots.survival[:, 0], float(path[0] * lots.survival_from_start()[0]))


class TestAges:
    @given(paths)
    def test_what_survives_is_the_last_open_interest(self, path: FloatArray) -> None:
        aged = aged_without_turnover(path)
        assert aged.surviving.sum() + aged.before_window == pytest.approx(path[-1], rel=1e-9, abs=1e-9)

    @given(paths)
    def test_only_an_increase_opens_and_nothing_outgrows_its_birth(self, path: FloatArray) -> None:
        aged, change = aged_without_turnover(path), np.diff(path)
        assert aged.openings[change <= 0].tolist() == [0.0] * int((change <= 0).sum())
        assert aged.openings[change > 0].tolist() == change[change > 0].tolist()
        assert np.all((aged.surviving >= 0) & (aged.surviving <= aged.openings))
        assert 0 <= aged.before_window <= path[0]

    @given(paths, st.floats(0, 1))
    def test_a_decrease_closes_all_earlier_cohorts_in_proportion(self, path: FloatArray, kept: float) -> None:
        before, after = aged_without_turnover(path), aged_without_turnover(np.append(path, path[-1] * kept))
        assume(path[-1] > 0)
        assert after.surviving[:-1] == pytest.approx(before.surviving * kept)
        assert after.surviving[-1] == 0
        assert after.before_window == pytest.approx(before.before_window * kept)

    def test_a_path_by_hand(self) -> None:
        """100, +50, then a third less, then +60, then half of all."""
        aged = aged_without_turnover(np.array([100.0, 150, 100, 160, 80]))
        assert aged.openings.tolist() == [50, 0, 60, 0]
        assert aged.surviving == pytest.approx([50 / 3, 0, 30, 0])
        assert aged.before_window == pytest.approx(100 / 3)

    def test_a_market_that_was_empty_once_remembers_nothing_older(self) -> None:
        aged = aged_without_turnover(np.array([70.0, 90, 0, 40]))
        assert aged.surviving.tolist() == [0, 0, 40]
        assert aged.before_window == 0


class TestExtremes:
    @given(random_bars())
    def test_they_are_those_of_a_loop(self, bars: Bars) -> None:
        lowest, highest = later_extremes(bars)
        for bar, close in enumerate(bars.close):
            assert lowest[bar] == min(close, *bars.low[bar + 1 :], bars.close[-1])
            assert highest[bar] == max(close, *bars.high[bar + 1 :], bars.close[-1])

    @given(random_bars())
    def test_where_the_mark_is_known_it_sweeps_instead_of_last_prices(self, bars: Bars) -> None:
        calm = replace(bars, swept_low=bars.low * 1.01, swept_high=bars.high * 0.99)
        last = bars.close[-1]
        assert later_extremes(calm)[0][0] == min(bars.close[0], *(bars.low[1:] * 1.01), last)
        assert later_extremes(calm)[1][0] == max(bars.close[0], *(bars.high[1:] * 0.99), last)


@pytest.mark.parametrize(
    ("rows", "open_interest", "message"),
    [
        ([(1, 2, 1.5)], [1], "one more open interest"),
        ([(1, 2, 1.5)], [1, 2, 3], "one more open interest"),
        ([(1, 2, 1.5)], [1, -2], "must not be negative"),
        ([(1, 2, 1.5)], [float("nan"), 2], "negative or missing"),
        ([(0, 2, 1.5)], [1, 2], "prices must be positive"),
        ([(float("nan"), 2, 1.5)], [1, 2], "prices must be positive"),
    ],
)
def test_bars_that_cannot_be_are_refused(
    rows: list[tuple[float, float, float]], open_interest: list[float], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        bars_of(rows, open_interest)


def test_no_bars_are_refused() -> None:
    nothing = np.array([])
    with pytest.raises(BadInput, match="0 bars"):
        Bars(nothing, nothing, nothing, np.array([1.0]))
