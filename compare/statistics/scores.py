"""How far one map is from another, per side and both together, and its skill: that score beside the baseline's.

Undefined scores are null with the reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from liqtruth.compare.statistics.distances import (
    RANGE_PCT,
    Curve,
    band_mass_usd,
    both_curve,
    distance_pct,
    jensen_shannon,
    log_distance,
    side_curve,
    smoothed_jensen_shannon,
    wasserstein_pct,
    widest_gap,
)
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.levels import SIDES, TwoSided
from liqtruth.heatmap.words.text import percent

SAME_SKILL: Final = 0.05
"""Skills nearer to zero than this are called no better."""
ALIKE: Final = 0.9
"""A skill from here on is that of another reading of the same positions: nine tenths of what a map that knows only the
mark is off are gone."""
BY_CHANCE: Final = 0.03
"""A score that maps which know nothing reach more often than this is luck: then at most 5 % of them are called better
(`tests/compare/test_null_claims.py`), though no real map is quite as likely at one distance as at another."""
DRAWS: Final = 64
"""A side."""
POINTS: Final = 500
NOT_RANKED: Final = "not ranked"
PERFECT: Final = 1e-9
"""A null whose score is below this is right to rounding: no model can beat it, and a ratio to it means nothing."""
NAMES: Final = {
    "wasserstein_pct": "W1",
    "jensen_shannon": "JS",
    "jensen_shannon_bands": "JS bands",
    "share_above_error": "share above the mark",
}


@dataclass(frozen=True)
class Distance:
    """Wasserstein-1 in percent of price; Jensen-Shannon in bits, smoothed by 0.3 %, and over the seven bands.

    All three are null where either map has no mass to compare, and `undefined` names it.
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


def chances_of(
    truth: Heatmap, models: Sequence[Heatmap], range_pct: float = RANGE_PCT
) -> tuple[float | None, ...]:
    """Of each model, the share of draws in which any of them is as near to the truth (W1, mean of sides), by its own
    draws, as that model is, once the levels of each side of all are moved on by the same random distance, round from
    the end of the range to the mark.

    What a map knows of where liquidations are is lost by that, how lumpy it is stays: of maps that know nothing,
    about as many per cent have a chance below a figure as it says. Of several the least chance is corrected for being
    the least (the minimum of p-values over models moved together: Westfall and Young 1993, single step). Null where a
    side of the model or of the truth is empty.
    """
    drawn = [_moved(truth, model, range_pct) for model in models]
    found = [None if off is None else _ranks(off) for off in drawn]
    known = [ranks for ranks in found if ranks is not None]
    if not known:
        return (None,) * len(models)
    least = np.min(known, axis=0)
    return tuple(None if ranks is None else float(np.mean(least <= ranks[0])) for ranks in found)


def _ranks(off: FloatArray) -> FloatArray:
    """Of each draw, the share of draws that are as near."""
    return np.asarray(np.searchsorted(np.sort(off), off, side="right") / off.size, dtype=np.float64)


def _moved(truth: Heatmap, model: Heatmap, range_pct: float) -> FloatArray | None:
    """W1 of the sides together in every draw, the one that moves nothing first."""
    moved = []
    for side in SIDES:
        curves = [side_curve(heatmap, side, range_pct) for heatmap in (truth, model)]
        if any(curve.empty for curve in curves):
            return None
        away = np.linspace(0.0, range_pct, POINTS + 1)
        wanted, reached = (curve.share(log_distance(away, side)) for curve in curves)
        ends = np.interp((away + range_pct * np.arange(DRAWS)[:, None] / DRAWS) % range_pct, away, reached)
        turned = (away + range_pct * np.arange(DRAWS)[:, None] / DRAWS) >= range_pct
        shares = ends + turned - ends[:, :1]
        gaps = np.abs(shares - wanted)
        moved.append(((gaps[:, 1:] + gaps[:, :-1]) / 2 * np.diff(log_distance(away, side))).sum(axis=1))
    return np.asarray((moved[0][:, None] + moved[1][None, :]).ravel(), dtype=np.float64)


def share_above(heatmap: Heatmap, range_pct: float = RANGE_PCT) -> float | None:
    """Share of the mass within the range that lies above the mark; null where there is none."""
    below, above = (side_curve(heatmap, side, range_pct).total_usd for side in SIDES)
    return above / (below + above) if below + above > 0 else None


@dataclass(frozen=True)
class Judged:
    """One score of a model beside the null's; `skill` is 1 - model / null: 1 is perfect, 0 no better, below 0 worse.

    `side` is `long`, `short`, `mean` (of the two) or `both` (on one axis). `undefined` is why a figure is null.
    Where the figure may rank no model, `ranked` is false, and so is the verdict `not ranked`.
    """

    score: str
    side: str
    model: float | None
    null: float | None
    skill: float | None
    verdict: str
    undefined: str | None
    ranked: bool = True


@dataclass(frozen=True)
class Gap:
    """Where two maps differ most on one side: the shares of the side that lie within this distance of the mark."""

    side: str
    within_pct: float
    truth_share: float
    model_share: float


def skill(score: float | None, null: float | None) -> float | None:
    """1 - score / null; null where either is undefined or the null itself is perfect."""
    if score is None or null is None or null <= PERFECT:
        return None
    return 1 - score / null


def comparison(gained: float) -> str:
    """`better`, `no better` or `worse`."""
    if abs(gained) <= SAME_SKILL:
        return "no better"
    return "better" if gained > 0 else "worse"


def verdict(gained: float | None) -> str:
    """A skill in words."""
    return "undefined" if gained is None else f"{comparison(gained)} than knowing only the mark"


def judge(model: Scores, null: Scores, *, ranked: bool = True) -> tuple[Judged, ...]:
    """Every score of a model beside the null's; not `ranked`, the figures stand without a verdict."""
    rows = []
    for name in ("wasserstein_pct", "jensen_shannon", "jensen_shannon_bands"):
        for side in (*SIDES, "mean", "both"):
            mine, other = model.part(side), null.part(side)
            rows.append(_judged(name, side, getattr(mine, name), getattr(other, name), mine.undefined))
    why = model.both.undefined
    rows.append(_judged("share_above_error", "both", model.share_above_error, null.share_above_error, why))
    return tuple(rows) if ranked else unranked(rows)


def unranked(rows: Sequence[Judged]) -> tuple[Judged, ...]:
    """The figures without a verdict."""
    return tuple(replace(row, ranked=False, verdict=NOT_RANKED) for row in rows)


def widest_gaps(truth: Heatmap, model: Heatmap, range_pct: float = RANGE_PCT) -> tuple[Gap, ...]:
    """The widest gap of each side that both maps hold."""
    found = []
    for side in SIDES:
        a, b = (side_curve(heatmap, side, range_pct) for heatmap in (truth, model))
        if not (a.empty or b.empty):
            at = widest_gap(a, b)
            found.append(Gap(side, float(distance_pct(at, side)), float(a.share(at)), float(b.share(at))))
    return tuple(found)


def gap_sentence(gaps: Sequence[Gap], label: str, against: str = "the truth") -> str:
    """The widest gap of all in words; empty where there is none. `against` is what the shares beside are of."""
    told = share_text(gaps, label, against)
    return f"Widest gap: {told}." if told else ""


def share_text(gaps: Sequence[Gap], label: str, against: str) -> str:
    """The two shares of the widest gap: `mine puts 61 % of longs within 5.0 % below the mark, the truth 12 %`."""
    gap = max(gaps, key=lambda gap: abs(gap.truth_share - gap.model_share), default=None)
    if gap is None or abs(gap.truth_share - gap.model_share) < 0.005:
        return ""
    where = "below" if gap.side == "long" else "above"
    return (
        f"{label} puts {percent(gap.model_share, 0)} of {gap.side}s within {gap.within_pct:.1f} % {where} the mark, "
        f"{against} {percent(gap.truth_share, 0)}"
    )


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


def _judged(name: str, side: str, model: float | None, null: float | None, why: str | None) -> Judged:
    gained = skill(model, null)
    if gained is None and why is None:
        looks_alike = "the truth looks just like the map that knows only the mark"
        why = "the null has none" if null is None else looks_alike
    return Judged(name, side, model, null, gained, verdict(gained), None if gained is not None else why)
