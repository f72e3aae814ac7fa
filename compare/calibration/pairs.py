"""One pair of calibration: what the dictionary can say of a market at a moment, and where its positions stood.

Both on one axis, per side: bins of log price from the mark outward to `REACH`, in shares of open interest. The target
is the crowd's: half of real notional lies in a few dozen positions, which tell nothing of the others, so each is cut
at `LARGEST_SHARE` of open interest and the rest scaled to keep the mass within reach (method, sections 0b and 3).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import polars as pl

from estimator.brackets import POSITION_USD, Brackets
from estimator.dictionary import Columns
from estimator.leverage_model import LeverageModel
from estimator.series import MarketSeries
from estimator.venues import Venue
from estimator.vintage_model import VintageModel
from heatmap.errors import MissingData
from heatmap.grid import FloatArray, PriceGrid
from heatmap.levels import SIDES
from heatmap.synthetic import SYNTHETIC, any_synthetic

WIDTH_BPS: Final = 20.0
REACH: Final = 0.30
"""Log distance from the mark within which maps are fitted."""
SMOOTHING: Final = 0.004
"""Standard deviation, in log price, of the Gaussian that both columns and targets are smoothed with."""
LARGEST_SHARE: Final = 0.003
LEAST_COVERAGE: Final = 0.60
MOST_COVERAGE: Final = 1.25
MOST_BEFORE_WINDOW: Final = 0.60
MOST_MARK_GAP: Final = 0.02


class PairRefused(MissingData):
    """A moment that nothing can be fitted on; the message says why."""


@dataclass(frozen=True, eq=False)
class SidePair:
    """`columns` (bins, classes x nodes) and `target` (bins,), both smoothed, bins from the mark outward.

    `coverage` is the part of open interest whose positions are known, `kept` the part of the mass within reach that
    is left when large positions are cut, `effective_positions` (sum q)^2 / sum q^2 of what is left.
    """

    columns: FloatArray
    target: FloatArray
    coverage: float
    kept: float
    effective_positions: float


@dataclass(frozen=True, eq=False)
class Pair:
    """One coin at one moment. `synthetic` where any of it is from the sandbox; `before_window` is the mean share of
    classes that opened before the series begin."""

    coin: str
    as_of: datetime
    highest_leverage: float
    positions: int
    before_window: float
    synthetic: bool
    long: SidePair
    short: SidePair

    @property
    def block(self) -> str:
        """Pairs of one coin and day resemble each other: they are drawn together."""
        return f"{self.coin} {self.as_of:%Y-%m-%d}"


def pair_of(
    coin: str,
    series: MarketSeries,
    venue: Venue,
    positions: pl.DataFrame,
    prior: LeverageModel,
    brackets: Brackets,
) -> Pair:
    """`positions`, known ones only, has `szi` (signed coins), `liq_px` (null: no price liquidates it) and `mark_px`.

    Classes and nodes are those of `prior`. Raises `PairRefused` where the two sides of the pair do not belong
    together, or cover too little.
    """
    _check_mark(series.mark_px, positions)
    model = VintageModel(prior, width_bps=WIDTH_BPS, brackets=brackets).fit(series, venue, coin)
    columns = model.dictionary_
    before = float(columns.long.before_window.mean())
    if before > MOST_BEFORE_WINDOW:
        raise PairRefused(f"{before:.0%} of open interest opened before the series begin")
    highest = brackets.highest_leverage(POSITION_USD)
    allowed = np.array(prior.leverage) <= highest
    held = float(series.bars.open_interest[-1])
    long, short = (
        _side(side, getattr(columns, side), columns.grid, positions, held, allowed) for side in SIDES
    )
    return Pair(
        coin, series.as_of, highest, positions.height, before, _synthetic(series, positions), long, short
    )


def smoothed(values: FloatArray, log_width: float) -> FloatArray:
    """Along the first axis; mass is kept, reflected at both ends."""
    from scipy.ndimage import gaussian_filter1d

    return np.asarray(gaussian_filter1d(values, SMOOTHING / log_width, axis=0), dtype=np.float64)


def winsorised(shares: FloatArray, largest: float = LARGEST_SHARE) -> FloatArray:
    """Shares cut at `largest` and scaled to their former sum."""
    cut = np.minimum(shares, largest)
    total = float(cut.sum())
    return np.asarray(cut * (float(shares.sum()) / total)) if total > 0 else cut


def reach_bins(grid: PriceGrid) -> int:
    """Bins of one side within `REACH`."""
    return round(REACH / grid.log_width)


def _check_mark(mark_px: float, positions: pl.DataFrame) -> None:
    if positions.is_empty():
        raise PairRefused("no position with a known price")
    own = float(positions["mark_px"].median())  # type: ignore[arg-type]
    if abs(np.log(own / mark_px)) > MOST_MARK_GAP:
        raise PairRefused(f"the positions' mark {own:,.6g} is not the series' last price {mark_px:,.6g}")


def _synthetic(series: MarketSeries, positions: pl.DataFrame) -> bool:
    told = "source" in positions.columns and any_synthetic(positions["source"])
    return told or any(note.startswith(SYNTHETIC) for note in series.notes)


def _side(
    side: str, columns: Columns, grid: PriceGrid, positions: pl.DataFrame, held: float, allowed: np.ndarray
) -> SidePair:
    signed = positions["szi"].to_numpy() * (1.0 if side == "long" else -1.0)
    coins, px = signed[signed > 0], positions["liq_px"].to_numpy()[signed > 0]
    coverage = float(coins.sum()) / held if held > 0 else 0.0
    if coverage < LEAST_COVERAGE:
        raise PairRefused(
            f"{coverage:.0%} of open interest is covered by {side}s, {LEAST_COVERAGE:.0%} needed"
        )
    if coverage > MOST_COVERAGE:
        raise PairRefused(f"{side}s add up to {coverage:.2f} times the open interest of the series")
    place, shares = _within_reach(px, coins / coins.sum(), grid, side)
    cut = winsorised(shares)
    target = np.bincount(place, cut, reach_bins(grid)).astype(np.float64)
    left = float(np.minimum(shares, LARGEST_SHARE).sum())
    return SidePair(
        columns=smoothed(_outward(columns.placed, grid, side) * np.tile(allowed, columns.placed.shape[-1]),
                         grid.log_width),
        target=smoothed(target, grid.log_width),
        coverage=coverage,
        kept=left / float(shares.sum()) if shares.size else 0.0,
        effective_positions=float(cut.sum() ** 2 / (cut**2).sum()) if cut.size else 0.0,
    )  # fmt: skip


def _within_reach(
    px: FloatArray, shares: FloatArray, grid: PriceGrid, side: str
) -> tuple[np.ndarray, FloatArray]:
    """Bin from the mark outward and share of each position within reach; a crossed one is next to the mark."""
    priced = np.isfinite(px) & (px > 0)
    at, middle = grid.bin_of(px[priced]), grid.bins_each_way
    outward = np.maximum(middle - 1 - at if side == "long" else at - middle, 0)
    near = outward < reach_bins(grid)
    return outward[near], shares[priced][near]


def _outward(placed: FloatArray, grid: PriceGrid, side: str) -> FloatArray:
    """Columns over all ages, shape (bins within reach, classes x nodes), from the mark outward."""
    middle, bins = grid.bins_each_way + 1, reach_bins(grid)
    rows = slice(middle - bins, middle) if side == "long" else slice(middle, middle + bins)
    summed = placed[:, :, rows].sum(axis=0)
    ordered = summed[:, ::-1] if side == "long" else summed
    return np.ascontiguousarray(ordered.transpose(1, 2, 0)).reshape(bins, -1)
