"""Both sides of a market, and `levels`: the frame from which every maker's heatmap is binned, and the binning itself.

A level is notional that one price liquidates. An exact map has one level per position, a modelled map one per
surviving lot. Columns beyond the required ones are dimensions that a map can be filtered by.

`BySide` is a pair of a long and a short, `TwoSided` the base of records that carry one among other facts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, NamedTuple, TypeVar

import numpy as np
import polars as pl

from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.grid import FloatArray, PriceGrid

SIDES: Final = ("long", "short")
SIDE: Final = pl.Enum(SIDES)
T = TypeVar("T")
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
    if not _all_sound(typed["px"], typed["notional_usd"]):
        px, notional = pl.col("px").fill_null(1.0), pl.col("notional_usd").fill_null(-1.0)
        right = px.is_between(SMALLEST, LARGEST) & notional.is_between(0.0, LARGEST)
        row = typed.filter(~right).row(0, named=True)
        raise BadInput(
            f"level at px={row['px']} with notional {row['notional_usd']} USD: both must be positive numbers"
        )
    return typed


def _all_sound(px: pl.Series, notional_usd: pl.Series) -> bool:
    """Whether all numbers lie between their bounds, and only prices are null."""
    if notional_usd.null_count():
        return False
    prices, amounts = _floats(px), notional_usd.to_numpy()
    return bool(
        np.count_nonzero(np.isnan(prices)) == px.null_count()
        and np.fmin.reduce(prices, initial=1.0) >= SMALLEST
        and np.fmax.reduce(prices, initial=1.0) <= LARGEST
        and amounts.min(initial=0.0) >= 0.0
        and amounts.max(initial=0.0) <= LARGEST
    )


class BinSums(NamedTuple):
    """USD of one side: per bin of a grid, beyond it, and mass that no price liquidates."""

    on_grid: FloatArray
    beyond: float
    never: float

    @classmethod
    def of(cls, columns: FloatArray) -> BinSums:
        """From the mass per column of `PriceGrid.column_of`."""
        return cls(columns[1:-2].copy(), float(columns[0] + columns[-2]), float(columns[-1]))


def bin_sums(levels: pl.DataFrame, grid: PriceGrid, mark_px: float | None = None) -> BySide[BinSums]:
    """What levels add up to on either side, in one pass over their columns and without a breakdown.

    What the mark (default: the grid's own) has already crossed lies in the bin next to it on its own side, as
    `bin_levels` has it.
    """
    columns = grid.bins + 3
    key = levels["side"].to_physical().to_numpy() * np.int64(columns)
    key += grid.column_of(_floats(levels["px"]))
    mass = np.bincount(key, levels["notional_usd"].to_numpy(), len(SIDES) * columns).astype(
        np.float64, copy=False
    )
    long, short = mass.reshape(len(SIDES), columns)
    highest, lowest = grid.columns_beside(grid.mark_px if mark_px is None else mark_px)
    long[highest] += long[highest + 1 : -1].sum()
    long[highest + 1 : -1] = 0.0
    short[lowest] += short[:lowest].sum()
    short[:lowest] = 0.0
    return BySide(BinSums.of(long), BinSums.of(short))


def _floats(px: pl.Series) -> FloatArray:
    """Null as NaN; not copied where there is none."""
    return (px.fill_null(float("nan")) if px.null_count() else px).to_numpy()


def bin_levels(levels: pl.DataFrame, grid: PriceGrid) -> pl.DataFrame:
    """`levels` with a `bin` column (Int32, null where `px` is null).

    A level which the mark has already crossed (a long priced at or above it, a short below) is liquidatable now:
    it goes into the bin next to the mark on its own side.
    """
    px = levels["px"]
    bins = grid.bin_of(_floats(px)).astype(np.int32)
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
