"""Mass by distance from the mark, read off the cumulative curve, so that it does not depend on the bins."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.heatmap import Heatmap, Sides
from liqtruth.heatmap.levels import SIDE, SIDES

BANDS: Final = (0.0, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0)
"""Bounds of the distance bands, percent of the mark."""


def mass_within(heatmap: Heatmap, distance_pct: ArrayLike, side: str) -> FloatArray:
    """Mass (USD) that a move of each distance (percent of the mark) liquidates on one side.

    Inside a bin the curve is linear in log price; past the grid it stays at the in-grid mass.
    """
    ratio = np.asarray(distance_pct, dtype=np.float64) / 100
    grid, middle = heatmap.grid, heatmap.grid.bins_each_way
    curve = heatmap.cumulative()
    steps = np.arange(grid.bins_each_way + 1)
    if side == "long":
        with np.errstate(divide="ignore"):
            moved = -np.log1p(-np.minimum(ratio, 1.0)) / grid.log_width
        return np.asarray(np.interp(moved, steps, curve[middle::-1]), dtype=np.float64)
    return np.asarray(np.interp(np.log1p(ratio) / grid.log_width, steps, curve[middle:]), dtype=np.float64)


def band_mass(heatmap: Heatmap, bands: Sequence[float] = BANDS) -> pl.DataFrame:
    """One row per side and band: `side, low_pct, high_pct, notional_usd, share_of_side`.

    The share is of the side's mass within the outermost band; null where there is none.
    """
    parts = []
    for side in SIDES:
        curve = mass_within(heatmap, list(bands), side)
        mass = np.diff(curve)
        whole = float(mass.sum())
        share = mass / whole if whole > 0 else np.full(mass.size, np.nan)
        parts.append(
            pl.DataFrame(
                {
                    "side": pl.Series([side] * mass.size, dtype=SIDE),
                    "low_pct": list(bands[:-1]),
                    "high_pct": list(bands[1:]),
                    "notional_usd": mass,
                    "share_of_side": pl.Series(share).fill_nan(None),
                }
            )
        )
    return pl.concat(parts)


def nearest_mass_pct(heatmap: Heatmap) -> tuple[float | None, float | None]:
    """Distance (percent) from the mark to the near edge of the first bin with mass: long, short; null if none."""
    grid, middle = heatmap.grid, heatmap.grid.bins_each_way
    below = np.flatnonzero(heatmap.long_usd[:middle])
    above = np.flatnonzero(heatmap.short_usd[middle:])
    long_pct = float(100 * (1 - grid.edges[below[-1] + 1] / grid.mark_px)) if below.size else None
    short_pct = float(100 * (grid.edges[middle + above[0]] / grid.mark_px - 1)) if above.size else None
    return long_pct, short_pct


def effective_number(heatmap: Heatmap) -> Sides | None:
    """Effective number of positions per side, (sum q)^2 / sum q^2, of the rows of the breakdown; null without one.

    Exact where every breakdown row is one position, an under-estimate where rows pool several.
    """
    if heatmap.breakdown is None:
        return None
    rows = heatmap.breakdown.group_by("side").agg(
        (pl.col("notional_usd").sum() ** 2 / (pl.col("notional_usd") ** 2).sum()).alias("n")
    )
    found = dict(rows.iter_rows())
    return Sides(float(found.get("long", 0.0)), float(found.get("short", 0.0)))
