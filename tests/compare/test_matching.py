"""A match is a peak within the tolerance, and beside it stands what luck would have found."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.compare.matching.matching import (
    Recall,
    covered_share,
    in_range,
    match_clusters,
    recall_clusters,
    recall_sentence,
)
from liqtruth.heatmap.clusters.distribution import Cluster, find_clusters
from tests.compare.maps import TRUTH, Level, levels_of_both, map_of

peaks = st.lists(st.floats(0.0, 50.0), max_size=12)
tolerances = st.floats(0.1, 10.0)

WANTED = [("long", 5.0, 2e6), ("long", 20.0, 5e6), ("short", 8.0, 1e6)]


def clusters(levels: list[Level], mark_px: float = 100.0) -> list[Cluster]:
    return find_clusters(map_of(levels, mark_px=mark_px))


@given(levels_of_both, tolerances)
def test_a_map_matches_all_of_itself(levels: list[Level], tolerance: float) -> None:
    found = clusters(levels)
    assert all(match.matched and match.gap_pct == 0 for match in match_clusters(found, found, tolerance))
    assert all(recall.found == recall.wanted for recall in recall_clusters(found, found, tolerance))


def test_identical_maps_of_a_crowd_match_in_every_role_both_ways() -> None:
    found = clusters(TRUTH)
    assert [(m.side, m.role, m.matched) for m in match_clusters(found, found, 1.0)] == [
        ("long", "nearest", True),
        ("long", "largest", True),
        ("short", "nearest", True),
        ("short", "largest", True),
    ]
    assert {(r.of, r.side) for r in recall_clusters(found, found, 1.0) if r.share == 1} == {
        (of, side) for of in ("truth", "model") for side in ("long", "short")
    }


@given(st.floats(0.0, 4.0), st.floats(0.3, 3.0))
def test_a_cluster_is_matched_up_to_the_tolerance_and_not_beyond(shift: float, tolerance: float) -> None:
    wanted, offered = clusters([("long", 10.0, 1e6)]), clusters([("long", 10.0 + shift, 1e6)])
    match = match_clusters(wanted, offered, tolerance)[0]
    assert match.gap_pct == pytest.approx(shift, abs=0.2)
    assert match.matched == (match.gap_pct <= tolerance)
    assert recall_clusters(wanted, offered, tolerance)[0].found == int(match.matched)


def test_the_nearest_and_the_largest_are_different_roles() -> None:
    found = {(m.side, m.role): m.truth_pct for m in match_clusters(clusters(WANTED), [], 1.0)}
    expected = {
        ("long", "nearest"): 5,
        ("long", "largest"): 20,
        ("short", "nearest"): 8,
        ("short", "largest"): 8,
    }
    assert found == {role: pytest.approx(at, abs=0.1) for role, at in expected.items()}


def test_nothing_offered_is_no_match_and_no_chance() -> None:
    for match in match_clusters(clusters(WANTED), [], 1.0):
        assert (match.model_px, match.model_pct, match.gap_pct, match.matched) == (None, None, None, False)
    assert {
        recall.chance for recall in recall_clusters(clusters(WANTED), [], 1.0) if recall.of == "truth"
    } == {0}


def test_another_side_is_no_match_however_near() -> None:
    match = match_clusters(clusters([("long", 5.0, 1e6)]), clusters([("short", 5.0, 1e6)]), 10.0)[0]
    assert (match.side, match.matched) == ("long", False)


def test_another_mark_matches_by_relative_distance() -> None:
    matches = match_clusters(clusters(WANTED), clusters(WANTED, mark_px=117.0), 0.2)
    assert all(match.matched for match in matches)
    assert matches[0].model_px == pytest.approx(1.17 * matches[0].truth_px, rel=2e-3)


@given(peaks, tolerances)
def test_chance_is_the_share_of_the_side_that_is_covered(places: list[float], tolerance: float) -> None:
    """On a mesh of distances; the error is at most a mesh step at each of two ends per peak."""
    at = (np.arange(20_000) + 0.5) * 50 / 20_000
    hit = np.zeros(at.size, dtype=bool)
    for place in places:
        hit |= np.abs(at - place) <= tolerance
    assert covered_share(places, tolerance) == pytest.approx(hit.mean(), abs=2 * 12 / 20_000)


def test_clusters_thrown_at_random_are_found_as_often_as_by_chance() -> None:
    """Three in five of 4000 throws of five: the standard error of the share is half a percent."""
    rng = np.random.default_rng(0)
    offered = [c.peak_pct for c in clusters(TRUTH) if c.side == "long"]
    thrown = rng.uniform(0.0, 50.0, (4000, 5))
    found = (np.abs(thrown[..., None] - np.array(offered)) <= 2.0).any(axis=-1)
    recall = Recall("truth", "long", 5, 0, covered_share(offered, 2.0))
    assert found.mean() == pytest.approx(recall.chance, abs=0.02)
    assert found.sum(axis=1).mean() == pytest.approx(recall.expected, abs=0.1)


@given(peaks, tolerances, st.floats(0.0, 50.0))
def test_one_more_peak_never_lowers_chance(places: list[float], tolerance: float, more: float) -> None:
    assert covered_share([*places, more], tolerance) >= covered_share(places, tolerance) - 1e-12


def test_at_most_five_of_the_largest_are_wanted_and_none_beyond_the_range() -> None:
    many = [("long", 5.0 * n, 1e6 + n) for n in range(1, 10)]
    truth, *_ = recall_clusters(clusters(many), clusters(many), 1.0)
    assert (truth.wanted, truth.found) == (5, 5)
    assert all(cluster.peak_pct <= 12 for cluster in in_range(clusters(many), 12.0))
    assert recall_clusters(clusters(many), clusters(many), 1.0, 12.0)[0].wanted == 2


def test_the_sentence_names_who_has_what_of_whom() -> None:
    text = recall_sentence(Recall("truth", "long", 5, 2, 0.25), "binance tiers")
    assert text == "largest longs of the truth: binance tiers has 2 of 5 (by chance 1.2)"
    text = recall_sentence(Recall("model", "short", 4, 1, 0.5), "binance tiers")
    assert text == "largest shorts of binance tiers: the truth has 1 of 4 (by chance 2.0)"
    assert Recall("model", "short", 0, 0, 0.5).share is None


def test_recall_counts_clusters_of_its_own_side_in_the_other_map() -> None:
    """The model has the truth's long at 5 % and invents one at 30 %; its short stands where the truth has a long."""
    offered = [("long", 5.0, 1e6), ("long", 30.0, 1e6), ("short", 20.0, 1e6)]
    rows = recall_clusters(clusters(WANTED), clusters(offered), 1.0)
    assert [(row.of, row.side, row.wanted, row.found) for row in rows] == [
        ("truth", "long", 2, 1),
        ("truth", "short", 1, 0),
        ("model", "long", 2, 1),
        ("model", "short", 1, 0),
    ]
    assert [row.chance for row in rows] == pytest.approx([4 / 50, 2 / 50, 4 / 50, 2 / 50])
    lopsided = recall_clusters(clusters(WANTED), clusters(offered[:1]), 1.0)
    assert [(row.of, row.wanted) for row in lopsided if row.side == "long"] == [("truth", 2), ("model", 1)]
