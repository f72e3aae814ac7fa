"""What is known of a cluster beside its place: its class in average true ranges, its neighbours, its leverages."""

import io
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from liqtruth.heatmap.clusters.distribution import find_clusters, profile_of
from liqtruth.heatmap.clusters.facts import (
    Surroundings,
    atr_class,
    cluster_facts,
    leverage_shares,
    surroundings_line,
)
from liqtruth.heatmap.drawing.terminal import profile_panel
from liqtruth.heatmap.grid import PriceGrid
from liqtruth.heatmap.heatmap import Heatmap
from tests.compare.maps import MARK, NOON, map_of

AROUND = Surroundings("binance", atr_pct=2.0, atr_from="binance", funding_24h_pct=0.01)


@pytest.mark.parametrize(("away", "name"), [(1.9, "<1"), (2.0, "1-2"), (4.0, "1-2"), (4.1, ">2")])
def test_classes_are_of_the_distance_in_average_true_ranges(away: float, name: str) -> None:
    assert atr_class(away, 2.0) == name
    assert atr_class(away, None) is None


def shown(panel: RenderableType) -> str:
    console = Console(width=80, file=io.StringIO(), color_system=None, legacy_windows=False)
    console.print(panel)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def modelled(rows: list[tuple[str, float, float, str]]) -> Heatmap:
    """Levels with the band of leverage that makes them."""
    levels = pl.DataFrame(
        [
            (side, MARK * (1 - away / 100 if side == "long" else 1 + away / 100), usd, band)
            for side, away, usd, band in rows
        ],
        schema={"side": pl.String, "px": pl.Float64, "notional_usd": pl.Float64, "leverage_band": pl.String},
        orient="row",
    )
    plain = map_of(levels.select("side", "px", "notional_usd"), model="tiers")
    return Heatmap.from_levels(
        levels, PriceGrid.around(MARK), coin="BTC", venue="binance", source="modelled", model="tiers", as_of=NOON,
        coverage=plain.coverage, by=("leverage_band",),
    )  # fmt: skip


@given(
    st.lists(
        st.tuples(st.sampled_from(["0-3x", "7-15x", "30x+"]), st.floats(1e3, 1e8)), min_size=1, max_size=6
    )
)
def test_leverages_of_a_cluster_add_up_to_the_whole_and_the_largest_comes_first(parts: list[Any]) -> None:
    heatmap = modelled([("long", 5.0, usd, band) for band, usd in parts])
    [cluster] = find_clusters(heatmap)
    shares = [one.share for one in leverage_shares(heatmap, cluster)]
    assert sum(shares) == pytest.approx(1.0)
    assert shares == sorted(shares, reverse=True)


def test_another_cluster_has_its_own_leverages() -> None:
    heatmap = modelled(
        [("long", 5.0, 1e6, "7-15x"), ("long", 20.0, 1e6, "0-3x"), ("short", 5.0, 1e6, "30x+")]
    )
    bands = {
        (one.side, round(one.peak_pct)): leverage_shares(heatmap, one)[0].band
        for one in find_clusters(heatmap)
    }
    assert bands == {("long", 5): "7-15x", ("long", 20): "0-3x", ("short", 5): "30x+"}


def test_settings_of_accounts_are_not_taken_for_leverages_of_a_model() -> None:
    heatmap = map_of([("long", 5.0, 1e6)])
    assert leverage_shares(heatmap, find_clusters(heatmap)[0]) == ()


def test_a_cluster_is_shown_by_the_windows_that_have_one_within_the_tolerance_on_its_side() -> None:
    heatmap = map_of([("long", 5.0, 1e6)], model="tiers")
    others = {
        "24h": find_clusters(map_of([("short", 5.0, 1e6)], model="tiers")),
        "7d": find_clusters(map_of([("long", 5.8, 1e6)], model="tiers")),
        "30d": find_clusters(map_of([("long", 6.5, 1e6)], model="tiers")),
    }
    facts = cluster_facts(heatmap, find_clusters(heatmap), AROUND, others)
    assert facts.clusters[0].windows == ("7d",)
    assert cluster_facts(heatmap, find_clusters(heatmap), AROUND).clusters[0].windows is None


def test_people_read_it_in_80_columns_and_what_is_empty_is_stated_once() -> None:
    heatmap = modelled(
        [("long", 3.0, 1e6, "15-30x"), ("long", 4.5, 2e6, "7-15x"), ("short", 12.0, 1e6, "3-7x")]
    )
    found = find_clusters(heatmap)
    text = shown(
        profile_panel(heatmap, profile_of(heatmap), cluster_facts(heatmap, found, AROUND, {"24h": found}))
    )
    assert "stacked" in text
    assert "7-15x 100 %" in text
    assert text.count("resting depth") == 1
    assert surroundings_line(AROUND) in text
    assert "open interest" not in surroundings_line(AROUND)
