"""Splits of the samples, and one split judged: maps of all on samples that no fit has seen, scored by side and layer.

Splits are by later days, new coins, and both at once. Positions stand for days, so days next to each other resemble
each other: between the last day that is fitted and the first that is judged lie `EMBARGO_DAYS` others. The last part of
the history is the final window: no split looks at it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final

import numpy as np

from liqtruth.compare.calibration.bands import (
    DISTANCES_PCT,
    enough_days,
    enough_maps,
    held_out,
    residuals,
)
from liqtruth.compare.calibration.choices.fitted import (
    Fitted,
    coins_of,
    days_left_out,
    fit_coordinates,
    layer_maps,
    left_out,
)
from liqtruth.compare.calibration.choices.pooled_fit import PooledFit
from liqtruth.compare.calibration.samples import Sample
from liqtruth.compare.calibration.side_fit import BoolArray
from liqtruth.compare.statistics.map_scores import SCORES, scores
from liqtruth.compare.validation.baselines import (
    BASELINES,
    FITTED,
    LAYERS,
    Judged,
    baselines,
    effective_positions,
    noise_floor,
    permuted,
)
from liqtruth.compare.workers import one_blas_thread
from liqtruth.estimator.model.leverage_model import COORDINATES, LeverageModel
from liqtruth.heatmap.errors import MissingData
from liqtruth.heatmap.grid import FloatArray, IntArray
from liqtruth.heatmap.levels import SIDES

EMBARGO_DAYS: Final = 2
ORIGINS: Final = 3
"""From so many moments on, one after the other, later days are judged by what was known before."""
FIRST_ORIGIN: Final = 0.4
"""Part of the days that the first of these fits sees."""
FINAL_SHARE: Final = 0.2
FEWEST_DAYS: Final = 6
LATER, NEW_COINS, BOTH, FINAL = "later days", "new coins", "new coins on later days", "the final window"
BLOCK_DAYS: Final = 4
"""Days of a coin that are drawn together: a map of tomorrow holds most of today's positions."""
CHANCE: Final = "chance"
"""The fitted maps, each at other moments of its own coin: the mean of their scores."""


@dataclass(frozen=True, eq=False)
class Fold:
    """`train` and `test` flag pairs; with a `coin`, that coin's pairs are kept from the fit although `train` may hold
    some, and are what is judged."""

    train: BoolArray
    test: BoolArray
    coin: str | None = None


@dataclass(frozen=True, eq=False)
class Split:
    name: str
    folds: tuple[Fold, ...]


def splits_of(pairs: Sequence[Sample], embargo_days: int = EMBARGO_DAYS) -> tuple[Split, ...]:
    """All that the pairs allow: with a single coin only later days.

    Raises `MissingData` where there are too few days and a single coin.
    """
    found = []
    days, coins = day_numbers(pairs), coins_of(pairs)
    enough = len(np.unique(days)) >= FEWEST_DAYS
    if enough:
        found.append(Split(LATER, _later(days, embargo_days)))
    if len(coins) > 1:
        found.append(Split(NEW_COINS, tuple(_new_coin(pairs, coin) for coin in coins)))
        if enough:
            found.append(Split(BOTH, _both(pairs, embargo_days)))
    if not found:
        raise MissingData(
            f"nothing can be left out of {len(np.unique(days))} days of {', '.join(coins)}: "
            f"at least {FEWEST_DAYS} days or a second coin are needed"
        )
    return tuple(found)


def final_split(pairs: Sequence[Sample], start: int, embargo_days: int = EMBARGO_DAYS) -> Split:
    """Everything before the final window, less the embargo, against the window."""
    days = day_numbers(pairs)
    return Split(FINAL, (Fold(days < start - embargo_days, days >= start),))


def split_at(pairs: Sequence[Sample], moment: datetime) -> Split:
    """What was known before a moment against what came from it on, without an embargo.

    Raises `MissingData` where one of the two has no pair.
    """
    later = np.array([pair.as_of >= moment for pair in pairs])
    if later.all() or not later.any():
        first, last = min(pair.as_of for pair in pairs), max(pair.as_of for pair in pairs)
        raise MissingData(
            f"{moment:%Y-%m-%dT%H:%MZ} does not part the pairs, which are from {first:%Y-%m-%dT%H:%MZ} to "
            f"{last:%Y-%m-%dT%H:%MZ}"
        )
    return Split(f"from {moment:%Y-%m-%dT%H:%MZ} on", (Fold(~later, later),))


def day_numbers(pairs: Sequence[Sample]) -> FloatArray:
    return np.array([pair.day for pair in pairs], dtype=np.float64)


def final_start(pairs: Sequence[Sample], share: float = FINAL_SHARE) -> int:
    """First day (since 1970) of the final window: the last `share` of the days that have pairs."""
    days = np.unique([pair.day for pair in pairs])
    return int(days[min(len(days) - 1, round(len(days) * (1 - share)))])


def blocks_of(pairs: Sequence[Sample], days: int = BLOCK_DAYS) -> IntArray:
    """A number per pair; pairs of one coin within the same `days` share it."""
    first = min(pair.day for pair in pairs)
    names = [(pair.coin, (pair.day - first) // days) for pair in pairs]
    order = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return np.array([order[name] for name in names])


@dataclass(frozen=True, eq=False)
class SideBacktest:
    """One side and layer: `score[name][map]`, `floor[name]` and `effective`, all (pairs,); `inside` is per
    pair and distance whether the truth lay within the 80 % bounds, nan where they were withheld or the fit gave none,
    `widths` their upper over their lower factor."""

    side: str
    layer: str
    score: dict[str, dict[str, FloatArray]]
    floor: dict[str, FloatArray]
    effective: FloatArray
    inside: FloatArray
    widths: FloatArray


@dataclass(frozen=True, eq=False)
class Backtest:
    """A split's judged pairs, and how each map did on them; `fits` are those of the folds."""

    name: str
    pairs: tuple[Sample, ...]
    sides: tuple[SideBacktest, ...]
    fits: tuple[PooledFit, ...]

    def of(self, side: str, layer: str) -> SideBacktest:
        return next(one for one in self.sides if (one.side, one.layer) == (side, layer))


@one_blas_thread()
def backtest(
    pairs: Sequence[Sample],
    split: Split,
    prior: LeverageModel,
    *,
    seed: int = 0,
    on_progress: Callable[[float], None] = lambda share: None,
) -> Backtest:
    """Fit every fold as a whole, choices included, on what it may see; score what it may not."""
    folds = []
    kept: dict[bytes, tuple[Fitted, ...]] = {}
    for done, fold in enumerate(split.folds, start=1):
        seen = fold.train.tobytes()
        if seen not in kept:
            kept[seen] = fit_coordinates(_chosen(pairs, fold.train), prior, COORDINATES)
        fit = PooledFit(prior).choose(_chosen(pairs, fold.train), kept[seen], fold.coin)
        folds.append(_drawn(pairs, fold, fit))
        on_progress(done / len(split.folds))
    judged = tuple(pair for one in folds for pair in one.judged.pairs)
    sides = tuple(_side_backtest(folds, judged, side, layer, seed) for side in SIDES for layer in LAYERS)
    return Backtest(split.name, judged, sides, tuple(one.fit for one in folds))


def _later(days: FloatArray, embargo_days: int) -> tuple[Fold, ...]:
    each = np.unique(days)
    first = max(1, round(len(each) * FIRST_ORIGIN))
    bounds = np.unique(np.linspace(first, len(each), ORIGINS + 1).round().astype(np.int64))
    folds = []
    for low, high in pairwise(bounds.tolist()):
        begin, end = each[low], each[high - 1]
        seen, judged = days < begin - embargo_days, (days >= begin) & (days <= end)
        if seen.any() and judged.any():
            folds.append(Fold(seen, judged))
    return tuple(folds)


def _new_coin(pairs: Sequence[Sample], coin: str) -> Fold:
    own = np.array([pair.coin == coin for pair in pairs])
    return Fold(np.ones(len(pairs), np.bool_), own, coin)


def _both(pairs: Sequence[Sample], embargo_days: int) -> tuple[Fold, ...]:
    names = np.array([pair.coin for pair in pairs])
    return tuple(
        Fold(fold.train, fold.test & (names == coin), coin)
        for fold in _later(day_numbers(pairs), embargo_days)
        for coin in coins_of(pairs)
        if (fold.test & (names == coin)).any() and (fold.train & (names != coin)).any()
    )


@dataclass(frozen=True, eq=False)
class _Drawn:
    """One fold: its judged pairs, the fitted maps per side, the baselines per (side, layer), the bounds' coverage."""

    judged: Judged
    fit: PooledFit
    fitted: dict[str, FloatArray]
    rivals: dict[tuple[str, str], dict[str, FloatArray]]
    inside: dict[tuple[str, str], FloatArray]
    widths: dict[tuple[str, str], FloatArray]


def _chosen(pairs: Sequence[Sample], flags: BoolArray) -> list[Sample]:
    return [pair for pair, chosen in zip(pairs, flags, strict=True) if chosen]


def _drawn(pairs: Sequence[Sample], fold: Fold, fit: PooledFit) -> _Drawn:
    test = _chosen(pairs, fold.test)
    seen = [pair for pair in fit.samples_ if pair.coin != fold.coin]
    judged = Judged(test, seen)
    fitted = {side: fit.maps(test, side) for side in SIDES}
    rivals = {(side, layer): baselines(judged, side, layer, pairs) for side in SIDES for layer in LAYERS}
    return _Drawn(judged, fit, fitted, rivals, *_inside(judged, fit, fitted, new_coin=fold.coin is not None))


def _inside(
    judged: Judged, fit: PooledFit, fitted: dict[str, FloatArray], *, new_coin: bool
) -> tuple[dict[tuple[str, str], FloatArray], dict[tuple[str, str], FloatArray]]:
    """Whether the truth lies within bounds, and how wide these are (upper over lower factor); nan where they are
    withheld, and where seen coins or maps are too few. They come from what the fit has seen: of a `new` coin from coins
    left out, else from days left out."""
    inside, widths = {}, {}
    known = enough_maps(judged.seen) if new_coin else enough_days(judged.seen)
    held = {side: _held_out_maps(judged.seen, fit, side, new_coin) for side in SIDES} if known else {}
    for side, layer in ((side, layer) for side in SIDES for layer in LAYERS):
        found = np.full((len(judged.pairs), len(DISTANCES_PCT)), np.nan)
        wide = found
        if known:
            bounds = held_out(judged.seen, held[side], side, layer)
            new = residuals(layer_maps(judged.pairs, side, layer), fitted[side], side)
            found = bounds.covers(new)
            wide = np.where(np.isfinite(found), np.exp(bounds.high - bounds.low), np.nan)
        inside[side, layer], widths[side, layer] = found, wide
    return inside, widths


def _held_out_maps(seen: Sequence[Sample], fit: PooledFit, side: str, new_coin: bool) -> FloatArray:
    if new_coin:
        return left_out(seen, fit.fitted_, side)
    return days_left_out(seen, fit.fitted_, side, fit.ridge_)


def _side_backtest(
    folds: Sequence[_Drawn], judged: Sequence[Sample], side: str, layer: str, seed: int
) -> SideBacktest:
    truth = layer_maps(judged, side, layer)
    maps = {FITTED: np.concatenate([one.fitted[side] for one in folds])}
    for name in BASELINES:
        maps[name] = np.concatenate([one.rivals[side, layer][name] for one in folds])
    found = {name: scores(truth, drawn, side) for name, drawn in maps.items()}
    wrong = scores(
        truth, permuted(maps[FITTED], [pair.coin for pair in judged], np.random.default_rng(seed)), side
    )
    found[CHANCE] = {score: values.mean(axis=0) for score, values in wrong.items()}
    return SideBacktest(
        side,
        layer,
        {score: {name: found[name][score] for name in found} for score in SCORES},
        noise_floor(judged, side, layer, seed),
        np.array([effective_positions(pair, side, layer) for pair in judged]),
        np.concatenate([one.inside[side, layer] for one in folds]),
        np.concatenate([one.widths[side, layer] for one in folds]),
    )
