"""How far one map is from another, per side and both together; undefined scores are null with the reason."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from liqtruth.compare.statistics.distances import (
    RANGE_PCT,
    Curve,
    band_mass_usd,
    both_curve,
    jensen_shannon,
    side_curve,
    smoothed_jensen_shannon,
    wasserstein_pct,
)
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.levels import SIDES, TwoSided


@dataclass(frozen=True)
class Distance:
    """Wasserstein-1 in percent of price; Jensen-Shannon in bits, smoothed by 0.3 %, and over the seven bands.

    All three are null where either map has no mass to compare, and `undefined` says which.
    """

    wasserstein_pct: float | None
    jensen_shannon: float | None
    jensen_shannon_bands: float | None
    undefined: str | None = None


@dataclass(frozen=True)
class Scores(TwoSided[Distance]):
    """Distances of the sides, each normalised, and of both on one axis; `mean` is that of the two sides.

    `share_above` is the model's own share of mass above its mark, `share_above_error` its distance from the truth's.
    """

    long: Distance
    short: Distance
    mean: Distance
    both: Distance
    share_above: float | None
    share_above_error: float | None

    def part(self, name: str) -> Distance:
        """Of a side, `mean` or `both`."""
        return {"mean": self.mean, "both": self.both}.get(name) or self.of(name)

    @property
    def wasserstein_pct(self) -> float | None:
        """The headline: mean over the two sides."""
        return self.mean.wasserstein_pct


def score(truth: Heatmap, model: Heatmap, range_pct: float = RANGE_PCT) -> Scores:
    """Distances of `model` from `truth` within `range_pct` of each map's own mark."""
    long, short = (_side_distance(truth, model, side, range_pct) for side in SIDES)
    above, wanted = share_above(model, range_pct), share_above(truth, range_pct)
    return Scores(
        long=long,
        short=short,
        mean=_mean(long, short),
        both=_both_distance(truth, model, range_pct),
        share_above=above,
        share_above_error=None if above is None or wanted is None else abs(above - wanted),
    )


def share_above(heatmap: Heatmap, range_pct: float = RANGE_PCT) -> float | None:
    """Share of the mass within the range that lies above the mark; null where there is none."""
    below, above = (side_curve(heatmap, side, range_pct).total_usd for side in SIDES)
    return above / (below + above) if below + above > 0 else None


def _side_distance(truth: Heatmap, model: Heatmap, side: str, range_pct: float) -> Distance:
    curves = [(heatmap, side_curve(heatmap, side, range_pct)) for heatmap in (truth, model)]
    bands = [band_mass_usd(curve, side, range_pct) for _, curve in curves]
    return _distance(curves, bands, f"{side}s", range_pct)


def _both_distance(truth: Heatmap, model: Heatmap, range_pct: float) -> Distance:
    curves = [(heatmap, both_curve(heatmap, range_pct)) for heatmap in (truth, model)]
    bands = [
        np.concatenate([band_mass_usd(side_curve(m, side, range_pct), side, range_pct) for side in SIDES])
        for m in (truth, model)
    ]
    return _distance(curves, bands, "mass", range_pct)


def _distance(
    curves: Sequence[tuple[Heatmap, Curve]], bands: Sequence[FloatArray], what: str, range_pct: float
) -> Distance:
    missing = [heatmap.label for heatmap, curve in curves if curve.empty]
    if missing:
        return _undefined(f"no {what} of {' and '.join(missing)} within {range_pct:.3g} % of the mark")
    (_, truth), (_, model) = curves
    return Distance(
        wasserstein_pct(truth, model),
        smoothed_jensen_shannon(truth, model),
        jensen_shannon(*(mass / mass.sum() for mass in bands)),
    )


def _mean(long: Distance, short: Distance) -> Distance:
    reasons = [side.undefined for side in (long, short) if side.undefined]
    if reasons:
        return _undefined("; ".join(reasons))
    return Distance(
        _half(long.wasserstein_pct, short.wasserstein_pct),
        _half(long.jensen_shannon, short.jensen_shannon),
        _half(long.jensen_shannon_bands, short.jensen_shannon_bands),
    )


def _half(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else (a + b) / 2


def _undefined(reason: str) -> Distance:
    return Distance(None, None, None, reason)
