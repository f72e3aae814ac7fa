"""Samples for the tests of validation: synthetic coins, whose crowd can be drawn from the response matrix itself."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Final

import numpy as np
import polars as pl

from liqtruth.compare.calibration.bands import DISTANCES_PCT
from liqtruth.compare.calibration.holdings import Holdings
from liqtruth.compare.calibration.samples import Sample, SideSample, sample_of
from liqtruth.compare.statistics.map_scores import BIN, SCORES, scores
from liqtruth.compare.validation.backtest import CHANCE, Backtest, SideBacktest
from liqtruth.compare.validation.baselines import (
    FITTED,
    LAYERS,
    Judged,
    baselines,
    effective_positions,
    noise_floor,
)
from liqtruth.estimator.model.brackets import Brackets
from liqtruth.estimator.model.leverage_model import COORDINATES, LeverageModel, leverage_model_named
from liqtruth.estimator.series.series import MarketSeries
from liqtruth.estimator.series.time_line import Bars
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.levels import SIDES
from tests.estimator.markets import series_of

PRIOR: Final[LeverageModel] = leverage_model_named("prior")
BRACKETS: Final = Brackets.flat("SOL", 0.0125, 40.0, "a synthetic venue's only tier")
VENUE: Final = venue_named("hyperliquid")
BARS: Final = 240
HOURS: Final = 24
POSITIONS: Final = 400
WHALES: Final = (8, 40, 40)
COINS: Final = ("AAA", "BBB", "CCC")


@cache
def validation_samples(seed: int, coins: Sequence[str] = COINS[:2], days: int = 12) -> tuple[Sample, ...]:
    """One pair a day and coin out of one long walk per coin, positions drawn from what a crowd at 6x to 20x would
    hold: dictionary and truth have the same leverages, noise is that of `POSITIONS` a side."""
    found: list[Sample] = []
    for place, coin in enumerate(coins):
        rng = np.random.default_rng([seed, place])
        walk = _walk(rng, BARS + HOURS * days)
        found += [_at(coin, walk, day, rng) for day in range(days)]
    return tuple(found)


def shuffled(pairs: Sequence[Sample], seed: int) -> list[Sample]:
    """The same pairs, each with the positions of another: maps and positions have nothing to do with each other."""
    order = np.random.default_rng(seed).permutation(len(pairs))
    others = [pairs[place] for place in order]
    return [
        replace(
            pair,
            long=replace(pair.long, holdings=other.long.holdings),
            short=replace(pair.short, holdings=other.short.holdings),
        )
        for pair, other in zip(pairs, others, strict=True)
    ]


def backtest_of(
    pairs: Sequence[Sample], drawn: Callable[[FloatArray], FloatArray], name: str = "later days"
) -> Backtest:
    """A backtest whose fitted maps are made from the true ones by `drawn`; the copied shape is the mean of all."""
    sides = [_side_of(pairs, side, layer, drawn) for side in SIDES for layer in LAYERS]
    return Backtest(name, tuple(pairs), tuple(sides), ())


def _side_of(
    pairs: Sequence[Sample], side: str, layer: str, drawn: Callable[[FloatArray], FloatArray]
) -> SideBacktest:
    truth = np.stack([getattr(pair.of(side), layer) for pair in pairs])
    maps = baselines(Judged(pairs, pairs), side, layer, pairs) | {FITTED: drawn(truth)}
    maps[CHANCE] = np.roll(maps[FITTED], 1, axis=0)
    found = {name: scores(truth, one, side) for name, one in maps.items()}
    return SideBacktest(
        side,
        layer,
        {score: {name: found[name][score] for name in found} for score in SCORES},
        noise_floor(pairs, side, layer, 0),
        np.array([effective_positions(pair, side, layer) for pair in pairs]),
        np.ones((len(pairs), len(DISTANCES_PCT))),
        np.full((len(pairs), len(DISTANCES_PCT)), 2.0),
    )


def holding(
    side: SideSample, shares: FloatArray, mark_px: float, sign: int, rng: np.random.Generator
) -> Holdings:
    """`POSITIONS` of the same size, drawn from the map that these shares (classes, nodes) give from the mark outward,
    and some `WHALES` that hold as much together, anywhere; `sign` is -1 for longs, below the mark."""
    drawn = side.columns["leverage"] @ shares.ravel().astype(np.float32)
    mass = float(drawn.sum())
    bins = rng.choice(len(drawn), size=POSITIONS, p=drawn / mass)
    whales = rng.choice(WHALES)
    away = np.append((bins + rng.random(POSITIONS)) * BIN, rng.uniform(0.01, 0.29, whales))
    share = np.append(np.full(POSITIONS, mass / POSITIONS), np.full(whales, mass / whales))
    none = np.full(len(away), np.nan)
    return Holdings(away, share, np.arange(len(away)), none, none, none, mark_px * np.exp(sign * away))


def crowd_shares() -> FloatArray:
    """Every class alike, log-normal around 10x, three eighths of open interest; whales hold as much."""
    leverage = np.log(np.array(PRIOR.leverage))
    bell = np.exp(-(((leverage - np.log(10)) / 0.5) ** 2) / 2)
    return np.tile(0.375 * bell / bell.sum() / len(PRIOR.rates), (len(PRIOR.rates), 1))


def _at(coin: str, walk: Bars, day: int, rng: np.random.Generator) -> Sample:
    assert walk.volume is not None
    part = slice(day * HOURS, BARS + day * HOURS)
    ends = slice(day * HOURS, BARS + day * HOURS + 1)
    bars = Bars(
        walk.high[part], walk.low[part], walk.close[part], walk.open_interest[ends], walk.volume[part]
    )
    series = series_of(bars)
    shift = timedelta(hours=day * HOURS)
    moved = replace(
        series,
        start=series.start + shift,
        as_of=series.as_of + shift,
        end_ms=series.end_ms + round(shift.total_seconds() * 1000),
    )
    pair = sample_of(coin, moved, VENUE, _placeholder(moved), PRIOR, BRACKETS, coordinates=COORDINATES)
    shares = crowd_shares()
    return replace(
        pair,
        synthetic=True,
        long=replace(pair.long, holdings=holding(pair.long, shares, pair.mark_px, -1, rng)),
        short=replace(pair.short, holdings=holding(pair.short, shares, pair.mark_px, 1, rng)),
    )


def _walk(rng: np.random.Generator, bars: int) -> Bars:
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.007, bars)))
    before = np.append(100.0, close[:-1])
    high = np.maximum(before, close) * np.exp(rng.exponential(0.003, bars))
    low = np.minimum(before, close) * np.exp(-rng.exponential(0.003, bars))
    stored = 10_000 * np.exp(np.cumsum(rng.normal(0, 0.01, bars + 1)))
    return Bars(high, low, close, stored, rng.gamma(2.0, 900.0, bars))


def _placeholder(series: MarketSeries) -> pl.DataFrame:
    """Two positions that hold all open interest: what `sample_of` needs before the crowd is drawn."""
    mark, stored = series.mark_px, float(series.bars.open_interest[-1])
    return pl.DataFrame(
        {"szi": [stored, -stored], "liq_px": [0.9 * mark, 1.1 * mark], "mark_px": [mark, mark]}
    )
