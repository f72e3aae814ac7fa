"""How near a map that is read from a picture comes to the map that was drawn: Wasserstein-1 in percent of price.

Three things are not in a picture, and each is measured on it. Where a level ends within its last row of pixels: the
ends of the levels that were read are moved at random by up to half a row. What packing with loss made of the colours:
the column is drawn over the picture, packed as that is, and read again. What is fainter than can be told from nothing:
it may hold half of that everywhere.
"""

import io
from dataclasses import dataclass
from typing import Final

import numpy as np

from liqtruth.compare.imported.pictures.column import Column, PriceAxis, Readings, distance_pct, read_column
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
SAME: Final = 0.004
"""Neighbouring rows whose amounts differ by less are of one level."""
OF_LOSSY: Final = 2.5
"""What is packed with loss is measured on what the packing left, and is so many times as far off
(`benchmarks/bench_pictures.py`)."""


@dataclass(frozen=True)
class Accuracy:
    """In percent of price: of the rows' height, of packing, of what is too faint."""

    rows_pct: float
    packing_pct: float
    faint_pct: float
    lossy: bool

    @property
    def w1_pct(self) -> float:
        """All together."""
        return (OF_LOSSY if self.lossy else 1.0) * (self.rows_pct + self.packing_pct + self.faint_pct)


def accuracy_of(column: Column, palette: Palette, decoded: Decoded, axis: PriceAxis) -> Accuracy:
    """Of a column as it was read."""
    edges, amounts = axis.edges(), np.nan_to_num(column.amounts)
    again = _again(column, palette, decoded, axis)
    faint = np.where(amounts < column.floor, column.floor / 2, amounts)
    return Accuracy(
        rows_pct=_of_rows(edges, amounts),
        packing_pct=distance_pct(edges, amounts, again.amounts),
        faint_pct=distance_pct(edges, amounts, faint) if column.floor > 0 else 0.0,
        lossy=decoded.lossy,
    )


def smear(column: Column, palette: Palette, decoded: Decoded, axis: PriceAxis) -> float:
    """How much of the most the packing makes of nothing: what lies below cannot be told from none."""
    drawn = column.from_floor(SMEARED)
    nothing = drawn.amounts == 0
    if not nothing.any():
        return column.floor
    again = _again(drawn, palette, decoded, axis)
    return float(np.quantile(np.nan_to_num(again.amounts[nothing]), OF_SMEARED))


def _of_rows(edges: FloatArray, amounts: FloatArray) -> float:
    """What moving the ends of levels by up to half a row does, in all but one of twenty draws."""
    rows = amounts.size
    ends = np.concatenate([[0], np.flatnonzero(np.abs(np.diff(amounts)) > SAME) + 1, [rows]])
    heights = np.diff(ends)
    level = np.add.reduceat(amounts, ends[:-1]) / heights
    moved = np.random.default_rng(SEED).uniform(-0.5, 0.5, (DRAWS, ends.size))
    moved[:, [0, -1]] = 0.0
    off = [_cumulative(np.maximum.accumulate(ends + one), level, rows) for one in moved]
    apart = np.abs(np.array(off) - _cumulative(ends, level, rows)).sum(axis=1)
    step = float(np.abs(np.diff(edges)).mean() / np.median(edges))
    return 100 * step * float(np.quantile(apart, OF_DRAWS))


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
    drawn = palette.draw(np.nan_to_num(column.amounts))[:, None]
    pixels[rows, max(first - across, 0) : last + max(1, across // 3) + 1] = drawn
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, **decoded.packing)
    with Image.open(packed) as image:
        seen = np.asarray(image.convert("RGB"))[rows]
    solid = np.ones(seen.shape[:2], dtype=bool)
    return read_column(Readings.of(palette, seen, solid, decoded.lossy), first, last)
