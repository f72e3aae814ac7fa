"""Clusters of two maps one to one: agreed, shifted, missed, phantom."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from liqtruth.compare.matching.assignment import ALONE, ClusterPair, assign_clusters, cheapest
from liqtruth.heatmap.clusters.distribution import Cluster

TOLERANCE = 1.0


def cluster(side: str, peak_pct: float, share: float = 0.2) -> Cluster:
    px = 100 - peak_pct if side == "long" else 100 + peak_pct
    return Cluster(side, px - 0.1, px + 0.1, px, share * 1e6, share, peak_pct - 0.1, peak_pct, None, None)  # type: ignore[arg-type]


def fates(*pairs: ClusterPair) -> list[str]:
    return sorted(pair.fate for pair in pairs)


clusters = st.lists(
    st.builds(cluster, st.sampled_from(["long", "short"]), st.floats(0.3, 40.0), st.floats(0.001, 1.0)),
    max_size=8,
)


@given(clusters, clusters)
def test_every_cluster_is_in_exactly_one_pair(truth: list[Cluster], model: list[Cluster]) -> None:
    pairs = assign_clusters(truth, model, TOLERANCE)
    for maps, zones in (
        (truth, [pair.truth for pair in pairs]),
        (model, [pair.model for pair in pairs]),
    ):
        assert Counter(zone.peak_px for zone in zones if zone) == Counter(one.peak_px for one in maps)
    assert [pair.share_of_side for pair in pairs] == sorted((p.share_of_side for p in pairs), reverse=True)


@given(clusters)
def test_a_map_agrees_with_itself(truth: list[Cluster]) -> None:
    pairs = assign_clusters(truth, truth, TOLERANCE)
    assert all(pair.fate == "agreed" for pair in pairs)
    assert sum(abs(pair.shift_pct or 0.0) for pair in pairs) == pytest.approx(0.0, abs=1e-9)


@given(clusters, clusters)
def test_exchanging_the_maps_exchanges_missed_and_phantom(truth: list[Cluster], model: list[Cluster]) -> None:
    there, back = assign_clusters(truth, model, TOLERANCE), assign_clusters(model, truth, TOLERANCE)
    other = {"missed": "phantom", "phantom": "missed"}
    assert fates(*there) == sorted(other.get(pair.fate, pair.fate) for pair in back)


def test_a_shift_beyond_the_tolerance_is_stated_with_its_sign_and_one_too_far_is_two_clusters() -> None:
    truth = [cluster("long", 10.0), cluster("short", 5.0)]
    model = [cluster("long", 13.0), cluster("short", 12.0)]
    [shifted] = [pair for pair in assign_clusters(truth, model, TOLERANCE) if pair.side == "long"]
    assert shifted.fate == "shifted"
    assert shifted.shift_pct == pytest.approx(3.0)
    assert fates(*(p for p in assign_clusters(truth, model, TOLERANCE) if p.side == "short")) == [
        "missed",
        "phantom",
    ]
    [nearer] = [p for p in assign_clusters(model, truth, TOLERANCE) if p.side == "long"]
    assert nearer.shift_pct == pytest.approx(-3.0)


def test_sides_are_never_mixed() -> None:
    assert fates(*assign_clusters([cluster("long", 5.0)], [cluster("short", 5.0)], TOLERANCE)) == [
        "missed",
        "phantom",
    ]


def test_the_sum_of_distances_decides_not_the_first_come() -> None:
    """Taken in order, 10.0 would take 10.4 and leave 9.0 to 10.9 alone."""
    truth = [cluster("long", 10.5), cluster("long", 9.6)]
    model = [cluster("long", 10.0), cluster("long", 11.0)]
    pairs = assign_clusters(truth, model, TOLERANCE)
    assert {(p.truth.peak_pct, p.model.peak_pct) for p in pairs if p.truth and p.model} == {
        (10.5, 11.0),
        (9.6, 10.0),
    }


def test_like_sizes_are_paired_before_unlike_ones_at_like_distances() -> None:
    truth = [cluster("short", 6.0, 0.5), cluster("short", 6.6, 0.02)]
    model = [cluster("short", 6.3, 0.5)]
    pairs = {pair.fate: pair for pair in assign_clusters(truth, model, TOLERANCE)}
    assert pairs["agreed"].truth is not None
    assert pairs["agreed"].truth.share_of_side == 0.5
    assert pairs["missed"].truth is not None


def test_a_cluster_is_stacked_where_another_of_its_side_is_within_two_percent() -> None:
    truth = [cluster("long", 5.0), cluster("long", 6.5), cluster("long", 20.0), cluster("short", 5.0)]
    stacked = {
        round(p.truth.peak_pct, 1): p.truth.stacked
        for p in assign_clusters(truth, [], TOLERANCE)
        if p.truth and p.side == "long"
    }
    assert stacked == {5.0: True, 6.5: True, 20.0: False}
    assert not any(
        p.truth.stacked for p in assign_clusters(truth, [], TOLERANCE) if p.truth and p.side == "short"
    )


def test_clusters_that_lie_at_random_agree_as_often_as_the_tolerance_covers() -> None:
    """One cluster a side each, anywhere: agreed about 2 x tolerance / range of the time."""
    draw = np.random.default_rng(7)
    agreed = sum(
        assign_clusters([cluster("long", a)], [cluster("long", b)], TOLERANCE, 51.0)[0].fate == "agreed"
        for a, b in draw.uniform(0.5, 50.0, (2000, 2))
    )
    assert agreed / 2000 == pytest.approx(2 * TOLERANCE / 49.5, abs=0.012)


@given(st.integers(0, 2**32), st.integers(1, 12), st.integers(0, 12))
def test_the_sum_of_costs_is_the_least_there_is(seed: int, rows: int, columns: int) -> None:
    """As scipy finds it on the same costs, each row with a column of its own beside those that it may share."""
    rng = np.random.default_rng(seed)
    shared = np.where(rng.random((rows, columns)) < 0.5, rng.uniform(0, 2, (rows, columns)), np.inf)
    costs = np.concatenate([shared, np.where(np.eye(rows) > 0, ALONE, np.inf)], axis=1)
    edges = [{int(at): float(row[at]) for at in np.flatnonzero(np.isfinite(row))} for row in costs]
    found = cheapest(edges)
    assert len(set(found)) == rows
    best = linear_sum_assignment(np.where(np.isfinite(costs), costs, 1e6))
    assert costs[np.arange(rows), found].sum() == pytest.approx(costs[best].sum())
