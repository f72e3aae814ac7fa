"""Where the price has been in the windows after given moments: stored bars, of the mark where they are stored."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np

from liqtruth.estimator.frames import DATASETS
from liqtruth.estimator.moments import utc_text
from liqtruth.estimator.series.quality import repaired_candles
from liqtruth.estimator.series.time_line import bar_ends, mark_extremes, pick_bars
from liqtruth.heatmap.grid import FloatArray, IntArray
from liqtruth.heatmap.notes import Note, note
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Store

PARKINSON: Final = 4 * np.log(2)
LEAST_SHARE: Final = 0.75
"""Of a horizon must be covered by whole bars within it."""


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
    lacking and the rest says nothing.
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
    """When the last stored bar ends; null where there is none."""
    candles = store.lake.read_series("candles", venue, coin, DATASETS["candles"].schema, start)
    last = bar_ends(candles).max() if candles.height else None
    assert last is None or isinstance(last, datetime)
    return last


def ranges_after(path: MarkPath, moments_ms: IntArray, horizon_ms: int) -> Ranges:
    """The ranges of (moment, moment + horizon]; a gap between the bars of a window makes it not whole."""
    first = np.searchsorted(path.start_ms, moments_ms, side="left")
    last = np.searchsorted(path.end_ms, moments_ms + horizon_ms, side="right")
    held = last > first
    inside, ends = np.where(held, first, 0), np.where(held, last, 1)
    from_ms, until_ms = path.start_ms[inside], path.end_ms[ends - 1]
    lengths = np.concatenate([[0], np.cumsum(path.end_ms - path.start_ms)])
    covered = lengths[ends] - lengths[inside]
    whole = held & (covered == until_ms - from_ms) & (covered >= LEAST_SHARE * horizon_ms)
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
