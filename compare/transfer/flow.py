"""The flow that a model predicts: what of its positions stood at the start of a step and was reached in that step.

A lot is a third of a bar's openings at one entry price, at one leverage node. It is liquidated once at most: when the
path of prices first comes to its level, after the close of its own bar. So no map has to be drawn per step:

    F[h, l] = sum over the lots of node l that are first reached in step h and were born before it
              of sum_c w[c, l] * openings[t, c] / 3 * prod of (1 - closed[u, c]), t < u < first bar of h

A step uses nothing of its own but its extremes. What opens and is liquidated within a step is not predicted, nor what
opened before the series. Both sides are written in one coordinate, log price that falls towards the level (`sign`).

What stands at the end of a series is the model's map, node by node (`mass_by_leverage`): a correction of nodes moves
the curve of a map at each distance by as much as those nodes hold of it there; so do the errors of the correction.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqtruth.compare.calibration.bands import DISTANCES_PCT
from liqtruth.compare.observed.price_path import doubled, first_at_most
from liqtruth.compare.statistics.distances import log_distance
from liqtruth.estimator.model.brackets import POSITION_USD, Brackets
from liqtruth.estimator.model.leverage_model import LeverageModel
from liqtruth.estimator.model.node_shares import VINTAGES, NodeShares, daily_volatility, node_shares
from liqtruth.estimator.model.response_matrix import Columns, Lots, build_response_matrix
from liqtruth.estimator.model.turnover import Turnover, activity, turn_over
from liqtruth.estimator.over_time.time_grid import bar_s, in_words
from liqtruth.estimator.series.series import MarketSeries
from liqtruth.estimator.series.time_line import ENTRY_POINTS, Bars
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.grid import DEFAULT_WIDTH_BPS, FloatArray, IntArray, PriceGrid
from liqtruth.heatmap.levels import SIDES, TwoSided

BoolArray = NDArray[np.bool_]

JUST_REACHED: Final = 1e-12
"""A level counts as reached when a price came this near to it, in log price."""


@dataclass(frozen=True, eq=False)
class Flow(TwoSided[FloatArray]):
    """One market in steps of equal length that begin at whole multiples of it; only steps that bars cover throughout.

    Attributes
    ----------
    start_ms : start of each step, shape (steps,)
    mark_px : last price before the step, shape (steps,)
    long, short : predicted flow in USD at `mark_px`, shape (steps, nodes)
    before_window : share of open interest that opened before the series, mean of the classes, at each step's start
    """

    coin: str
    step_ms: int
    start_ms: IntArray
    mark_px: FloatArray
    long: FloatArray
    short: FloatArray
    before_window: FloatArray

    def only(self, chosen: BoolArray) -> "Flow":
        """Those of the steps."""
        return replace(
            self,
            start_ms=self.start_ms[chosen],
            mark_px=self.mark_px[chosen],
            long=self.long[chosen],
            short=self.short[chosen],
            before_window=self.before_window[chosen],
        )


def predicted_flow(
    series: MarketSeries, model: LeverageModel, brackets: Brackets, coin: str, step: timedelta
) -> Flow:
    """What the model predicts for every whole step after the first bar; raises `BadInput` where a step has no bars."""
    bars, step_ms, bar_ms = series.bars, round(step.total_seconds() * 1000), round(1000 * bar_s(series))
    if step_ms % bar_ms:
        raise BadInput(
            f"{coin} has bars of {in_words(timedelta(milliseconds=bar_ms))}, which do not fill steps of "
            f"{in_words(step)}: take a longer --horizon, or fetch shorter bars"
        )
    shares, turned = _turned_over(series, model, brackets)
    step_of = (series.end_ms - 1) // step_ms
    of_bar = step_of - step_of[0]
    first = np.searchsorted(of_bar, np.arange(of_bar[-1] + 2))
    whole = _whole(series.end_ms, bar_ms, step_ms, first)
    mark_px = np.append(np.nan, bars.close)[first[:-1]]
    held = np.append(np.nan, bars.open_interest[1:])[first[:-1]]
    long, short = (
        (
            shares.per_model_node(
                swept_coins(bars, turned, factor, shares.of(side), of_bar, is_long=side == "long")
            )
            + _following(bars, shares, brackets, side, of_bar, mark_px, held)
        )
        * mark_px[:, None]
        for factor, side in zip(shares.factors(brackets, POSITION_USD), SIDES, strict=True)
    )
    start_ms = (step_of[0] + np.arange(of_bar[-1] + 1)) * step_ms
    before = _before_window(bars.open_interest, turned)[first[:-1]]
    return Flow(coin, step_ms, start_ms, mark_px, long, short, before).only(whole)


def swept_coins(
    bars: Bars,
    turnover: Turnover,
    factors: FloatArray,
    weights: FloatArray,
    of_bar: IntArray,
    *,
    is_long: bool,
) -> FloatArray:
    """Coins of one side per step and node, `F` of the module's docstring.

    `factors` are liquidation over entry price per node, `weights` of shape (classes, nodes), `of_bar` the step of each
    bar, from 0 without going back. A factor that is not positive has no price that liquidates.
    """
    sign = 1.0 if is_long else -1.0
    extreme = (bars.low if bars.swept_low is None else bars.swept_low) if is_long else (
        bars.high if bars.swept_high is None else bars.swept_high)  # fmt: skip
    reach, close, entry = (sign * np.log(px) for px in (extreme, bars.close, bars.entries))
    least = doubled(reach - JUST_REACHED, np.minimum)
    kept = np.cumsum(np.log(np.maximum(1.0 - turnover.closed, np.finfo(float).tiny)), axis=0)
    steps = int(of_bar[-1]) + 1
    last_before = np.searchsorted(of_bar, np.arange(steps)) - 1
    coins = np.zeros((steps, factors.size))
    for node in np.flatnonzero((factors > 0) & weights.any(axis=0)):
        level = entry + sign * np.log(factors[node])
        bar, point = np.nonzero(level < (close - JUST_REACHED)[:, None])
        reached = first_at_most(least, bar + 1, level[bar, point])
        step = np.append(of_bar, -1)[reached]
        open_still = of_bar[bar] < step
        born, step = bar[open_still], step[open_still]
        left = turnover.openings[born] * np.exp(kept[last_before[step]] - kept[born])
        coins[:, node] = np.bincount(step, left @ weights[:, node], steps) / len(ENTRY_POINTS)
    return coins


def _following(
    bars: Bars,
    shares: NodeShares,
    brackets: Brackets,
    side: str,
    of_bar: IntArray,
    mark_px: FloatArray,
    held: FloatArray,
) -> FloatArray:
    """Coins per step and model's node of what follows the mark: within the step's reach of the price before it;
    `held` is open interest (coins) at each step's start."""
    if shares.at_mark is None:
        return np.zeros(1)
    low, high = (
        bars.low if bars.swept_low is None else bars.swept_low,
        bars.high if bars.swept_high is None else bars.swept_high,
    )
    first = np.flatnonzero(np.diff(of_bar, prepend=-1))
    steps = of_bar[first]
    extreme = np.full(mark_px.shape, np.nan)
    extreme[steps] = np.minimum.reduceat(low, first) if side == "long" else np.maximum.reduceat(high, first)
    away = np.nan_to_num(np.log(mark_px / extreme) * (1.0 if side == "long" else -1.0))
    reach = shares.at_mark.reach(brackets, side, POSITION_USD)
    inside = reach.within(np.maximum(away, 0.0)) * (away > 0)
    return np.asarray((shares.at_mark.of(side)[:, None] * inside).T * np.nan_to_num(held)[:, None])


def _turned_over(
    series: MarketSeries, model: LeverageModel, brackets: Brackets
) -> tuple[NodeShares, Turnover]:
    """The model's shares on this market, and openings and closings per class."""
    bars = series.bars
    volatility = daily_volatility(bars.close, bar_s(series))
    shares = node_shares(VINTAGES, model, brackets, POSITION_USD, daily_volatility=volatility)
    active = activity(bars.open_interest, bars.volume, bar_s(series))
    return shares, turn_over(bars.open_interest, active.coins, shares.rates)


def _whole(end_ms: IntArray, bar_ms: int, step_ms: int, first: IntArray) -> BoolArray:
    """Steps of which every bar is there, and a bar before them."""
    inside = (end_ms - bar_ms) // step_ms == (end_ms - 1) // step_ms
    count = np.add.reduceat(np.append(inside, False).astype(np.int64), first[:-1])
    count[np.diff(first) == 0] = 0
    whole = count * bar_ms == step_ms
    whole[0] = False
    return np.asarray(whole)


def _before_window(open_interest: FloatArray, turnover: Turnover) -> FloatArray:
    """Mean over classes, before the first bar and after each."""
    left = open_interest[0] * np.cumprod(1.0 - turnover.closed, axis=0).mean(axis=1)
    share = np.divide(left, open_interest[1:], out=np.ones_like(left), where=open_interest[1:] > 0)
    return np.append(1.0, share)


@dataclass(frozen=True, eq=False)
class MassByLeverage(TwoSided[FloatArray]):
    """USD at the mark within each of `DISTANCES_PCT`, cumulative, shape (distances, nodes)."""

    long: FloatArray
    short: FloatArray


def mass_by_leverage(series: MarketSeries, model: LeverageModel, brackets: Brackets) -> MassByLeverage:
    """By the model's shares, at the series' end."""
    bars = series.bars
    shares, turned = _turned_over(series, model, brackets)
    placed = build_response_matrix(
        bars,
        Lots.of(bars.open_interest, turned),
        np.zeros(len(bars.close), dtype=np.int64),
        1,
        shares.factors(brackets, POSITION_USD),
        PriceGrid.around(series.mark_px, DEFAULT_WIDTH_BPS),
    )
    usd = float(bars.open_interest[-1]) * series.mark_px
    long, short = (_within(placed.of(side), shares, brackets, placed.grid, side) * usd for side in SIDES)
    return MassByLeverage(long, short)


def _within(
    columns: Columns, shares: NodeShares, brackets: Brackets, grid: PriceGrid, side: str
) -> FloatArray:
    """Share of open interest within each distance, shape (distances, nodes of the model)."""
    away_pct = 100 * (grid.centers / grid.mark_px - 1) * (-1 if side == "long" else 1)
    near = (away_pct >= 0) & (away_pct < np.array(DISTANCES_PCT)[:, None])
    by_node = columns.weighted(shares.of(side))[0, :, 1 : grid.bins + 1]
    found = shares.per_model_node(near @ by_node.T)
    if shares.at_mark is not None:
        reach = shares.at_mark.reach(brackets, side, POSITION_USD).within(log_distance(DISTANCES_PCT, side))
        found = found + (shares.at_mark.of(side)[:, None] * reach).T
    return np.asarray(found)
