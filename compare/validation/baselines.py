"""The maps that are judged: the fitted model, everything that it has to beat, and itself at the wrong moments.

Arrays (pairs, bins) of one side in shares of open interest, nan where a contestant has nothing to say. What starts from
exact maps (`shape-copy`, `last-exact`) is given the layer on which it is judged, so it is a stronger rival than a
centralised venue could ever have.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from liqtruth.compare.calibration import baseline_maps
from liqtruth.compare.calibration.distance_axis import BINS, binned
from liqtruth.compare.calibration.samples import Pair, SidePair
from liqtruth.compare.calibration.selection import layer_maps
from liqtruth.heatmap.grid import FloatArray

FITTED, SHAPE_COPY, LAST_EXACT = "fitted", "shape-copy", "last-exact"
BASELINES: Final = (*baseline_maps.NAMES, SHAPE_COPY, LAST_EXACT)
"""What the fitted model has to beat; `last-exact` exists on Hyperliquid alone."""
LAYERS: Final = ("crowd", "raw")
AGE_H: Final = (18.0, 72.0)
"""Hours by which the exact map of `last-exact` is older."""
PERMUTATIONS: Final = 8


@dataclass(frozen=True, eq=False)
class Judged:
    """Pairs of one fold that are judged, and the pairs that its fit has seen."""

    pairs: Sequence[Pair]
    seen: Sequence[Pair]


def baselines(judged: Judged, side: str, layer: str, everything: Sequence[Pair]) -> dict[str, FloatArray]:
    """Every one of `BASELINES`; `everything` holds the earlier exact maps of the same coins."""
    sides = [pair.of(side) for pair in judged.pairs]
    found = {name: _known(sides, name) for name in baseline_maps.NAMES}
    found[SHAPE_COPY] = shape_copy(judged, side, layer)
    found[LAST_EXACT] = np.stack([last_exact(pair, everything, side, layer) for pair in judged.pairs])
    return found


def shape_copy(judged: Judged, side: str, layer: str) -> FloatArray:
    """The mean of the maps that the fit has seen, of the same coin where it has seen it."""
    whole = layer_maps(judged.seen, side, layer)
    names = np.array([pair.coin for pair in judged.seen])
    by_coin = {
        coin: whole[names == coin].mean(axis=0) if (names == coin).any() else whole.mean(axis=0)
        for coin in {pair.coin for pair in judged.pairs}
    }
    return np.stack([by_coin[pair.coin] for pair in judged.pairs])


def last_exact(pair: Pair, everything: Sequence[Pair], side: str, layer: str) -> FloatArray:
    """The coin's exact map of about a day before at its own prices, without what later bars have reached."""
    earlier = _earlier(pair, everything)
    if earlier is None:
        return np.full(BINS, np.nan)
    held = earlier.of(side).held
    later = pair.recent.end_ms > round(earlier.as_of.timestamp() * 1000)
    low, high = float(pair.recent.low[later].min()), float(pair.recent.high[later].max())
    priced = np.isfinite(held.px)
    alive = priced & (held.px < low if side == "long" else held.px > high)
    away = np.full(len(held.px), np.inf)
    away[alive] = np.abs(np.log(held.px[alive] / pair.mark_px))
    mass = held.crowd if layer == "crowd" else held.share
    kept = min(1.0, earlier.open_interest / pair.open_interest) if pair.open_interest > 0 else 0.0
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


def _known(sides: Sequence[SidePair], name: str) -> FloatArray:
    nothing = np.full(BINS, np.nan)
    return np.stack([side.baselines.get(name, nothing) for side in sides])


def _earlier(pair: Pair, everything: Sequence[Pair]) -> Pair | None:
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
