"""Scores of maps on realised liquidations: rank skill with the move taken out, level, and precision of zones; and the
verdict: against which baseline a model is better, where it is worse, where it is open.

The plain Spearman correlation stands beside the partial one because it flatters: a larger move sweeps more of any map
and liquidates more, so that a map that knows only distance already correlates. What counts is the partial one, and its
difference from that of the baselines.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec
import numpy as np

from liqtruth.compare.scoring.realised.windows import (
    LEAST_EVENTS,
    LEAST_ZONES,
    Precision,
    Windows,
    apart,
    joined,
    precision_of,
)
from liqtruth.compare.statistics.intervals import (
    LEAST_DAYS,
    LEAST_WINDOWS,
    Draws,
    Estimate,
    drawn_days,
    partial,
    rank_covariances,
    weighted_medians,
)
from liqtruth.estimator.model.baselines import UNIFORM
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.words.notes import Note, Notes, note

SIDES: Final = ("long", "short", "pooled")
BETTER: Final = "beats"
WORSE: Final = "is worse than"
OPEN: Final = "does not differ significantly from"
UNKNOWN: Final = "cannot be compared with"


class MapScore(msgspec.Struct, frozen=True, kw_only=True):
    """One map; null where it is not known, and the side's `notes` are why.

    `partial` and `plain` are Spearman correlations of predicted and realised, the first given the move and the
    window's volatility. `ratio` is predicted over realised, sum over sum; `median_log_ratio` the median of the windows
    in which both are above zero. `skill` is how much higher the scored map's `partial` is than this map's, null for
    itself.
    """

    name: str
    predicted_usd: float
    partial: Estimate | None
    plain: Estimate | None
    ratio: Estimate | None
    median_log_ratio: Estimate | None
    precision: Precision | None
    skill: Estimate | None


class SideScore(msgspec.Struct, frozen=True, kw_only=True, rename={"reported_usd": "told_usd"}):
    """All maps on one side's windows or both; the first is the one that is scored, the others are baselines."""

    side: str
    windows: int
    days: int
    events: int
    reported_usd: float
    realised_usd: float | None
    maps: tuple[MapScore, ...]
    notes: Notes


def score_sides(
    long: Windows, short: Windows, horizon_ms: int, *, seed: int = 0
) -> tuple[SideScore, SideScore, SideScore]:
    """Long, short and both together."""
    parts = (long, short, joined([long, short]))
    found = [score_windows(part, side, horizon_ms, seed) for part, side in zip(parts, SIDES, strict=True)]
    return found[0], found[1], found[2]


def score_windows(windows: Windows, side: str, horizon_ms: int, seed: int = 0) -> SideScore:
    """Every map on the same windows and the same draws of days."""
    draws = drawn_days(windows.start_ms, seed)
    names = list(windows.predicted_usd)
    partials, plains = _correlations(windows, draws, names)
    once = apart(windows.start_ms, horizon_ms)
    maps = tuple(
        MapScore(
            name=name,
            predicted_usd=float(windows.predicted_usd[name].sum()),
            partial=draws.estimate(partials[place]),
            plain=draws.estimate(plains[place]),
            ratio=_ratio(windows, name, draws),
            median_log_ratio=_median_log_ratio(windows, name, draws),
            precision=_precision(windows, name, once),
            skill=draws.estimate(partials[0] - partials[place]) if place else None,
        )
        for place, name in enumerate(names)
    )
    realised = float(windows.realised_usd.sum())
    return SideScore(
        side=side,
        windows=windows.start_ms.size,
        days=draws.times.shape[1],
        events=round(float(windows.events.sum())),
        reported_usd=float(windows.reported_usd.sum()),
        realised_usd=realised if np.isfinite(realised) else None,
        maps=maps,
        notes=tuple(_notes(windows, draws, maps[0], float(windows.zoned_events[once].sum()))),
    )


def comparison_word(skill: Estimate | None, events: int) -> str:
    """One of four words for a difference to a baseline, by whether its interval has zero in it.

    Without an interval, or with fewer than ten liquidations, it cannot be compared.
    """
    if skill is None or skill.low is None or skill.high is None or events < LEAST_EVENTS:
        return UNKNOWN
    if skill.low > 0:
        return BETTER
    return WORSE if skill.high < 0 else OPEN


def horizon_verdict(model: str, horizon_s: int, pooled: SideScore) -> str:
    """Of one horizon, both sides together."""
    parts = [
        f"{comparison_word(score.skill, pooled.events)} {score.name}{_size(score.skill)}"
        for score in pooled.maps[1:]
    ]
    return f"{horizon_name(horizon_s)}: {model} {'; '.join(parts) or 'has no baseline beside it'}"


def overall_verdict(model: str, pooled: Iterable[tuple[int, SideScore]]) -> tuple[str, ...]:
    """One line per baseline over all horizons (in seconds), both sides together."""
    found: dict[str, dict[str, list[str]]] = {}
    for horizon_s, side in pooled:
        for score in side.maps[1:]:
            words = found.setdefault(score.name, {})
            words.setdefault(comparison_word(score.skill, side.events), []).append(horizon_name(horizon_s))
    return tuple(f"{model} {'; '.join(_where(name, words))}" for name, words in found.items())


def _where(name: str, words: dict[str, list[str]]) -> Iterator[str]:
    for word in (BETTER, WORSE, OPEN, UNKNOWN):
        if word in words:
            why = " (no interval, or too few liquidations)" if word == UNKNOWN else ""
            yield f"{word} {name} at {', '.join(words[word])}{why}"


def _size(skill: Estimate | None) -> str:
    if skill is None:
        return ""
    if skill.low is None or skill.high is None:
        return f" ({skill.value:+.2f}, no interval)"
    return f" ({skill.value:+.2f}, 95 % {skill.low:+.2f} to {skill.high:+.2f})"


def horizon_name(horizon_s: int) -> str:
    """`15 min`, `1 h`."""
    return f"{horizon_s / 3600:g} h" if horizon_s >= 3600 else f"{horizon_s / 60:g} min"


def _correlations(
    windows: Windows, draws: Draws, names: Sequence[str]
) -> tuple[list[FloatArray], list[FloatArray]]:
    if windows.start_ms.size < LEAST_WINDOWS:
        unknown = [np.full(len(draws.times), np.nan)] * len(names)
        return unknown, unknown
    controls = (windows.move, windows.volatility)
    columns = (windows.reported_usd, *controls, *(windows.predicted_usd[name] for name in names))
    covariance = rank_covariances(columns, draws)
    places = range(3, 3 + len(names))
    return (
        [partial(covariance, place, 0, (1, 2)) for place in places],
        [partial(covariance, place, 0, ()) for place in places],
    )


def _ratio(windows: Windows, name: str, draws: Draws) -> Estimate | None:
    both = np.stack([windows.predicted_usd[name], windows.realised_usd], axis=1)
    predicted, realised = draws.sums(both).T
    known = realised > 0
    return draws.estimate(np.where(known, predicted / np.where(known, realised, 1.0), np.nan))


def _median_log_ratio(windows: Windows, name: str, draws: Draws) -> Estimate | None:
    predicted, realised = windows.predicted_usd[name], windows.realised_usd
    both = (predicted > 0) & (realised > 0)
    values = np.log(predicted[both] / realised[both])
    return draws.estimate(weighted_medians(values, draws.day[both], draws.times))


def _precision(windows: Windows, name: str, once: np.ndarray) -> Precision | None:
    zoned = windows.zoned_events[once]
    chance = windows.hits[UNIFORM][once].sum()
    return precision_of(float(zoned.sum()), float(windows.hits[name][once].sum()), float(chance))


def _notes(windows: Windows, draws: Draws, scored: MapScore, zoned: float) -> Iterator[Note]:
    count = windows.start_ms.size
    if count < LEAST_WINDOWS:
        yield note("too_few_windows", count=count, least=LEAST_WINDOWS)
    elif not windows.reported_usd.any():
        yield note("nothing_liquidated")
    if not draws.enough:
        yield note("too_few_days", days=draws.times.shape[1], least=LEAST_DAYS)
    if np.isnan(windows.coverage).any():
        yield note("no_ratios")
    if scored.precision is None:
        yield note("too_few_in_zones", count=zoned, zones=LEAST_ZONES, least=LEAST_EVENTS)
