"""Levels: what each must have, and the bin it falls into; a pair of sides keeps their order and has no third one."""

from collections import Counter

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from liqtruth.heatmap.breakdown import break_down, sum_bins
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.grid import PriceGrid
from liqtruth.heatmap.levels import (
    BREAKDOWN,
    LEVELS,
    SIDE,
    SIDES,
    BySide,
    Sides,
    TwoSided,
    bin_levels,
    bin_sums,
    check_levels,
    crossed,
)
from tests.heatmap.maps import MARK, Level, any_levels, frame

GRID = PriceGrid.around(MARK, 50.0, 0.5)


@given(any_levels)
def test_longs_fall_below_the_mark_and_shorts_at_or_above_it(levels: list[Level]) -> None:
    binned = bin_levels(frame(levels), GRID).drop_nulls("bin")
    is_low = pl.col("bin") < GRID.bins_each_way
    assert binned.select(is_low == (pl.col("side") == "long")).to_series().all()


@given(any_levels)
def test_only_a_level_without_a_price_has_no_bin(levels: list[Level]) -> None:
    binned = bin_levels(frame(levels), GRID)
    assert binned["bin"].is_null().to_list() == [px is None for _, px, _ in levels]


@given(any_levels)
def test_levels_that_the_mark_passed_are_in_the_bin_next_to_it(levels: list[Level]) -> None:
    passed = bin_levels(crossed(frame(levels), MARK), GRID)
    middle = GRID.bins_each_way
    assert passed["bin"].to_list() == [middle - 1 if side == "long" else middle for side in passed["side"]]


@given(any_levels)
def test_the_breakdown_without_dimensions_is_the_one_with_a_constant_dimension(levels: list[Level]) -> None:
    """Two ways of summing: by counting, and by grouping."""
    binned = bin_levels(frame(levels), GRID)
    grouped = break_down(binned.with_columns(pl.lit("x").alias("venue")), ["venue"])
    assert_frame_equal(break_down(binned), grouped.drop("venue"), rel_tol=1e-12, abs_tol=1e-6)
    assert dict(break_down(binned).schema) == BREAKDOWN


@given(any_levels)
def test_the_sums_of_levels_are_those_of_their_breakdown(levels: list[Level]) -> None:
    counted = bin_sums(frame(levels), GRID)
    broken = sum_bins(break_down(bin_levels(frame(levels), GRID)), GRID.bins)
    for one, other in zip(counted, broken, strict=True):
        np.testing.assert_allclose(one.on_grid, other.on_grid, rtol=1e-12)
        assert (one.beyond, one.never) == pytest.approx((other.beyond, other.never), rel=1e-12)


@pytest.mark.parametrize("moved", [0.0, 0.2, -0.2, 3.0])
def test_what_a_mark_off_the_middle_of_the_grid_has_passed_lies_beside_that_mark(moved: float) -> None:
    """At an edge the sides lie on either side of it; inside a bin they share the bin."""
    mark = MARK * np.exp(moved * GRID.log_width)
    long, short = bin_sums(frame([("long", 1.2 * mark, 1.0), ("short", 0.8 * mark, 2.0)]), GRID, mark)
    on_edge = moved == int(moved)
    bins = [int(np.flatnonzero(side.on_grid)[0]) - GRID.bins_each_way for side in (long, short)]
    assert bins == [int(np.floor(moved)) - on_edge, int(np.floor(moved))]


@given(st.integers(0, 2**32), st.integers(1, 400), st.integers(1, 5), st.booleans())
def test_a_breakdown_is_that_of_grouping_the_columns_to_the_bit(
    seed: int, count: int, bins: int, are_enums: bool
) -> None:
    """The key of one number a row against polars' own grouping, which sums compensated and sorts words by letters."""
    rng = np.random.default_rng(seed)
    words = {"venue": ["okx", "Binance", None], "age_band": ["<1h", "1-4h", ">7d"]}
    kinds = {name: pl.Enum([one for one in known if one]) for name, known in words.items()}
    binned = pl.DataFrame(
        {
            "side": rng.choice(["long", "short"], count).tolist(),
            "bin": rng.choice([*range(-1, bins), None], count).tolist(),
            "notional_usd": rng.lognormal(9, 2, count),
            **{name: rng.choice(known, count).tolist() for name, known in words.items()},
        },
        schema_overrides={"side": SIDE, "bin": pl.Int32, **(kinds if are_enums else {})},
    )
    as_words = binned.with_columns(pl.col(*words).cast(pl.String))
    grouped = as_words.group_by("side", "bin", *words).agg(
        pl.col("notional_usd").sum(),
        positions=pl.len().cast(pl.UInt32),
        largest_usd=pl.col("notional_usd").max(),
    )
    expected = grouped.sort("side", "bin", *words, nulls_last=True).select(*BREAKDOWN, *words)
    assert break_down(binned, list(words)).with_columns(pl.col(*words).cast(pl.String)).equals(expected)


@pytest.mark.parametrize(
    "words", [["b", "a"], ["b"] * 1_500 + ["a", None], [f"{n:02}" for n in range(30)], [None] * 3]
)
def test_words_of_text_are_counted_however_many_they_are_and_wherever_they_stand(words: list[str]) -> None:
    binned = pl.DataFrame(
        {
            "side": ["long"] * len(words),
            "bin": [1] * len(words),
            "notional_usd": [2.0] * len(words),
            "venue": words,
        },
        schema_overrides={"side": SIDE, "bin": pl.Int32, "venue": pl.String},
    )
    counted = break_down(binned, ["venue"])
    expected = sorted(Counter(words).items(), key=lambda one: (one[0] is None, one[0]))
    assert counted.select(pl.col("venue").cast(pl.String), "positions").rows() == expected


@given(any_levels)
def test_a_breakdown_counts_every_level_once_and_keeps_the_largest(levels: list[Level]) -> None:
    broken = break_down(bin_levels(frame(levels), GRID))
    assert broken["positions"].sum() == len(levels)
    assert broken["largest_usd"].max() == max((usd for _, _, usd in levels), default=None)


@pytest.mark.parametrize("dtype", [pl.String, pl.Enum(["Binance"])])
def test_levels_whose_dimension_is_unknown_stay_on_their_side_and_in_their_bin(dtype: pl.DataType) -> None:
    venues = pl.Series("venue", ["Binance", None, None], dtype)
    levels = frame([("long", 90.0, 1.0), ("short", 110.0, 2.0), ("long", 80.0, 4.0)]).with_columns(venues)
    broken = break_down(bin_levels(levels, GRID), ["venue"])
    assert dict(broken.group_by("side").agg(pl.col("notional_usd").sum()).iter_rows()) == {
        "long": 5.0,
        "short": 2.0,
    }
    assert broken["bin"].n_unique() == 3


def test_a_level_exactly_at_the_mark_is_past_its_price_for_a_long_only() -> None:
    levels = frame([("long", MARK, 1.0), ("short", MARK, 2.0), ("long", None, 3.0)])
    assert crossed(levels, MARK)["notional_usd"].to_list() == [1.0]


def test_sides_as_text_and_whole_numbers_are_taken_into_the_types_of_levels() -> None:
    checked = check_levels(pl.DataFrame({"side": ["long"], "px": [90], "notional_usd": [5]}))
    assert dict(checked.schema) == LEVELS


@pytest.mark.parametrize("name", LEVELS)
def test_a_missing_column_is_named(name: str) -> None:
    with pytest.raises(BadInput, match=f"lack the column '{name}'"):
        check_levels(frame([("long", 90.0, 1.0)]).drop(name))


@pytest.mark.parametrize(("px", "usd"), [(90.0, -1.0), (0.0, 1.0), (-90.0, 1.0)])
def test_a_level_with_a_price_or_notional_that_is_not_positive_is_quoted(px: float, usd: float) -> None:
    with pytest.raises(BadInput, match=f"px={px} with notional {usd} USD"):
        check_levels(frame([("short", 110.0, 1.0), ("long", px, usd)]))


class Carried(msgspec.Struct, TwoSided[float], frozen=True):
    name: str
    long: float
    short: float


def test_a_pair_iterates_maps_and_answers_in_the_order_of_sides() -> None:
    pair = BySide.each(len)
    assert BySide._fields == SIDES
    assert tuple(pair) == tuple(pair.of(side) for side in SIDES) == (4, 5)
    assert pair.map(str) == BySide("4", "5")


def test_a_record_with_sides_gives_the_pair_and_is_written_with_its_own_fields() -> None:
    carried = Carried("one", 1.0, 2.0)
    assert carried.sides == tuple(carried.of(side) for side in SIDES) == (1.0, 2.0)
    assert msgspec.json.encode(carried) == b'{"name":"one","long":1.0,"short":2.0}'


def test_a_figure_per_side_is_written_as_an_array_and_read_back_with_its_total() -> None:
    read = msgspec.json.decode(msgspec.json.encode(Sides(1.0, 2.5)), type=Sides)
    assert read.total == 3.5


@pytest.mark.parametrize("pair", [BySide(1, 2), Carried("one", 1.0, 2.0)])
def test_there_is_no_third_side(pair: BySide[int] | Carried) -> None:
    with pytest.raises(KeyError):
        pair.of("both")
