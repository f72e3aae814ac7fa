"""The price-time heatmap conserves open interest, holds nothing at crossed prices, and is the snapshot at each step."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from liqtruth.estimator.model.brackets import Brackets
from liqtruth.estimator.model.turnover import Turnover, later_extremes, turn_over
from liqtruth.estimator.over_time.time_evolution import AgeBand, PriceTime, SideMass, Steps, price_time
from liqtruth.estimator.series.time_line import Bars
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.grid import FloatArray, PriceGrid
from tests.estimator.markets import bars_of, random_bars

RATES = np.array([0.0, 0.2, 1.0])
BELOW = np.array([-0.1, 0.4, 0.8, 0.95, 0.99])
"""Liquidation over entry price of longs; no price liquidates the first."""
ABOVE = np.array([3.0, 1.6, 1.2, 1.05, 1.01])
SHARES = np.array([[0.1, 0.1, 0.05, 0.05, 0.02], [0.05] * 5, [0.02, 0.03, 0.05, 0.1, 0.1]])
OKX = venue_named("okx")
FLAT = Brackets.flat("SOLUSDT", 0.01, 100.0, "one flat bracket, for the test")

step_lengths = st.integers(1, 6)


def grid_of(bars: Bars, width_bps: float = 90.0) -> PriceGrid:
    mark = float(bars.close[-1])
    reach = max(np.log(bars.high.max() / mark), np.log(mark / bars.low.min()))
    return PriceGrid.around(mark, width_bps, float(reach) + 0.3)


def turned(bars: Bars) -> Turnover:
    """A tenth of open interest is active in every bar."""
    return turn_over(bars.open_interest, 0.1 * bars.open_interest[:-1], RATES)


def steps_of(bars: Bars, length: int) -> Steps:
    """Steps of `length` bars that end with the last bar; the first may be shorter."""
    return Steps(np.arange(len(bars.close), 0, -length)[::-1].copy())


def drawn(
    bars: Bars, length: int = 1, shares: FloatArray = SHARES, grid: PriceGrid | None = None,
    age: AgeBand | None = None, factors: tuple[FloatArray, FloatArray] = (BELOW, ABOVE),
) -> PriceTime:  # fmt: skip
    return price_time(
        bars, turned(bars), factors, (shares, shares), steps_of(bars, length), grid or grid_of(bars),
        ages=(age or AgeBand(),),
    )  # fmt: skip


def by_lots(bars: Bars, grid: PriceGrid, *, is_long: bool) -> FloatArray:
    """The last map, each lot judged by itself: `turnover.py` and `later_extremes`, no steps."""
    turnover = turned(bars)
    left = turnover.openings * turnover.survival / 3
    lowest, highest = (extreme[:, None, None] for extreme in later_extremes(bars))
    factors = BELOW if is_long else ABOVE
    px = bars.entries[:, :, None] * factors
    alive = (factors > 0) & ((px < lowest) if is_long else (px > highest))
    coins = np.broadcast_to((left @ SHARES)[:, None, :], px.shape)[alive]
    bins = grid.bin_of(px[alive])
    inside = (bins >= 0) & (bins < grid.bins)
    return np.asarray(np.bincount(bins[inside], coins[inside], grid.bins), dtype=np.float64)


def cut_in_part(bars: Bars, grid: PriceGrid, *, is_long: bool) -> set[int]:
    """Bins that hold the extreme of any bar, with their neighbours at an edge."""
    extremes = bars.low if is_long else bars.high
    return {int(bin_) for nudge in (1 - 1e-9, 1, 1 + 1e-9) for bin_ in grid.bin_of(extremes * nudge)}


def parts(side: SideMass) -> FloatArray:
    return np.column_stack([side.on_map, side.beyond, side.never, side.swept])


class TestMass:
    @given(random_bars(at_most=9), step_lengths)
    def test_all_open_interest_is_accounted_for_after_every_step(self, bars: Bars, length: int) -> None:
        got = drawn(bars, length)
        for side in (got.long, got.short):
            assert side.total == pytest.approx(got.open_interest, rel=1e-9, abs=1e-9)
            assert all(np.all(part >= 0) for part in (side.on_map, side.beyond, side.never, side.swept))

    @given(random_bars(at_most=9), step_lengths, st.floats(0, 1))
    def test_it_is_linear_in_the_weights(self, bars: Bars, length: int, part: float) -> None:
        """So nodes that are set to nothing filter by leverage."""
        odd = SHARES * (np.arange(SHARES.shape[1]) % 2)
        whole, one, rest = (
            drawn(bars, length, shares) for shares in (SHARES, part * odd, SHARES - part * odd)
        )
        for side in ("long", "short"):
            summed = parts(one.of(side)) + parts(rest.of(side))
            assert summed == pytest.approx(parts(whole.of(side)), rel=1e-9, abs=1e-9)

    @given(random_bars(at_most=9), step_lengths)
    def test_mirrored_prices_mirror_the_sides(self, bars: Bars, length: int) -> None:
        factors = (np.append(0.3, BELOW[1:]), 1 / np.append(0.3, BELOW[1:]))
        mark = float(bars.close[-1]) * 1.000123
        reach = PriceGrid(mark, 60.0, 400)
        assume(_clear_of_edges(bars, reach, factors[0]))
        mirrored = Bars(mark**2 / bars.low, mark**2 / bars.high, mark**2 / bars.close, bars.open_interest)
        got = drawn(bars, length, grid=reach, factors=factors)
        other = drawn(mirrored, length, grid=reach, factors=factors)
        assert got.long.on_map == pytest.approx(other.short.on_map[:, ::-1], rel=1e-9, abs=1e-9)
        assert got.short.swept == pytest.approx(other.long.swept, rel=1e-9, abs=1e-9)


def _clear_of_edges(bars: Bars, grid: PriceGrid, factors: FloatArray) -> bool:
    """No price or level lies on an edge or on another price, where rounding would decide."""
    prices = np.log(np.concatenate([bars.low, bars.high, bars.close]) / grid.mark_px)
    levels = np.log(bars.entries[:, :, None] * np.concatenate([factors, 1 / factors]) / grid.mark_px).ravel()
    places = np.concatenate([prices, levels]) / grid.log_width
    on_edge = np.abs(places - np.round(places)) < 1e-6
    return not on_edge[prices.size :].any() and bool(
        np.abs(levels[:, None] - prices).min() > 1e-9 and not on_edge[: prices.size].any()
    )


class TestSweep:
    @given(random_bars(at_most=9), step_lengths)
    def test_nothing_is_left_where_the_price_has_been(self, bars: Bars, length: int) -> None:
        """After the entry bar the price has been at its close, and in every later bar's whole range."""
        grid = grid_of(bars)
        got, steps = drawn(bars, length, grid=grid), steps_of(bars, length)
        old = drawn(bars, length, grid=grid, age=AgeBand(youngest=1))
        for step, (start, end) in enumerate(zip(steps.starts, steps.ends, strict=True)):
            close, low, high = bars.close[end - 1], bars.low[start:end].min(), bars.high[start:end].max()
            assert not got.long.on_map[step, grid.bin_of(close) + 1 :].any()
            assert not got.short.on_map[step, : grid.bin_of(close * (1 - 1e-9))].any()
            assert not old.long.on_map[step, grid.bin_of(low) :].any()
            assert not old.short.on_map[step, : grid.bin_of(high * (1 - 1e-9)) + 1].any()

    @given(random_bars(at_most=9), step_lengths)
    def test_the_last_column_is_the_map_by_lots_but_for_bins_that_were_cut_in_part(
        self, bars: Bars, length: int
    ) -> None:
        grid = grid_of(bars)
        got = drawn(bars, length, grid=grid)
        for side, is_long in ((got.long, True), (got.short, False)):
            lots = by_lots(bars, grid, is_long=is_long)
            _equal_but_for(
                side.on_map[-1], lots, _bins_at_edges(bars, grid), cut_in_part(bars, grid, is_long=is_long)
            )

    @given(random_bars(at_most=9))
    def test_one_step_over_everything_is_the_map_by_lots(self, bars: Bars) -> None:
        grid = grid_of(bars)
        got = drawn(bars, len(bars.close), grid=grid)
        for side, is_long in ((got.long, True), (got.short, False)):
            lots = by_lots(bars, grid, is_long=is_long)
            _equal_but_for(side.on_map[-1], lots, _bins_at_edges(bars, grid), set())

    @given(random_bars(at_most=9), st.integers(2, 5))
    def test_a_longer_step_gives_the_same_columns_but_for_bins_cut_in_part(
        self, bars: Bars, length: int
    ) -> None:
        """It judges more lots one by one, so it never holds less."""
        grid = grid_of(bars)
        fine, coarse = drawn(bars, 1, grid=grid), drawn(bars, length, grid=grid)
        at = steps_of(bars, length).ends - 1
        for name, is_long in (("long", True), ("short", False)):
            short_steps, long_steps = fine.of(name).on_map[at], coarse.of(name).on_map
            cut = cut_in_part(bars, grid, is_long=is_long)
            for row, other in zip(short_steps, long_steps, strict=True):
                _equal_but_for(row, other, set(), cut)

    def test_a_band_ends_in_the_step_whose_low_reaches_it(self) -> None:
        """100 coins opened at 100, liquidated at 80, 95 and 99; the third bar falls to 90, the fourth to 79."""
        rows = [(100, 100, 100), (100, 100, 100), (90, 100, 95), (79, 95, 90)]
        bars = bars_of(rows, [0, 100, 100, 100, 100])
        shares = np.array([[0.0, 0.0, 0.5, 0.25, 0.25]])
        grid = PriceGrid(90.0, 10.0, 1500)
        turnover = Turnover(np.array([[100.0], [0], [0], [0]]), np.zeros((4, 1)))
        got = price_time(bars, turnover, (BELOW, ABOVE), (shares, shares), Steps(np.arange(1, 5)), grid)
        assert got.long.on_map.sum(axis=1) == pytest.approx([100, 100, 50, 0])
        assert got.long.on_map[2, grid.bin_of(80.0)] == pytest.approx(50)
        assert got.long.swept == pytest.approx([0, 0, 50, 100])
        assert got.short.swept == pytest.approx([0, 0, 0, 0])

    def test_a_price_that_is_just_reached_is_swept(self) -> None:
        """90 is 0.9 of 100 but for rounding, and 110 is 1.1: in the step of the entry and in a later one."""
        bars = bars_of([(100, 100, 100), (90, 110, 100)], [0, 100, 100])
        turnover = Turnover(np.array([[100.0], [0]]), np.zeros((2, 1)))
        factors, shares = (np.array([0.9]), np.array([1.1])), np.ones((1, 1))
        for ends in ([2], [1, 2]):
            steps = Steps(np.array(ends))
            got = price_time(bars, turnover, factors, (shares, shares), steps, PriceGrid(100.0, 10.0, 300))
            assert got.long.swept[-1] == got.short.swept[-1] == pytest.approx(100)

    def test_the_mark_sweeps_where_it_is_known(self) -> None:
        """Traded prices fell to 90; the mark only to 96."""
        bars = bars_of([(100, 100, 100), (90, 100, 99)], [0, 100, 100])
        marked = replace(bars, swept_low=np.array([100.0, 96.0]), swept_high=np.array([100.0, 100.0]))
        traded, by_mark = (
            drawn(one, grid=PriceGrid(99.0, 10.0, 1500)).long.swept[-1] for one in (bars, marked)
        )
        assert 0 < by_mark < traded


def _bins_at_edges(bars: Bars, grid: PriceGrid) -> set[int]:
    """Bins beside an edge on which a lot lies: rounding decides which of the two holds it."""
    px = (bars.entries[:, :, None] * np.concatenate([BELOW[1:], ABOVE])).ravel()
    below, above = (grid.bin_of(px * nudge) for nudge in (1 - 1e-9, 1 + 1e-9))
    return {int(bin_) for pair in (below, above) for bin_ in pair[below != above]}


def _equal_but_for(got: FloatArray, lots: FloatArray, rounded: set[int], cut: set[int]) -> None:
    """Never more than `lots`; less only in bins of `cut`."""
    looked = np.array([bin_ not in rounded for bin_ in range(got.size)])
    whole = looked & np.array([bin_ not in cut for bin_ in range(got.size)])
    slack = 1e-9 * max(1.0, float(lots.sum()))
    assert np.all(got[looked] <= lots[looked] + slack)
    assert got[whole] == pytest.approx(lots[whole], rel=1e-9, abs=slack)


class TestTime:
    @given(random_bars(at_most=9), step_lengths)
    def test_a_column_never_changes_when_later_bars_come(self, bars: Bars, length: int) -> None:
        grid = grid_of(bars)
        ends = np.arange(length, len(bars.close) + 1, length)
        if not ends.size:
            return
        turnover = turned(bars)
        whole = price_time(bars, turnover, (BELOW, ABOVE), (SHARES, SHARES), Steps(ends), grid)
        stop = int(ends[: (ends.size + 1) // 2][-1])
        before = Bars(bars.high[:stop], bars.low[:stop], bars.close[:stop], bars.open_interest[: stop + 1])
        half = price_time(
            before, turned(before), (BELOW, ABOVE), (SHARES, SHARES), Steps(ends[ends <= stop]), grid
        )
        for name in ("long", "short"):
            early = parts(half.of(name))
            assert parts(whole.of(name))[: len(early)] == pytest.approx(early, rel=1e-12, abs=1e-12)

    @given(random_bars(at_most=9), st.integers(1, 8))
    def test_fresh_and_stale_are_all_positions(self, bars: Bars, age: int) -> None:
        grid = grid_of(bars)
        both = [drawn(bars, grid=grid, age=band) for band in (AgeBand(0, age), AgeBand(age))]
        whole = drawn(bars, grid=grid)
        for name in ("long", "short"):
            fresh, stale = (parts(one.of(name)) for one in both)
            assert fresh + stale == pytest.approx(parts(whole.of(name)), rel=1e-9, abs=1e-9)
            assert np.all(fresh >= 0)

    @given(random_bars(at_most=9), st.integers(1, 8))
    def test_stale_is_what_is_left_of_a_market_that_opened_nothing_since(self, bars: Bars, age: int) -> None:
        """The same recursion with the last `age` bars' openings set to nothing."""
        count = len(bars.close)
        turnover, grid = turned(bars), grid_of(bars)
        openings = turnover.openings.copy()
        openings[max(0, count - age) :] = 0
        without = price_time(
            bars,
            Turnover(openings, turnover.closed),
            (BELOW, ABOVE),
            (SHARES, SHARES),
            steps_of(bars, 1),
            grid,
        )
        stale = drawn(bars, grid=grid, age=AgeBand(age))
        for name in ("long", "short"):
            expected = parts(without.of(name))[-1]
            assert parts(stale.of(name))[-1] == pytest.approx(expected, rel=1e-9, abs=1e-9)

    @given(random_bars(at_most=9), st.data())
    def test_a_step_inside_a_gap_changes_nothing(self, bars: Bars, data: st.DataObject) -> None:
        at = data.draw(st.integers(1, len(bars.close)))
        ends = np.arange(1, len(bars.close) + 1)
        grid, turnover = grid_of(bars), turned(bars)
        with_gap = Steps(np.insert(ends, at, at))
        gapped = price_time(bars, turnover, (BELOW, ABOVE), (SHARES, SHARES), with_gap, grid)
        gapless = drawn(bars, grid=grid)
        for name in ("long", "short"):
            assert np.array_equal(np.delete(parts(gapped.of(name)), at, 0), parts(gapless.of(name)))
            assert np.array_equal(*parts(gapped.of(name))[at - 1 : at + 1])


@pytest.mark.parametrize("ends", [[], [0, 1], [2, 1]])
def test_steps_that_cannot_be_are_refused(ends: list[int]) -> None:
    with pytest.raises(BadInput, match="steps must not go back"):
        Steps(np.array(ends, dtype=np.int64))


def test_a_grid_that_does_not_hold_the_prices_is_refused() -> None:
    bars = bars_of([(50, 200, 100)], [0, 10])
    with pytest.raises(BadInput, match="prices leave the grid"):
        drawn(bars, grid=PriceGrid(100.0, 10.0, 100))
