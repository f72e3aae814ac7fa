"""Which coordinate coins share, and how much the prior counts.

A coin left out is drawn with the shares that all others gave. The coordinate whose maps of the coins left out are
nearest (Wasserstein-1 of the crowd's map) is what coins share, where it is nearer than the one that assumes least and
the 95 % interval of the difference says so: that is the mixture of coordinates, or leverage itself where nothing is
mixed or a single coin shows none of it. Before that, each coordinate is drawn to the prior as strongly as brings coins
left out nearest, and the classes of a mixture stand in one coordinate alone where that is clearly nearer.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import msgspec
import numpy as np

from liqtruth.compare.calibration.choices.fitted import Fitted, coins_of, distances, drawn
from liqtruth.compare.calibration.samples import Sample
from liqtruth.compare.calibration.side_fit import RIDGE, Pull
from liqtruth.compare.statistics.intervals import student
from liqtruth.estimator.model.leverage_model import MIXED, MIXED_OF, Coordinate
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.levels import SIDES

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


def assumes_least(coordinates: Sequence[Coordinate], coins: int) -> Coordinate:
    """What is taken where samples cannot tell: several coins show how a mixture divides, one does not."""
    if MIXED in coordinates and coins >= FEWEST_MIXED:
        return MIXED
    return "leverage" if "leverage" in coordinates else coordinates[0]


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
