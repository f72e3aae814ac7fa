"""Shares of open interest per leverage band, with the intervals that days, coins and missing coverage give them.

Two spreads, the wider of which counts at each end: a bootstrap over blocks of coin and day, and a jackknife over coins
with Student's t, since coins disagree by more than days do. What is not covered may be of any size class: intervals are
widened to hold what they would be if all of it were like the class that differs most (`widened`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import msgspec
import numpy as np

from liqtruth.compare.calibration.side_fit import SideFit
from liqtruth.compare.statistics.intervals import jackknife_error, student, times_picked
from liqtruth.compare.workers import one_blas_thread
from liqtruth.estimator.model.leverage import BAND_EDGES, LeverageWeights, band_of
from liqtruth.estimator.model.leverage_model import LeverageModel
from liqtruth.heatmap.grid import FloatArray

LABELS: Final = tuple(band_of(low) for low, _ in pairwise(BAND_EDGES))
NULL: Final = "null"
"""What the bands lack to one: hedged or without leverage."""
BANDS_AND_NULL: Final = (*LABELS, NULL)
LEVEL: Final = 0.8
DRAWS: Final = 200
FEWEST_BLOCKS: Final = 2
FEWEST_COINS: Final = 3
"""Coins below which leaving one out says nothing of how coins differ."""


class Band(msgspec.Struct, frozen=True):
    """`share` of one side's open interest in a band, or outside of all (`null`); `low` to `high` is the 80 %
    interval, null where it is not known. `from_prior` is the part of the share that was not fitted; `told` how much of
    a change in what was fitted the data would show, between 0 and about 1, null where nothing was."""

    band: str
    share: float
    low: float | None
    high: float | None
    from_prior: float
    told: float | None = None


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
    """Blocks are drawn with replacement, as many as there are; deterministic by seed. None with too few blocks."""
    nothing = np.zeros((0, *fit.shares.shape))
    if fit.blocks is None or len(fit.blocks.names) < FEWEST_BLOCKS:
        return Spread(nothing, nothing)
    found = []
    with one_blas_thread():
        for times in times_picked(len(fit.blocks.names), seed, draws):
            found.append(fit.refitted(times))
            on_draw()
        apart = [fit.without(coin) for coin in coins] if len(coins) >= FEWEST_COINS else []
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
