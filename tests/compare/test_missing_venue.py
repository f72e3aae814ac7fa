"""Of a map of several venues that lacks one it is named, whatever leverages its maker assumes; else none is."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from liqtruth.compare.diagnosis.venues import lacking_venue
from liqtruth.compare.divergence.measure import compare_maps
from liqtruth.heatmap.grid import PriceGrid
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.words.notes import note, of_codes
from tests.compare.maps import MANY, map_of

VENUES = ("binance", "bybit", "okx")
LEVERAGES = (5.0, 10.0, 25.0, 50.0, 100.0)
GRID = PriceGrid.around(100.0, 50.0)
RANGE_PCT = 25.0


def market(seed: int, grid: PriceGrid = GRID) -> list[Heatmap]:
    """Maps of one model on one path of prices: when positions were opened differs between venues, leverages do not."""
    draw = np.random.default_rng(seed)
    entry_px = 100.0 * np.exp(np.cumsum(draw.normal(0.0, 0.006, 400))[::-1])
    entry_px *= 100.0 / entry_px[-1]
    maps = []
    for venue, share in zip(VENUES, draw.uniform(0.6, 1.8, len(VENUES)), strict=True):
        opened = share * 1e6 * draw.lognormal(0.0, 1.2, entry_px.size)
        rows = [
            pl.DataFrame(
                {
                    "side": side,
                    "px": entry_px * (1 + sign / leverage),
                    "notional_usd": opened / len(LEVERAGES),
                    "leverage_band": f"{leverage:g}x",
                }
            ).filter(sign * (pl.col("px") - 100.0) > 0)
            for side, sign in (("long", -1), ("short", 1))
            for leverage in LEVERAGES
        ]
        levels = pl.concat(rows).with_columns(pl.col("side").cast(pl.Enum(["long", "short"])))
        maps.append(map_of(levels, venue=venue, model="tiers", grid=grid, by=["leverage_band"]))
    return maps


def vendors(maps: list[Heatmap], seed: int, lacking: str | None = None) -> Heatmap:
    """What another maker has of the same markets: leverages of its own, venues a fifth larger or smaller, and noise."""
    draw = np.random.default_rng(1_000_000 + seed)
    weights = dict(zip((f"{one:g}x" for one in LEVERAGES), draw.dirichlet(np.full(5, 2.0)), strict=True))
    sides = {"long": np.zeros(GRID.bins), "short": np.zeros(GRID.bins)}
    for one in maps:
        size = draw.lognormal(0.0, 0.2)
        if one.venue == lacking or one.breakdown is None:
            continue
        rows = one.breakdown.with_columns(
            pl.col("leverage_band")
            .cast(pl.String)
            .replace_strict(weights, return_dtype=pl.Float64)
            .alias("weight")
        )
        for side, mass in sides.items():
            own = rows.filter((pl.col("side") == side) & pl.col("bin").is_between(0, GRID.bins - 1))
            mass += size * np.bincount(own["bin"], own["notional_usd"] * own["weight"], GRID.bins)
    noisy = {side: mass * draw.lognormal(0.0, 0.15, GRID.bins) for side, mass in sides.items()}
    return replace(
        maps[0], venue="all", source="imported", model="theirs", breakdown=None,
        long_usd=noisy["long"], short_usd=noisy["short"],
    )  # fmt: skip


def named(seed: int, lacking: str | None = None) -> str | None:
    maps = market(seed)
    found = of_codes(lacking_venue(vendors(maps, seed, lacking), maps, RANGE_PCT), ("venue_missing",))
    return found[0].values["venue"] if found else None


def test_at_most_one_of_twenty_complete_maps_is_said_to_lack_a_venue() -> None:
    assert sum(named(seed) is not None for seed in range(120)) <= 6


def test_the_venue_that_a_map_lacks_is_named_in_most_markets_and_hardly_ever_another() -> None:
    """67 % of 120 of these, whose venues differ in little but when positions were opened."""
    found = [(lacking, named(seed, lacking)) for seed in range(30) for lacking in VENUES]
    assert sum(one == lacking for lacking, one in found) >= 0.5 * len(found)
    assert sum(one not in (lacking, None) for lacking, one in found) <= 0.05 * len(found)


def test_it_stands_among_what_is_off_even_where_the_truth_may_judge_nothing() -> None:
    """Only maps are compared with maps: the truth has no part in it."""
    maps = market(0)
    theirs = vendors(maps, 0, "okx")
    for truth in (map_of(MANY[:40], grid=GRID), map_of(MANY, grid=GRID)):
        found = compare_maps(truth, [theirs, *maps])
        assert [one.values["venue"] for one in found.models[0].diagnosis if one.code == "venue_missing"] == [
            "okx"
        ]
        assert not any(one.code == "venue_missing" for result in found.models[1:] for one in result.diagnosis)


@pytest.mark.parametrize(
    ("venue", "said"), [("all", True), ("binance+bybit+okx", True), ("binance+bybit", False)]
)
def test_only_venues_that_a_map_is_said_to_be_of_are_expected(venue: str, said: bool) -> None:
    maps = market(0)
    theirs = replace(vendors(maps, 0, "okx"), venue=venue)
    assert bool(of_codes(lacking_venue(theirs, maps, RANGE_PCT), ("venue_missing",))) == said
    assert not lacking_venue(replace(theirs, venue="binance"), maps, RANGE_PCT)


def test_a_file_with_a_row_for_each_venue_shows_itself_which_it_lacks() -> None:
    maps = market(3)
    whole = vendors(maps, 3)
    rows = note("sum_of_venues", names=("Binance", "Bybit"))
    theirs = replace(whole, coverage=replace(whole.coverage, notes=(rows,)))
    assert [(one.code, one.values["venues"]) for one in lacking_venue(theirs, maps, RANGE_PCT)] == [
        ("venues_not_in_rows", ("okx",))
    ]


def test_where_a_map_is_of_another_kind_than_ours_it_is_said_that_it_cannot_be_told() -> None:
    """A few positions of each venue, in other places than any leverage of ours puts them: what our maps do not explain
    is more than a venue adds."""
    for seed in range(3):
        maps, draw = market(seed), np.random.default_rng(seed)
        for lacking in (None, *VENUES):
            rows = [
                (side, float(draw.uniform(0.5, 24)), float(draw.lognormal(11, 1)))
                for one in maps
                if one.venue != lacking
                for side in ("long", "short")
                for _ in range(60)
            ]
            theirs = map_of(rows, venue="all", source="imported", model="theirs", grid=GRID)
            found = compare_maps(map_of(MANY, grid=GRID), [theirs, *maps]).models[0]
            assert [one.code for one in found.untold if "venue" in one.code] == ["venue_untold"]
            assert not of_codes(found.diagnosis, ("venue_missing",))
    maps = market(0)
    assert not of_codes(lacking_venue(vendors(maps, 0, "okx"), maps, RANGE_PCT), ("venue_untold",))
