"""What stands at the end of a series within some distances of the mark, by leverage: a model's map, node by node.

A correction of nodes moves the curve of a map at each distance by as much as those nodes hold of it there; so do the
errors of the correction.
"""

from dataclasses import dataclass

import numpy as np

from liqtruth.compare.calibration.curve_bounds import DISTANCES_PCT
from liqtruth.estimator.model.brackets import POSITION_USD, Brackets
from liqtruth.estimator.model.leverage_model import LeverageModel
from liqtruth.estimator.model.node_shares import VINTAGES, daily_volatility, node_shares
from liqtruth.estimator.model.response_matrix import Columns, Lots, build_dictionary
from liqtruth.estimator.model.turnover import activity, turn_over
from liqtruth.estimator.over_time.time_grid import bar_s
from liqtruth.estimator.series.series import MarketSeries
from liqtruth.heatmap.grid import DEFAULT_WIDTH_BPS, FloatArray, PriceGrid
from liqtruth.heatmap.sides import TwoSided


@dataclass(frozen=True, eq=False)
class Standing(TwoSided[FloatArray]):
    """USD at the mark within each of `DISTANCES_PCT`, cumulative, shape (distances, nodes)."""

    long: FloatArray
    short: FloatArray


def standing(series: MarketSeries, model: LeverageModel, brackets: Brackets) -> Standing:
    """By the model's shares, at the series' end."""
    bars = series.bars
    shares = node_shares(
        VINTAGES,
        model,
        brackets,
        POSITION_USD,
        daily_volatility=daily_volatility(bars.close, bar_s(series)),
    )
    active = activity(bars.open_interest, bars.volume, bar_s(series))
    placed = build_dictionary(
        bars,
        Lots.of(bars.open_interest, turn_over(bars.open_interest, active.coins, shares.rates)),
        np.zeros(len(bars.close), dtype=np.int64),
        1,
        shares.factors(brackets, POSITION_USD),
        PriceGrid.around(series.mark_px, DEFAULT_WIDTH_BPS),
    )
    usd = float(bars.open_interest[-1]) * series.mark_px
    return Standing(
        _within(placed.long, shares.long, placed.grid, is_long=True) * usd,
        _within(placed.short, shares.short, placed.grid, is_long=False) * usd,
    )


def _within(columns: Columns, weight: FloatArray, grid: PriceGrid, *, is_long: bool) -> FloatArray:
    """Share of open interest within each distance, shape (distances, nodes)."""
    away_pct = 100 * (grid.centers / grid.mark_px - 1) * (-1 if is_long else 1)
    near = (away_pct >= 0) & (away_pct < np.array(DISTANCES_PCT)[:, None])
    by_node = columns.weighted(weight)[0, :, 1 : grid.bins + 1]
    return np.asarray(near @ by_node.T)
