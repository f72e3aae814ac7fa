"""The moments at which a model is drawn over time: steps of equal length, the bars of each, ages in steps."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

import numpy as np

from liqtruth.estimator.errors import UnknownChoice
from liqtruth.estimator.over_time.time_evolution import EVERY_AGE, AgeBand, Steps
from liqtruth.estimator.series.series import MarketSeries
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.grid import IntArray
from liqtruth.heatmap.text import hours, of_ms

COLUMNS: Final = 360
"""A step that is not given is the shortest round one that makes at most so many columns."""
ROUND_STEPS: Final = tuple(
    timedelta(minutes=minutes) for minutes in (5, 10, 15, 30, 60, 120, 240, 480, 720, 1440)
)

AGES: Final = {
    "<4h": (0.0, 4.0),
    "4-24h": (4.0, 24.0),
    "1-7d": (24.0, 168.0),
    ">7d": (168.0, None),
    "fresh": (0.0, 24.0),
    "stale": (24.0, None),
}
"""Hours since opening, from and up to; `fresh` and `stale` part all positions at a day."""


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
        """One or several of `AGES` with commas, in steps.

        Raises `UnknownChoice`, and `BadInput` where they overlap or an edge is no multiple of the step.
        """
        if names is None:
            return (EVERY_AGE,)
        bands = sorted(
            (self._age_band(name.strip()) for name in names.split(",")), key=lambda band: band.youngest
        )
        for band, later in pairwise(bands):
            if band.oldest is None or band.oldest > later.youngest:
                raise BadInput(f"ages {names!r} overlap: take fresh or stale alone, or the bands once each")
        return tuple(bands)

    def _age_band(self, name: str) -> AgeBand:
        if name not in AGES:
            raise UnknownChoice("age", name, AGES)
        youngest, oldest = AGES[name]
        return AgeBand(
            self._in_steps(youngest, name), None if oldest is None else self._in_steps(oldest, name)
        )

    def _in_steps(self, age_h: float, name: str) -> int:
        count, rest = divmod(timedelta(hours=age_h), self.step)
        if rest:
            raise BadInput(f"age {name} needs a --step that divides {age_h:g} h, not {hours(self.step)}")
        return count


def clock_of(loaded: MarketSeries, span: timedelta, step: timedelta | None) -> Clock:
    """Steps back from the end of the series to its first bar; raises `BadInput` for a step that is not positive."""
    bar = timedelta(seconds=bar_s(loaded))
    chosen = _default_step(span, bar) if step is None else step
    if not timedelta(0) < chosen <= span or chosen < bar:
        raise BadInput(
            f"a step of {in_words(chosen)} does not fit a span of {in_words(span)} on bars of {in_words(bar)}: "
            "it is at least a bar and at most the span"
        )
    last, step_ms = int(loaded.end_ms[-1]), round(chosen / timedelta(milliseconds=1))
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
