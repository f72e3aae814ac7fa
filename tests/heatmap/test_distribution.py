"""Where mass lies: by distance whatever the bins, and in clusters with the mass, edges and holders of their bins."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.heatmap.clusters.distribution import (
    Cluster,
    find_clusters,
    largest,
    mass_within,
    nearest,
    nearest_mass_pct,
    profile_of,
)
from liqtruth.heatmap.grid import PriceGrid
from tests.heatmap.maps import (
    MARK,
    Level,
    any_levels,
    at,
    levels_off_the_edges,
    map_of,
    mid_bin,
    side,
    widths,
)

GRID = PriceGrid.around(MARK)
NINETY = mid_bin(90.0, GRID)
EIGHTY = mid_bin(80.0, GRID)


def inside(cluster: Cluster, levels: list[Level]) -> list[float]:
    """By brute force: notionals of the cluster's side between its edges."""
    bounds = (cluster.low_px * (1 - 1e-9), cluster.high_px * (1 + 1e-9))
    return [usd for s, px, usd in levels if s == cluster.side and bounds[0] <= px <= bounds[1]]


@given(levels_off_the_edges(GRID, crossed=False))
def test_a_cluster_holds_exactly_the_levels_between_its_edges(levels: list[Level]) -> None:
    for cluster in find_clusters(map_of(levels)):
        holdings = inside(cluster, levels)
        assert cluster.mass_usd == pytest.approx(sum(holdings))
        assert cluster.positions == len(holdings)
        assert cluster.largest_holder_share == pytest.approx(max(holdings) / sum(holdings))


@given(any_levels)
def test_clusters_come_heaviest_first_and_zones_of_a_side_do_not_overlap(levels: list[Level]) -> None:
    built = map_of(levels)
    found = find_clusters(built)
    assert [c.mass_usd for c in found] == sorted((c.mass_usd for c in found), reverse=True)
    for name in ("long", "short"):
        zones = sorted((c.low_px, c.high_px) for c in found if c.side == name)
        assert all(high <= low for (_, high), (low, _) in pairwise(zones))
        assert sum(c.share_of_side for c in found if c.side == name) <= 1 + 1e-9
        assert all(low < high <= MARK if name == "long" else MARK <= low < high for low, high in zones)


@given(any_levels)
def test_every_cluster_lies_between_its_near_edge_and_its_far_one(levels: list[Level]) -> None:
    for cluster in find_clusters(map_of(levels)):
        assert cluster.low_px < cluster.peak_px < cluster.high_px
        assert cluster.near_pct < cluster.peak_pct


humps = st.dictionaries(st.tuples(side, st.integers(0, 16)), st.floats(1e6, 5e6).map(round), min_size=1)
"""Side and place, forty bins from the next one, which is more than the smoothing joins."""


@given(humps)
def test_humps_far_apart_are_one_cluster_each_and_mirror_with_their_prices(
    usd_of: dict[tuple[str, int], int],
) -> None:
    move = {"long": -GRID.log_width, "short": GRID.log_width}
    other = {"long": "short", "short": "long"}
    plain = find_clusters(map_of([(s, at((40 * n + 20.5) * move[s]), usd) for (s, n), usd in usd_of.items()]))
    turned = map_of([(other[s], at(-(40 * n + 20.5) * move[s]), usd) for (s, n), usd in usd_of.items()])
    holdings = sorted((s, usd) for (s, _), usd in usd_of.items())
    assert sorted((c.side, c.mass_usd) for c in plain) == holdings
    assert sorted((other[c.side], c.mass_usd) for c in find_clusters(turned)) == holdings


def test_one_spike_is_one_cluster_with_its_mass_edges_distance_and_holders() -> None:
    (found,) = find_clusters(map_of([("long", NINETY, usd) for usd in (1e6, 1.5e6, 0.5e6)]))
    index = int(GRID.bin_of(NINETY))
    assert (found.side, found.mass_usd, found.share_of_side) == ("long", 3e6, 1.0)
    assert (found.low_px, found.high_px) == (GRID.edges[index], GRID.edges[index + 1])
    assert found.peak_px == pytest.approx(NINETY)
    assert found.peak_pct == pytest.approx(100 * (1 - NINETY / MARK))
    assert found.near_pct == pytest.approx(100 * (1 - found.high_px / MARK))
    assert (found.positions, found.largest_holder_share) == (3, 0.5)


def test_two_humps_far_apart_are_two_clusters() -> None:
    found = find_clusters(map_of([("long", NINETY, 1e6), ("long", EIGHTY, 3e6), ("short", 120.0, 2e6)]))
    assert [(c.side, c.mass_usd, c.share_of_side) for c in found] == [
        ("long", 3e6, 0.75),
        ("short", 2e6, 1.0),
        ("long", 1e6, 0.25),
    ]


def test_a_shallow_valley_merges_two_humps_unless_little_prominence_is_asked_for() -> None:
    """Seven bins apart at a smoothing of three, the valley is a twentieth of the peaks deep."""
    index = int(GRID.bin_of(NINETY))
    built = map_of([("long", GRID.centers[index], 1e6), ("long", GRID.centers[index + 7], 0.99e6)])
    assert [c.mass_usd for c in find_clusters(built)] == [1.99e6]
    assert [c.mass_usd for c in find_clusters(built, prominence=0.01)] == [1e6, 0.99e6]
    assert [c.mass_usd for c in find_clusters(built, smoothing_pct=0.1)] == [1e6, 0.99e6]


def test_a_hump_of_a_hundredth_of_the_highest_is_no_cluster() -> None:
    found = find_clusters(map_of([("long", NINETY, 1e6), ("long", EIGHTY, 1e4)]))
    assert [c.mass_usd for c in found] == [1e6]


def test_a_zone_ends_where_the_smoothed_map_has_fallen_to_a_tenth_of_its_peak() -> None:
    """At a smoothing of three bins a spike falls to a tenth within the seventh: exp(-(7 / 3)^2 / 2) = 0.07."""
    index = int(GRID.bin_of(NINETY))
    for name, around in (("long", index), ("short", GRID.bins - 1 - index)):
        steps = {0: 1e6, 5: 20.0, -5: 10.0, 8: 7.0, -8: 7.0}
        built = map_of([(name, GRID.centers[around + step], usd) for step, usd in steps.items()])
        assert [c.mass_usd for c in find_clusters(built)] == [1e6 + 30]


def test_a_map_without_mass_in_the_grid_has_no_clusters() -> None:
    assert find_clusters(map_of([])) == []
    assert find_clusters(map_of([("long", 1.0, 5e6), ("short", None, 5e6)])) == []


def test_a_model_knows_no_positions() -> None:
    (found,) = find_clusters(map_of([("short", 110.0, 1e6)], source="modelled", model="tiers"))
    assert found.mass_usd == 1e6
    assert (found.positions, found.largest_holder_share) == (None, None)


def test_the_nearest_and_the_largest_of_a_side() -> None:
    found = find_clusters(map_of([("long", NINETY, 1e6), ("long", EIGHTY, 3e6)]))
    near, heavy = nearest(found, "long"), largest(found, "long")
    assert near is not None
    assert heavy is not None
    assert (near.mass_usd, heavy.mass_usd) == (1e6, 3e6)
    assert nearest(found, "short") is largest(found, "short") is None


TEN = PriceGrid(MARK, 10.0, 500)
distances = st.floats(0.0, 45.0)


def nearer_than(levels: list[Level], name: str, log_move: float) -> float:
    """By brute force: USD of one side's levels that a move of `log_move` from the mark liquidates."""
    sign = -1 if name == "long" else 1
    return sum(
        usd for s, px, usd in levels if s == name and px is not None and sign * np.log(px / MARK) <= log_move
    )


def log_move(name: str, distance_pct: float) -> float:
    return float(-np.log1p(-distance_pct / 100) if name == "long" else np.log1p(distance_pct / 100))


@given(any_levels, side, distances, widths)
def test_mass_within_a_distance_is_that_of_the_levels_to_a_bin(
    levels: list[Level], name: str, distance: float, width_bps: float
) -> None:
    grid = PriceGrid.around(MARK, width_bps)
    found = float(mass_within(map_of(levels, grid), distance, name))
    move, slack = log_move(name, distance), 1e-9
    least = nearer_than(levels, name, move - grid.log_width) if move > grid.log_width else 0.0
    most = nearer_than(levels, name, move + grid.log_width)
    assert least * (1 - slack) - slack <= found <= most * (1 + slack) + slack


@given(levels_off_the_edges(TEN), side, st.integers(0, 500))
def test_at_the_edge_of_a_bin_mass_within_is_exact(levels: list[Level], name: str, bins: int) -> None:
    edge = bins * TEN.log_width
    distance = 100 * (-np.expm1(-edge) if name == "long" else np.expm1(edge))
    expected = nearer_than(levels, name, edge) if bins else 0.0
    assert float(mass_within(map_of(levels, TEN), distance, name)) == pytest.approx(
        expected, rel=1e-6, abs=10.0
    )


@given(any_levels, side, distances, st.integers(2, 7))
def test_a_distance_holds_as_much_on_a_finer_grid_to_a_bin(
    levels: list[Level], name: str, distance: float, factor: int
) -> None:
    grid = PriceGrid.around(MARK, 100.0)
    coarse, fine = map_of(levels, grid), map_of(levels, grid.refined(factor))
    sign = -1 if name == "long" else 1
    near, far = (
        max(100 * sign * np.expm1(sign * max(log_move(name, distance) + step, 0.0)), 0.0)
        for step in (-grid.log_width - 1e-9, grid.log_width + 1e-9)
    )
    low, high = (float(mass_within(coarse, bound, name)) for bound in (near, far))
    assert low * (1 - 1e-9) - 1e-3 <= float(mass_within(fine, distance, name)) <= high * (1 + 1e-9) + 1e-3


@given(any_levels.filter(bool))
def test_the_nearest_mass_is_at_most_as_far_as_the_nearest_level_and_less_than_a_bin_nearer(
    levels: list[Level],
) -> None:
    grid = PriceGrid.around(MARK)
    sizeable = [(s, px, usd + 1.0) for s, px, usd in levels]
    for name, found in zip(("long", "short"), nearest_mass_pct(map_of(sizeable, grid)), strict=True):
        sign = -1 if name == "long" else 1
        away = [max(sign * np.log(px / MARK), 0.0) for s, px, _ in sizeable if s == name and px is not None]
        if not away or min(away) > grid.bins_each_way * grid.log_width - 1e-9:
            assert found is None or min(away) < grid.bins_each_way * grid.log_width + 1e-9
        else:
            assert found is not None
            assert min(away) - grid.log_width - 1e-9 <= log_move(name, found) <= min(away) + 1e-9


def test_beyond_the_grid_the_curve_stays_at_the_mass_in_the_grid() -> None:
    built = map_of([("long", 60.0, 2.0), ("long", 10.0, 5.0), ("short", 900.0, 5.0)])
    assert mass_within(built, [60.0, 99.0, 100.0, 200.0], "long").tolist() == [2.0] * 4
    assert float(mass_within(built, 5_000.0, "short")) == 0.0


def test_a_bin_that_touches_the_mark_is_at_distance_zero_and_an_empty_side_has_none() -> None:
    assert nearest_mass_pct(map_of([("long", at(-0.0005), 1.0)])) == (0.0, None)


# ------------------------------------------------------------------------------------ one map alone


@given(levels_off_the_edges(GRID, crossed=False))
def test_the_balance_is_what_moves_liquidate_on_either_side(levels: list[Level]) -> None:
    built = map_of(levels)
    for one in profile_of(built).balance:
        long, short = (float(mass_within(built, one.within_pct, name)) for name in ("long", "short"))
        assert (one.long_usd, one.short_usd) == (long, short)
        assert one.net_usd == pytest.approx(long - short)
        if long + short > 0:
            assert one.asymmetry == pytest.approx((long - short) / (long + short))
            assert one.asymmetry is not None
            assert -1 <= one.asymmetry <= 1
        else:
            assert one.asymmetry is None


@given(levels_off_the_edges(GRID, crossed=False))
def test_max_pain_is_the_bin_with_the_most_of_its_side(levels: list[Level]) -> None:
    built = map_of(levels)
    for name, mass in (("long", built.long_usd), ("short", built.short_usd)):
        heaviest = profile_of(built).max_pain[name]
        if heaviest is None:
            assert not mass.any()
        else:
            assert heaviest.mass_usd == pytest.approx(mass.max())
            assert (heaviest.high_px <= MARK * (1 + 1e-9)) == (name == "long")


def test_net_is_long_minus_short_and_roles_are_among_the_clusters() -> None:
    built = map_of([("long", NINETY, 3.0), ("long", EIGHTY, 5.0), ("short", mid_bin(110.0, GRID), 2.0)])
    profile = profile_of(built)
    assert sum(profile.net_usd) == pytest.approx(3 + 5 - 2)
    near, far = profile.nearest["long"], profile.largest["long"]
    assert near is not None
    assert far is not None
    assert (near.mass_usd, far.mass_usd) == (3.0, 5.0)
    assert profile.nearest["short"] == profile.largest["short"]
    assert {near, far} <= set(profile.clusters)


def test_what_a_map_does_not_cover_is_not_known_rather_than_empty() -> None:
    built = replace(map_of([("long", 97.0, 4.0), ("short", 103.0, 1.0)]), covers=(96.0, 120.0))
    two, five, ten = profile_of(built).balance
    assert (two.long_usd, two.short_usd, two.asymmetry) == (0.0, 0.0, None)
    assert (five.long_usd, five.net_usd, five.asymmetry) == (None, None, None)
    assert five.short_usd == pytest.approx(1.0)
    assert ten.long_usd is None
