"""Whether coins deviate from what they share.

A coin's own deviation, shrunk to the pooled shares by a ridge, is judged on days of that coin that the deviation has
not seen, since a coin left out has none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from liqtruth.compare.calibration.choices.fitted import Fitted, coins_of, distances, drawn, fit_samples
from liqtruth.compare.calibration.samples import Sample
from liqtruth.estimator.model.leverage_model import LeverageModel
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.levels import SIDES

RIDGES: Final = (3.0, 1.0, 0.3)
"""Pulls towards the pooled shares that are tried for a coin's own, strongest first, in units of the equations."""
FEWEST: Final = 2
"""Pairs that either half of the days must have to judge whether coins deviate."""


class DeviationScore(msgspec.Struct, frozen=True):
    """Mean Wasserstein-1 (percent of price) on unseen days of known coins, pooled shares and each coin's own."""

    ridge: float
    pooled_pct: float
    own_pct: float


@dataclass(frozen=True, eq=False)
class Deviation:
    """Whether coins deviate: the chosen `ridge` (null: they do not) and the table, empty with too few days."""

    ridge: float | None
    table: tuple[DeviationScore, ...]


NO_DEVIATION: Final = Deviation(None, ())


def choose_deviation(pairs: Sequence[Sample], prior: LeverageModel, fitted: Fitted) -> Deviation:
    """The ridge of coins' own shares that does best on the later half of days, fitted on the earlier; null where
    none does better than the pooled shares, or days are too few."""
    days = np.array([pair.day for pair in pairs])
    middle = np.median(np.unique(days))
    early, late = days < middle, days > middle
    if early.sum() < FEWEST or late.sum() < FEWEST or len(coins_of(pairs)) < 2:
        return NO_DEVIATION
    seen = [pair for pair, chosen in zip(pairs, early, strict=True) if chosen]
    unseen = tuple(pair for pair, chosen in zip(pairs, late, strict=True) if chosen)
    first = fit_samples(seen, prior, fitted.coordinate).pulled(fitted.pull)
    away = {
        ridge: float(np.nanmean(distances(unseen, _maps(unseen, first, ridge)))) for ridge in (None, *RIDGES)
    }
    table = tuple(DeviationScore(ridge, away[None], away[ridge]) for ridge in RIDGES)
    best = min(table, key=lambda row: row.own_pct)
    ridge = best.ridge if best.own_pct < away[None] else None
    return Deviation(ridge, table)


def own_shares(
    fitted: Fitted, side: str, coins: Sequence[str], ridge: float | None
) -> Mapping[str, FloatArray]:
    """Shares per coin: its own with a `ridge`, else the pooled ones."""
    if ridge is None:
        return dict.fromkeys(coins, fitted.shares(side))
    return {coin: fitted.of(side).deviating(coin, ridge) for coin in coins}


def _maps(pairs: Sequence[Sample], fitted: Fitted, ridge: float | None) -> dict[str, FloatArray]:
    """Per side what each coin's shares draw of its pairs."""
    coins = coins_of(pairs)
    return {
        side: drawn(pairs, side, fitted.coordinate, own_shares(fitted, side, coins, ridge)) for side in SIDES
    }
