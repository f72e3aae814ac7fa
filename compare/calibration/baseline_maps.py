"""What a fitted model has to beat, on the axis of pairs: maps of the baselines that need no exact positions."""

from typing import Final

import numpy as np

from liqtruth.compare.calibration.distance_axis import BINS, GRID_WIDTH_BPS, outward
from liqtruth.estimator.model.baselines import PLAIN, plain_map
from liqtruth.estimator.model.brackets import Brackets
from liqtruth.estimator.model.cohort_model import VintageModel
from liqtruth.estimator.model.leverage import MODELS, weights_named
from liqtruth.estimator.series.series import MarketSeries
from liqtruth.estimator.venues.table import Venue
from liqtruth.heatmap.errors import MissingData
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.levels import SIDES

NAMES: Final = (*MODELS, *PLAIN)


def baseline_maps(
    series: MarketSeries, venue: Venue, coin: str, brackets: Brackets
) -> dict[str, dict[str, FloatArray]]:
    """Per side and name shares of open interest per bin; a baseline that the series cannot give is left out."""
    found: dict[str, dict[str, FloatArray]] = {side: {} for side in SIDES}
    for name in MODELS:
        model = VintageModel(weights_named(name), width_bps=GRID_WIDTH_BPS, brackets=brackets)
        model.fit(series, venue, coin)
        for side in SIDES:
            columns = model.dictionary_.of(side)
            placed = outward(columns.placed.sum(axis=0), model.dictionary_.grid, side)
            found[side][name] = placed.reshape(BINS, -1) @ model.shares_.of(side).ravel()
    held_usd = float(series.bars.open_interest[-1]) * series.mark_px
    for name in PLAIN:
        try:
            drawn = plain_map(name, series, venue, coin, brackets, GRID_WIDTH_BPS)
        except MissingData:
            continue
        for side in SIDES:
            found[side][name] = _of_map(drawn, side) / held_usd if held_usd > 0 else np.zeros(BINS)
    return found


def _of_map(drawn: Heatmap, side: str) -> FloatArray:
    middle = drawn.grid.bins_each_way
    if side == "long":
        return np.asarray(drawn.long_usd[middle - BINS : middle][::-1])
    return np.asarray(drawn.short_usd[middle : middle + BINS])
