"""What a map predicts of a move, what fell into its thickest zones, and the scores of both, on arrays."""

from dataclasses import replace
from typing import Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.compare.observed.price_path import MarkPath, Ranges, ranges_after
from liqtruth.compare.observed.realised import Realised, Side
from liqtruth.compare.scoring.realised.map_series import SweptUsd, swept_by, swept_by_distance, swept_by_map
from liqtruth.compare.scoring.realised.scores import SideScore, comparison_word, score_sides, score_windows
from liqtruth.compare.scoring.realised.windows import (
    ZONE_LOG,
    Windows,
    apart,
    place_in_zones,
    precision_of,
    top_chance,
    windows_of,
    zones_of,
)
from liqtruth.compare.statistics.intervals import Estimate
from liqtruth.estimator.model.baselines import UNIFORM, plain_map
from liqtruth.estimator.model.brackets import Brackets
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.grid import FloatArray, IntArray, PriceGrid
from liqtruth.heatmap.words.notes import note
from tests.estimator.markets import bars_of, series_of

HOUR_MS: Final = 3_600_000
GRID: Final = PriceGrid.around(100.0, 10.0, 0.3)
seeds = st.integers(0, 2**32 - 1)


def random_maps(rng: np.random.Generator, count: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Longs below and shorts above marks that lie anywhere near the middle of the grid."""
    mark = 100 * np.exp(rng.uniform(-0.1, 0.1, count))
    own = GRID.bin_of(mark)[:, None]
    bins = np.arange(GRID.bins)[None, :]
    mass = rng.gamma(0.3, 1e4, (2, count, GRID.bins))
    return np.where(bins <= own, mass[0], 0.0), np.where(bins >= own, mass[1], 0.0), mark


def mirrored(px: FloatArray) -> FloatArray:
    """About the middle of the grid, in log price."""
    return np.asarray(GRID.mark_px**2 / px)


def all_of(moments: int) -> IntArray:
    return np.arange(moments)


class TestSwept:
    @given(seeds)
    def test_a_move_to_the_end_of_the_grid_sweeps_the_side_whole(self, seed: int) -> None:
        long, short, mark = random_maps(np.random.default_rng(seed), 4)
        swept = swept_by(GRID, long, short, mark)
        low, high = np.full(4, GRID.edges[0]), np.full(4, GRID.edges[-1])
        assert swept("long", all_of(4), low) == pytest.approx(long.sum(axis=1))
        assert swept("short", all_of(4), high) == pytest.approx(short.sum(axis=1))

    @given(seeds)
    def test_nothing_is_swept_on_the_other_side_of_the_mark_and_more_further_away(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        long, short, mark = random_maps(rng, 4)
        swept = swept_by(GRID, long, short, mark)
        assert not swept("long", all_of(4), mark * 1.01).any()
        assert not swept("short", all_of(4), mark * 0.99).any()
        near = mark * (1 - rng.uniform(0, 0.05, 4))
        far = near * (1 - rng.uniform(0, 0.05, 4))
        assert np.all(swept("long", all_of(4), far) >= swept("long", all_of(4), near))

    @given(seeds)
    def test_swapping_sides_mirrors(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        long, short, mark = random_maps(rng, 4)
        px = mark * np.exp(-rng.uniform(0, 0.1, 4))
        swept = swept_by(GRID, long, short, mark)
        other = swept_by(GRID, short[:, ::-1], long[:, ::-1], mirrored(mark))
        assert other("short", all_of(4), mirrored(px)) == pytest.approx(
            swept("long", all_of(4), px), rel=1e-6
        )

    def test_a_mark_on_an_edge_sweeps_whole_bins(self) -> None:
        long = np.zeros((1, GRID.bins))
        middle = GRID.bins_each_way
        long[0, middle - 2 : middle] = (3.0, 5.0)
        swept = swept_by(GRID, long, np.zeros_like(long), np.array([GRID.mark_px]))
        edges = GRID.edges
        assert swept("long", all_of(1), edges[middle - 1 : middle])[0] == pytest.approx(5.0)
        half = np.sqrt(edges[middle - 2] * edges[middle - 1])
        assert swept("long", all_of(1), np.array([half]))[0] == pytest.approx(6.5)

    def test_in_the_marks_own_bin_mass_lies_between_the_edge_and_the_mark(self) -> None:
        long = np.zeros((1, GRID.bins))
        own = GRID.bins_each_way + 3
        long[0, own] = 8.0
        edge = GRID.edges[own]
        mark = edge * np.exp(GRID.log_width / 4)
        swept = swept_by(GRID, long, np.zeros_like(long), np.array([mark]))
        assert swept("long", all_of(1), np.array([edge * np.exp(GRID.log_width / 8)]))[0] == pytest.approx(
            4.0
        )
        assert swept("long", all_of(1), np.array([edge]))[0] == pytest.approx(8.0)

    def test_the_map_of_distance_only_is_even_and_ends(self) -> None:
        swept = swept_by_distance(np.array([100.0]), np.array([30.0]))
        for side, sign in (("long", -1), ("short", 1)):
            px = 100 * np.exp(sign * np.array([-0.1, 0.0, 0.1, 0.3, 0.6]))
            found = swept(side, np.zeros(5, dtype=np.int64), px)
            assert found == pytest.approx([0.0, 0.0, 10.0, 30.0, 30.0])

    @given(st.floats(50.0, 20_000.0), st.floats(0.001, 0.5))
    def test_the_baseline_of_that_name_gives_the_same_for_every_move(self, mark: float, away: float) -> None:
        """A series whose last bar has been nowhere but at its mark: nothing of the map is swept."""
        drawn = plain_map(UNIFORM, series_of(bars_of([(mark, mark, mark)], [30, 30])), venue_named("okx"), "X",
                          Brackets.flat("X", 0.005, 125, "for the test"), 10.0)  # fmt: skip
        of_map, of_distance = swept_by_map(drawn), swept_by_distance(np.array([mark]), np.array([30 * mark]))
        for side, sign in (("long", -1), ("short", 1)):
            px = np.array([mark * np.exp(sign * away)])
            assert of_map(side, all_of(1), px) == pytest.approx(
                of_distance(side, all_of(1), px), rel=5e-3, abs=0.05 * mark
            )


class TestZones:
    def test_only_windows_that_swept_ten_zones_are_cut(self) -> None:
        zones = zones_of(ZONE_LOG * np.array([9.99, 10.0, 23.7]))
        assert zones.count.tolist() == [0, 10, 23]
        assert zones.number[:10].tolist() == list(range(10))

    @given(st.lists(st.integers(10, 60), min_size=1, max_size=5))
    def test_the_map_of_distance_only_hits_as_chance_does(self, counts: list[int]) -> None:
        zones = zones_of(ZONE_LOG * (np.array(counts) + 0.5))
        mark = np.full(len(counts), 100.0)
        chance = top_chance(
            zones, swept_by_distance(mark, np.full(len(counts), 1e6)), "short", all_of(len(counts)), mark
        )
        for place, count in enumerate(counts):
            assert chance[zones.window == place] == pytest.approx((count // 10) / count)

    @given(seeds)
    def test_the_top_tenth_is_a_tenth_at_most_and_holds_the_thickest_zones(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        long, short, mark = random_maps(rng, 3)
        swept = swept_by(GRID, long, short, mark)
        zones = zones_of(rng.uniform(0.03, 0.1, 3))
        chance = top_chance(zones, swept, "long", all_of(3), mark)
        for place in range(3):
            mine = np.flatnonzero(zones.window == place)
            assert chance[mine].sum() == pytest.approx(len(mine) // 10)
            edges = mark[place] * np.exp(-ZONE_LOG * np.arange(len(mine) + 1))
            mass = np.diff(swept("long", np.full(len(edges), place), edges))
            best = np.sort(np.argsort(-mass)[: len(mine) // 10])
            assert np.flatnonzero(chance[mine] == 1.0).tolist() == best.tolist()

    def test_an_event_is_placed_by_its_distance_and_one_outside_nowhere(self) -> None:
        zones = zones_of(ZONE_LOG * np.array([12.0, 10.0]))
        away = ZONE_LOG * np.array([0.5, 11.5, 12.5, -0.5, 9.5])
        found = place_in_zones(zones, np.array([0, 0, 0, 0, 1]), away)
        assert found.tolist() == [0, 11, -1, -1, 12 + 9]

    def test_fewer_than_ten_events_have_no_precision(self) -> None:
        assert precision_of(9, 9, 0.9) is None
        found = precision_of(10, 5, 1.0)
        assert found is not None
        assert (found.share, found.chance) == (0.5, 0.1)
        assert (found.low, found.high) == pytest.approx((0.2366, 0.7634), abs=1e-4)


class TestRanges:
    PATH: Final = MarkPath(
        np.array([0, 1, 2, 4, 5]) * HOUR_MS,
        np.array([1, 2, 3, 5, 6]) * HOUR_MS,
        low=np.array([9.0, 7.0, 8.0, 6.0, 5.0]),
        high=np.array([11.0, 12.0, 13.0, 10.0, 9.0]),
        bar_ms=HOUR_MS,
        by_marks=1.0,
    )

    def test_a_window_is_the_bars_after_the_moment_up_to_the_horizon(self) -> None:
        found = ranges_after(self.PATH, np.array([0, 1]) * HOUR_MS, 2 * HOUR_MS)
        assert found.low.tolist() == [7.0, 7.0]
        assert found.high.tolist() == [12.0, 13.0]
        assert found.whole.all()

    def test_a_gap_and_the_end_of_the_series_leave_a_window_without_a_range(self) -> None:
        found = ranges_after(self.PATH, np.array([2, 3, 4, 5]) * HOUR_MS, 2 * HOUR_MS)
        assert found.whole.tolist() == [False, False, True, False]

    def test_bars_that_begin_before_the_moment_are_left_out(self) -> None:
        moment = np.array([HOUR_MS // 2])
        found = ranges_after(self.PATH, moment, 2 * HOUR_MS)
        assert not found.whole[0], "one whole bar is half of the horizon"
        longer = replace(self.PATH, start_ms=self.PATH.start_ms, end_ms=self.PATH.end_ms)
        found = ranges_after(longer, moment, 5 * HOUR_MS // 2)
        assert found.whole[0]
        assert (found.from_ms[0], found.until_ms[0]) == (HOUR_MS, 3 * HOUR_MS)
        assert (found.low[0], found.high[0]) == (7.0, 13.0)

    def test_volatility_of_one_bar_is_parkinsons(self) -> None:
        found = ranges_after(self.PATH, np.array([0]), HOUR_MS)
        assert found.volatility[0] == pytest.approx(np.log(11 / 9) / np.sqrt(4 * np.log(2)))


class TestHeard:
    def test_a_window_counts_when_nearly_all_of_it_was_listened_to(self) -> None:
        spans = np.array([[0, 3000], [3050, 9000]])
        realised = realised_of(no_events(), no_events(), spans)
        starts = np.array([0, 2000, 6000, 8500, 20_000])
        assert realised.observed(starts, starts + 3000).tolist() == [True, True, True, False, False]


def test_a_liquidation_reported_beyond_its_bar_is_placed_at_the_bars_end_and_others_stay() -> None:
    """As bankruptcy prices are; what happened in a gap of the bars stays where it was reported."""
    ts = np.array([0.5, 1.5, 2.5, 3.5]) * HOUR_MS
    side = Side(ts.astype(np.int64), np.array([8.0, 7.5, 99.0, 1.0]), np.zeros(4), np.zeros(5))
    path = TestRanges.PATH
    found = realised_of(side, no_events(), np.zeros((0, 2), dtype=np.int64)).within_bars(path)
    assert found.long.px.tolist() == [9.0, 7.5, 13.0, 1.0]


def no_events() -> Side:
    return Side(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0), np.zeros(1))


def realised_of(long: Side, short: Side, spans_ms: np.ndarray) -> Realised:
    return Realised("SOL", long, short, spans_ms, False, 1.0, ())


# ------------------------------------------------------------------------------- a market, scored


def random_windows(
    seed: int, count: int = 400, coverage: float = 1.0, skill: float = 0.0
) -> tuple[Windows, Windows]:
    """A random walk, a random map and liquidations; of the latter `skill` of 1 follows the map, 0 knows only moves."""
    rng = np.random.default_rng(seed)
    sides = []
    moments = np.arange(count) * HOUR_MS
    for _ in range(2):
        move = rng.exponential(0.01, count)
        stored = 1e6 * np.exp(rng.normal(0, 0.2, count))
        predicted = stored * move * rng.lognormal(0, 1, count)
        independent = 1e6 * move * rng.lognormal(0, 1, count)
        result = coverage * (skill * predicted + (1 - skill) * independent)
        sides.append(
            Windows(
                start_ms=moments,
                move=move,
                volatility=move * rng.uniform(0.5, 1.5, count),
                reported_usd=result,
                coverage=np.full(count, coverage),
                events=np.ones(count),
                predicted_usd={"model": predicted, UNIFORM: stored * move},
                zoned_events=np.zeros(count),
                hits={"model": np.zeros(count), UNIFORM: np.zeros(count)},
            )
        )
    return sides[0], sides[1]


def pooled(windows: tuple[Windows, Windows]) -> SideScore:
    return score_sides(*windows, HOUR_MS)[-1]


class TestScores:
    def test_a_perfect_map_has_ratio_one_and_rank_correlation_one(self) -> None:
        model = pooled(random_windows(1, skill=1.0)).maps[0]
        assert model.partial is not None
        assert model.partial.value == pytest.approx(1.0)
        assert model.ratio is not None
        assert (model.ratio.value, model.ratio.low, model.ratio.high) == pytest.approx((1.0, 1.0, 1.0))
        assert model.median_log_ratio is not None
        assert model.median_log_ratio.value == pytest.approx(0.0, abs=1e-12)

    @pytest.mark.parametrize("seed", range(4))
    def test_maps_that_liquidations_do_not_follow_have_no_partial_correlation_but_a_plain_one(
        self, seed: int
    ) -> None:
        """The null model: a random walk whose liquidations know the move and nothing of the map."""
        for found in pooled(random_windows(seed, 1000)).maps:
            assert found.partial is not None
            assert found.plain is not None
            assert abs(found.partial.value) < 0.08
            assert found.plain.value > 0.4

    def test_skill_is_the_difference_to_a_baseline_with_an_interval_above_zero(self) -> None:
        model, uniform = pooled(random_windows(3, skill=0.5)).maps
        assert model.skill is None
        assert model.partial is not None
        assert uniform.partial is not None
        assert uniform.skill is not None
        assert uniform.skill.low is not None
        assert uniform.skill.value == pytest.approx(model.partial.value - uniform.partial.value)
        assert uniform.skill.low > 0

    @pytest.mark.parametrize("share", [0.05, 0.3, 0.9])
    def test_realised_is_what_is_reported_over_the_coverage(self, share: float) -> None:
        whole, part = (pooled(random_windows(8, 60, coverage=c, skill=0.3)) for c in (1.0, share))
        assert part.reported_usd == pytest.approx(share * whole.reported_usd)
        assert part.realised_usd == pytest.approx(whole.realised_usd)
        assert part.maps[0].partial == whole.maps[0].partial
        for one, other in zip(part.maps, whole.maps, strict=True):
            assert one.ratio is not None
            assert other.ratio is not None
            assert one.ratio.value == pytest.approx(other.ratio.value)

    def test_an_unknown_coverage_leaves_ranks_and_takes_ratios(self) -> None:
        known = random_windows(5, skill=0.5)
        unknown = tuple(replace(one, coverage=np.full(one.move.size, np.nan)) for one in known)
        found, other = pooled((unknown[0], unknown[1])), pooled(known)
        assert found.maps[0].ratio is None
        assert found.maps[0].median_log_ratio is None
        assert found.realised_usd is None
        assert found.maps[0].partial == other.maps[0].partial
        assert note("no_ratios") in found.notes

    def test_the_sides_swap(self) -> None:
        long, short = random_windows(6, skill=0.4)
        one, other = score_sides(long, short, HOUR_MS), score_sides(short, long, HOUR_MS)
        assert one[0].maps == other[1].maps
        assert one[1].maps == other[0].maps
        first, second = one[2].maps[0].partial, other[2].maps[0].partial
        assert first is not None
        assert second is not None
        assert first.value == pytest.approx(second.value)

    def test_few_windows_or_days_and_no_liquidations_are_null_and_stated(self) -> None:
        few = score_windows(random_windows(7, 19)[0], "long", HOUR_MS)
        assert few.maps[0].partial is None
        assert note("too_few_windows", count=19, least=20) in few.notes
        short = score_windows(random_windows(7, 90)[0], "long", HOUR_MS)
        assert short.maps[0].partial is not None
        assert short.maps[0].partial.low is None
        assert note("too_few_days", days=4, least=5) in short.notes
        quiet = score_windows(replace(random_windows(7)[0], reported_usd=np.zeros(400)), "long", HOUR_MS)
        assert quiet.maps[0].partial is None
        assert note("nothing_liquidated") in quiet.notes

    def test_no_windows_at_all_are_a_score_without_figures(self) -> None:
        nothing = score_windows(random_windows(7, 0)[0], "long", HOUR_MS)
        assert nothing.windows == 0
        assert all(one.partial is None and one.ratio is None for one in nothing.maps)

    def test_windows_that_overlap_count_an_event_once(self) -> None:
        taken = apart(np.array([0, 1, 2, 3, 4, 0, 1, 2, 3, 4]) * HOUR_MS, 2 * HOUR_MS)
        assert taken.tolist() == [True, False, True, False, True] * 2

    @given(seeds)
    def test_a_mirrored_market_has_the_same_windows_with_sides_swapped(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        long, short, mark = random_maps(rng, 6)
        low, high = mark * np.exp(-rng.uniform(0, 0.1, 6)), mark * np.exp(rng.uniform(0, 0.1, 6))
        moments = np.arange(6) * HOUR_MS
        px = rng.uniform(85, 115, 30)
        events = side_of(rng.integers(0, 6 * HOUR_MS, 30), px)
        other = replace(events, px=mirrored(px))
        here = windows_of(
            moments,
            mark,
            {"model": swept_by(GRID, long, short, mark)},
            ranges_of(moments, low, high),
            observed_all(events, no_events()),
            "long",
        )
        there = windows_of(
            moments,
            mirrored(mark),
            {"model": swept_by(GRID, short[:, ::-1], long[:, ::-1], mirrored(mark))},
            ranges_of(moments, mirrored(high), mirrored(low)),
            observed_all(no_events(), other),
            "short",
        )
        assert there.move == pytest.approx(here.move)
        assert there.reported_usd.tolist() == here.reported_usd.tolist()
        assert there.predicted_usd["model"] == pytest.approx(here.predicted_usd["model"], rel=1e-6)
        assert there.zoned_events.tolist() == here.zoned_events.tolist()
        assert there.hits["model"] == pytest.approx(here.hits["model"])


def side_of(ts_ms: IntArray, px: FloatArray) -> Side:
    order = np.sort(ts_ms)
    return Side(order, px, 100.0 / px, 100.0 * np.arange(len(px) + 1, dtype=np.float64))


def ranges_of(moments: IntArray, low: FloatArray, high: FloatArray) -> Ranges:
    whole = np.ones(len(moments), dtype=bool)
    return Ranges(low, high, np.log(high / low), moments, moments + HOUR_MS, whole)


def observed_all(long: Side, short: Side) -> Realised:
    return realised_of(long, short, np.array([[-1, 10 * HOUR_MS]]))


def test_events_all_in_the_thickest_zone_are_all_hits() -> None:
    """And a map that has everything elsewhere is hit by none."""
    mark = np.array([100.0])
    thick, thin = np.zeros((1, GRID.bins)), np.zeros((1, GRID.bins))
    at = 100 * np.exp(-ZONE_LOG * 5.5)
    thick[0, GRID.bin_of(at)] = 1e6
    thin[0, GRID.bin_of(100 * np.exp(-ZONE_LOG * 9.5))] = 1e6
    maps: dict[str, SweptUsd] = {
        "thick": swept_by(GRID, thick, np.zeros_like(thick), mark),
        "thin": swept_by(GRID, thin, np.zeros_like(thin), mark),
        UNIFORM: swept_by_distance(mark, np.array([1e6])),
    }
    events = side_of(np.arange(1, 21) * 60_000, np.full(20, at))
    low = mark * np.exp(-ZONE_LOG * 12)
    found = windows_of(
        np.array([0]),
        mark,
        maps,
        ranges_of(np.array([0]), low, mark),
        observed_all(events, no_events()),
        "long",
    )
    score = score_windows(found, "long", HOUR_MS)
    shares = [one.precision.share if one.precision else None for one in score.maps]
    assert shares == pytest.approx([1.0, 0.0, 1 / 12])


@pytest.mark.parametrize(
    ("skill", "events", "word"),
    [
        (Estimate(0.2, 0.1, 0.3), 10, "beats"),
        (Estimate(-0.2, -0.3, -0.1), 10, "is worse than"),
        (Estimate(0.2, -0.1, 0.5), 10, "does not differ significantly from"),
        (Estimate(0.2), 10, "cannot be compared with"),
        (Estimate(0.2, 0.1, 0.3), 9, "cannot be compared with"),
        (None, 100, "cannot be compared with"),
    ],
)
def test_the_verdict_follows_the_interval_and_needs_ten_liquidations(
    skill: Estimate | None, events: int, word: str
) -> None:
    assert comparison_word(skill, events) == word
