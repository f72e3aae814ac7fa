"""How sure a fit is: intervals of its shares per leverage band, and bounds on what a move liquidates.

Shares of open interest per leverage band have two spreads, the wider of which counts at each end: a bootstrap over
blocks of coin and day, and a jackknife over coins with Student's t, since coins disagree by more than days do. What is
not covered may be of any size class: intervals are widened to hold what they would be if all of it were like the class
that differs most (`widened`).

Bounds come from held-out maps (`statistics.conformal`; method, 5.5), per side and distance, and are of two kinds by
what is asked: of a coin that the fit has not seen from coins left out; of a coin that it has seen from days left out,
since what coins have of their own is not missing there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import msgspec
import numpy as np

from liqtruth.compare.calibration.choices.fitted import Fitted, coins_of, days_left_out, layer_maps, left_out
from liqtruth.compare.calibration.samples import Sample
from liqtruth.compare.calibration.side_fit import RIDGE, SideFit
from liqtruth.compare.statistics.conformal import (
    FEWEST_INDEPENDENT,
    Conformal,
    conformal,
    counted,
    independent_maps,
)
from liqtruth.compare.statistics.intervals import jackknife_error, student, times_picked
from liqtruth.compare.statistics.map_scores import log_ratio, within
from liqtruth.compare.workers import one_blas_thread
from liqtruth.estimator.model.leverage import BAND_EDGES, LeverageWeights, band_of
from liqtruth.estimator.model.leverage_model import LEVEL, Bounds, LeverageModel, SideBounds
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.levels import SIDES

LABELS: Final = tuple(band_of(low) for low, _ in pairwise(BAND_EDGES))
NULL: Final = "null"
"""What the bands lack to one: hedged or without leverage."""
BANDS_AND_NULL: Final = (*LABELS, NULL)
DRAWS: Final = 200
FEWEST_BLOCKS: Final = 2
FEWEST_COINS: Final = 3
"""Coins below which leaving one out does not show how coins differ."""
FEWEST_DAYS: Final = 2
DISTANCES_PCT: Final = (1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 25.0)


class Band(msgspec.Struct, frozen=True, rename={"resolution": "told"}):
    """`share` of one side's open interest in a band, or outside of all (`null`); `low` to `high` is the 80 %
    interval, null where it is not known. `from_prior` is the part of the share that was not fitted; `resolution` how
    much of     a change in what was fitted the data would show, between 0 and about 1, null where nothing was."""

    band: str
    share: float
    low: float | None
    high: float | None
    from_prior: float
    resolution: float | None = None


@dataclass(frozen=True, eq=False)
class Spread:
    """Shares of one side as they might have come out: `drawn` (draws, classes, nodes) from blocks drawn with
    replacement, `left_out` (coins, classes, nodes) without each coin, empty with fewer than `FEWEST_COINS`."""

    drawn: FloatArray
    left_out: FloatArray

    @property
    def known(self) -> bool:
        return bool(len(self.drawn))

    def interval(
        self, value: FloatArray, of: Callable[[FloatArray], FloatArray], level: float
    ) -> tuple[FloatArray, FloatArray]:
        """Ends for `value`, which is `of` the fitted shares; `of` takes shares (..., classes, nodes)."""
        tail = 50 * (1 - level)
        low, high = np.percentile(of(self.drawn), [tail, 100 - tail], axis=0)
        if len(self.left_out):
            half = student(level, len(self.left_out) - 1) * jackknife_error(of(self.left_out))
            low, high = np.minimum(low, value - half), np.maximum(high, value + half)
        return np.maximum(low, 0.0), high


def spread_of(
    fit: SideFit,
    coins: Sequence[str],
    seed: int,
    draws: int = DRAWS,
    on_draw: Callable[[], None] = lambda: None,
) -> Spread:
    """Blocks are drawn with replacement, as many as there are; deterministic by seed. None with too few blocks. All
    under the weakest pull to the prior: a stronger one is no knowledge of this market."""
    nothing = np.zeros((0, *fit.shares.shape))
    if fit.blocks is None or len(fit.blocks.names) < FEWEST_BLOCKS:
        return Spread(nothing, nothing)
    found, weak = [], replace(fit, pull=replace(fit.pull, ridge=RIDGE))
    with one_blas_thread():
        for shares in weak.each_refitted(times_picked(len(fit.blocks.names), seed, draws)):
            found.append(shares)
            on_draw()
        apart = [weak.leaving(coin) for coin in coins] if len(coins) >= FEWEST_COINS else []
    return Spread(np.stack(found), np.stack(apart) if apart else nothing)


def widened(
    low: FloatArray, high: FloatArray, coverage: float, least: FloatArray, most: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Ends where only `coverage` of open interest was seen and the rest may lie anywhere from `least` to `most`."""
    seen = min(coverage, 1.0)
    return (
        np.minimum(low, seen * low + (1 - seen) * least),
        np.maximum(high, seen * high + (1 - seen) * most),
    )


@dataclass(frozen=True, eq=False)
class Unseen:
    """What is known of open interest that no reading covers: nothing but that its shares per band of `BANDS_AND_NULL`
    lie between those of the size classes."""

    coverage: float
    least: FloatArray
    most: FloatArray


def band_shares(shares: FloatArray, leverage: FloatArray) -> FloatArray:
    """Sum over classes per label of `LABELS`, then the null share; `shares` of shape (..., classes, nodes)."""
    by_node = shares.sum(axis=-2)
    place = np.array([LABELS.index(band_of(value)) for value in leverage])
    member = (place[:, None] == np.arange(len(LABELS))).astype(np.float64)
    bands = by_node @ member
    null = np.maximum(1.0 - bands.sum(axis=-1, keepdims=True), 0.0)
    return np.concatenate([bands, null], axis=-1)


def bands_of_fit(
    fit: SideFit, spread: Spread, leverage: FloatArray, unseen: Unseen | None = None
) -> tuple[Band, ...]:
    """Every band of `LABELS`, then the null share; a band of which nothing was fitted has no interval. `unseen` widens
    the intervals where not all of open interest was read."""
    share = band_shares(fit.shares, leverage)
    prior = band_shares(fit.shares * ~fit.free, leverage)
    prior[-1] = 0.0
    fitted = np.append(band_shares(fit.free[None, :].astype(np.float64), leverage)[:-1] > 0, fit.free.any())
    known, resolved = fitted & spread.known, resolved_by_data(fit, leverage)
    low = high = share
    if spread.known:
        low, high = spread.interval(share, lambda drawn: band_shares(drawn, leverage), LEVEL)
        if unseen is not None:
            low, high = widened(low, high, unseen.coverage, unseen.least, unseen.most)
    return tuple(
        Band(
            label,
            float(share[place]),
            float(low[place]) if known[place] else None,
            float(high[place]) if known[place] else None,
            float(prior[place]),
            resolved[place],
        )
        for place, label in enumerate(BANDS_AND_NULL)
    )


def resolved_by_data(fit: SideFit, leverage: FloatArray) -> tuple[float | None, ...]:
    """Of a change that is spread evenly over a band's free columns, the part that its fitted share would follow; per
    label of `LABELS`, then null for the null share."""
    resolution = fit.resolution()
    labels = np.tile([band_of(value) for value in leverage[fit.free]], len(fit.prior))
    members = [labels == label for label in LABELS]
    inside = [resolution[np.ix_(member, member)] for member in members]
    return (*(float(part.sum() / len(part)) if part.size else None for part in inside), None)


def bands_of_model(model: LeverageModel | LeverageWeights, side: str) -> tuple[float, ...]:
    """Share per label of `LABELS`, then the null share."""
    if isinstance(model, LeverageModel):
        return tuple(band_shares(model.shares(side), np.array(model.leverage)).tolist())
    return tuple(band_shares(model.weight[None, :], model.leverage).tolist())


def bounds_of(pairs: Sequence[Sample], fitted: Fitted) -> Bounds | None:
    """For coins that the fit has not seen, from the maps of coins left out; null where these are too few."""
    if not enough_maps(pairs):
        return None
    return _bounds(
        pairs, lambda side: left_out(pairs, fitted, side), "each drawn by a fit on the other coins"
    )


def known_bounds_of(pairs: Sequence[Sample], fitted: Fitted, ridge: float | None) -> Bounds | None:
    """For other days of the coins that the fit has seen, from days left out; null where these are too few."""
    if not enough_days(pairs):
        return None
    how = "each half of the days drawn by a fit on the other half"
    return _bounds(pairs, lambda side: days_left_out(pairs, fitted, side, ridge), how)


def _bounds(pairs: Sequence[Sample], maps: Callable[[str], FloatArray], how: str) -> Bounds:
    long, short = (_side_bounds(pairs, maps(side), side) for side in SIDES)
    basis = (
        f"{LEVEL:.0%} bounds from {len(pairs)} maps of {len(coins_of(pairs))} coins, of which {_independent(pairs)} "
        f"count as independent, {how}"
    )
    return Bounds(long, short, basis)


def enough_maps(pairs: Sequence[Sample]) -> bool:
    """Whether quantiles of `LEVEL` exist and tell of coins: `FEWEST_INDEPENDENT` maps of `FEWEST_COINS`. Of two coins
    each would be drawn by the other alone: bounds of that held on 48 to 77 % of the maps of a third (synthetic)."""
    return len(coins_of(pairs)) >= FEWEST_COINS and _independent(pairs) >= FEWEST_INDEPENDENT


def enough_days(pairs: Sequence[Sample]) -> bool:
    """Whether besides either half of the days has `FEWEST_DAYS` to be drawn by the other."""
    return enough_maps(pairs) and len({pair.day for pair in pairs}) >= 2 * FEWEST_DAYS


def _independent(pairs: Sequence[Sample]) -> int:
    return counted(independent_maps(*_coins_and_days(pairs)))


def _coins_and_days(pairs: Sequence[Sample]) -> tuple[list[str], list[int]]:
    return [pair.coin for pair in pairs], [pair.day for pair in pairs]


def residuals(truth: FloatArray, drawn: FloatArray, side: str) -> FloatArray:
    """Log ratio of the curves at each of `DISTANCES_PCT`, shape (maps, distances)."""
    return np.stack([log_ratio(truth, drawn, distance, side) for distance in DISTANCES_PCT], axis=1)


def curves(maps: FloatArray, side: str) -> FloatArray:
    """What is held within each of `DISTANCES_PCT`, shape (maps, distances)."""
    return np.stack([within(maps, distance, side) for distance in DISTANCES_PCT], axis=1)


def held_out(pairs: Sequence[Sample], maps: FloatArray, side: str, layer: str) -> Conformal:
    """Bounds of one layer from maps (pairs, bins) that fits without their coin, or without their days, have drawn."""
    found = residuals(layer_maps(pairs, side, layer), maps, side)
    return Conformal.of(found, curves(maps, side), *_coins_and_days(pairs))


def _side_bounds(pairs: Sequence[Sample], maps: FloatArray, side: str) -> SideBounds:
    raw, crowd = (held_out(pairs, maps, side, layer) for layer in ("raw", "crowd"))
    middle = np.median(residuals(layer_maps(pairs, side, "raw"), maps, side), axis=0)
    whales = conformal(curves(np.stack([_excess(pair, side) for pair in pairs]), side), _independent(pairs))
    return SideBounds(
        distance_pct=DISTANCES_PCT,
        low=_given(np.exp(raw.low), raw),
        high=_given(np.exp(raw.high), raw),
        crowd_share=round(float(np.median([pair.of(side).holdings.kept for pair in pairs])), 4),
        whales_low=_given(whales[0], raw),
        whales_high=_given(whales[1], raw),
        middle=_rounded(np.exp(middle)),
        crowd_low=_given(np.exp(crowd.low), crowd),
        crowd_high=_given(np.exp(crowd.high), crowd),
        withheld=raw.withheld,
    )


def _excess(pair: Sample, side: str) -> FloatArray:
    holdings = pair.of(side).holdings
    return np.asarray(holdings.binned(holdings.share - holdings.cut))


def _rounded(values: FloatArray) -> tuple[float, ...]:
    return tuple(np.round(values, 6).tolist())


def _given(values: FloatArray, found: Conformal) -> tuple[float | None, ...]:
    """Null where they are withheld."""
    return tuple(
        value if reason is None else None
        for value, reason in zip(_rounded(values), found.withheld, strict=True)
    )
