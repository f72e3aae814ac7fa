"""Alignment of clusters: a map aligns with itself, a shuffled one as chance has it; what is made of the claims."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.compare.scoring.visits.alignment import Alignment, align, deviations, paired
from liqtruth.compare.scoring.visits.claims import CLAIMS, Answer, answers, verdict
from liqtruth.compare.scoring.visits.major_zones import MajorZones
from liqtruth.compare.scoring.visits.visits import Compared, VisitRow
from liqtruth.compare.statistics.intervals import Estimate, weighted_medians
from liqtruth.heatmap.errors import BadInput

DAY = 86_400_000
HOUR = 3_600_000


def zones(seed: int, days: int = 20, every_h: int = 12, top: int = 5) -> MajorZones:
    """Clusters anywhere up to a third away, without memory."""
    rng = np.random.default_rng(seed)
    times = np.arange(0, 24 * days, every_h) * HOUR
    away = rng.uniform(0.005, 0.3, (2, times.size, top)) * np.array([-1, 1])[:, None, None]
    return MajorZones(times, np.full(times.size, 100.0), away, np.ones(away.shape))


def value(result: Estimate | None) -> float:
    assert result is not None
    return result.value


class TestAlign:
    @given(st.integers(0, 20), st.integers(1, 5))
    def test_a_map_aligns_with_itself(self, seed: int, top: int) -> None:
        same = zones(seed, days=3, top=top)
        found = align(same, same)
        assert value(found.share) == 1.0
        assert value(found.deviation_pct) == 0.0
        assert found.clusters == same.distance.size

    def test_itself_is_better_than_chance_on_enough_days(self) -> None:
        found = align(zones(1), zones(1))
        assert found.share_difference is not None
        assert found.share_difference.low is not None
        assert found.share_difference.low > 0.3
        assert found.deviation_difference_pct is not None
        assert found.deviation_difference_pct.high is not None
        assert found.deviation_difference_pct.high < -1.0
        assert found.why == ""

    def test_maps_that_know_nothing_of_each_other_align_as_chance_has_it(self) -> None:
        """A 95 % interval of twenty pairs of maps misses once or twice."""
        missed = 0
        for seed in range(20):
            found = align(zones(seed), zones(100 + seed), seed=seed)
            gap = found.share_difference
            assert gap is not None
            assert gap.low is not None
            assert gap.high is not None
            assert abs(value(found.share) - value(found.chance_share)) < 0.08
            missed += not gap.low <= 0 <= gap.high
        assert missed <= 4

    def test_deviation_is_to_the_nearest_of_the_same_side_and_moment(self) -> None:
        wanted = np.array([[[3.0, 9.0]], [[4.0, np.nan]]])
        offered = np.array([[[2.5, 20.0]], [[np.nan, np.nan]]])
        found = deviations(wanted, offered)
        assert found[0, 0].tolist() == [0.5, 6.5]
        assert np.isnan(found[1]).all()

    def test_on_a_single_day_there_is_neither_chance_nor_interval(self) -> None:
        one = zones(2, days=1, every_h=3)
        found = align(one, one)
        assert value(found.share) == 1.0
        assert found.chance_share is None
        assert found.share is not None
        assert found.share.low is None
        assert "at least a day away" in found.why

    def test_without_clusters_on_both_there_is_no_alignment(self) -> None:
        empty = MajorZones(*zones(1, days=1).at(np.array([0])).__dict__.values())
        nothing = MajorZones(empty.times_ms, empty.mark_px, np.full((2, 1, 5), np.nan), np.zeros((2, 1, 5)))
        found = align(empty, nothing)
        assert found.share is None
        assert "no moment has clusters" in found.why

    @pytest.mark.parametrize("tolerance", [0.0, -1.0, 51.0])
    def test_a_tolerance_that_is_no_distance_is_refused(self, tolerance: float) -> None:
        with pytest.raises(BadInput, match="tolerance"):
            align(zones(1), zones(1), tolerance)

    def test_moments_are_paired_with_the_nearest_exact_map_that_is_near_enough(self) -> None:
        model, exact = zones(1, days=2, every_h=6), zones(2, days=1, every_h=4)
        ours, theirs = paired(model, exact, 3 * HOUR)
        assert (ours.times_ms // HOUR).tolist() == [0, 6, 12, 18]
        assert (theirs.times_ms // HOUR).tolist() == [0, 4, 12, 16]
        assert paired(model, exact.at(np.zeros(0, dtype=np.int64)), HOUR)[0].moments == 0

    @given(st.lists(st.tuples(st.floats(0, 50), st.integers(0, 5)), min_size=1, max_size=12))
    def test_a_weighted_median_lies_in_the_middle_of_the_values_so_many_times(
        self, rows: list[tuple[float, int]]
    ) -> None:
        values, counts = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
        found = weighted_medians(values, np.arange(values.size), counts[None], lower=True)[0]
        repeated = np.repeat(values, counts.astype(int))
        if not repeated.size:
            assert np.isnan(found)
        else:
            assert (repeated <= found).mean() >= 0.5
            assert (repeated >= found).mean() >= 0.5


BETTER, NO_BETTER = Estimate(20.0, 10.0, 30.0), Estimate(1.0, -4.0, 6.0)
LOWER = Estimate(-1.0, -1.5, -0.5)


class TestClaims:
    @pytest.mark.parametrize(
        ("claim", "figure", "difference", "expected"),
        [
            (0, Estimate(65.0, 61.0, 69.0), BETTER, "holds"),
            (0, Estimate(65.0, 61.0, 69.0), NO_BETTER, "holds but is what chance gives"),
            (0, Estimate(65.0, 61.0, 69.0), None, "not known, because of this"),
            (0, Estimate(40.0, 30.0, 50.0), NO_BETTER, "does not hold: it is less, no better than chance"),
            (1, Estimate(40.0, 30.0, 50.0), BETTER, "does not hold: it is less, better than chance"),
            (1, Estimate(95.0, 90.0, 99.0), BETTER, "does not hold: it is more, better than chance"),
            (0, Estimate(65.0), BETTER, "not known, because of this"),
            (0, None, None, "not known, because of this"),
            (2, Estimate(2.0, 1.5, 2.5), LOWER, "holds"),
            (2, Estimate(2.0, 1.5, 2.5), BETTER, "holds but is what chance gives"),
            (2, Estimate(6.0, 5.0, 7.0), LOWER, "does not hold: it is more, better than chance"),
        ],
    )
    def test_a_verdict_looks_at_range_interval_and_chance(
        self, claim: int, figure: Estimate | None, difference: Estimate | None, expected: str
    ) -> None:
        assert verdict(CLAIMS[claim], figure, difference, "of this").text == expected

    def test_an_interval_that_reaches_into_the_range_decides_nothing(self) -> None:
        assert verdict(CLAIMS[0], Estimate(58.0, 50.0, 66.0), BETTER, "").code == "claim_unknown"

    def test_each_claim_has_our_figure_in_percent_beside_its_chance(self) -> None:
        weighted = Compared(Estimate(0.65, 0.61, 0.69), Estimate(0.4, 0.3, 0.5), Estimate(0.25, 0.2, 0.3))
        row = VisitRow(168, "both", 9, 9, 9, 5.0, weighted, weighted, weighted, "")
        found = answers([row], align(zones(1), zones(1)), "")
        assert [answer.claim for answer in found] == [claim.text for claim in CLAIMS]
        assert [value(answer.figure) for answer in found] == pytest.approx([65.0, 100.0, 0.0])
        assert found[0].verdict.code == "claim_holds"
        assert found[1].verdict.text == "does not hold: it is more, better than chance"
        assert found[2].verdict.text == "does not hold: it is less, better than chance"

    def test_without_exact_maps_two_claims_are_not_known(self) -> None:
        found: tuple[Answer, ...] = answers([], None, "no exact map is stored")
        assert [answer.verdict.text for answer in found[1:]] == [
            "not known, because no exact map is stored"
        ] * 2
        assert found[0].verdict.text == "not known, because this horizon was not scored"


def test_an_alignment_states_how_many_clusters_it_is_of() -> None:
    found: Alignment = align(zones(1, days=2, top=2), zones(2, days=2, top=4))
    assert (found.moments, found.clusters, found.blocks) == (4, 16, 2)
