"""Clusters of all compared maps: each once, with the maps, venues and windows that show it, beside chance."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from rich.console import Console

from liqtruth.compare.comparison.comparison import compared
from liqtruth.compare.divergence.as_json import to_json
from liqtruth.compare.matching.consensus import (
    NOTHING_AROUND,
    Around,
    ClusterRow,
    cluster_rows,
    clusters_table,
    consensus_sentence,
)
from liqtruth.heatmap.clusters.distribution import find_clusters
from liqtruth.heatmap.clusters.facts import Surroundings, is_stacked
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.words.notes import note
from tests.compare.maps import Level, levels_of_both, map_of

RANGE = 50.0


def rows_of(*maps: Heatmap, around: Around = NOTHING_AROUND) -> tuple[ClusterRow, ...]:
    return cluster_rows(maps, 1.0, RANGE, around)


@settings(max_examples=25)
@given(levels_of_both, levels_of_both)
def test_a_map_beside_itself_and_another_shows_each_cluster_once(
    levels: list[Level], others: list[Level]
) -> None:
    truth, again = map_of(levels), map_of(levels, venue="binance", model="tiers")
    alone = rows_of(truth)
    assert [(row.side, row.peak_px) for row in rows_of(truth, again)] == [
        (row.side, row.peak_px) for row in alone
    ]
    assert all(len(row.shown_by) == 2 and row.alone is False for row in rows_of(truth, again))
    rows = rows_of(truth, map_of(others, venue="binance", model="tiers"))
    own = {(one.side, one.peak_px) for one in find_clusters(truth) if one.peak_pct <= RANGE}
    assert own == {(row.side, row.peak_px) for row in rows if row.map == truth.label} or len(rows) == 20
    assert all(row.shown_by[0] == row.map for row in rows)


def test_one_venue_alone_is_told_from_maps_of_several() -> None:
    truth = map_of([("long", 5.0, 1e6), ("long", 20.0, 1e6)])
    twins = [
        map_of([("long", 5.2, 1e6), ("long", 30.0, 1e6)], venue="binance", model=name)
        for name in ("tiers", "bell")
    ]
    rows = {round(row.distance_pct): row for row in rows_of(truth, *twins)}
    assert rows[5].venues == ("hyperliquid", "binance")
    assert (rows[5].alone, rows[20].alone, rows[30].alone) == (False, True, True)
    assert rows[30].shown_by == ("binance tiers", "binance bell")
    assert "a single venue alone 2" in consensus_sentence([*rows.values()], truth.label, 3)
    assert all(row.alone is None for row in rows_of(*twins)), "of one venue nothing is told"


def test_distances_are_in_the_market_of_the_map_and_windows_of_each_model_that_shows_it() -> None:
    truth = map_of([("long", 5.0, 1e6)])
    model = map_of([("long", 5.4, 1e6)], venue="binance", model="tiers")
    windows = {"24h": [], "7d": find_clusters(model), "30d": find_clusters(model)}
    around = Around({"hyperliquid": Surroundings("hyperliquid", 2.0, "binance")}, {"binance tiers": windows})
    [row] = rows_of(truth, model, around=around)
    assert row.distance_atr == pytest.approx(row.distance_pct / 2)
    assert row.atr_class == ">2"
    assert row.windows == {"binance tiers": ("7d", "30d")}


def test_facts_of_a_cluster_are_those_of_the_whole_map_whatever_range_and_maps_are_beside_it() -> None:
    """Its neighbour lies beyond the range that is compared, and beyond what another map covers."""
    levels = [
        ("long", 24.5, 1e6),
        ("long", 25.6, 9e5),
        ("short", 7.8, 1e6),
        ("short", 9.0, 5e5),
        ("short", 3.0, 1e6),
    ]
    truth = map_of(levels)
    narrow = replace(map_of(levels, source="imported", model="mine"), covers=(70.0, 108.2))
    found = compared(truth, [narrow, map_of(levels, venue="binance", model="tiers")]).divergence
    every = find_clusters(truth)
    whole = {one.peak_px: (one.low_px, one.high_px, one.mass_usd, is_stacked(one, every)) for one in every}
    assert sorted(facts[-1] for facts in whole.values()) == [False, True, True, True, True]
    rows = [row for row in found.clusters if row.map == truth.label]
    zones = [pair.truth for result in found.models for pair in result.pairs if pair.truth is not None]
    assert len(rows) == 3
    for one in (*rows, *zones):
        assert whole[one.peak_px] == (one.low_px, one.high_px, one.mass_usd, one.stacked)


def test_clusters_that_lie_anywhere_are_shown_by_as_many_maps_as_chance_gives() -> None:
    """Maps of three clusters, drawn over the whole range without a look at each other."""
    draw = np.random.default_rng(3)
    shown, luck = [], []
    for places in draw.uniform(1.5, 48.5, (60, 4, 3)):
        maps = [
            map_of([("long", away, 1e6) for away in three], venue=f"v{n}", model="m")
            for n, three in enumerate(places)
        ]
        mine = [row for row in rows_of(*maps) if row.map == maps[0].label]
        shown.append(sum(len(row.shown_by) - 1 for row in mine))
        luck.append(sum(row.by_chance - 1 for row in mine))
    error = np.std(np.array(shown) - np.array(luck)) / np.sqrt(len(shown))
    assert abs(np.mean(shown) - np.mean(luck)) < 3 * error


def test_a_comparison_carries_them_and_states_what_is_empty_once() -> None:
    lacking = note("atr_unknown", venues=["hyperliquid"])
    around = Around({name: Surroundings(name, lacking=(lacking,)) for name in ("hyperliquid", "binance")})
    truth, model = map_of([("long", 5.0, 1e6)]), map_of([("long", 9.0, 1e6)], venue="binance", model="tiers")
    found = compared(truth, [model], around=around).divergence
    assert [one for one in found.remarks if one.code == "atr_unknown"] == [lacking]
    content = json.loads(to_json(found))
    assert {row["map"] for row in content["clusters"]} == {"hyperliquid exact", "binance tiers"}
    assert content["clusters"][0]["distance_atr"] is None
    assert [market["venue"] for market in content["markets"]] == ["hyperliquid", "binance"]
    console = Console(width=80, file=io.StringIO(), color_system=None, legacy_windows=False)
    console.print(clusters_table(found.clusters, truth.label, 2))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert all(len(line) <= 80 for line in lines)
    # A zone two percent wide falls on a given place of the 25 that are compared in about a tenth of draws.
    assert "1 of 2 (1.1)" in "\n".join(lines)
