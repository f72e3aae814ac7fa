"""Shares of open interest per leverage band, with the intervals that days, coins and missing coverage give them."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import msgspec
import numpy as np

from liqtruth.compare.calibration.fit import SideFit
from liqtruth.compare.calibration.uncertainty import Spread, widened
from liqtruth.estimator.model.leverage import BAND_EDGES, LeverageWeights, band_of
from liqtruth.estimator.model.leverage_model import LeverageModel
from liqtruth.heatmap.grid import FloatArray

LABELS: Final = tuple(band_of(low) for low, _ in pairwise(BAND_EDGES))
NULL: Final = "null"
"""What the bands lack to one: hedged or without leverage."""
BANDS_AND_NULL: Final = (*LABELS, NULL)
LEVEL: Final = 0.8


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
    known, told = fitted & spread.known, told_by_data(fit, leverage)
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
            told[place],
        )
        for place, label in enumerate(BANDS_AND_NULL)
    )


def told_by_data(fit: SideFit, leverage: FloatArray) -> tuple[float | None, ...]:
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
