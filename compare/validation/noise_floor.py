"""What even a perfect model could not beat: how far a truth is from the population that it was drawn from.

Accounts are split in two halves many times over; each half is half as many draws from the same population, so the
halves differ by twice what the whole differs from it: half of their Wasserstein-1, and a quarter of their
Jensen-Shannon divergence, which is quadratic in small differences, are the floor.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from liqtruth.compare.calibration.distance_axis import BIN, BINS
from liqtruth.compare.calibration.holdings import Held
from liqtruth.compare.calibration.map_scores import RANGE_PCT, jensen_shannon, wasserstein_pct
from liqtruth.compare.calibration.samples import Pair
from liqtruth.compare.statistics.profiles import log_distance
from liqtruth.heatmap.grid import FloatArray

HALVINGS: Final = 12
FLOORED: Final[dict[str, tuple[Callable[[FloatArray, FloatArray, str], FloatArray], float]]] = {
    "wasserstein_pct": (wasserstein_pct, 0.5),
    "jensen_shannon": (jensen_shannon, 0.25),
}
"""Score and the part of the halves' value that is the floor."""


def effective_positions(pair: Pair, side: str, layer: str) -> float:
    """(sum q)^2 / sum q^2 of positions within range."""
    held: Held = pair.of(side).held
    mass = held.crowd if layer == "crowd" else held.share
    return held.effective(mass, float(log_distance(RANGE_PCT, side)))


def floors(pairs: Sequence[Pair], side: str, layer: str, seed: int) -> dict[str, FloatArray]:
    """Floor of each of `FLOORED` per pair, the mean of `HALVINGS` splits; nan where a half is always empty."""
    found = [
        _halves(pair, side, layer, np.random.default_rng([seed, place])) for place, pair in enumerate(pairs)
    ]
    first, second = (np.stack(half) for half in zip(*found, strict=True))
    with np.errstate(invalid="ignore"):
        return {name: part * _mean(score(first, second, side)) for name, (score, part) in FLOORED.items()}


def _mean(values: FloatArray) -> FloatArray:
    known = np.isfinite(values)
    return np.asarray(
        np.where(known, values, 0.0).sum(axis=1) / np.where(known.any(axis=1), known.sum(axis=1), np.nan)
    )


def _halves(pair: Pair, side: str, layer: str, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Maps (halvings, bins) of random halves of the accounts, and of the others."""
    held: Held = pair.of(side).held
    near = held.away < BIN * BINS
    mass, place = (
        (held.crowd if layer == "crowd" else held.share)[near],
        (held.away[near] / BIN).astype(np.int64),
    )
    accounts = int(held.account.max(initial=-1)) + 1
    first = (rng.random((HALVINGS, accounts)) < 0.5)[:, held.account[near]]
    key = place + BINS * np.arange(HALVINGS)[:, None]
    one = np.bincount(key.ravel(), (mass * first).ravel(), HALVINGS * BINS).reshape(HALVINGS, BINS)
    two = np.bincount(key.ravel(), (mass * ~first).ravel(), HALVINGS * BINS).reshape(HALVINGS, BINS)
    return one.astype(np.float64), two.astype(np.float64)
