"""Shares of open interest per leverage band, with the interval that a bootstrap of days and coins gives them."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import msgspec
import numpy as np

from compare.calibration.fit import SideFit
from estimator.leverage import BAND_EDGES, LeverageWeights, band_of
from estimator.leverage_model import LeverageModel
from heatmap.grid import FloatArray

LABELS: Final = tuple(band_of(low) for low, _ in pairwise(BAND_EDGES))
NULL: Final = "null"
"""What the bands lack to one: hedged or without leverage."""
DRAWS: Final = 50
INTERVAL: Final = (10.0, 90.0)
FEWEST_BLOCKS: Final = 2


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
class Draws:
    """Shares (draws, classes, nodes) of one side; none where there are too few blocks to draw from."""

    shares: FloatArray


def band_shares(shares: FloatArray, leverage: FloatArray) -> FloatArray:
    """Sum over classes per label of `LABELS`, then the null share; `shares` of shape (..., classes, nodes)."""
    by_node = shares.sum(axis=-2)
    place = np.array([LABELS.index(band_of(value)) for value in leverage])
    member = (place[:, None] == np.arange(len(LABELS))).astype(np.float64)
    bands = by_node @ member
    null = np.maximum(1.0 - bands.sum(axis=-1, keepdims=True), 0.0)
    return np.concatenate([bands, null], axis=-1)


def bootstrap(
    fit: SideFit, seed: int, draws: int = DRAWS, on_draw: Callable[[], None] = lambda: None
) -> Draws:
    """Blocks are drawn with replacement, as many as there are; deterministic by seed."""
    count = len(fit.blocks)
    if count < FEWEST_BLOCKS:
        return Draws(np.zeros((0, *fit.shares.shape)))
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        found.append(fit.refitted(np.bincount(rng.integers(count, size=count), minlength=count)))
        on_draw()
    return Draws(np.stack(found))


def bands_of_fit(fit: SideFit, drawn: Draws, leverage: FloatArray) -> tuple[Band, ...]:
    """Every band of `LABELS`, then the null share; a band of which nothing was fitted has no interval."""
    share = band_shares(fit.shares, leverage)
    prior = band_shares(fit.shares * ~fit.free, leverage)
    prior[-1] = 0.0
    fitted = np.append(band_shares(fit.free[None, :].astype(np.float64), leverage)[:-1] > 0, fit.free.any())
    if drawn.shares.size:
        low, high = np.percentile(band_shares(drawn.shares, leverage), INTERVAL, axis=0)
    known, told = fitted & bool(drawn.shares.size), told_by_data(fit, leverage)
    return tuple(
        Band(
            label,
            float(share[place]),
            float(low[place]) if known[place] else None,
            float(high[place]) if known[place] else None,
            float(prior[place]),
            told[place],
        )
        for place, label in enumerate((*LABELS, NULL))
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
