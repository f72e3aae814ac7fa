"""Choices that the data make, by leaving each coin out in turn: which coordinate is invariant, how much the prior
counts, whether coins deviate.

A coin left out is drawn with the shares that all others gave. The coordinate whose maps of the coins left out are
nearest (Wasserstein-1 of the crowd's map) is what coins share, where it is nearer than the one that assumes least and
the 95 % interval of the difference says so: that is the mixture of coordinates, or leverage itself where nothing is
mixed or a single coin shows none of it. Before that, each coordinate is drawn to the prior as strongly as brings coins
left out nearest, and the classes of a mixture stand in one coordinate alone where that is clearly nearer. A coin's own
deviation, shrunk to the pooled shares by a ridge, is judged on days of that coin that the deviation has not seen, since
a coin left out has none.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

import msgspec
import numpy as np

from liqtruth.compare.calibration.samples import Sample
from liqtruth.compare.calibration.side_fit import (
    RIDGE,
    Pull,
    SideFit,
    fit_side,
    separable,
)
from liqtruth.compare.statistics.intervals import student
from liqtruth.compare.statistics.map_scores import BINS, wasserstein_pct
from liqtruth.compare.workers import one_blas_thread
from liqtruth.estimator.model.leverage_model import MIXED, MIXED_OF, Coordinate, LeverageModel
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.levels import SIDES, TwoSided

FEWEST_MIXED: Final = 2
"""Coins that show what goes by the coin and what does not."""
FEWEST_CLEAR: Final = 3
"""Coins from which differences between coordinates have a standard error that means something."""
CLEAR: Final = 0.95
"""Level of the interval of a difference between coordinates that must lie above zero."""
FEWEST_ALONE: Final = 4
"""Coins from which a single coordinate may be taken: with three, fits of two others would decide what carries to a
fourth, which may lie beyond all of them."""
PULLS: Final = (RIDGE, 0.1, 0.3, 1.0)
"""Pulls of the pooled shares to the prior that are tried, in units of the equations."""
RIDGES: Final = (3.0, 1.0, 0.3)
"""Pulls towards the pooled shares that are tried for a coin's own, strongest first, in units of the equations."""
FEWEST: Final = 2
"""Pairs that either half of the days must have to judge whether coins deviate."""


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


class CoordinateScore(msgspec.Struct, frozen=True):
    """Mean Wasserstein-1 (percent of price) of the crowd's maps of coins left out, by coordinate and coin; `error_pct`
    is the standard error (jackknife over coins) of how much farther it is than the nearest, null where it is not known.
    """

    coordinate: str
    left_out_pct: float
    by_coin: dict[str, float]
    error_pct: float | None = None


class PullScore(msgspec.Struct, frozen=True):
    """Mean Wasserstein-1 (percent of price) of the crowd's maps of coins left out, drawn to the prior by `ridge`, in
    `only` one coordinate of a mixture (null: in all)."""

    ridge: float
    left_out_pct: float
    only: str | None = None


class DeviationScore(msgspec.Struct, frozen=True):
    """Mean Wasserstein-1 (percent of price) on unseen days of known coins, pooled shares and each coin's own."""

    ridge: float
    pooled_pct: float
    own_pct: float


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


def choose_coordinate(
    pairs: Sequence[Sample], fits: Sequence[Fitted]
) -> tuple[Fitted, tuple[CoordinateScore, ...]]:
    """The fit that draws coins left out best, and the table; the fallback (`assumes_least`) where none is nearer by
    more than its 95 % interval, where there is a single coin, or none whose maps can be compared under every fit. Only
    coins that can be are in the table.

    Coins that the fits exclude take no part, neither as what is drawn nor as what is fitted; only the variances by
    which the equations are weighed have seen them.
    """
    known = [pair for pair in pairs if pair.coin not in fits[0].excluded]
    chosen = {fitted.coordinate: fitted for fitted in fits}
    coins = coins_of(known)
    fallback = assumes_least(tuple(chosen), len(coins))
    if len(coins) < 2:
        return chosen[fallback], ()
    found = {
        name: _left_out_pct(known, [fitted])[0] if fitted.left_out_pct is None else fitted.left_out_pct
        for name, fitted in chosen.items()
    }
    judged = [coin for coin in coins if all(coin in by_coin for by_coin in found.values())]
    if not judged:
        return chosen[fallback], ()
    away = {name: np.array([by_coin[coin] for coin in judged]) for name, by_coin in found.items()}
    nearest = min(away, key=lambda name: float(away[name].mean()))
    table = tuple(
        CoordinateScore(
            name,
            float(values.mean()),
            dict(zip(judged, values.tolist(), strict=True)),
            _mean_error(values - away[nearest]),
        )
        for name, values in away.items()
    )
    gain = away[fallback] - away[nearest]
    error = _mean_error(gain)
    clear = (
        error is not None
        and len(judged) >= FEWEST_CLEAR
        and float(gain.mean()) > student(CLEAR, len(judged) - 1) * error
    )
    return chosen[nearest if clear else fallback], table


def choose_pull(pairs: Sequence[Sample], fitted: Fitted) -> tuple[Fitted, tuple[PullScore, ...]]:
    """The fit drawn to the prior by as much as brings coins left out nearest, and the table; as it is with fewer than
    `FEWEST_CLEAR` coins to compare. A mixture is tried in one coordinate alone as well, drawn as strongly, and taken
    so where that is nearer by more than its standard error: of a few coins the nearest alone is often so by chance."""
    known = [pair for pair in pairs if pair.coin not in fitted.excluded]
    if len(coins_of(known)) < FEWEST_CLEAR:
        return fitted, ()
    drawn = _tried(known, fitted, [replace(fitted.pull, ridge=ridge) for ridge in PULLS])
    best = min(drawn, key=_mean_pct)
    names = MIXED_OF if fitted.coordinate == MIXED and len(coins_of(known)) >= FEWEST_ALONE else ()
    alone = _tried(known, fitted, [replace(best.pull, mean_of=((name,),)) for name in names])
    if any(len(one.left_out_pct or ()) < FEWEST_CLEAR for one in (*drawn, *alone)):
        return fitted, ()
    table = tuple(PullScore(one.pull.ridge, _mean_pct(one), one.pull.only) for one in (*drawn, *alone))
    nearest = min(alone, key=_mean_pct, default=best)
    return nearest if _nearer(nearest, best) else best, table


def _tried(pairs: Sequence[Sample], fitted: Fitted, pulls: Sequence[Pull]) -> list[Fitted]:
    fits = [fitted.pulled(pull) for pull in pulls]
    found = _left_out_pct(pairs, fits) if fits else []
    return [replace(fit, left_out_pct=by_coin) for fit, by_coin in zip(fits, found, strict=True)]


def _nearer(one: Fitted, other: Fitted) -> bool:
    """Whether maps of coins left out are nearer by more than the standard error of the difference."""
    mine, others = one.left_out_pct or {}, other.left_out_pct or {}
    gain = np.array([others[coin] - mine[coin] for coin in mine if coin in others])
    error = _mean_error(gain)
    return error is not None and float(gain.mean()) > error


def _mean_pct(fitted: Fitted) -> float:
    """Over coins left out; infinite where none can be compared."""
    by_coin = fitted.left_out_pct
    return float(np.mean([*by_coin.values()])) if by_coin else float("inf")


def assumes_least(coordinates: Sequence[Coordinate], coins: int) -> Coordinate:
    """What is taken where samples cannot tell: several coins show how a mixture divides, one does not."""
    if MIXED in coordinates and coins >= FEWEST_MIXED:
        return MIXED
    return "leverage" if "leverage" in coordinates else coordinates[0]


def _mean_error(each: FloatArray) -> float | None:
    """Standard error of a mean over coins, which is its jackknife's; null with a single one."""
    return float(each.std(ddof=1) / np.sqrt(len(each))) if len(each) > 1 else None


def _left_out_pct(pairs: Sequence[Sample], fits: Sequence[Fitted]) -> list[dict[str, float]]:
    """Per fit, all in one coordinate, the mean distance by coin; their maps of a pair are drawn together."""
    maps = {}
    for side in SIDES:
        shares = {coin: np.stack([fitted.shares(side, coin) for fitted in fits]) for coin in coins_of(pairs)}
        maps[side] = drawn(pairs, side, fits[0].coordinate, shares)
    return [
        _mean_by_coin(pairs, distances(pairs, {side: maps[side][at] for side in SIDES}))
        for at in range(len(fits))
    ]


def _mean_by_coin(pairs: Sequence[Sample], each: FloatArray) -> dict[str, float]:
    """Of distances (sides, pairs), over sides and pairs with something to compare; coins without any are left out."""
    names = np.array([pair.coin for pair in pairs])
    by_pair = np.ma.masked_invalid(each).mean(axis=0)
    means = {coin: by_pair[names == coin].mean() for coin in coins_of(pairs)}
    return {coin: float(mean) for coin, mean in means.items() if mean is not np.ma.masked}


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


class PooledFit:
    """Shares that coins have in common, with what the data chose on the way: what `LeverageFit` rests on, and what
    validation repeats in every fold.

    Parameters
    ----------
    prior : classes, nodes, and the shares that cannot be fitted
    coordinates : candidates for what coins share; default: those that the samples were gathered in

    Attributes
    ----------
    samples_ : what was fitted on
    fitted_ : both sides, in the chosen coordinate
    coins_ : coins that the fit has seen
    coordinate_scores_ : what the coordinate was chosen by
    pull_scores_ : what the pull to the prior was chosen by
    deviation_ : whether coins deviate, and what was tried
    """

    samples_: tuple[Sample, ...]
    fitted_: Fitted
    coins_: tuple[str, ...]
    coordinate_scores_: tuple[CoordinateScore, ...]
    pull_scores_: tuple[PullScore, ...]
    deviation_: Deviation

    def __init__(self, prior: LeverageModel, coordinates: Sequence[Coordinate] | None = None) -> None:
        self.prior = prior
        self.coordinates = coordinates

    def fit(
        self, samples: Sequence[Sample], on_progress: Callable[[float], None] = lambda share: None
    ) -> Self:
        """The coordinate by coins left out; coins deviate where that is nearer on unseen days."""
        coordinates = self.coordinates or samples[0].long.coordinates
        return self.choose(samples, fit_coordinates(samples, self.prior, coordinates, on_progress))

    def choose(self, samples: Sequence[Sample], fits: Sequence[Fitted], without: str | None = None) -> Self:
        """As `fit`, out of `fits` on these samples in every coordinate, without looking at columns again: as if the
        coin `without` had never been read; for it the pooled shares of all others, which do not deviate."""
        excluded = () if without is None else (without,)
        self.samples_ = tuple(samples)
        anew = [replace(fitted, excluded=excluded, left_out_pct=None) for fitted in fits]
        tried = [choose_pull(samples, fitted) for fitted in anew]
        pulls = {fitted.coordinate: table for fitted, table in tried}
        self.fitted_, self.coordinate_scores_ = choose_coordinate(samples, [one for one, _ in tried])
        self.pull_scores_ = pulls[self.fitted_.coordinate]
        self.coins_ = tuple(coin for coin in coins_of(samples) if coin not in excluded)
        self.deviation_ = NO_DEVIATION if excluded else choose_deviation(samples, self.prior, self.fitted_)
        return self

    @property
    def ridge_(self) -> float | None:
        """Of coins' own shares; null: coins do not deviate."""
        return self.deviation_.ridge

    def shares(self, coin: str, side: str) -> FloatArray:
        """The coin's own where it was seen and coins deviate, else the pooled ones."""
        ridge = self.ridge_ if coin in self.coins_ else None
        return own_shares(self.fitted_, side, [coin], ridge)[coin]

    def maps(self, samples: Sequence[Sample], side: str) -> FloatArray:
        """What the fit draws of these samples (samples, bins)."""
        own = {coin: self.shares(coin, side) for coin in coins_of(samples)}
        return drawn(samples, side, self.fitted_.coordinate, own)
