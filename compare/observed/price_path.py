"""Where the price has been: stored bars, of the mark where they are stored, and what they show of spans of time.

`ranges_after` is of the windows after given moments and takes whole ones only. `PricePath` answers for any span, which
may lack some bars, for a month is seldom whole; and for the volatility before any moment. Only bars that lie within a
span count for it: what the bar around its start showed may be from before the start. Tables of extremes of 1, 2, 4, ...
values (`doubled`) give the extreme of any range, and the first value that is low enough, for many ranges at once.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final

import numpy as np

from liqtruth.estimator.frames import DATASETS
from liqtruth.estimator.series.quality import repaired_candles
from liqtruth.estimator.series.time_line import bar_ends, mark_extremes, pick_bars
from liqtruth.heatmap.grid import FloatArray, IntArray
from liqtruth.heatmap.words.notes import Note, note
from liqtruth.heatmap.words.text import utc_text
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Store

PARKINSON: Final = 4 * np.log(2)
LEAST_SHARE: Final = 0.75
"""Of a horizon must be covered by whole bars within it."""
COVERED: Final = 0.9
"""Share of a span that bars must cover: with less its extremes are not known."""
LONGEST_BAR: Final = timedelta(days=31)
"""No bar that began earlier than this before the last one ends after it."""


@dataclass(frozen=True, eq=False)
class MarkPath:
    """Bars of `bar_ms` (the usual length) that do not overlap; `by_marks` is the share of
    them that are of mark prices, the others are of last prices."""

    start_ms: IntArray
    end_ms: IntArray
    low: FloatArray
    high: FloatArray
    bar_ms: int
    by_marks: float

    def prices(self, verb: str = "swept") -> Note:
        """Which prices they are of."""
        return note("path_prices", verb=verb, by_marks=self.by_marks)


@dataclass(frozen=True, eq=False)
class Ranges:
    """Per moment: the extremes of the whole bars within its window, from `from_ms` to `until_ms`.

    `volatility` is Parkinson's: the root of the sum of ln(high / low)^2 / (4 ln 2). Where `whole` is false, bars are
    lacking and the rest means nothing.
    """

    low: FloatArray
    high: FloatArray
    volatility: FloatArray
    from_ms: IntArray
    until_ms: IntArray
    whole: np.ndarray


def load_path(store: Store, venue: str, coin: str, start: datetime, end: datetime) -> MarkPath:
    """Raises `NothingStored` where no bar lies between `start` and `end`."""
    candles = store.lake.read_series("candles", venue, coin, DATASETS["candles"].schema, start, end)
    sound, _ = repaired_candles(candles)
    bars = pick_bars(sound, start, end)
    if bars.is_empty():
        raise NothingStored(
            f"no candles of {venue} {coin} between {utc_text(start)} and {utc_text(end)}: "
            f"`liqtruth feed fetch {venue} {coin}` or `liqtruth feed import` brings them"
        )
    marks = store.lake.read_series("mark_candles", venue, coin, DATASETS["mark_candles"].schema, start, end)
    low, high = mark_extremes(bars, marks)
    known = np.isfinite(low)
    return MarkPath(
        start_ms=bars["ts"].dt.epoch("ms").to_numpy(),
        end_ms=bars["end"].dt.epoch("ms").to_numpy(),
        low=np.where(known, low, bars["low"].to_numpy()),
        high=np.where(known, high, bars["high"].to_numpy()),
        bar_ms=round(1000 * float(bars["interval_s"].median())),  # type: ignore[arg-type]
        by_marks=float(known.mean()),
    )


def last_bar_end(store: Store, venue: str, coin: str, start: datetime | None = None) -> datetime | None:
    """When the last stored bar ends; null where none begins at `start` or later."""
    files = store.lake.series_files("candles", venue, coin)
    if not files:
        return None
    since = max(file.last_at for file in files) - LONGEST_BAR
    since = since if start is None else max(start, since)
    candles = store.lake.read_series("candles", venue, coin, DATASETS["candles"].schema, since)
    last = bar_ends(candles).max() if candles.height else None
    assert last is None or isinstance(last, datetime)
    return last


def ranges_after(path: MarkPath, moments_ms: IntArray, horizon_ms: int) -> Ranges:
    """The ranges of (moment, moment + horizon]; a gap between the bars of a window makes it not whole."""
    first = np.searchsorted(path.start_ms, moments_ms, side="left")
    last = np.searchsorted(path.end_ms, moments_ms + horizon_ms, side="right")
    has_bars = last > first
    inside, ends = np.where(has_bars, first, 0), np.where(has_bars, last, 1)
    from_ms, until_ms = path.start_ms[inside], path.end_ms[ends - 1]
    lengths = np.concatenate([[0], np.cumsum(path.end_ms - path.start_ms)])
    covered = lengths[ends] - lengths[inside]
    whole = has_bars & (covered == until_ms - from_ms) & (covered >= LEAST_SHARE * horizon_ms)
    squares = np.concatenate([[0.0], np.cumsum(np.log(path.high / path.low) ** 2 / PARKINSON)])
    return Ranges(
        low=_between(np.minimum, path.low, inside, ends),
        high=_between(np.maximum, path.high, inside, ends),
        volatility=np.sqrt(np.maximum(squares[ends] - squares[inside], 0.0)),
        from_ms=from_ms,
        until_ms=until_ms,
        whole=whole,
    )


def _between(extreme: np.ufunc, values: FloatArray, first: IntArray, ends: IntArray) -> FloatArray:
    """`extreme` of `values[first:ends]` per window."""
    places = np.stack([first, ends], axis=1).ravel()
    return np.asarray(extreme.reduceat(np.append(values, values[-1]), places)[::2])


@dataclass(frozen=True, eq=False)
class PricePath:
    """Looks up spans on `bars`; times in epoch milliseconds."""

    bars: MarkPath

    @property
    def bar_min(self) -> float:
        """Usual length of a bar in minutes."""
        return self.bars.bar_ms / 60_000

    def extremes(self, from_ms: IntArray, until_ms: IntArray) -> tuple[FloatArray, FloatArray]:
        """Lowest and highest price of each span; NaN where bars cover less than `COVERED` of it."""
        first, stop, covered = self._within(from_ms, until_ms)
        known = (stop > first) & (covered >= COVERED * (until_ms - from_ms))
        low, high = np.full(from_ms.shape, np.nan), np.full(from_ms.shape, np.nan)
        first, stop = first[known], stop[known]
        low[known] = range_of(self._lows, first, stop, np.minimum)
        high[known] = range_of(self._highs, first, stop, np.maximum)
        return low, high

    def volatility(self, at_ms: IntArray, back_ms: int) -> FloatArray:
        """Parkinson's, of the bars in the `back_ms` before each moment; NaN where they cover too little of it."""
        first, stop, covered = self._within(at_ms - back_ms, at_ms)
        summed = self._squares[stop] - self._squares[first]
        return np.where(covered >= COVERED * back_ms, np.sqrt(np.maximum(summed, 0.0)), np.nan)

    def middle_at(self, at_ms: IntArray) -> FloatArray:
        """Geometric middle of the last bar that ended by then; NaN before the first one."""
        last = np.searchsorted(self.bars.end_ms, at_ms, side="right") - 1
        middle = np.sqrt(self.bars.low * self.bars.high)
        return np.where(last >= 0, middle[np.maximum(last, 0)], np.nan)

    def _within(self, from_ms: IntArray, until_ms: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        """First bar of each span, the one after its last, and how long they are together."""
        first = np.searchsorted(self.bars.start_ms, from_ms)
        stop = np.maximum(np.searchsorted(self.bars.end_ms, until_ms, side="right"), first)
        return first, stop, self._before[stop] - self._before[first]

    @cached_property
    def _before(self) -> IntArray:
        return np.concatenate([[0], np.cumsum(self.bars.end_ms - self.bars.start_ms)])

    @cached_property
    def _squares(self) -> FloatArray:
        squares = np.log(self.bars.high / self.bars.low) ** 2 / PARKINSON
        return np.concatenate([[0.0], np.cumsum(squares)])

    @cached_property
    def _lows(self) -> list[FloatArray]:
        return doubled(self.bars.low, np.minimum)

    @cached_property
    def _highs(self) -> list[FloatArray]:
        return doubled(self.bars.high, np.maximum)


def doubled(values: FloatArray, extreme: np.ufunc) -> list[FloatArray]:
    """Extremes of 1, 2, 4, ... values from each place on: any range is two of them that overlap."""
    table, span = [values], 1
    while 2 * span <= values.size:
        table.append(extreme(table[-1][:-span], table[-1][span:]))
        span *= 2
    return table


def range_of(table: list[FloatArray], first: IntArray, stop: IntArray, extreme: np.ufunc) -> FloatArray:
    """Extreme of `values[first:stop]` per pair; no range is empty."""
    found = np.empty(first.shape)
    level = np.floor(np.log2(stop - first)).astype(np.int64)
    for depth in np.unique(level):
        at = level == depth
        found[at] = extreme(table[depth][first[at]], table[depth][stop[at] - (1 << depth)])
    return found


def first_at_most(least: list[FloatArray], start: IntArray, level: FloatArray) -> IntArray:
    """First place from `start` on whose value is at most `level`, by a table of minima; the number of values where
    there is none. Long runs that stay above are passed first: a search by halves for all at once."""
    at, count = start.copy(), least[0].size
    for power in reversed(range(len(least))):
        runs = least[power]
        inside = at < runs.size
        passed = np.zeros(at.size, dtype=np.bool_)
        passed[inside] = runs[at[inside]] > level[inside]
        at[passed] += 2**power
    return np.minimum(at, count)
