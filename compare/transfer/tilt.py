"""A leverage model whose shares follow a tilt, and what its bounds are worth after that."""

from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from liqtruth.compare.calibration.curve_bounds import DISTANCES_PCT
from liqtruth.compare.transfer.tilt_fit import Triple, local_ratios
from liqtruth.estimator.model.leverage_model import Bounds, LeverageModel, SideBounds
from liqtruth.heatmap.grid import FloatArray

Z80: Final = 1.2815515655446004
"""Standard deviations on both sides of its mean that hold `LEVEL` of a normal distribution."""
PAIRS: Final = (("low", "high"), ("crowd_low", "crowd_high"))


@dataclass(frozen=True, eq=False)
class Tilted:
    """Shares (classes, nodes) of one side, multiplied by what `b` says and by `held_to`, which keeps their sum at one:
    1 where that was not needed."""

    shares: FloatArray
    b: Triple
    held_to: float


def tilted(model: LeverageModel, side: str, b: Triple) -> Tilted:
    """Shares times r(l) ** w(l); where they would place more than all open interest, they are held to the whole."""
    shares = model.shares(side) * local_ratios(np.array(model.leverage), b)
    held_to = 1.0 / max(1.0, float(shares.sum()))
    cut = np.floor(shares * held_to * 1e9) / 1e9
    return Tilted(cut, b, held_to)


def widened(bounds: Bounds | None, curve_sd: tuple[FloatArray, FloatArray], said: str) -> Bounds | None:
    """Bounds with the error of what was corrected added in quadrature: standard errors of the curve's logarithm at
    `DISTANCES_PCT`, long and short."""
    if bounds is None:
        return None
    long, short = (
        widened_side(side, Z80 * np.interp(side.distance_pct, DISTANCES_PCT, sd))
        for side, sd in zip((bounds.long, bounds.short), curve_sd, strict=True)
    )
    return Bounds(long, short, f"{bounds.basis}; {said}")


def widened_side(bounds: SideBounds, error: FloatArray) -> SideBounds:
    """`error` is of the logarithm, one per distance. Where the factors stand for the crowd alone they are widened
    alike; how much the whales hold is as uncertain."""
    wider = {}
    for low, high in PAIRS:
        if getattr(bounds, low, ()):
            wider[low], wider[high] = _apart(getattr(bounds, low), getattr(bounds, high), error)
    whales_low = tuple((np.array(bounds.whales_low) * np.exp(-error)).tolist())
    whales_high = tuple(np.minimum(np.array(bounds.whales_high) * np.exp(error), 1.0).tolist())
    return msgspec.structs.replace(bounds, whales_low=whales_low, whales_high=whales_high, **wider)


def _apart(
    low: tuple[float, ...], high: tuple[float, ...], error: FloatArray
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Both ends further from the factor in between that is nearest to one, in quadrature."""
    below, above = (np.log(np.maximum(part, np.finfo(float).tiny)) for part in (low, high))
    middle = np.clip(0.0, below, above)
    ends = (
        np.exp(middle - np.hypot(middle - below, error)),
        np.exp(middle + np.hypot(above - middle, error)),
    )
    first, second = (tuple(float(value) for value in end) for end in ends)
    return first, second
