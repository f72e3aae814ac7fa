"""Both sides fitted in one coordinate, and how far the maps that they draw of coins and days left out are off."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from liqtruth.compare.calibration.samples import Sample
from liqtruth.compare.calibration.side_fit import Pull, SideFit, fit_side, separable
from liqtruth.compare.statistics.map_scores import BINS, wasserstein_pct
from liqtruth.compare.workers import one_blas_thread
from liqtruth.estimator.model.leverage_model import MIXED_OF, Coordinate, LeverageModel
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.levels import SIDES, TwoSided


@dataclass(frozen=True, eq=False)
class Fitted(TwoSided[SideFit]):
    """Both sides, fitted in one coordinate on some pairs; what is asked of it leaves `excluded` out. `left_out_pct` is
    how far its maps of coins left out are by coin, where the choice of its pull has found that."""

    coordinate: Coordinate
    long: SideFit
    short: SideFit
    excluded: tuple[str, ...] = ()
    left_out_pct: Mapping[str, float] | None = None

    def shares(self, side: str, *leaving: str) -> FloatArray:
        """Pooled shares (classes, nodes), of all coins but the excluded and those that are left out."""
        gone = (*self.excluded, *leaving)
        return self.of(side).without(*gone) if gone else self.of(side).shares

    @property
    def pull(self) -> Pull:
        return self.long.pull

    def pulled(self, pull: Pull) -> "Fitted":
        """Both sides drawn to the prior like this."""
        long, short = self.long.pulled(pull), self.short.pulled(pull)
        return replace(self, long=long, short=short, left_out_pct=None)


def fit_samples(pairs: Sequence[Sample], prior: LeverageModel, coordinate: Coordinate) -> Fitted:
    """Both sides on all pairs together; a mixture is drawn to the prior's leverages alone, evenly in all coordinates
    and nothing at the mark, since how the prior divides them is no knowledge of these coins."""
    free = separable(pairs, prior, coordinate)
    towards = prior.in_coordinate(MIXED_OF[0]).in_coordinate(coordinate)
    blocks = [pair.block for pair in pairs]
    with one_blas_thread():
        long, short = (
            fit_side(
                [pair.of(side) for pair in pairs], blocks, towards.shares(side), free, coordinate
            ).pulled()
            for side in SIDES
        )
    return Fitted(coordinate, long, short)


def fit_coordinates(
    pairs: Sequence[Sample],
    prior: LeverageModel,
    coordinates: Sequence[Coordinate],
    on_progress: Callable[[float], None] = lambda share: None,
) -> tuple[Fitted, ...]:
    """A fit on all pairs per coordinate."""
    fits: list[Fitted] = []
    for done, name in enumerate(coordinates, start=1):
        fits.append(fit_samples(pairs, prior, name))
        on_progress(done / len(coordinates))
    return tuple(fits)


def coins_of(pairs: Sequence[Sample]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(pair.coin for pair in pairs))


def drawn(
    pairs: Sequence[Sample], side: str, coordinate: Coordinate, shares: Mapping[str, FloatArray]
) -> FloatArray:
    """Maps (..., pairs, bins) of one side, each by the shares (..., classes, nodes) of its coin."""
    return np.stack([pair.of(side).drawn(coordinate, shares[pair.coin]) for pair in pairs], axis=-2)


def left_out(pairs: Sequence[Sample], fitted: Fitted, side: str) -> FloatArray:
    """Maps (pairs, bins) that the other coins' shares draw of each pair."""
    shares = {coin: fitted.shares(side, coin) for coin in coins_of(pairs)}
    return drawn(pairs, side, fitted.coordinate, shares)


def days_left_out(pairs: Sequence[Sample], fitted: Fitted, side: str, ridge: float | None) -> FloatArray:
    """Maps (pairs, bins) that each half of the days, the earlier and the later, draws of the other; by each coin's own
    shares with a `ridge`. `pairs` are those that the fit has seen."""
    days = np.array([pair.day for pair in pairs])
    early = days < np.median(np.unique(days))
    maps = np.empty((len(pairs), BINS))
    for kept in (early, ~early):
        other = [pair for pair, seen in zip(pairs, kept, strict=True) if not seen]
        if other:
            shares = fitted.of(side).of_pairs(kept, coins_of(other), ridge)
            maps[~kept] = drawn(other, side, fitted.coordinate, shares)
    return maps


def layer_maps(pairs: Sequence[Sample], side: str, layer: str = "crowd") -> FloatArray:
    """True maps (pairs, bins), of the crowd or raw."""
    return np.stack([getattr(pair.of(side), layer) for pair in pairs])


def distances(pairs: Sequence[Sample], maps: Mapping[str, FloatArray]) -> FloatArray:
    """Wasserstein-1 (percent of price) from the crowd's maps, by side, shape (2, pairs)."""
    return np.stack([wasserstein_pct(layer_maps(pairs, side), maps[side], side) for side in SIDES])
