"""Leverage by size class of position: do large positions of the crowd use other leverages than small ones?

Each class is fitted to its own part of the crowd's map; since the fit is linear, the classes' shares add up to about
the pooled ones. What they can do that the pooled cannot: a coin whose positions are smaller gets the small ones'
leverages. That is judged on coins left out, each drawn with its own mix of sizes, and kept only if it is nearer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from liqtruth.compare.calibration.bands import BANDS_AND_NULL, band_shares
from liqtruth.compare.calibration.choices.fitted import Fitted, coins_of, distances, drawn, left_out
from liqtruth.compare.calibration.holdings import SIZES
from liqtruth.compare.calibration.samples import Sample
from liqtruth.compare.calibration.side_fit import (
    BoolArray,
    SideFit,
    fit_side,
)
from liqtruth.compare.workers import one_blas_thread
from liqtruth.estimator.model.leverage_model import LeverageModel
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.levels import SIDES, TwoSided

LEAST_MIX: Final = 1e-3
"""A class that holds less of the crowd is not fitted by itself."""


class SizeRow(
    msgspec.Struct,
    TwoSided[tuple[float, ...]],
    frozen=True,
):
    """One class: its part of the crowd's open interest, and how that divides over bands of leverage, the null share
    last; long then short."""

    size: str
    crowd_share: tuple[float, float]
    long: tuple[float, ...]
    short: tuple[float, ...]


class SizeTable(msgspec.Struct, frozen=True):
    """Classes, and the mean Wasserstein-1 (percent of price) on coins left out, by size and pooled; null for a single
    coin. `kept` where the classes did better."""

    bands: tuple[str, ...]
    rows: tuple[SizeRow, ...]
    by_size_pct: float | None
    pooled_pct: float | None

    @property
    def kept(self) -> bool:
        return (
            self.by_size_pct is not None
            and self.pooled_pct is not None
            and self.by_size_pct < self.pooled_pct
        )


@dataclass(frozen=True, eq=False)
class SizeFits:
    """One side: a fit per class, and the mix (classes,) of the crowd per pair."""

    fits: tuple[SideFit, ...]
    mix: FloatArray

    def shares(self, mix: FloatArray, trained: FloatArray, *leaving: str) -> FloatArray:
        """Pooled shares of a market with this mix, from classes that were fitted on `trained`."""
        each = [fit.without(*leaving) if leaving else fit.shares for fit in self.fits]
        times = np.where(trained > LEAST_MIX, mix / np.maximum(trained, LEAST_MIX), 0.0)
        whole = np.tensordot(times, np.stack(each), 1)
        return np.asarray(whole / max(1.0, float(whole.sum())))

    def of_mix(self, rows: BoolArray) -> FloatArray:
        """Pooled shares of a market with the mean mix of these pairs."""
        return self.shares(self.mix[rows].mean(axis=0), self.mix.mean(axis=0))


def fit_sizes(pairs: Sequence[Sample], prior: LeverageModel, fitted: Fitted) -> dict[str, SizeFits]:
    """Both sides; the prior of a class is the pooled prior times its part of the crowd."""
    with one_blas_thread():
        return {side: _fit_side(pairs, prior, fitted, side) for side in SIDES}


def size_table(
    pairs: Sequence[Sample], prior: LeverageModel, fitted: Fitted, fits: dict[str, SizeFits]
) -> SizeTable:
    """Bands per class, and how near classes and pooled shares are on coins left out."""
    leverage = np.array(prior.leverage)
    mix = {side: fits[side].mix.mean(axis=0) for side in SIDES}
    bands = {
        side: [_divided(fit.shares, mix[side][at], leverage) for at, fit in enumerate(fits[side].fits)]
        for side in SIDES
    }
    rows = tuple(
        SizeRow(
            size, (float(mix["long"][at]), float(mix["short"][at])), bands["long"][at], bands["short"][at]
        )
        for at, size in enumerate(SIZES)
    )
    if len(coins_of(pairs)) < 2:
        return SizeTable(BANDS_AND_NULL, rows, None, None)
    pooled = {side: left_out(pairs, fitted, side) for side in SIDES}
    own = {side: _left_out(pairs, fitted, fits[side], side) for side in SIDES}
    by_size, plain = (float(np.nanmean(distances(pairs, maps))) for maps in (own, pooled))
    return SizeTable(BANDS_AND_NULL, rows, by_size, plain)


def _fit_side(pairs: Sequence[Sample], prior: LeverageModel, fitted: Fitted, side: str) -> SizeFits:
    sides, blocks = [pair.of(side) for pair in pairs], [pair.block for pair in pairs]
    mix = np.stack([_mix(pair, side) for pair in pairs])
    fits = []
    for at, part in enumerate(mix.mean(axis=0)):
        targets = [one.holdings.binned(one.holdings.crowd * (one.holdings.size_class == at)) for one in sides]
        own = prior.in_coordinate(fitted.coordinate).shares(side) * float(part)
        fit = fit_side(sides, blocks, own, fitted.of(side).free, fitted.coordinate, targets)
        fits.append(fit.pulled(fitted.of(side).pull))
    return SizeFits(tuple(fits), mix)


def _mix(pair: Sample, side: str) -> FloatArray:
    holdings = pair.of(side).holdings
    parts = np.bincount(holdings.size_class, holdings.cut, len(SIZES)).astype(np.float64)
    return np.asarray(parts / parts.sum()) if parts.sum() > 0 else parts


def _left_out(pairs: Sequence[Sample], fitted: Fitted, fits: SizeFits, side: str) -> FloatArray:
    names = np.array([pair.coin for pair in pairs])
    shares = {}
    for coin in coins_of(pairs):
        own = names == coin
        shares[coin] = fits.shares(fits.mix[own].mean(axis=0), fits.mix[~own].mean(axis=0), coin)
    return drawn(pairs, side, fitted.coordinate, shares)


def _divided(shares: FloatArray, part: float, leverage: FloatArray) -> tuple[float, ...]:
    """Bands of a class over its own open interest; nothing where it holds nothing."""
    if part <= LEAST_MIX:
        return (0.0,) * len(BANDS_AND_NULL)
    return tuple(np.round(band_shares(shares / max(part, float(shares.sum())), leverage), 6).tolist())
