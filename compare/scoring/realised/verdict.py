"""What the scores say in plain words: against which baseline a model is better, where it is worse, where it is open."""

from collections.abc import Iterable, Iterator
from typing import Final

from liqtruth.compare.scoring.realised.precision import LEAST_EVENTS
from liqtruth.compare.scoring.realised.scores import SideScore
from liqtruth.compare.statistics.intervals import Estimate

BETTER: Final = "beats"
WORSE: Final = "is worse than"
OPEN: Final = "is not told apart from"
UNKNOWN: Final = "cannot be held against"


def standing(skill: Estimate | None, events: int) -> str:
    """In which of the four words a difference to a baseline is told: by whether its interval has zero in it.

    Without an interval, or with fewer than ten liquidations, it is not told.
    """
    if skill is None or skill.low is None or skill.high is None or events < LEAST_EVENTS:
        return UNKNOWN
    if skill.low > 0:
        return BETTER
    return WORSE if skill.high < 0 else OPEN


def horizon_verdict(model: str, horizon_s: int, pooled: SideScore) -> str:
    """Of one horizon, both sides together."""
    parts = [
        f"{standing(score.skill, pooled.events)} {score.name}{_size(score.skill)}"
        for score in pooled.maps[1:]
    ]
    return f"{horizon_name(horizon_s)}: {model} {'; '.join(parts) or 'has no baseline beside it'}"


def overall_verdict(model: str, pooled: Iterable[tuple[int, SideScore]]) -> tuple[str, ...]:
    """One line per baseline over all horizons (in seconds), both sides together."""
    found: dict[str, dict[str, list[str]]] = {}
    for horizon_s, side in pooled:
        for score in side.maps[1:]:
            words = found.setdefault(score.name, {})
            words.setdefault(standing(score.skill, side.events), []).append(horizon_name(horizon_s))
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
