"""Synthetic markets for the tests of calibration: a random series, and the response matrix that it gives."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

import numpy as np
import polars as pl
from scipy.special import ndtr

from liqtruth.compare.calibration.holdings import Holdings
from liqtruth.compare.calibration.samples import Sample, SideSample, sample_of
from liqtruth.compare.statistics.map_scores import BIN
from liqtruth.estimator.model.brackets import Brackets
from liqtruth.estimator.model.leverage_model import Coordinate, LeverageModel, leverage_model_named
from liqtruth.estimator.series.series import MarketSeries
from liqtruth.estimator.series.time_line import Bars
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.grid import FloatArray
from tests.estimator.markets import series_of

PRIOR: Final[LeverageModel] = leverage_model_named("prior")
LEVERAGE: Final = np.array(PRIOR.leverage)
CLASSES: Final = len(PRIOR.rates)
BRACKETS: Final = Brackets.flat("SOL", 0.0125, 40.0, "a synthetic venue's only tier")
VENUE: Final = venue_named("hyperliquid")


def random_series(seed: int, bars: int = 360, start: timedelta = timedelta(0)) -> MarketSeries:
    """Hours of a random walk around 100 with wicks, open interest around 10,000 coins, some volume."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.007, bars)))
    before = np.append(100.0, close[:-1])
    high, low = (
        np.maximum(before, close) * np.exp(rng.exponential(0.003, bars)),
        np.minimum(before, close) * np.exp(-rng.exponential(0.003, bars)),
    )
    open_interest = 10_000 * np.exp(np.cumsum(rng.normal(0, 0.01, bars + 1)))
    series = series_of(Bars(high, low, close, open_interest, rng.gamma(2.0, 900.0, bars)))
    return replace(series, start=series.start + start, as_of=series.as_of + start)


def whole_market(series: MarketSeries, seed: int, count: int = 300, coverage: float = 1.0) -> pl.DataFrame:
    """Random positions that hold the same on both sides: this part of the last open interest."""
    rng = np.random.default_rng(seed)
    mark = series.mark_px
    away = rng.uniform(0.01, 0.5, (2, count))
    coins = rng.pareto(1.5, (2, count)) + 1
    coins *= coverage * series.bars.open_interest[-1] / coins.sum(axis=1, keepdims=True)
    return pl.DataFrame(
        {
            "szi": np.concatenate([coins[0], -coins[1]]),
            "liq_px": np.concatenate([mark * (1 - away[0]), mark * (1 + away[1])]),
            "mark_px": np.full(2 * count, mark),
        }
    )


def random_sample(
    seed: int, coin: str = "SOL", coordinates: tuple[Coordinate, ...] = ("leverage",)
) -> Sample:
    """Random positions on a random series, each on a day of its own."""
    series = random_series(seed, start=timedelta(days=seed))
    positions = whole_market(series, seed)
    return sample_of(coin, series, VENUE, positions, PRIOR, BRACKETS, coordinates=coordinates)


def retargeted(pair: Sample, shares: FloatArray) -> Sample:
    """The same responses, with positions that stand where these shares (classes, nodes) draw them, on both sides."""

    def on(side: SideSample) -> SideSample:
        return replace(side, holdings=holdings_at(side.columns["leverage"] @ shares.ravel()))

    return replace(pair, long=on(pair.long), short=on(pair.short))


def holdings_at(mass: FloatArray, parts: int = 400) -> Holdings:
    """Positions in the middle of each bin that hold these shares of open interest, none of them large."""
    away = np.repeat((np.arange(len(mass)) + 0.5) * BIN, parts)
    share, nothing = np.repeat(mass / parts, parts), np.full(len(away), np.nan)
    account = np.arange(len(away))
    return Holdings(away, share, account, np.full(len(away), 1e4), nothing, nothing, nothing)


def log_normal_shares(median: float, spread: float, total: float) -> FloatArray:
    """Every class alike: log-normal over the nodes, `total` together."""
    middles = np.log(LEVERAGE[1:] * LEVERAGE[:-1]) / 2
    bounds = np.concatenate([[-np.inf], middles, [np.inf]])
    each = np.diff(ndtr((bounds - np.log(median)) / spread))
    return np.asarray(np.tile(each, (CLASSES, 1)) * (total / CLASSES))
