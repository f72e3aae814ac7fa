"""Scores in words: each beside the null's score against the same truth, and where two maps differ most."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from liqtruth.compare.statistics.distances import (
    RANGE_PCT,
    distance_pct,
    side_curve,
    widest_gap,
)
from liqtruth.compare.statistics.scores import Scores
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.text import percent

SAME_SKILL: Final = 0.05
"""Skills nearer to zero than this are called no better."""
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
class Judged:
    """One score of a model beside the null's; `skill` is 1 - model / null: 1 is perfect, 0 no better, below 0 worse.

    `side` is `long`, `short`, `mean` (of the two) or `both` (on one axis). `undefined` says why a figure is null.
    Where the figure may rank no model, `ranked` is false and the verdict says so.
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
    """Every score of a model beside the null's; not `ranked`, the figures stand and nothing is said of them."""
    rows = []
    for name in ("wasserstein_pct", "jensen_shannon", "jensen_shannon_bands"):
        for side in (*SIDES, "mean", "both"):
            mine, other = model.part(side), null.part(side)
            rows.append(_judged(name, side, getattr(mine, name), getattr(other, name), mine.undefined))
    why = model.both.undefined
    rows.append(_judged("share_above_error", "both", model.share_above_error, null.share_above_error, why))
    return tuple(rows if ranked else (replace(row, ranked=False, verdict=NOT_RANKED) for row in rows))


def widest_gaps(truth: Heatmap, model: Heatmap, range_pct: float = RANGE_PCT) -> tuple[Gap, ...]:
    """The widest gap of each side that both maps hold."""
    found = []
    for side in SIDES:
        a, b = (side_curve(heatmap, side, range_pct) for heatmap in (truth, model))
        if not (a.empty or b.empty):
            at = widest_gap(a, b)
            found.append(Gap(side, float(distance_pct(at, side)), float(a.share(at)), float(b.share(at))))
    return tuple(found)


def gap_sentence(gaps: Sequence[Gap], label: str) -> str:
    """The widest gap of all in words; empty where there is none."""
    gap = max(gaps, key=lambda gap: abs(gap.truth_share - gap.model_share), default=None)
    if gap is None or abs(gap.truth_share - gap.model_share) < 0.005:
        return ""
    where = "below" if gap.side == "long" else "above"
    return (
        f"Widest gap: within {gap.within_pct:.1f} % {where} the mark {label} has {percent(gap.model_share, 0)} "
        f"of its {gap.side}s, the truth {percent(gap.truth_share, 0)}."
    )


def _judged(name: str, side: str, model: float | None, null: float | None, why: str | None) -> Judged:
    gained = skill(model, null)
    if gained is None and why is None:
        looks_alike = "the truth looks just like the map that knows only the mark"
        why = "the null has none" if null is None else looks_alike
    return Judged(name, side, model, null, gained, verdict(gained), None if gained is not None else why)
