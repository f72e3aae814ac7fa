"""One split: maps of everybody on the pairs that no fit has seen, scored side by side and layer by layer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from liqtruth.compare.calibration.bands import (
    DISTANCES_PCT,
    FEWEST,
    conformal,
    covered,
    known_held_out,
    residuals,
)
from liqtruth.compare.calibration.samples import Sample
from liqtruth.compare.calibration.selection import Fitted, PooledFit, coins_of, fit_coordinates, layer_maps
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
from liqtruth.compare.validation.splits import Fold, Split
from liqtruth.compare.workers import one_blas_thread
from liqtruth.estimator.model.leverage_model import COORDINATES, LeverageModel
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.levels import SIDES

CHANCE: Final = "chance"
"""The fitted maps, each at other moments of its own coin: the mean of their scores."""


@dataclass(frozen=True, eq=False)
class SideBacktest:
    """One side and layer: `score[name][map]`, `floor[name]` and `effective`, all (pairs,); `inside` says per
    pair and distance whether the truth lay within the 80 % bounds, nan where the fit gave none."""

    side: str
    layer: str
    score: dict[str, dict[str, FloatArray]]
    floor: dict[str, FloatArray]
    effective: FloatArray
    inside: FloatArray


@dataclass(frozen=True, eq=False)
class Backtest:
    """A split's judged pairs, and how each map did on them; `fits` are those of the folds."""

    name: str
    pairs: tuple[Sample, ...]
    sides: tuple[SideBacktest, ...]
    fits: tuple[PooledFit, ...]

    def of(self, side: str, layer: str) -> SideBacktest:
        return next(one for one in self.sides if (one.side, one.layer) == (side, layer))


@dataclass(frozen=True, eq=False)
class _Drawn:
    """One fold: its judged pairs, the fitted maps per side, the baselines per (side, layer), the bounds' coverage."""

    judged: Judged
    fit: PooledFit
    fitted: dict[str, FloatArray]
    rivals: dict[tuple[str, str], dict[str, FloatArray]]
    inside: dict[tuple[str, str], FloatArray]


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


def _chosen(pairs: Sequence[Sample], flags: BoolArray) -> list[Sample]:
    return [pair for pair, chosen in zip(pairs, flags, strict=True) if chosen]


def _drawn(pairs: Sequence[Sample], fold: Fold, fit: PooledFit) -> _Drawn:
    test = _chosen(pairs, fold.test)
    seen = [pair for pair in fit.samples_ if pair.coin != fold.coin]
    judged = Judged(test, seen)
    fitted = {side: fit.maps(test, side) for side in SIDES}
    rivals = {(side, layer): baselines(judged, side, layer, pairs) for side in SIDES for layer in LAYERS}
    return _Drawn(judged, fit, fitted, rivals, _inside(judged, fit, fitted))


def _inside(
    judged: Judged, fit: PooledFit, fitted: dict[str, FloatArray]
) -> dict[tuple[str, str], FloatArray]:
    """Whether the truth lies within bounds that come from coins left out of what the fit has seen; nan where these
    are too few for bounds, as they are in `curve_bounds.bounds_of`."""
    if len(coins_of(judged.seen)) < 2 or len(judged.seen) < FEWEST:
        unknown = np.full((len(judged.pairs), len(DISTANCES_PCT)), np.nan)
        return {(side, layer): unknown for side in SIDES for layer in LAYERS}
    found = {}
    for side in SIDES:
        apart, maps = known_held_out(judged.seen, fit, side)
        for layer in LAYERS:
            known = residuals(layer_maps(apart, side, layer), maps, side)
            new = residuals(layer_maps(judged.pairs, side, layer), fitted[side], side)
            found[side, layer] = covered(*conformal(known), new).astype(np.float64)
    return found


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
    )
