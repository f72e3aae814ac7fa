"""The figures of a report by name, and conditions on them such as `w1 > 5`.

A figure that a gate bars, or that is undefined, is not known: a condition on it has not been seen to be false, and
counts as one that holds.
"""

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from liqtruth.compare.conclusion.sentences import MARKS
from liqtruth.compare.reports.content import Content
from liqtruth.compare.statistics.scores import SAME_SKILL
from liqtruth.heatmap.errors import BadInput

NUMBER: Final = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?"
CONDITION: Final = re.compile(rf"\s*([A-Za-z]\w*)\s*(<=|>=|==|!=|<|>)\s*({NUMBER})\s*%?\s*")
OPERATORS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
MARKS_BY_CODE: Final[Mapping[str, str]] = {str(code): words for code, words in MARKS.items()}


@dataclass(frozen=True)
class Value:
    """A figure; where it is not known, `why`."""

    number: float | None
    why: str = ""


@dataclass(frozen=True)
class Figure:
    """A figure of a model by its place among the report's models; `of_truth` where it is the same for all of them."""

    unit: str
    meaning: str
    of: Callable[[Content, int, datetime], Value]
    of_truth: bool = False


@dataclass(frozen=True)
class Condition:
    """`figure` compared with `limit`; `text` as it was given."""

    figure: str
    compare: str
    limit: float

    @property
    def text(self) -> str:
        return f"{self.figure} {self.compare} {self.limit:g}"

    def holds(self, value: Value) -> bool:
        """Also where the figure is not known."""
        return value.number is None or OPERATORS[self.compare](value.number, self.limit)


@dataclass(frozen=True)
class Held:
    """A condition that holds of one map, or of one coin where `label` is empty."""

    coin: str
    label: str
    condition: Condition
    value: Value

    def describe(self) -> str:
        """`BTC, binance tiers: w1 is 7.31, and w1 > 5 fails`."""
        about = ", ".join(part for part in (self.coin, self.label) if part)
        name, number = self.condition.figure, self.value.number
        shown = f"not known ({self.value.why})" if number is None else f"{number:.4g}"
        return f"{about}: {name} is {shown}: --fail-if {self.condition.text!r}"


def parse_condition(text: str) -> Condition:
    """`w1 > 5`; raises `BadInput` for another form or a figure that there is not."""
    found = CONDITION.fullmatch(text)
    if found is None:
        raise BadInput(
            f"must be a figure, one of {' '.join(OPERATORS)} and a number, such as 'w1 > 5', got {text!r}"
        )
    name = found[1].lower()
    if name not in FIGURES:
        raise BadInput(f"must be about one of {', '.join(FIGURES)}, got {found[1]!r}")
    limit = float(found[3])
    if not math.isfinite(limit):
        raise BadInput(f"must be about a finite number, got {text!r}")
    return Condition(name, found[2], limit)


def held(content: Content, conditions: Sequence[Condition], now: datetime) -> list[Held]:
    """Every condition that holds, per model, or once where it is about the truth."""
    found = []
    for one in conditions:
        figure = FIGURES[one.figure]
        for at, label in enumerate(content.labels[:1] if figure.of_truth else content.labels):
            value = figure.of(content, at, now)
            if one.holds(value):
                found.append(Held(content.coin, "" if figure.of_truth else label, one, value))
    return found


def not_made(coin: str, label: str, conditions: Sequence[Condition]) -> list[Held]:
    """Of a map that was asked for and could not be compared nothing is known."""
    unknown = Value(None, "it could not be compared")
    return [Held(coin, label, one, unknown) for one in conditions if not FIGURES[one.figure].of_truth]


def _judged(content: Content, at: int) -> str:
    """Why the model may not be judged; empty where it may."""
    if content.layer is None:
        return "too few positions to judge by"
    barred = content.models[at].barred
    if barred is not None:
        return MARKS_BY_CODE.get(barred.code, barred.code)
    standing = content.against_layer(at)
    return "" if standing is not None and standing.ranked else "not ranked"


def _w1(side: str) -> Callable[[Content, int, datetime], Value]:
    def of(content: Content, at: int, now: datetime) -> Value:
        standing, why = content.against_layer(at), _judged(content, at)
        if why or standing is None:
            return Value(None, why)
        scores = standing.scores
        part = {"long": scores.long, "short": scores.short}.get(side, scores.mean)
        return Value(part.wasserstein_pct, "a side of a map is empty")

    return of


def _skill(content: Content, at: int, now: datetime) -> Value:
    standing, why = content.against_layer(at), _judged(content, at)
    if why or standing is None:
        return Value(None, why)
    if content.models[at].by_chance and (standing.skill or 0.0) > SAME_SKILL:
        return Value(None, "no nearer than by chance")
    return Value(_percent(standing.skill), "a score is undefined")


def _within(pct: float) -> Callable[[Content, int, datetime], Value]:
    return lambda content, at, now: Value(_percent(content.within(pct, at)), _not_within(content, pct))


def _truth_within(pct: float) -> Callable[[Content, int, datetime], Value]:
    return lambda content, at, now: Value(_percent(content.within(pct)), _not_within(content, pct))


def _within_off(pct: float) -> Callable[[Content, int, datetime], Value]:
    def of(content: Content, at: int, now: datetime) -> Value:
        if not content.models[at].ranked:
            return Value(None, _judged(content, at) or "too few positions in the whole truth")
        share, wanted = content.within(pct, at), content.within(pct)
        off = None if share is None or wanted is None else share - wanted
        return Value(_percent(off), _not_within(content, pct))

    return of


def _not_within(content: Content, pct: float) -> str:
    if content.range_pct < pct:
        return f"maps are compared within {content.range_pct:.3g} %"
    return "a side of a map is empty"


def _coverage(choose: Callable[[tuple[float, float]], float]) -> Callable[[Content, int, datetime], Value]:
    def of(content: Content, at: int, now: datetime) -> Value:
        share = content.truth.coverage_share
        return Value(None if share is None else 100 * choose(share), "open interest is not known")

    return of


def _age_h(content: Content, at: int, now: datetime) -> Value:
    return Value((now - content.as_of).total_seconds() / 3600)


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


FIGURES: Final[Mapping[str, Figure]] = {
    "w1": Figure("% of price", "how far the map is off on average, against the layer that speaks", _w1("mean")),
    "w1_long": Figure("% of price", "the same, of longs", _w1("long")),
    "w1_short": Figure("% of price", "the same, of shorts", _w1("short")),
    "skill": Figure("%", "100 is perfect, 0 no better than knowing only the mark", _skill),
    "within_5": Figure("%", "of what a map has in the range compared lies within 5 %, mean of sides", _within(5.0)),
    "within_10": Figure("%", "within 10 %", _within(10.0)),
    "within_5_off": Figure("points", "that share less the truth's: above 0 the map is too near", _within_off(5.0)),
    "within_10_off": Figure("points", "the same within 10 %", _within_off(10.0)),
    "truth_within_5": Figure("%", "of the truth's liquidations lie within 5 %", _truth_within(5.0), True),
    "truth_within_10": Figure("%", "within 10 %", _truth_within(10.0), True),
    "coverage": Figure("%", "of open interest that the truth has seen, the lesser of its sides", _coverage(min), True),
    "coverage_long": Figure("%", "of longs", _coverage(lambda share: share[0]), True),
    "coverage_short": Figure("%", "of shorts", _coverage(lambda share: share[1]), True),
    "age_h": Figure("hours", "since the truth's moment", _age_h, True),
}  # fmt: skip
