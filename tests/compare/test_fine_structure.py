"""A vendor's map whose peaks stand where the models of its venue have them, moved or exchanged: no truth is needed."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from liqtruth.compare.diagnosis.fine_structure import Fitted, placed
from liqtruth.compare.divergence.measure import compare_maps
from liqtruth.heatmap.grid import FloatArray, PriceGrid
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.words.notes import note
from tests.compare.maps import MANY, map_of
from tests.compare.test_missing_venue import market

GRID = PriceGrid.around(100.0, 10.0)
RANGE_PCT = 25.0
SEEDS = range(12)


def vendors(model: Heatmap, seed: int) -> FloatArray:
    """Mass by bin: the model's leverages with other weights, and noise, in steps of a quarter of a percent."""
    assert model.breakdown is not None
    draw = np.random.default_rng(seed)
    rows = model.breakdown.filter(pl.col("bin").is_between(0, GRID.bins - 1))
    mass = np.zeros(GRID.bins)
    for part in rows.partition_by("leverage_band"):
        mass += draw.gamma(2.0) * np.bincount(part["bin"], part["notional_usd"], GRID.bins)
    ends = np.arange(0, mass.size, 3)
    coarse = np.add.reduceat(mass, ends) * draw.lognormal(0.0, 0.15, ends.size)
    return np.asarray(np.repeat(coarse / 3, 3)[: mass.size])


def read(mass: FloatArray) -> Heatmap:
    """As it is read from a file without sides: below the mark are longs."""
    below = np.arange(GRID.bins) < GRID.bins // 2
    bare = map_of(MANY, venue="binance", model="theirs", source="imported", grid=GRID)
    return replace(bare, long_usd=mass * below, short_usd=mass * ~below, breakdown=None)


def moved(mass: FloatArray, pct: float) -> FloatArray:
    at = np.arange(mass.size + 1.0)
    bins = np.log1p(pct / 100) / GRID.log_width
    return np.asarray(np.diff(np.interp(at - bins, at, np.concatenate([[0.0], np.cumsum(mass)]))))


def exchanged_by_percent(mass: FloatArray) -> FloatArray:
    """A program that has prices takes them as far from the mark on the other side."""
    ends = GRID.edges
    risen = np.concatenate([[0.0], np.cumsum(mass)])
    return np.asarray(np.abs(np.diff(np.interp(2 * GRID.mark_px - ends, ends, risen))))


def told(mass: FloatArray, model: Heatmap) -> Fitted | None:
    return placed(read(mass), [model], RANGE_PCT)


@pytest.mark.parametrize("pct", [-6.0, -3.0, 3.0, 6.0])
def test_by_how_much_prices_are_moved_is_found_to_half_a_percent(pct: float) -> None:
    """In most markets, and never by another amount."""
    found = []
    for seed in SEEDS:
        model = market(seed, GRID)[0]
        found.append(told(moved(vendors(model, seed), pct), model))
    right = [one for one in found if one is not None]
    assert len(right) >= 8
    for one in right:
        assert one.kind == "moved"
        assert one.move_pct == pytest.approx(100 * (1 / (1 + pct / 100) - 1), abs=0.5)
        assert one.explained > one.as_it_is


def test_exchanged_sides_are_found_however_they_were_exchanged() -> None:
    for seed in SEEDS:
        model = market(seed, GRID)[0]
        mass = vendors(model, seed)
        for changed in (mass[::-1], exchanged_by_percent(mass)):
            found = told(changed, model)
            assert found is not None
            assert found.kind == "exchanged"


def test_a_map_as_it_should_be_is_known_to_be_neither_and_what_the_truth_seems_to_show_is_not_said() -> None:
    for seed in SEEDS:
        model = market(seed, GRID)[0]
        theirs = vendors(model, seed)
        found = told(theirs, model)
        assert found is not None
        assert found.kind == "as_it_is"
        result = compare_maps(map_of(MANY, grid=GRID), [read(theirs), model]).models[0]
        assert not {one.code for one in (*result.diagnosis, *result.untold)} & {
            "looks_moved", "looks_mirrored", "looks_centred_on_mean", "untold",
        }  # fmt: skip


def test_a_report_names_the_change_although_the_truth_cannot_judge_anything() -> None:
    model = market(3, GRID)[0]
    few = map_of(MANY[:40], grid=GRID)
    for changed, code in (
        (moved(vendors(model, 3), 3.0), "looks_moved"),
        (vendors(model, 3)[::-1], "looks_mirrored"),
    ):
        result = compare_maps(few, [read(changed), model]).models[0]
        assert code in {one.code for one in result.diagnosis}
        assert not result.untold


def test_of_maps_of_other_markets_nothing_is_told() -> None:
    """Their peaks have nothing to do with the models': one that fits by chance would be found among so many moves."""
    pairs = [(seed, other) for seed in SEEDS for other in range(100, 106)]
    found = [told(vendors(market(other, GRID)[0], other), market(seed, GRID)[0]) for seed, other in pairs]
    assert sum(one is not None for one in found) <= 0.05 * len(found)


def test_too_narrow_or_too_smooth_a_map_is_not_told() -> None:
    model = market(0, GRID)[0]
    mass = vendors(model, 0)
    smooth = np.exp(-np.abs(np.log(GRID.centers / 100.0)) / 0.08)
    assert told(smooth, model) is None
    narrow = replace(read(mass), covers=(95.0, 105.0))
    assert placed(narrow, [model], RANGE_PCT) is None
    assert placed(read(mass), [], RANGE_PCT) is None


@pytest.mark.parametrize("hours", [-24, 24])
def test_of_a_map_of_another_day_no_change_is_named(hours: int) -> None:
    """An honest one has other levels near its mark, which a change may fit by chance."""
    changes = (lambda mass: moved(mass, 3.0), lambda mass: mass[::-1])
    named = 0
    for seed, change in ((seed, change) for seed in range(4) for change in changes):
        model = market(seed, GRID)[0]
        theirs = read(change(vendors(model, seed)))
        found = placed(theirs, [model], RANGE_PCT)
        named += found is not None and found.kind != "as_it_is"
        older = replace(theirs, as_of=theirs.as_of + timedelta(hours=hours))
        assert placed(older, [model], RANGE_PCT) is None
        of_file = replace(older.coverage, notes=(note("moment_of_file", at="then"),))
        assert placed(replace(older, coverage=of_file), [model], RANGE_PCT) == found
    assert named >= 6
