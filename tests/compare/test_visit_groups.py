"""Visits split by what is said to make zones likelier: groups are parts of the whole, and chance stays chance."""

from dataclasses import replace

import numpy as np
import pytest

from liqtruth.compare.observed.price_path import MarkPath, PricePath
from liqtruth.compare.scoring.visits.claims import SPLIT_CLAIMS, split_answers
from liqtruth.compare.scoring.visits.groups import Marks, score_groups, score_moves, windows_showing
from liqtruth.compare.scoring.visits.major_zones import MajorZones, zones_of_maps
from liqtruth.compare.scoring.visits.visits import TOLERANCE_PCT, score_visits
from liqtruth.heatmap.grid import FloatArray, IntArray
from tests.compare.maps import map_of
from tests.compare.test_visits import random_zones, walk, zones_at

WILD = 1.9
"""So much larger are moves here, so that some are of 10 %."""


def wild(seed: int, days: int = 45) -> tuple[PricePath, IntArray, FloatArray]:
    path, times, mark = walk(seed, days)

    def stretched(px: FloatArray) -> FloatArray:
        return np.asarray(100 * (px / 100) ** WILD)

    bars = path.bars
    low, high = stretched(bars.low), stretched(bars.high)
    return (
        PricePath(MarkPath(bars.start_ms, bars.end_ms, low, high, bars.bar_ms, 1.0)),
        times,
        stretched(mark),
    )


def stacked_at_random(zones: MajorZones, seed: int) -> MajorZones:
    return replace(zones, stacked=np.random.default_rng(seed).random(zones.distance.shape) < 0.2)


def test_groups_are_parts_of_the_zones_and_their_shares_those_of_the_whole() -> None:
    path, times, mark = walk(1)
    zones = stacked_at_random(random_zones(1, times, mark, weekly=False), 1)
    windows = np.random.default_rng(2).integers(1, 4, zones.distance.shape)
    marks = Marks(np.full(times.size, 2.5), windows)
    rows = score_groups(zones, path, marks, tolerance_pct=TOLERANCE_PCT)
    whole = {row.horizon_h: row for row in score_visits(zones, path) if row.side == "both"}
    for by in ("ATR", "stacking", "confluence"):
        for hours in (24, 168):
            parts = [row.visits for row in rows if row.by == by and row.visits.horizon_h == hours]
            assert sum(part.zones for part in parts) == whole[hours].zones
            visited = sum(part.zones * part.plain.visited.value for part in parts if part.plain.visited)
            assert whole[hours].plain.visited is not None
            assert visited / whole[hours].zones == pytest.approx(whole[hours].plain.visited.value)


def test_what_is_not_known_is_no_group() -> None:
    path, times, mark = walk(2)
    zones = random_zones(2, times, mark, weekly=False)
    assert score_groups(zones, path, Marks(np.full(times.size, np.nan)), tolerance_pct=TOLERANCE_PCT) == ()
    assert score_moves(zones, path) is None
    found = split_answers((), None, {"ATR": "there are no candles"})
    assert [answer.claim for answer in found] == [claim.text for claim in SPLIT_CLAIMS]
    assert found[0].verdict.text == "not known, because there are no candles"
    assert all(answer.verdict.code == "claim_unknown" for answer in found)


def test_a_group_without_zones_is_told_from_a_map_without_prices() -> None:
    path, times, mark = walk(6, days=12)
    zones = replace(
        random_zones(6, times, mark, weekly=False), stacked=np.zeros((2, times.size, 3), dtype=np.bool_)
    )
    rows = {
        (row.group, row.visits.horizon_h): row.visits.why
        for row in score_groups(zones, path, Marks(np.full(times.size, np.nan)), tolerance_pct=TOLERANCE_PCT)
    }
    assert rows["stacked", 24] == "there is no such zone on a map that has prices for 24 h after it"


def test_windows_count_where_they_have_a_zone_within_a_percent_of_price_at_the_same_moment() -> None:
    times = np.array([0, 1, 2])
    mark = np.full(3, 100.0)

    def at(*away_pct: float) -> MajorZones:
        away = np.log1p(np.array(away_pct) / 100)[None, :, None]
        return zones_at(times, mark, np.concatenate([np.full_like(away, np.nan), away]))

    whole, day = at(5.0, 5.0, 5.0), at(5.5, 7.0, 5.0).at(np.array([0, 1]))
    week = at(5.0, 5.9, np.nan)
    assert windows_showing(whole, [day, week])[1, :, 0].tolist() == [3, 2, 1]


def test_stacked_zones_are_told_from_isolated_ones_whether_major_or_not() -> None:
    zones = zones_of_maps([map_of([("long", 5.0, 9e6), ("long", 6.5, 2e6), ("long", 20.0, 8e6)])], top=2)
    assert zones.stacked is not None
    assert zones.stacked[0, 0].tolist() == [True, False]


def test_stacked_zones_drawn_without_the_path_are_seldom_found_behind_large_moves() -> None:
    """A claim holds where the interval lies above chance: by luck in 2.5 % of markets, here of 60."""
    claimed = known = 0
    for seed in range(60):
        path, times, mark = wild(seed)
        found = score_moves(
            stacked_at_random(random_zones(seed, times, mark, weekly=bool(seed % 2)), seed), path, seed
        )
        assert found is not None
        if found.difference is not None and found.difference.low is not None:
            known += 1
            claimed += found.difference.low > 0
    assert known >= 40
    assert claimed <= 3


def test_stacked_zones_drawn_from_the_future_are_found_behind_large_moves() -> None:
    path, times, mark = wild(3, days=90)
    low, high = path.extremes(times, times + 24 * 3_600_000)
    large = np.stack([low <= 0.9 * mark, high >= 1.1 * mark])[..., None]
    zones = zones_at(times, mark, np.full(large.shape, 0.05))
    found = score_moves(replace(zones, stacked=large), path)
    assert found is not None
    assert found.share is not None
    assert found.share.value == 1.0
    assert found.difference is not None
    assert found.difference.low is not None
    assert found.difference.low > 0.5
    assert split_answers((), found, {})[2].verdict.code == "claim_holds"


def test_few_large_moves_decide_nothing() -> None:
    path, times, mark = walk(5, days=20)
    found = score_moves(stacked_at_random(random_zones(5, times, mark, weekly=False), 5), path)
    assert found is not None
    assert "at least 8 are needed" in split_answers((), found, {})[2].verdict.text
