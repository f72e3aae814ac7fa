"""How old what a bar opened is at a map's moment: the bands of a breakdown, and the bars that a part keeps."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from liqtruth.estimator.errors import UnknownChoice
from liqtruth.estimator.series.series import MarketSeries
from liqtruth.heatmap.ages import OFFERED, AgeRange, age_range, in_order
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.grid import FloatArray, IntArray
from liqtruth.heatmap.words.text import utc_text

AGE_BANDS: Final = ("<4h", "4-24h", "1-7d", ">7d")
MS: Final = timedelta(milliseconds=1)
AGE_EDGES_H: Final = (4.0, 24.0, 168.0)


def age_bands(series: MarketSeries) -> IntArray:
    """Index into `AGE_BANDS` per bar, by the time from the bar's end to the map's moment."""
    age_h = (series.as_of.timestamp() * 1000 - series.end_ms) / 3.6e6
    return np.searchsorted(AGE_EDGES_H, age_h, side="right")


def ages_named(names: Sequence[str]) -> tuple[AgeRange, ...]:
    """Youngest first; raises `UnknownChoice`, and `BadInput` where they overlap."""
    found = []
    for name in names:
        one = age_range(name)
        if one is None:
            raise UnknownChoice("age", name, OFFERED)
        found.append(one)
    return in_order(found)


def kept_bars(series: MarketSeries, age: Sequence[str] | None, since: datetime | None) -> FloatArray:
    """1 for bars whose end is of one of the ages and after `since`, else 0; raises as `ages_named`."""
    now_ms, kept = series.as_of.timestamp() * 1000, np.ones(len(series.end_ms))
    if since is not None:
        refuse_later(since, series.as_of)
        kept *= series.end_ms > since.timestamp() * 1000
    if age:
        age_ms = now_ms - series.end_ms
        inside = np.zeros(len(kept), dtype=bool)
        for one in ages_named(age):
            young, old = (np.inf if edge is None else edge / MS for edge in (one.youngest, one.oldest))
            inside |= (age_ms >= young) & (age_ms < old)
        kept *= inside
    return kept


def refuse_later(since: datetime, end: datetime) -> None:
    """Raises `BadInput` where nothing can have been opened since."""
    if since >= end:
        raise BadInput(f"--since must be before the map's moment, {utc_text(end)}, got {utc_text(since)}")
