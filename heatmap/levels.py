"""Both sides of a market, and `levels`: the frame from which every maker's heatmap is binned, and the binning itself.

A level is notional that one price liquidates. An exact map has one level per position, a modelled map one per
surviving lot. Columns beyond the required ones are dimensions that a map can be filtered by.

`BySide` is a pair of a long and a short, `TwoSided` the base of records that carry one among other facts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

import numpy as np
import polars as pl

from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.grid import FloatArray, IntArray, PriceGrid

SIDES: Final = ("long", "short")
SIDE: Final = pl.Enum(SIDES)
T = TypeVar("T")
Added = TypeVar("Added", float, FloatArray)
R = TypeVar("R")
LEVELS: Final[dict[str, pl.DataType]] = {
    "side": SIDE,
    "px": pl.Float64(),
    "notional_usd": pl.Float64(),
}
"""Required columns. `px` null: no price liquidates this notional. `notional_usd` is valued at the mark."""
DIMENSIONS: Final = (
    "leverage_band",
    "margin_mode",
    "account_mode",
    "account_size",
    "age_band",
    "position_age",
    "venue",
    "price_source",
)
"""Columns that a breakdown may carry beside the bin."""
SMALLEST, LARGEST = float(np.finfo(np.float64).smallest_subnormal), float(np.finfo(np.float64).max)
"""Positive numbers lie between these; infinity and NaN do not."""
BELOW: Final = -1
"""Bin of mass below the grid; `grid.bins` is the one above it. A null bin is mass that no price liquidates."""
STEPS: Final = 64
BREAKDOWN: Final[dict[str, pl.DataType]] = {
    "side": SIDE,
    "bin": pl.Int32(),
    "notional_usd": pl.Float64(),
    "positions": pl.UInt32(),
    "largest_usd": pl.Float64(),
}
"""Long form: mass, number of levels and largest single level per side, bin and dimension values."""


class BySide(NamedTuple, Generic[T]):
    """Iterates, zips and unpacks in the order of `heatmap.levels.SIDES`; a file holds it as an array of two."""

    long: T
    short: T

    def of(self, side: str) -> T:
        return _of(side, self.long, self.short)

    def map(self, change: Callable[[T], R]) -> BySide[R]:
        return BySide(change(self.long), change(self.short))

    @classmethod
    def each(cls, make: Callable[[str], R]) -> BySide[R]:
        """What `make` gives for the name of each side."""
        return BySide(make("long"), make("short"))


class Sides(BySide[float]):
    """One figure for longs and one for shorts."""

    __slots__ = ()

    @property
    def total(self) -> float:
        return self.long + self.short


NOTHING = Sides(0.0, 0.0)


class TwoSided(Generic[T]):
    """Base of records with the fields `long` and `short` (which they declare themselves) and others."""

    __slots__ = ()
    long: T
    short: T

    @property
    def sides(self) -> BySide[T]:
        return BySide(self.long, self.short)

    def of(self, side: str) -> T:
        return _of(side, self.long, self.short)


def _of(side: str, long: T, short: T) -> T:
    if side == "long":
        return long
    if side == "short":
        return short
    raise KeyError(side)


def check_levels(levels: pl.DataFrame) -> pl.DataFrame:
    """The required columns in their types; raises `BadInput` on a missing column or negative notional."""
    missing = [name for name in LEVELS if name not in levels.columns]
    if missing:
        raise BadInput(f"levels lack the column {missing[0]!r}; they have {', '.join(levels.columns)}")
    other = {name: dtype for name, dtype in LEVELS.items() if levels.schema[name] != dtype}
    typed = levels.cast(other) if other else levels  # type: ignore[arg-type]
    px, notional = pl.col("px").fill_null(1.0), pl.col("notional_usd").fill_null(-1.0)
    right = px.is_between(SMALLEST, LARGEST) & notional.is_between(0.0, LARGEST)
    if not typed.select(right.all()).item():
        row = typed.filter(~right).row(0, named=True)
        raise BadInput(
            f"level at px={row['px']} with notional {row['notional_usd']} USD: both must be positive numbers"
        )
    return typed


def bin_levels(levels: pl.DataFrame, grid: PriceGrid) -> pl.DataFrame:
    """`levels` with a `bin` column (Int32, null where `px` is null).

    A level which the mark has already crossed (a long priced at or above it, a short below) is liquidatable now:
    it goes into the bin next to the mark on its own side.
    """
    px = levels["px"]
    bins = grid.bin_of(px.fill_null(grid.mark_px).to_numpy()).astype(np.int32)
    is_short = levels["side"].to_physical().to_numpy() != SIDES.index("long")
    # Arithmetic, since selecting by a mask costs seven times as much here.
    lowest = is_short * np.int32(grid.bins_each_way + 1)
    lowest -= 1
    np.maximum(bins, lowest, out=bins)
    lowest += grid.bins_each_way
    series = pl.Series("bin", np.minimum(bins, lowest, out=bins))
    if px.null_count():
        return levels.with_columns(pl.when(pl.col("px").is_not_null()).then(series).alias("bin"))
    return levels.with_columns(series)


def crossed(levels: pl.DataFrame, mark_px: float) -> pl.DataFrame:
    """Levels that the mark has already passed."""
    is_long = pl.col("side") == "long"
    return levels.filter((is_long & (pl.col("px") >= mark_px)) | (~is_long & (pl.col("px") < mark_px)))


def count_crossed(levels: pl.DataFrame, mark_px: float) -> tuple[int, Sides]:
    """Number and notional per side of levels that the mark has already passed."""
    passed = crossed(levels, mark_px)
    by_side = dict(passed.group_by("side").agg(pl.col("notional_usd").sum()).iter_rows())
    return passed.height, Sides(by_side.get("long", 0.0), by_side.get("short", 0.0))


def break_down(binned: pl.DataFrame, by: Sequence[str] = ()) -> pl.DataFrame:
    """Long-form breakdown (`BREAKDOWN` plus the dimensions `by`) of levels that carry a bin, in the order of side, bin
    and words, not of codes. Dimensions that are `pl.Enum` are counted fastest."""
    if not by:
        return _by_bin_alone(binned)
    order, first = _grouped(binned, by)
    notional = binned["notional_usd"].to_numpy()[order]
    return (
        binned[order[first]]
        .select("side", "bin", *by)
        .with_columns(
            notional_usd=_sums(notional, first),
            positions=pl.Series(np.diff(first, append=order.size), dtype=pl.UInt32),
            largest_usd=np.maximum.reduceat(notional, first) if first.size else notional,
        )
        .select(*BREAKDOWN, *by)
    )


def _grouped(binned: pl.DataFrame, by: Sequence[str]) -> tuple[IntArray, IntArray]:
    """The order that brings rows of one side, bin and words together, and where each such group begins in it.

    All of them are one number a row; with the row's own number behind it, sorting numbers is sorting rows, and that is
    several times faster than grouping columns."""
    key = binned["side"].to_physical().to_numpy().astype(np.int64)
    for name in ("bin", *by):
        place, places = _places(binned[name])
        key = key * places + place
    bits = key.size.bit_length()
    packed = np.sort((key << bits) | np.arange(key.size))
    key, order = packed >> bits, packed & ((1 << bits) - 1)
    return order, np.flatnonzero(np.diff(key, prepend=-1))


def _sums(values: FloatArray, first: IntArray) -> FloatArray:
    """Sum of each group, in order and compensated as polars sums groups (Kahan, "Further Remarks on Reducing Truncation
    Errors", 1965). All groups take a step at once; the few long ones go on by themselves."""
    count = np.diff(first, append=values.size)
    total, lost = values[first], np.zeros(first.size)
    at = np.arange(first.size)
    for step in range(1, min(int(count.max(initial=0)), STEPS)):
        at = at[count[at] > step]
        total[at], lost[at] = _added(total[at], lost[at], values[first[at] + step])
    for group in np.flatnonzero(count > STEPS):
        so_far, gone = float(total[group]), float(lost[group])
        for value in values[first[group] + STEPS : first[group] + count[group]].tolist():
            value -= gone  # as `_added`, without a call for each
            summed = so_far + value
            gone = (summed - so_far) - value
            so_far = summed
        total[group] = so_far
    return total


def _added(total: Added, lost: Added, value: Added) -> tuple[Added, Added]:
    """The sum with `value`, and what its rounding took away."""
    value = value - lost
    summed = total + value
    return summed, (summed - total) - value


def _places(column: pl.Series) -> tuple[IntArray, int]:
    """Each value's place in ascending order, of words by their letters, null last; and how many places there are."""
    if column.dtype.is_integer():
        low, high = int(column.min() or 0), int(column.max() or 0)  # type: ignore[arg-type]
        return (column.fill_null(high + 1).to_numpy() - np.int64(low)), high - low + 2
    coded = column if isinstance(column.dtype, pl.Enum) else column.cast(pl.Categorical)
    codes = coded.to_physical()
    names = coded.unique().drop_nulls()
    in_order = names.gather(names.cast(pl.String).arg_sort()).to_physical()
    place = np.full(int(codes.max() or 0) + 2, len(names), dtype=np.int64)  # type: ignore[arg-type]
    place[in_order.to_numpy()] = np.arange(len(names))
    return place[codes.fill_null(place.size - 1).to_numpy()], len(names) + 1


def _by_bin_alone(binned: pl.DataFrame) -> pl.DataFrame:
    """The same sums by counting instead of hashing: three times faster where there are no dimensions."""
    top = int(binned["bin"].max() or 0) + 3  # type: ignore[arg-type]
    place = pl.col("bin").fill_null(top - 2) + 1 + top * pl.col("side").to_physical().cast(pl.Int64)
    key = binned.select(place).to_series().to_numpy()
    notional = binned["notional_usd"].to_numpy()
    largest = np.zeros(2 * top)
    np.maximum.at(largest, key, notional)
    count = np.bincount(key, minlength=2 * top)
    used = np.flatnonzero(count)
    return pl.DataFrame(
        {
            "side": pl.Series(np.array(SIDES)[(used >= top).astype(np.int64)].tolist(), dtype=SIDE),
            "bin": pl.Series(used % top - 1, dtype=pl.Int32).replace(top - 2, None),
            "notional_usd": np.bincount(key, weights=notional, minlength=2 * top)[used],
            "positions": pl.Series(count[used], dtype=pl.UInt32),
            "largest_usd": largest[used],
        },
        schema=BREAKDOWN,
    )


def sum_bins(breakdown: pl.DataFrame, side: str, bins: int) -> tuple[FloatArray, float, float]:
    """Mass per bin of one side, mass beyond the grid, and mass that no price liquidates (USD)."""
    theirs = breakdown["side"].to_physical().to_numpy() == SIDES.index(side)
    place = (breakdown["bin"].fill_null(bins + 1) + 1).to_numpy()[theirs]
    mass = np.bincount(place, weights=breakdown["notional_usd"].to_numpy()[theirs], minlength=bins + 3)
    return np.ascontiguousarray(mass[1:-2]), float(mass[0] + mass[-2]), float(mass[-1])
