"""The axis that all maps of a fit share, and how far drawn maps are from true ones on it: scores of many at once.

The axis has bins of log price from the mark outward, one side at a time.

Maps are arrays (..., bins) of one side in shares of open interest, from the mark outward. Shape scores compare what
lies within 25 % of the mark (no further: the axis ends at 26 and 35 %), each map normalised; the others compare masses
as they are. A score is nan where either map holds nothing.

    wasserstein_pct     area between the cumulative shares over log price, in percent of price
    wasserstein_10pct   the same of what lies within 10 % of the mark
    jensen_shannon      bits, after smoothing by 0.3 % of price
    fractions_1pct      1 - sum (p - q)^2 / (sum p^2 + sum q^2) of shares within 1 % of each bin: 1 is perfect
    mass                |ln| of the masses within range
    curve_2pct, ...     |ln((C + 0.5 %) / (C' + 0.5 %))| of what a move of so much liquidates, C in open interest
    recall_5            share of the truth's five largest clusters with one of the model's five within 1 % of price
"""

from typing import Final

import numpy as np

from liqtruth.compare.statistics.distances import HEADLINE_PCT, RANGES_PCT, SMOOTHING_PCT, log_distance
from liqtruth.estimator.model.leverage_model import CURVE_OFFSET
from liqtruth.heatmap.grid import FloatArray, PriceGrid

GRID_WIDTH_BPS: Final = 20.0
REACH: Final = 0.30
"""Log distance from the mark within which maps are fitted and scored."""
BIN: Final = float(np.log1p(GRID_WIDTH_BPS / 1e4))
BINS: Final = round(REACH / BIN)
EDGES: Final = np.arange(BINS + 1) * BIN
MOVES_PCT: Final = (2.0, 5.0, 10.0)
NEAR_PCT: Final = 1.0
LARGEST: Final = 5
SCORES: Final = (
    "wasserstein_pct",
    "wasserstein_10pct",
    "jensen_shannon",
    "fractions_1pct",
    "mass",
    *(f"curve_{move:g}pct" for move in MOVES_PCT),
    "recall_5",
)
HIGHER_IS_BETTER: Final = ("fractions_1pct", "recall_5")


def axis_columns(placed: FloatArray, grid: PriceGrid, side: str) -> FloatArray:
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


def scores(truth: FloatArray, drawn: FloatArray, side: str) -> dict[str, FloatArray]:
    """Every one of `SCORES`, shape (...)."""
    return {
        "wasserstein_pct": wasserstein_pct(truth, drawn, side),
        "wasserstein_10pct": wasserstein_10pct(truth, drawn, side),
        "jensen_shannon": jensen_shannon(truth, drawn, side),
        "fractions_1pct": fractions(truth, drawn, side),
        "mass": mass_error(truth, drawn, side),
        **{f"curve_{move:g}pct": curve_error(truth, drawn, move, side) for move in MOVES_PCT},
        "recall_5": recall(truth, drawn, side),
    }


def wasserstein_pct(
    truth: FloatArray, drawn: FloatArray, side: str, range_pct: float = HEADLINE_PCT
) -> FloatArray:
    """Between the shapes; the last bin in range counts with the part of it that is."""
    gap = np.abs(_shape(truth, side, range_pct) - _shape(drawn, side, range_pct))
    return np.asarray(100 * (gap * _widths(side, range_pct)[1:]).sum(axis=-1))


def wasserstein_10pct(truth: FloatArray, drawn: FloatArray, side: str) -> FloatArray:
    return wasserstein_pct(truth, drawn, side, RANGES_PCT[0])


def jensen_shannon(truth: FloatArray, drawn: FloatArray, side: str) -> FloatArray:
    """Divergence of the smoothed shapes in bits, between 0 and 1."""
    p, q = (_density(one, side) for one in (truth, drawn))
    middle = (p + q) / 2
    return np.asarray((_entropy_to(p, middle) + _entropy_to(q, middle)) / 2)


def fractions(truth: FloatArray, drawn: FloatArray, side: str) -> FloatArray:
    """Fractions skill score of the shapes (Roberts and Lean 2008)."""
    p, q = (_neighbourhoods(_normalised(one, side)) for one in (truth, drawn))
    with np.errstate(invalid="ignore"):
        return np.asarray(1 - ((p - q) ** 2).sum(axis=-1) / ((p**2).sum(axis=-1) + (q**2).sum(axis=-1)))


def mass_error(truth: FloatArray, drawn: FloatArray, side: str) -> FloatArray:
    """|ln| of the ratio of the masses within range."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log(within(drawn, HEADLINE_PCT, side) / within(truth, HEADLINE_PCT, side))
    return np.asarray(np.where(np.isfinite(ratio), np.abs(ratio), np.nan))


def curve_error(truth: FloatArray, drawn: FloatArray, move_pct: float, side: str) -> FloatArray:
    """|log ratio| of what a move liquidates, both raised by `CURVE_OFFSET`."""
    return np.asarray(np.abs(log_ratio(truth, drawn, move_pct, side)))


def log_ratio(truth: FloatArray, drawn: FloatArray, move_pct: float, side: str) -> FloatArray:
    """ln((C_truth + offset) / (C_drawn + offset)) at one move."""
    true, model = (within(one, move_pct, side) + CURVE_OFFSET for one in (truth, drawn))
    return np.asarray(np.log(true / model))


def within(mass: FloatArray, move_pct: float, side: str) -> FloatArray:
    """Mass from the mark up to a move, bins that are reached in part counted in part."""
    reached = np.clip((float(log_distance(move_pct, side)) - EDGES[:-1]) / BIN, 0, 1)
    return np.asarray(mass @ reached)


def recall(truth: FloatArray, drawn: FloatArray, side: str) -> FloatArray:
    """Of the truth's `LARGEST` clusters the share that has one of the model's near."""
    wanted, offered = (peaks(one, side) for one in (truth, drawn))
    gap = np.nan_to_num(np.abs(wanted[..., :, None] - offered[..., None, :]), nan=np.inf)
    found = gap.min(axis=-1) <= NEAR_PCT / 100 / BIN
    known = np.isfinite(wanted)
    with np.errstate(invalid="ignore"):
        return np.asarray((found & known).sum(axis=-1) / known.sum(axis=-1))


def peaks(mass: FloatArray, side: str) -> FloatArray:
    """Bins of the `LARGEST` local maxima of the smoothed map within range, shape (..., LARGEST); nan where fewer."""
    smooth = _density(mass, side)
    higher = np.ones(smooth.shape, np.bool_)
    higher[..., 1:] &= smooth[..., 1:] > smooth[..., :-1]
    higher[..., :-1] &= smooth[..., :-1] >= smooth[..., 1:]
    height = np.where(higher & (smooth > 0), smooth, -1.0)
    order = np.argsort(-height, axis=-1, kind="stable")[..., :LARGEST]
    tall = np.take_along_axis(height, order, axis=-1) > 0
    return np.asarray(np.where(tall, order.astype(np.float64), np.nan))


def _widths(side: str, range_pct: float) -> FloatArray:
    """Log width of each bin's part in range, by the edges (bins + 1,)."""
    end = float(log_distance(range_pct, side))
    return np.diff(np.minimum(EDGES, end), prepend=0.0)


def _normalised(mass: FloatArray, side: str, range_pct: float = HEADLINE_PCT) -> FloatArray:
    """Shares of the mass in range; nan where there is none."""
    near = mass * (_widths(side, range_pct)[1:] / BIN)
    whole = near.sum(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(whole > 0, near / whole, np.nan))


def _shape(mass: FloatArray, side: str, range_pct: float) -> FloatArray:
    """Cumulative shares at the middle of each bin: the area is then exact where mass is even within bins."""
    shares = _normalised(mass, side, range_pct)
    return np.asarray(np.cumsum(shares, axis=-1) - shares / 2)


def _density(mass: FloatArray, side: str) -> FloatArray:
    from scipy.ndimage import gaussian_filter1d

    return np.asarray(gaussian_filter1d(_normalised(mass, side), SMOOTHING_PCT / 100 / BIN, axis=-1))


def _neighbourhoods(shares: FloatArray) -> FloatArray:
    from scipy.ndimage import uniform_filter1d

    return np.asarray(uniform_filter1d(shares, 2 * round(NEAR_PCT / 100 / BIN) + 1, axis=-1, mode="constant"))


def _entropy_to(p: FloatArray, q: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(p > 0, p * np.log2(p / q), 0.0 * p).sum(axis=-1))
