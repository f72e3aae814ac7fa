"""Bounds on what a move liquidates, from maps of coins that the fit has not seen (split-conformal; method, 5.5).

Per side and distance (Mondrian) the residuals ln((C + offset) / (C' + offset)) of the true curve C and the drawn C' of
coins left out; their quantiles, with the correction for a finite number, bound the ratio on `LEVEL` of such maps.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from liqtruth.compare.calibration.samples import Sample
from liqtruth.compare.calibration.selection import Fitted, PooledFit, coins_of, layer_maps, left_out
from liqtruth.compare.statistics.map_scores import log_ratio, within
from liqtruth.estimator.model.leverage_model import LEVEL, Bounds, SideBounds
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.levels import SIDES

DISTANCES_PCT: Final = (1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 25.0)
FEWEST: Final = 20
"""Held-out maps below which quantiles of `LEVEL` mean nothing."""


def bounds_of(pairs: Sequence[Sample], fitted: Fitted) -> Bounds | None:
    """From the maps of coins left out; null with a single coin or fewer than `FEWEST` maps."""
    coins = coins_of(pairs)
    if len(coins) < 2 or len(pairs) < FEWEST:
        return None
    long, short = (_side_bounds(pairs, left_out(pairs, fitted, side), side) for side in SIDES)
    basis = f"{LEVEL:.0%} bounds from {len(pairs)} maps of {len(coins)} coins, each drawn by a fit on the other coins"
    return Bounds(long, short, basis)


def own_bounds_of(pairs: Sequence[Sample], pooled: PooledFit) -> Bounds | None:
    """As `bounds_of`, for coins that the fit has seen: from maps of later days than an earlier fit had seen, since what
    a coin left out misses is more than a known coin does. Null where coins do not deviate, or with too few such maps.
    """
    later = pooled.deviation_.unseen
    if pooled.ridge_ is None or len(later) < FEWEST:
        return None
    long, short = (_side_bounds(*known_held_out(pairs, pooled, side), side) for side in SIDES)
    return Bounds(
        long,
        short,
        f"{LEVEL:.0%} bounds from {len(later)} maps of these coins on later days than a fit had seen",
    )


def known_held_out(
    pairs: Sequence[Sample], pooled: PooledFit, side: str
) -> tuple[tuple[Sample, ...], FloatArray]:
    """Pairs of known coins and what a fit that had not seen their days draws of them; where days are too few for that
    or the coins are new to the fit, all `pairs` as drawn without their coin."""
    deviation = pooled.deviation_
    if len(deviation.unseen) >= FEWEST:
        return deviation.unseen, deviation.maps[side]
    return tuple(pairs), left_out(pairs, pooled.fitted_, side)


def whale_curves(pairs: Sequence[Sample], side: str) -> FloatArray:
    """Share of open interest that whales' excess holds within each of `DISTANCES_PCT`, shape (pairs, distances)."""
    excess = np.stack([_excess(pair, side) for pair in pairs])
    return np.stack([within(excess, distance, side) for distance in DISTANCES_PCT], axis=1)


def residuals(truth: FloatArray, drawn: FloatArray, side: str) -> FloatArray:
    """Log ratio of the curves at each of `DISTANCES_PCT`, shape (maps, distances)."""
    return np.stack([log_ratio(truth, drawn, distance, side) for distance in DISTANCES_PCT], axis=1)


def conformal(found: FloatArray, level: float = LEVEL) -> tuple[FloatArray, FloatArray]:
    """Lower and upper quantile per column of so many residuals, wider by one rank each for their finite number."""
    count, tail = len(found), (1.0 - level) / 2
    ordered = np.sort(found, axis=0)
    low = max(int(np.floor(tail * (count + 1))) - 1, 0)
    return ordered[low], ordered[count - 1 - low]


def covered(low: FloatArray, high: FloatArray, found: FloatArray) -> FloatArray:
    """Per residual whether it lies within the bounds of its distance."""
    return np.asarray((found >= low) & (found <= high))


def _side_bounds(pairs: Sequence[Sample], maps: FloatArray, side: str) -> SideBounds:
    sides = [pair.of(side) for pair in pairs]
    raw, crowd = (layer_maps(pairs, side, layer) for layer in ("raw", "crowd"))
    found = residuals(raw, maps, side)
    low, high = conformal(found)
    crowd_low, crowd_high = conformal(residuals(crowd, maps, side))
    whales_low, whales_high = conformal(whale_curves(pairs, side))
    return SideBounds(
        distance_pct=DISTANCES_PCT,
        low=_rounded(np.exp(low)),
        high=_rounded(np.exp(high)),
        crowd_share=round(float(np.median([one.holdings.kept for one in sides])), 4),
        whales_low=_rounded(whales_low),
        whales_high=_rounded(whales_high),
        middle=_rounded(np.exp(np.median(found, axis=0))),
        crowd_low=_rounded(np.exp(crowd_low)),
        crowd_high=_rounded(np.exp(crowd_high)),
    )


def _excess(pair: Sample, side: str) -> FloatArray:
    holdings = pair.of(side).holdings
    return np.asarray(holdings.binned(holdings.share - holdings.cut))


def _rounded(values: FloatArray) -> tuple[float, ...]:
    return tuple(np.round(values, 6).tolist())
