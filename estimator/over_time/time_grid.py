"""The moments at which a model is drawn over time: steps of equal length, the bars of each, ages in steps."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from liqtruth.estimator.model.ages import ages_named
from liqtruth.estimator.over_time.time_evolution import EVERY_AGE, AgeBand, Steps
from liqtruth.estimator.series.series import MarketSeries
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.grid import IntArray
from liqtruth.heatmap.words.text import hours, of_ms

HOUR: Final = timedelta(hours=1)
COLUMNS: Final = 360
"""A step that is not given is the shortest round one that makes at most so many columns."""
ROUND_STEPS: Final = tuple(
    timedelta(minutes=minutes) for minutes in (5, 10, 15, 30, 60, 120, 240, 480, 720, 1440)
)


@dataclass(frozen=True, eq=False)
class Clock:
    """Moments `step` apart of which the last is the end of the series; `steps` groups the bars by them.

    The first `lead` moments are warm-up and are not shown.
    """

    end_ms: IntArray
    steps: Steps
    step: timedelta
    lead: int

    @property
    def times(self) -> tuple[datetime, ...]:
        return tuple(of_ms(int(end)) for end in self.end_ms[self.lead :])

    def age_bands(self, names: str | None) -> tuple[AgeBand, ...]:
        """Ages with commas (`heatmap.ages`), in steps.

        Raises `UnknownChoice`, and `BadInput` where they overlap or an edge is no multiple of the step.
        """
        if names is None:
            return (EVERY_AGE,)
        return tuple(
            AgeBand(
                self._in_steps(one.youngest, one.name),
                None if one.oldest is None else self._in_steps(one.oldest, one.name),
            )
            for one in ages_named(names.split(","))
        )

    def _in_steps(self, age: timedelta, name: str) -> int:
        count, rest = divmod(age, self.step)
        if rest:
            length = f"{age / HOUR:g} h" if age >= HOUR else f"{age / timedelta(minutes=1):g} min"
            raise BadInput(f"age {name} needs a --step that divides {length}, got {in_words(self.step)}")
        return count


def clock_of(
    loaded: MarketSeries, span: timedelta, step: timedelta | None, end: datetime | None = None
) -> Clock:
    """Steps back from `end` (default: that of the last bar) to the first bar; raises `BadInput` for a step that is not
    positive."""
    bar = timedelta(seconds=bar_s(loaded))
    chosen = _default_step(span, bar) if step is None else step
    if not timedelta(0) < chosen <= span or chosen < bar:
        raise BadInput(
            f"a step of {in_words(chosen)} does not fit a span of {in_words(span)} on bars of {in_words(bar)}: "
            "it is at least a bar and at most the span"
        )
    last = int(loaded.end_ms[-1]) if end is None else round(end.timestamp() * 1000)
    step_ms = round(chosen / timedelta(milliseconds=1))
    count = (last - int(loaded.end_ms[0])) // step_ms + 1
    ends = last - step_ms * np.arange(count)[::-1]
    lead = max(0, count - (span // chosen))
    return Clock(ends, Steps(np.searchsorted(loaded.end_ms, ends, side="right")), chosen, lead)


def _default_step(span: timedelta, bar: timedelta) -> timedelta:
    least = max(span / COLUMNS, bar)
    return next((step for step in ROUND_STEPS if step >= least), least)


def bar_s(loaded: MarketSeries) -> float:
    """Usual length of a bar; of a single bar, from the start of the series."""
    first = (loaded.end_ms[0] - loaded.start.timestamp() * 1000) / 1000
    lengths = np.diff(loaded.end_ms) / 1000
    return float(np.median(lengths)) if lengths.size else float(first)


def in_words(length: timedelta) -> str:
    return hours(length) if length >= timedelta(hours=1) else f"{length / timedelta(minutes=1):g} min"
