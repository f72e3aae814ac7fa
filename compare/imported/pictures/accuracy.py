"""How near a map that is read from a picture comes to the map that was drawn: Wasserstein-1 in percent of price.

Three things are not in a picture, and each is measured on it. Where a level ends within its last row of pixels: where
levels are of one height the rows are read singly too, else the ends of levels are moved at random by up to half a row;
and price lines may be off by that much. What packing with loss made of the colours:
the column is drawn over the picture, packed as that is, and read again. What is fainter than can be told from nothing:
it may hold half of that everywhere.
"""

import io
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from liqtruth.compare.imported.pictures.column import (
    LABEL,
    Column,
    PriceAxis,
    Readings,
    distance_pct,
    on_levels,
    read_column,
)
from liqtruth.compare.imported.pictures.decoding import Decoded
from liqtruth.compare.imported.pictures.palettes import Palette
from liqtruth.heatmap.grid import FloatArray

SMEARED: Final = 0.02
"""Part of the most below which a row is taken as empty, to measure what packing with loss makes of it."""
OF_SMEARED: Final = 0.95
BESIDE_PX: Final = 48
"""Columns of pixels to both sides of the column that are packed with it."""
BLOCK_PX: Final = 16
"""Pictures are packed in squares of so many pixels."""
DRAWS: Final = 64
SEED: Final = 0
OF_DRAWS: Final = 0.95
LINES_PX: Final = 1.0
"""A price line is told to a whole row, and where its middle is may be seen one off."""
SAME: Final = 0.004
"""Neighbouring rows whose amounts differ by less are of one level."""
OF_MIXED: Final = {False: 2.0, True: 2.6}
"""So many times as far off is a picture whose rows are not as levels make them, and one that is packed with loss, which
are measured on what that left of the map (`benchmarks/bench_pictures.py`)."""
OF_LABELS: Final = 2.0
"""A label hides what became of levels since as well."""


@dataclass(frozen=True)
class Accuracy:
    """In percent of price: of the rows' height, of packing, of what is too faint; and how much wider it is stated."""

    rows_pct: float
    packing_pct: float
    faint_pct: float
    widened: float

    @property
    def w1_pct(self) -> float:
        """All together."""
        return self.widened * (self.rows_pct + self.packing_pct + self.faint_pct)


def accuracy_of(
    column: Column, readings: Readings, palette: Palette, decoded: Decoded, axis: PriceAxis
) -> Accuracy:
    """Of a column as it was read."""
    edges, mass = axis.at(column.ends), column.mass
    # Colours of several sides are drawn again in one, of which nothing is to be learnt without loss.
    sided = palette.on_page and not decoded.lossy
    again = column if sided else _again(column, palette, decoded, axis)
    faint = np.where(column.amounts < column.floor, column.floor / 2, column.amounts)
    row = float(np.abs(np.diff(axis.edges())).mean() / np.median(edges))
    whole = column.levels is not None and column.levels.is_whole
    moved = _of_rows(column.amounts, row) if column.of_rows is None else _of_levels(column, axis)
    faint_pct = distance_pct(edges, mass, replace(column, amounts=faint).mass) if column.floor > 0 else 0.0
    if sided:
        faint_pct += OF_LABELS * _of_labels(column, readings, axis)
    return Accuracy(
        rows_pct=moved + 100 * row * LINES_PX,
        packing_pct=distance_pct(edges, mass, again.mass),
        faint_pct=faint_pct,
        widened=1.0 if whole and not decoded.lossy else OF_MIXED[decoded.lossy],
    )


def smear(column: Column, palette: Palette, decoded: Decoded, axis: PriceAxis) -> float:
    """How much of the most the packing makes of nothing: what lies below cannot be told from none."""
    drawn = column.from_floor(SMEARED)
    nothing = drawn.amounts == 0
    if not nothing.any():
        return column.floor
    again = _again(drawn, palette, decoded, axis)
    return float(np.quantile(np.nan_to_num(again.amounts[nothing]), OF_SMEARED))


def _of_rows(amounts: FloatArray, row: float) -> float:
    """What moving the ends of levels by up to half a row, which is so large a part of price, does, in all but one of
    twenty draws."""
    amounts, rows = np.nan_to_num(amounts), amounts.size
    ends = np.concatenate([[0], np.flatnonzero(np.abs(np.diff(amounts)) > SAME) + 1, [rows]])
    heights = np.diff(ends)
    level = np.add.reduceat(amounts, ends[:-1]) / heights
    moved = np.random.default_rng(SEED).uniform(-0.5, 0.5, (DRAWS, ends.size))
    moved[:, [0, -1]] = 0.0
    off = [_cumulative(np.maximum.accumulate(ends + one), level, rows) for one in moved]
    apart = np.abs(np.array(off) - _cumulative(ends, level, rows)).sum(axis=1)
    return 100 * row * float(np.quantile(apart, OF_DRAWS))


def _of_levels(column: Column, axis: PriceAxis) -> float:
    """How far the same rows are from the levels when each is read by itself."""
    up_to = np.concatenate([[0.0], np.cumsum(_by_row(column))])
    there = np.interp(column.ends, np.arange(up_to.size), up_to)
    return distance_pct(axis.at(column.ends), column.mass, np.diff(there))


def _of_labels(column: Column, readings: Readings, axis: PriceAxis) -> float:
    """How far the column is from one that has also what stands left of where a label may be: one in the page's colour
    hides levels as if there were none."""
    first = max(0, column.first - LABEL)
    before = read_column(readings, first, first + column.last - column.first)
    now = _by_row(column)
    return distance_pct(axis.edges(), now, np.maximum(now, _by_row(before)))


def _by_row(column: Column) -> FloatArray:
    return np.nan_to_num(column.amounts if column.of_rows is None else column.of_rows)


def _cumulative(ends: FloatArray, level: FloatArray, rows: int) -> FloatArray:
    """Share of all up to each row."""
    up_to = np.concatenate([[0.0], np.cumsum(level * np.diff(ends))])
    found: FloatArray = np.interp(np.arange(rows + 1.0), ends, up_to) / max(up_to[-1], 1e-300)
    return found


def _again(column: Column, palette: Palette, decoded: Decoded, axis: PriceAxis) -> Column:
    """The column as it is read from the picture with the column drawn over it, packed as the picture is: what stands
    beside it takes part in what packing with loss makes of it."""
    from PIL import Image

    across = column.last - column.first + 1
    left = max(column.first - BESIDE_PX, 0) // BLOCK_PX * BLOCK_PX
    pixels = decoded.rgb[:, left : column.last + BESIDE_PX].copy()
    first, last, rows = column.first - left, column.last - left, slice(axis.top, axis.bottom + 1)
    drawn = palette.draw(np.nan_to_num(column.amounts))
    if column.levels is not None:
        drawn = np.rint(column.levels.parts @ drawn).astype(np.uint8)
    pixels[rows, max(first - across, 0) : last + max(1, across // 3) + 1] = drawn[:, None]
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, **decoded.packing)
    with Image.open(packed) as image:
        seen = np.asarray(image.convert("RGB"))[rows]
    solid = np.ones(seen.shape[:2], dtype=bool)
    readings = Readings.of(palette, seen, solid, decoded.lossy)
    by_row = read_column(readings, first, last)
    return by_row if column.levels is None else on_levels(by_row, column.levels, readings, palette)
