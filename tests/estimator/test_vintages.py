"""Open interest is conserved: what is left of every bar's births and of the first stock is the last open interest."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from estimator.vintages import Bars, SideLots, age_open_interest, later_extremes, spread_lots
from heatmap.errors import BadInput
from heatmap.grid import FloatArray
from tests.estimator.markets import bars_of, paths, random_bars

WEIGHT = np.array([0.5, 0.3, 0.2])
BELOW = np.array([0.5, 0.9, 0.99])
"""Liquidation over entry price of longs; `1 / BELOW` mirrors it for shorts."""


def lots_of(bars: Bars, factors: FloatArray = BELOW, *, is_long: bool = True) -> SideLots:
    weight = WEIGHT[: len(factors)] / WEIGHT[: len(factors)].sum()
    return spread_lots(bars, age_open_interest(bars.open_interest), weight, factors, is_long=is_long)


class TestAges:
    @given(paths)
    def test_what_survives_is_the_last_open_interest(self, path: FloatArray) -> None:
        aged = age_open_interest(path)
        assert aged.surviving.sum() + aged.before_window == pytest.approx(path[-1], rel=1e-9, abs=1e-9)

    @given(paths)
    def test_only_an_increase_opens_and_nothing_outgrows_its_birth(self, path: FloatArray) -> None:
        aged, change = age_open_interest(path), np.diff(path)
        assert aged.births[change <= 0].tolist() == [0.0] * int((change <= 0).sum())
        assert aged.births[change > 0].tolist() == change[change > 0].tolist()
        assert np.all((aged.surviving >= 0) & (aged.surviving <= aged.births))
        assert 0 <= aged.before_window <= path[0]

    @given(paths, st.floats(0, 1))
    def test_a_decrease_closes_all_earlier_vintages_in_proportion(
        self, path: FloatArray, kept: float
    ) -> None:
        before, after = age_open_interest(path), age_open_interest(np.append(path, path[-1] * kept))
        assume(path[-1] > 0)
        assert after.surviving[:-1] == pytest.approx(before.surviving * kept)
        assert after.surviving[-1] == 0
        assert after.before_window == pytest.approx(before.before_window * kept)

    def test_a_path_by_hand(self) -> None:
        """100, +50, then a third less, then +60, then half of all."""
        aged = age_open_interest(np.array([100.0, 150, 100, 160, 80]))
        assert aged.births.tolist() == [50, 0, 60, 0]
        assert aged.surviving == pytest.approx([50 / 3, 0, 30, 0])
        assert aged.before_window == pytest.approx(100 / 3)

    def test_a_market_that_was_empty_once_remembers_nothing_older(self) -> None:
        aged = age_open_interest(np.array([70.0, 90, 0, 40]))
        assert aged.surviving.tolist() == [0, 0, 40]
        assert aged.before_window == 0


class TestSweep:
    @given(random_bars(at_most=10))
    def test_it_equals_a_loop_over_lots(self, bars: Bars) -> None:
        """For each lot every price that came surely after its entry, one by one."""
        for is_long, factors in ((True, BELOW), (False, 1 / BELOW)):
            lots = lots_of(bars, factors, is_long=is_long)
            at = 0
            for bar, entries in enumerate(bars.entries):
                for entry in entries:
                    for node, factor in enumerate(factors):
                        px = entry * factor
                        extremes = bars.low[bar + 1 :] if is_long else bars.high[bar + 1 :]
                        later = [bars.close[bar], *extremes]
                        swept = any(value <= px if is_long else value >= px for value in later)
                        assert (lots.px[at], lots.swept[at], lots.bar[at], lots.node[at]) == (
                            px,
                            swept,
                            bar,
                            node,
                        )
                        at += 1
            assert at == len(lots.px)

    @given(random_bars())
    def test_it_moves_no_coins(self, bars: Bars) -> None:
        lots = lots_of(bars)
        surviving = age_open_interest(bars.open_interest).surviving
        assert np.bincount(lots.bar, weights=lots.coins) == pytest.approx(surviving)
        per_node = np.bincount(lots.node, weights=lots.coins)
        assert per_node == pytest.approx(WEIGHT * surviving.sum())

    @given(random_bars())
    def test_mirroring_prices_and_distances_mirrors_sides(self, bars: Bars) -> None:
        """Exact for the reflection p -> 100^2 / p with reciprocal factors; venues' own factors are not reciprocal."""
        mirrored = Bars(1e4 / bars.low, 1e4 / bars.high, 1e4 / bars.close, bars.open_interest)
        long = lots_of(bars)
        short = lots_of(mirrored, 1 / BELOW, is_long=False)
        entry_points = (len(bars.close), 3, len(BELOW))

        def reflected(values: np.ndarray) -> np.ndarray:
            """The lowest third of a range becomes its highest."""
            return values.reshape(entry_points)[:, ::-1].ravel()

        lowest = np.repeat(later_extremes(bars)[0], 3 * len(BELOW))
        clear = ~np.isclose(long.px, lowest, rtol=1e-9)
        assert 1e4 / reflected(short.px) == pytest.approx(long.px)
        assert reflected(short.coins).tolist() == long.coins.tolist()
        assert reflected(short.swept)[clear].tolist() == long.swept[clear].tolist()

    def test_of_the_entry_bar_only_the_close_counts(self) -> None:
        """Nobody knows whether the low at 50 came before or after the entry; the next bar's low did come after."""
        wick = bars_of([(50, 100, 100)], [0, 30])
        assert not lots_of(wick, np.array([0.9])).swept.any()
        followed = bars_of([(50, 100, 100), (50, 100, 100)], [0, 30, 30])
        assert lots_of(followed, np.array([0.9])).swept[:3].all()
        low_close = bars_of([(50, 100, 50)], [0, 30])
        assert lots_of(low_close, np.array([0.9])).swept.tolist() == [True, True, True]

    def test_a_price_that_is_just_reached_is_swept(self) -> None:
        bars = bars_of([(100, 100, 100), (90, 100, 95)], [0, 30, 30])
        lots = lots_of(bars, np.array([0.9, 0.899]))
        assert lots.swept[lots.bar == 0].tolist() == [True, False] * 3

    def test_a_long_without_a_liquidation_price_is_never_swept(self) -> None:
        bars = bars_of([(90, 100, 95), (1, 100, 95)], [0, 30, 30])
        lots = lots_of(bars, np.array([0.0, -0.5]))
        assert lots.never.all()
        assert not lots.swept.any()
        assert not lots.on_map.any()

    def test_entries_are_the_middles_of_the_thirds_of_the_log_range(self) -> None:
        """From 1 to 64 = 2^6 they are 2, 8 and 32."""
        assert bars_of([(1, 64, 10)], [0, 1]).entries[0] == pytest.approx([2, 8, 32])


@pytest.mark.parametrize(
    ("rows", "open_interest", "said"),
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
    rows: list[tuple[float, float, float]], open_interest: list[float], said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        bars_of(rows, open_interest)


def test_no_bars_are_refused() -> None:
    nothing = np.array([])
    with pytest.raises(BadInput, match="0 bars"):
        Bars(nothing, nothing, nothing, np.array([1.0]))
