"""Rows of many readings side by side, kept small: what the row before and the mark foretell is not stored.

Between two readings most of a position stays as it is, and the rest moves with its mark. Rows are sorted by coin,
account and time, so that what stays is one long run; a column that moves is stored as the distance, in steps of the
last digit, from what simple arithmetic foretells of it: `|szi| * mark` of the notional, the row before moved by the
new mark of the profit. A forecast that is off costs bytes and never a digit: `decoded` gives back every bit. What the
positions of an account share, its collateral, is one row per account and reading, in a file of its own.

What a last digit is, is said in `digits`, what is foretold in `forecasts`, what is done with marks in `marks`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import polars as pl

from liqtruth.storage.packing.digits import (
    READING,
    Flags,
    Floats,
    Numbers,
    at_distance,
    bits,
    blocks_of,
    distance,
    places_of,
    readings_of,
    steps_of,
    with_steps,
)
from liqtruth.storage.packing.forecasts import IS_RATIO, TICK, Forecast, Rows
from liqtruth.storage.packing.marks import ratios_of, since_last, tick_places, ticks_of, ticks_read

PLACE: Final = "place"
"""How much further behind among the coin's rows of its reading a row stood than it stands when sorted."""
KEY: Final = ("coin", "address", "dex")
EVERY: Final = 12
"""Readings after which forecasts begin anew."""
ACCOUNT: Final = ("address", "dex", READING)


@dataclass(frozen=True)
class Digits:
    """Which last digits were counted in: by column the decimals of each reading (null: bits), of each reading whether
    its marks are notional over size, of each coin the decimals of its marks (empty where one has none). Forecasts begin
    anew after `every` readings, so that none needs more than those to be decoded; 0: never."""

    places: Mapping[str, Sequence[int | None]] = field(default_factory=dict)
    ratios: Sequence[bool] = ()
    ticks: Mapping[str, int] = field(default_factory=dict)
    every: int = 0

    def since(self, readings: Sequence[int]) -> int:
        """The first of those that these readings need."""
        return min(readings, default=0) // self.every * self.every if self.every else 0

    def scale(self, column: str, readings: Numbers) -> Floats:
        """Ten to the decimals of each row; nan: bits."""
        known = [np.nan if one is None else 10.0**one for one in self.places.get(column, ())]
        return np.array(known)[readings] if known else np.full(readings.size, np.nan)


def encoded(
    rows: pl.DataFrame, forecasts: Sequence[Forecast], key: Sequence[str]
) -> tuple[pl.DataFrame, Digits]:
    """The rows, sorted by `key`, then time, with two whole numbers for each column that is foretold."""
    readings = readings_of(rows)
    ratios = ratios_of(rows, readings)
    tick = ticks_of(rows, ratios[readings]) if ratios.size else None
    ticks = {} if tick is None else tick_places(rows, tick)
    stored = rows if tick is None else rows.with_columns(pl.Series(TICK, tick, nan_to_null=True))
    foretold = _usable(stored, forecasts)
    arrays = _arrays(stored, forecasts) | {IS_RATIO: _flags(ratios, readings)}
    first = _begins(rows, key, EVERY)
    foretold = [one for one in foretold if not _stays(arrays[one.column], first)]
    places = dict[str, list[int | None]]()
    before = {name: np.concatenate(([np.nan], values[:-1])) for name, values in arrays.items()}
    for one in foretold:
        known = rows[one.column].is_not_null().to_numpy()
        places[one.column], off = _foretold(one, arrays, before, first, readings, known)
        stored = with_steps(stored, one.column, off)
    if ticks:
        stored = with_steps(stored, TICK, since_last(stored, ticks, EVERY))
    return stored, Digits(places, [bool(one) for one in ratios], ticks, EVERY)


def _foretold(
    one: Forecast, now: Rows, then: Rows, first: Flags, readings: Numbers, known: Flags
) -> tuple[list[int | None], Numbers]:
    """Decimals of each reading, and how far each value is from its forecast; what would not come back is in bits."""
    values = now[one.column]
    places = places_of(values, readings, known)
    while True:
        scale = Digits({one.column: places}).scale(one.column, readings)
        expected = _expected(one, now, then, first, scale)
        off = distance(values, expected, scale)
        lost = (bits(at_distance(expected, off, scale)) != bits(values)) & known
        if not lost.any():
            return places, off
        lossy = set(readings[lost].tolist())
        places = [None if number in lossy else known for number, known in enumerate(places)]


def decoded(
    stored: pl.DataFrame,
    forecasts: Sequence[Forecast],
    key: Sequence[str],
    columns: Sequence[str],
    digits: Digits,
) -> pl.DataFrame:
    """What `encoded` was given, with its `columns`; `stored` has the collateral that forecasts need."""
    foretold = [one for one in forecasts if f"{one.column}+" in stored.columns]
    readings = readings_of(stored)
    if digits.ticks:
        stored = stored.with_columns(ticks_read(stored, digits.ticks, digits.every))
    arrays = _arrays(stored, forecasts) | {IS_RATIO: _flags(np.array(digits.ratios, np.bool_), readings)}
    offs = {one.column: steps_of(stored, one.column) for one in foretold}
    scales = {one.column: digits.scale(one.column, readings) for one in foretold}
    known = {one.column: stored[f"{one.column}+"].is_not_null().to_numpy() for one in foretold}
    begins = _begins(stored, key, digits.every)
    for now, is_first in _in_order(begins):
        current = {name: values[now] for name, values in arrays.items() if name not in offs}
        before = {name: values[now - 1] for name, values in arrays.items()}
        for one in foretold:
            scale, first = scales[one.column][now], np.full(now.size, is_first)
            expected = _expected(one, current, before, first, scale)
            value = at_distance(expected, offs[one.column][now], scale)
            current[one.column] = np.where(known[one.column][now], value, np.nan)
            arrays[one.column][now] = current[one.column]
    return stored.with_columns(
        pl.when(pl.Series(known[one.column])).then(pl.Series(arrays[one.column])).alias(one.column)
        for one in foretold
    ).select(columns)


def _flags(by_reading: Flags, readings: Numbers) -> Floats:
    return by_reading[readings].astype(np.float64) if by_reading.size else np.zeros(readings.size)


def _expected(one: Forecast, now: Rows, then: Rows, first: Flags, scale: Floats) -> Floats:
    with np.errstate(all="ignore"):
        plain = one.first(now)
        held = np.rint(one.first(then) * scale) == np.rint(then[one.column] * scale)
        return _sound(np.where(first | held, plain, one.next(now, then)))


def _stays(values: Floats, first: Flags) -> bool:
    """Whether the row before mostly has the same value, which needs no forecast."""
    later = ~first[1:] & ~np.isnan(values[1:])
    return bool(2 * np.count_nonzero(later & (values[1:] == values[:-1])) > np.count_nonzero(later))


def _usable(rows: pl.DataFrame, forecasts: Sequence[Forecast]) -> list[Forecast]:
    return [
        one
        for one in forecasts
        if all(rows.schema.get(name) == pl.Float64 for name in (one.column, *one.needs))
    ]


def _arrays(rows: pl.DataFrame, forecasts: Sequence[Forecast]) -> dict[str, Floats]:
    """Every column that a forecast looks at; one that is not decoded yet is nan."""
    names = dict.fromkeys(name for one in forecasts for name in (*one.needs, one.column))
    return {
        name: rows[name].to_numpy(writable=True)  # polars gives nan for null
        if rows.schema.get(name) == pl.Float64
        else np.full(rows.height, np.nan)
        for name in names
    }


def _begins(rows: pl.DataFrame, key: Sequence[str], every: int) -> Flags:
    """Which rows are the first of their position, or of it in the next so many readings."""
    names = [pl.col(name) for name in key if name in rows.columns]
    names += [pl.lit(pl.Series(blocks_of(rows, every)))] if every else []
    changed = rows.select(pl.any_horizontal([one.ne_missing(one.shift(1)) for one in names]))
    begins = changed.to_series().fill_null(True).to_numpy().copy()
    begins[:1] = True
    return begins


def _in_order(first: Flags) -> Iterator[tuple[Numbers, bool]]:
    """Row numbers in the order in which they can be decoded: all first rows, all second ones, ..."""
    numbers = np.arange(first.size)
    rank = numbers - np.maximum.accumulate(np.where(first, numbers, 0))
    order = np.argsort(rank, kind="stable")
    ends = np.cumsum(np.bincount(rank))
    return ((part, place == 0) for place, part in enumerate(np.split(order, ends[:-1])) if part.size)


def _sound(expected: Floats) -> Floats:
    return np.where(np.isfinite(expected), expected, 0.0)
