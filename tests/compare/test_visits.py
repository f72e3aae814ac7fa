"""Visits of major zones: what is counted, what chance is made of, and that neither finds anything in a random walk."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.compare.observed.price_path import COVERED, MarkPath, PricePath
from liqtruth.compare.scoring.visits.major_zones import MajorZones, zones_of_maps, zones_of_series
from liqtruth.compare.scoring.visits.visits import (
    LEAST_OTHERS,
    VisitRow,
    at_the_mark,
    score_visits,
    touches,
    visit_sentence,
)
from liqtruth.compare.statistics.intervals import (
    FEWEST_BLOCKS,
    blocks_of,
    estimates,
)
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.grid import FloatArray, IntArray, PriceGrid
from liqtruth.heatmap.levels import NOTHING
from liqtruth.heatmap.series import HeatmapSeries
from tests.compare.maps import MARK, crowd, map_of

HOUR = 3_600_000
DAY = 24 * HOUR
EVERY_H = 12


def walk(seed: int, days: int = 40) -> tuple[PricePath, IntArray, FloatArray]:
    """Hourly bars of a random walk with wicks, and moments twice a day from the third day on with their marks."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.007, days * 24)))
    opened = np.append(100.0, close[:-1])
    high = np.maximum(opened, close) * np.exp(rng.exponential(0.002, close.size))
    low = np.minimum(opened, close) * np.exp(-rng.exponential(0.002, close.size))
    start = HOUR * np.arange(close.size)
    bars = np.arange(72, close.size - 1, EVERY_H)
    return PricePath(MarkPath(start, start + HOUR, low, high, HOUR, 1.0)), HOUR * (bars + 1), close[bars]


def walk_with_future(seed: int) -> tuple[PricePath, IntArray, FloatArray, FloatArray]:
    """As `walk`, and how far (log price) price goes down and up within a day of each moment: (2, moments, 1)."""
    path, times, mark = walk(seed)
    low, high = path.extremes(times, times + DAY)
    kept = np.isfinite(low)
    reach = np.stack([np.log(mark / low), np.log(high / mark)])[:, kept, None]
    return path, times[kept], mark[kept], np.maximum(reach, 0.0)


def zones_at(
    times: IntArray, mark: FloatArray, away: FloatArray, mass: FloatArray | None = None
) -> MajorZones:
    """Zones at log distances `away` (2, moments, top)."""
    side = np.array([-1.0, 1.0])[:, None, None]
    return MajorZones(times, mark, side * away, np.ones(away.shape) if mass is None else mass)


def random_zones(seed: int, times: IntArray, mark: FloatArray, weekly: bool) -> MajorZones:
    """Drawn without a look at prices: anew each moment, or standing for a week at the same distances."""
    rng = np.random.default_rng(1_000 + seed)
    away = rng.lognormal(-3.2, 0.7, (2, times.size, 3))
    if weekly:
        away = np.repeat(away, 7 * 24 // EVERY_H, axis=1)[:, : times.size]
    return zones_at(times, mark, away, rng.lognormal(0.0, 1.0, away.shape))


def of_side(rows: tuple[VisitRow, ...], side: str = "both") -> VisitRow:
    return next(row for row in rows if row.side == side)


class TestNullModel:
    def test_zones_drawn_without_the_path_are_not_found_to_be_better_or_worse_than_their_distance(
        self,
    ) -> None:
        """95 % intervals of 100 markets miss five times or so."""
        missed = 0
        for seed in range(100):
            path, times, mark = walk(seed, days=28)
            zones = random_zones(seed, times, mark, weekly=bool(seed % 2))
            gap = of_side(score_visits(zones, path, horizons_h=(24,), seed=seed)).weighted.difference
            assert gap is not None
            assert gap.low is not None
            assert gap.high is not None
            missed += not gap.low <= 0 <= gap.high
        assert missed <= 5

    @pytest.mark.parametrize("seed", range(3))
    def test_zones_drawn_from_the_future_are_found_out(self, seed: int) -> None:
        path, times, mark, reach = walk_with_future(seed)
        known = zones_at(times, mark, np.where(reach > 0.01, 0.9 * reach, np.nan))
        for side in ("long", "short", "both"):
            row = of_side(score_visits(known, path, horizons_h=(24,)), side)
            assert row.weighted.visited is not None
            assert row.weighted.visited.value == 1.0
            assert row.weighted.difference is not None
            assert row.weighted.difference.low is not None
            assert row.weighted.difference.low > 0.1
            assert "more than distance explains" in visit_sentence(row)

    def test_zones_that_price_avoids_are_seen_to_be_visited_less(self) -> None:
        path, times, mark, reach = walk_with_future(4)
        row = of_side(score_visits(zones_at(times, mark, reach + 0.005), path, horizons_h=(24,)))
        assert row.weighted.visited is not None
        assert row.weighted.visited.value == 0.0
        assert "less than distance explains" in visit_sentence(row)

    def test_zones_that_nothing_comes_to_have_no_interval(self) -> None:
        """Nothing was visited and nothing to be expected: that is no evidence for a share of exactly zero."""
        path, times, mark = walk(4)
        row = of_side(
            score_visits(zones_at(times, mark, np.full((2, times.size, 1), 0.6)), path, horizons_h=(24,))
        )
        assert row.weighted.difference is not None
        assert (row.weighted.difference.value, row.weighted.difference.low) == (0.0, None)
        assert row.why.startswith("there is no interval: too few of")


class TestWhatIsCounted:
    def test_weights_are_notional_and_plain_shares_have_none(self) -> None:
        path, times, mark = walk(5)
        near, far = np.full((2, times.size, 1), 0.004), np.full((2, times.size, 1), 0.6)
        away = np.concatenate([near, far], axis=2)
        mass = np.broadcast_to([3.0, 1.0], away.shape)
        row = of_side(score_visits(zones_at(times, mark, away, mass), path, horizons_h=(168,)))
        assert row.weighted.visited is not None
        assert row.plain.visited is not None
        assert row.weighted.visited.value == pytest.approx(0.75, abs=0.03)
        assert row.plain.visited.value == pytest.approx(0.5, abs=0.03)

    def test_zones_that_price_is_at_already_are_left_out_and_counted(self) -> None:
        path, times, mark = walk(6)
        zones = zones_at(times, mark, np.full((2, times.size, 1), 0.001))
        assert at_the_mark(zones, 0.25) == 2 * times.size
        assert of_side(score_visits(zones, path, horizons_h=(24,))).zones == 0

    def test_a_wider_tolerance_is_visited_at_least_as_often(self) -> None:
        path, times, mark = walk(7)
        zones = random_zones(7, times, mark, weekly=False)
        shares = []
        for tolerance in (0.0, 0.2):
            rows = score_visits(zones, path, horizons_h=(24,), tolerance_pct=tolerance)
            found = of_side(rows).weighted.visited
            assert found is not None
            shares.append(found.value)
        assert shares[0] < shares[1]

    @pytest.mark.parametrize("tolerance", [-0.1, 10.0, float("nan")])
    def test_a_tolerance_that_is_no_distance_is_refused(self, tolerance: float) -> None:
        path, times, mark = walk(1, days=5)
        with pytest.raises(BadInput, match="tolerance"):
            score_visits(zones_at(times, mark, np.ones((2, times.size, 1))), path, tolerance_pct=tolerance)


class TestShortHistory:
    def test_a_horizon_that_prices_do_not_reach_is_null_and_states_it(self) -> None:
        path, times, mark = walk(8, days=20)
        row = of_side(score_visits(random_zones(8, times, mark, weekly=False), path, horizons_h=(720,)))
        assert row.weighted.visited is None
        assert row.zones == 0
        assert row.why == "no map has prices for 30 d after it"

    def test_without_other_moments_there_is_no_chance(self) -> None:
        path, times, mark = walk(8, days=14)
        row = of_side(score_visits(random_zones(8, times, mark, weekly=False), path, horizons_h=(168,)))
        assert row.weighted.visited is not None
        assert row.weighted.expected is None
        assert row.weighted.difference is None
        assert "history is too short for a chance at 7 d" in row.why

    def test_with_few_blocks_there_is_no_interval(self) -> None:
        path, times, mark = walk(8, days=40)
        row = of_side(score_visits(random_zones(8, times, mark, weekly=False), path, horizons_h=(168,)))
        assert row.blocks < FEWEST_BLOCKS
        assert row.weighted.difference is not None
        assert row.weighted.difference.low is None
        assert row.why.startswith(f"there is no interval: {row.blocks} blocks of 7 d")


class TestPrices:
    @given(st.integers(0, 30), st.lists(st.tuples(st.integers(-50, 300), st.integers(1, 260)), min_size=1))
    def test_extremes_are_those_of_the_bars_inside_the_span(
        self, seed: int, spans: list[tuple[int, int]]
    ) -> None:
        rng = np.random.default_rng(seed)
        start = np.flatnonzero(rng.random(200) < 0.95) * HOUR
        low = rng.lognormal(0.0, 0.1, start.size)
        path = PricePath(MarkPath(start, start + HOUR, low, low * 1.1, HOUR, 1.0))
        begins = np.array([begin for begin, _ in spans]) * (HOUR // 2)
        ends = begins + np.array([length for _, length in spans]) * (HOUR // 2)
        found_low, found_high = path.extremes(begins, ends)
        for at, (begin, end) in enumerate(zip(begins, ends, strict=True)):
            inside = (start >= begin) & (start + HOUR <= end)
            if inside.sum() * HOUR >= COVERED * (end - begin):
                assert found_low[at] == low[inside].min()
                assert found_high[at] == (low * 1.1)[inside].max()
            else:
                assert np.isnan(found_low[at])

    @given(st.integers(0, 200))
    def test_the_chance_is_the_share_of_other_moments_that_went_as_far(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        times = np.cumsum(rng.integers(1, 10, 40)) * HOUR
        reach = np.where(rng.random(40) < 0.9, rng.exponential(1.0, 40), np.nan)
        away = rng.exponential(1.0, (40, 2))
        horizon = int(rng.integers(1, 60)) * HOUR
        found = touches(away, reach, times, horizon, blocks_of(times)[0]).chance
        for at in range(40):
            others = np.isfinite(reach) & (np.abs(times - times[at]) >= horizon)
            for zone in range(2):
                if others.sum() >= LEAST_OTHERS:
                    assert found[at, zone] == pytest.approx((reach[others] >= away[at, zone]).mean())
                else:
                    assert np.isnan(found[at, zone])


class TestZones:
    def test_a_series_has_the_zones_of_its_maps(self) -> None:
        drawn = [map_of(crowd(seed, whales=3)) for seed in (1, 2)]
        series = HeatmapSeries(
            coin="BTC",
            venue="hyperliquid",
            source="exact",
            times=tuple(heatmap.as_of.replace(day=at + 1) for at, heatmap in enumerate(drawn)),
            grid=PriceGrid.around(MARK),
            long_usd=np.stack([heatmap.long_usd for heatmap in drawn]),
            short_usd=np.stack([heatmap.short_usd for heatmap in drawn]),
            mark_px=np.array([MARK, MARK * 1.0005]),
            beyond_usd=(NOTHING,) * 2,
            never_usd=(NOTHING,) * 2,
            coverage=tuple(heatmap.coverage for heatmap in drawn),
        )
        stacked, single = zones_of_series(series, 3), zones_of_maps(drawn, 3)
        assert stacked.mass_usd == pytest.approx(single.mass_usd)
        assert stacked.distance[:, 0] == pytest.approx(single.distance[:, 0], nan_ok=True)
        moved = single.distance[:, 1] - np.log(1.0005)
        assert stacked.distance[:, 1] == pytest.approx(moved, nan_ok=True), "distances are from the real mark"

    def test_the_heaviest_come_first_and_far_ones_do_not_count(self) -> None:
        levels = [("long", 5.0, 1e6), ("long", 20.0, 3e6), ("short", 10.0, 1e6)]
        whole, near = (zones_of_maps([map_of(levels)], 2, within) for within in (50.0, 15.0))
        assert whole.away_pct[0, 0] == pytest.approx([20.0, 5.0], abs=0.1)
        assert near.away_pct[0, 0, 0] == pytest.approx(5.0, abs=0.1)
        assert np.isnan(near.away_pct[0, 0, 1])
        assert near.mass_usd[0, 0] == pytest.approx([1e6, 0.0])

    def test_what_is_no_number_of_zones_or_no_distance_is_refused(self) -> None:
        with pytest.raises(BadInput, match="--top 0"):
            zones_of_maps([], 0)
        with pytest.raises(BadInput, match="--within-pct 60"):
            zones_of_maps([], 5, 60.0)


class TestBlocks:
    @given(st.integers(1, 60), st.integers(1, 40))
    def test_blocks_are_whole_days_at_least_as_long_as_asked(self, length_h: int, days: int) -> None:
        times = HOUR * np.arange(24 * days) + 7 * DAY
        block, count = blocks_of(times, length_h * HOUR)
        assert count == -(-days // -(-length_h // 24))
        assert (np.diff(block) >= 0).all()
        assert block.max() + 1 == count

    def test_the_interval_of_independent_days_is_that_of_their_mean(self) -> None:
        rng = np.random.default_rng(3)
        values = rng.normal(5.0, 1.0, 400)
        found = estimates(values[None], np.ones(400), np.arange(400), seed=1)[0]
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        spread = values.std() / 20
        assert found.high - found.low == pytest.approx(2 * 1.96 * spread, rel=0.15)
        assert found.value == pytest.approx(values.mean())
