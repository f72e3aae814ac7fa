"""The maps that are judged: the fitted model, everything that it has to beat, and itself at the wrong moments.

Arrays (pairs, bins) of one side in shares of open interest, nan where one is not known. What starts from
exact maps (`climatology`, `persistence`) is given the layer on which it is judged, so it is a stronger rival than a
centralised venue could ever have.

What even a perfect model could not beat is the noise floor. Accounts are split in two halves many times over; each half
is half as many draws from the same population, so the halves differ by twice what the whole differs from it: half of
their Wasserstein-1, and a quarter of their Jensen-Shannon divergence, which is quadratic in small differences.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from liqtruth.compare.calibration.choices.fitted import layer_maps
from liqtruth.compare.calibration.holdings import Holdings
from liqtruth.compare.calibration.samples import BASELINE_NAMES, Sample, SideSample
from liqtruth.compare.statistics.distances import HEADLINE_PCT, log_distance
from liqtruth.compare.statistics.map_scores import (
    BIN,
    BINS,
    binned,
    jensen_shannon,
    wasserstein_10pct,
    wasserstein_pct,
)
from liqtruth.estimator.model.baselines import CLIMATOLOGY, PERSISTENCE, still_open
from liqtruth.heatmap.grid import FloatArray

FITTED: Final = "fitted"
BASELINES: Final = (*BASELINE_NAMES, CLIMATOLOGY, PERSISTENCE)
"""What the fitted model has to beat; `persistence` exists on Hyperliquid alone."""
LAYERS: Final = ("crowd", "raw")
AGE_H: Final = (18.0, 72.0)
"""Hours by which the exact map of `persistence` is older."""
PERMUTATIONS: Final = 8
HALVINGS: Final = 12
FLOORS: Final[dict[str, tuple[Callable[[FloatArray, FloatArray, str], FloatArray], float]]] = {
    "wasserstein_pct": (wasserstein_pct, 0.5),
    "wasserstein_10pct": (wasserstein_10pct, 0.5),
    "jensen_shannon": (jensen_shannon, 0.25),
}
"""Score and the part of the halves' value that is the floor."""


@dataclass(frozen=True, eq=False)
class Judged:
    """Pairs of one fold that are judged, and the pairs that its fit has seen."""

    pairs: Sequence[Sample]
    seen: Sequence[Sample]


def baselines(judged: Judged, side: str, layer: str, everything: Sequence[Sample]) -> dict[str, FloatArray]:
    """Every one of `BASELINES`; `everything` holds the earlier exact maps of the same coins."""
    sides = [pair.of(side) for pair in judged.pairs]
    found = {name: _known(sides, name) for name in BASELINE_NAMES}
    found[CLIMATOLOGY] = climatology(judged, side, layer)
    found[PERSISTENCE] = np.stack([persistence(pair, everything, side, layer) for pair in judged.pairs])
    return found


def climatology(judged: Judged, side: str, layer: str) -> FloatArray:
    """The mean of the maps that the fit has seen, of the same coin where it has seen it."""
    whole = layer_maps(judged.seen, side, layer)
    names = np.array([pair.coin for pair in judged.seen])
    by_coin = {
        coin: whole[names == coin].mean(axis=0) if (names == coin).any() else whole.mean(axis=0)
        for coin in {pair.coin for pair in judged.pairs}
    }
    return np.stack([by_coin[pair.coin] for pair in judged.pairs])


def persistence(pair: Sample, everything: Sequence[Sample], side: str, layer: str) -> FloatArray:
    """The coin's exact map of about a day before at its own prices, without what later bars have reached."""
    earlier = _earlier(pair, everything)
    if earlier is None:
        return np.full(BINS, np.nan)
    holdings = earlier.of(side).holdings
    later = pair.recent.end_ms > round(earlier.as_of.timestamp() * 1000)
    low, high = float(pair.recent.low[later].min()), float(pair.recent.high[later].max())
    priced = np.isfinite(holdings.px)
    alive = priced & (holdings.px < low if side == "long" else holdings.px > high)
    away = np.full(len(holdings.px), np.inf)
    away[alive] = np.abs(np.log(holdings.px[alive] / pair.mark_px))
    mass = holdings.crowd if layer == "crowd" else holdings.share
    kept = still_open(earlier.open_interest, pair.open_interest)
    return binned(away, mass * kept)


def permuted(maps: FloatArray, coins: Sequence[str], rng: np.random.Generator) -> FloatArray:
    """Each map at other moments of its own coin, shape (`PERMUTATIONS`, pairs, bins): what chance gives. Several, since
    one of the day before may be nearly right; of its own coin, since who knows no more than the coin knows no moment.
    Nan where a coin has a single map."""
    names = np.array(coins)
    found = np.full((PERMUTATIONS, *maps.shape), np.nan)
    for coin in np.unique(names):
        at = np.flatnonzero(names == coin)
        if len(at) > 1:
            steps = rng.integers(1, len(at), (PERMUTATIONS, len(at)))
            found[:, at] = maps[at[(np.arange(len(at)) + steps) % len(at)]]
    return found


def _known(sides: Sequence[SideSample], name: str) -> FloatArray:
    nothing = np.full(BINS, np.nan)
    return np.stack([side.baselines.get(name, nothing) for side in sides])


def _earlier(pair: Sample, everything: Sequence[Sample]) -> Sample | None:
    ages: Mapping[int, float] = {
        place: (pair.as_of - one.as_of).total_seconds() / 3600
        for place, one in enumerate(everything)
        if one.coin == pair.coin
    }
    old = {place: age for place, age in ages.items() if AGE_H[0] <= age <= AGE_H[1]}
    if not old or not pair.recent.end_ms.size:
        return None
    found = everything[min(old, key=lambda place: old[place])]
    reaches = pair.recent.end_ms[-1] > found.as_of.timestamp() * 1000
    return found if reaches else None


def effective_positions(pair: Sample, side: str, layer: str) -> float:
    """(sum q)^2 / sum q^2 of positions within range."""
    holdings: Holdings = pair.of(side).holdings
    mass = holdings.crowd if layer == "crowd" else holdings.share
    return holdings.effective(mass, float(log_distance(HEADLINE_PCT, side)))


def noise_floor(pairs: Sequence[Sample], side: str, layer: str, seed: int) -> dict[str, FloatArray]:
    """Floor of each of `FLOORS` per pair, the mean of `HALVINGS` splits; nan where a half is always empty."""
    found = [
        _halves(pair, side, layer, np.random.default_rng([seed, place])) for place, pair in enumerate(pairs)
    ]
    first, second = (np.stack(half) for half in zip(*found, strict=True))
    with np.errstate(invalid="ignore"):
        return {name: part * _mean(score(first, second, side)) for name, (score, part) in FLOORS.items()}


def _mean(values: FloatArray) -> FloatArray:
    known = np.isfinite(values)
    return np.asarray(
        np.where(known, values, 0.0).sum(axis=1) / np.where(known.any(axis=1), known.sum(axis=1), np.nan)
    )


def _halves(pair: Sample, side: str, layer: str, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Maps (halvings, bins) of random halves of the accounts, and of the others."""
    holdings: Holdings = pair.of(side).holdings
    near = holdings.away < BIN * BINS
    mass, place = (
        (holdings.crowd if layer == "crowd" else holdings.share)[near],
        (holdings.away[near] / BIN).astype(np.int64),
    )
    accounts = int(holdings.account.max(initial=-1)) + 1
    first = (rng.random((HALVINGS, accounts)) < 0.5)[:, holdings.account[near]]
    key = place + BINS * np.arange(HALVINGS)[:, None]
    one = np.bincount(key.ravel(), (mass * first).ravel(), HALVINGS * BINS).reshape(HALVINGS, BINS)
    two = np.bincount(key.ravel(), (mass * ~first).ravel(), HALVINGS * BINS).reshape(HALVINGS, BINS)
    return one.astype(np.float64), two.astype(np.float64)
