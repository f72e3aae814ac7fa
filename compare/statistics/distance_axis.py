"""The axis that pairs share: bins of log price from the mark outward, one side at a time."""

from typing import Final

import numpy as np

from liqtruth.heatmap.grid import FloatArray, PriceGrid

GRID_WIDTH_BPS: Final = 20.0
REACH: Final = 0.30
"""Log distance from the mark within which maps are fitted and scored."""
BIN: Final = float(np.log1p(GRID_WIDTH_BPS / 1e4))
BINS: Final = round(REACH / BIN)
EDGES: Final = np.arange(BINS + 1) * BIN


def outward(placed: FloatArray, grid: PriceGrid, side: str) -> FloatArray:
    """Of values (nodes, places, classes), `places` those of a response matrix on a grid of `GRID_WIDTH_BPS`: the bins
    within reach from the mark outward, shape (bins, classes, nodes)."""
    middle = grid.bins_each_way + 1
    rows = slice(middle - BINS, middle) if side == "long" else slice(middle, middle + BINS)
    near = placed[:, rows]
    return np.ascontiguousarray((near[:, ::-1] if side == "long" else near).transpose(1, 2, 0))


def binned(away: FloatArray, mass: FloatArray) -> FloatArray:
    """Mass (..., positions) at log distances (positions,) per bin; what lies beyond reach is left out."""
    place = np.minimum(away / BIN, float(BINS))
    near = place < BINS
    return np.bincount(place[near].astype(np.int64), mass[near], BINS).astype(np.float64)
