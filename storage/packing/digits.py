"""How far a value is from its forecast, in steps of its last digit, and whole numbers that are stored in two columns.

The last digit is the sixth or tenth decimal where all values of a reading are such decimals, as exchanges send them,
and the last bit of a double where they are computed.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
READING: Final = "reading"
"""Number of the reading of a row, in the order of the archive."""
PLACES: Final = (6, 10)
"""Decimals with which the exchange sends money and prices."""
WHOLE: Final = float(1 << 53)
"""Below it every whole number is a double."""
FEW: Final = np.uint64(1 << 16)


def readings_of(rows: pl.DataFrame) -> Numbers:
    """The number of the reading of each row."""
    if READING not in rows.columns:
        return np.zeros(rows.height, np.int64)
    return rows[READING].to_physical().cast(pl.Int64).to_numpy()


def blocks_of(rows: pl.DataFrame, every: int) -> Numbers:
    """The number of the so many readings that each row is in; one in all where that is 0."""
    return readings_of(rows) // every if every else np.zeros(rows.height, np.int64)


def distance(values: Floats, expected: Floats, scale: Floats) -> Numbers:
    """How many last digits the values are from what was expected; `scale` is ten to the decimals, nan: bits."""
    in_units = units_of(values, scale) - units_of(expected, scale)
    return np.where(_has_units(expected, scale), in_units, bits(values) - bits(expected))


def at_distance(expected: Floats, off: Numbers, scale: Floats) -> Floats:
    """The values of which `distance` was given."""
    in_units = (units_of(expected, scale) + off) / scale
    return np.where(_has_units(expected, scale), in_units, (bits(expected) + off).view(np.float64))


def _has_units(expected: Floats, scale: Floats) -> Flags:
    """Whether a row's last digit is a decimal: a price of billions has none that a double could hold."""
    with np.errstate(all="ignore"):
        return np.asarray(np.abs(expected * scale) < WHOLE / 2)


def units_of(values: Floats, scale: Floats) -> Numbers:
    """Whole numbers of last digits; 0 where there is none, or no such number."""
    with np.errstate(all="ignore"):
        units = np.rint(values * scale)
    return np.where(np.abs(units) < WHOLE, units, 0.0).astype(np.int64)


def places_of(values: Floats, readings: Numbers, known: Flags) -> list[int | None]:
    """Of each reading the decimals in which all its values are exact, the sign of zero included, but for those too
    large for that many."""
    fits = np.full(int(readings.max(initial=-1)) + 1, -1)
    some, at = values[known], readings[known]
    for places in reversed(PLACES):
        scale = np.full(some.size, 10.0**places)
        off = (bits(units_of(some, scale) / scale) != bits(some)) & _has_units(some, scale)
        fits[np.bincount(at, off, fits.size) == 0] = places
    return [None if one < 0 else int(one) for one in fits]


def bits(values: Floats) -> Numbers:
    return np.ascontiguousarray(values).view(np.int64)


def with_steps(stored: pl.DataFrame, column: str, off: Numbers) -> pl.DataFrame:
    """Whole numbers in place of the column: the low digits and the rest, null where it is."""
    steps = ((off << 1) ^ (off >> 63)).view(np.uint64)
    known = stored[column].is_not_null()
    near, far = (pl.Series(half) for half in _halves(steps))
    return stored.drop(column).with_columns(
        pl.when(known).then(near).alias(f"{column}+"), pl.when(known).then(far).alias(f"{column}++")
    )


def _halves(steps: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint64]]:
    """The low digits and the rest: most distances have none."""
    return (steps % FEW).astype(np.uint16), steps // FEW


def _whole(column: pl.Series) -> npt.NDArray[np.unsignedinteger]:
    return (column.fill_null(0) if column.null_count() else column).to_numpy()


def steps_of(stored: pl.DataFrame, column: str) -> Numbers:
    """The whole numbers that `with_steps` was given; 0 where the value is null."""
    near, far = (_whole(stored[f"{column}{half}"]) for half in ("+", "++"))
    steps: npt.NDArray[np.uint64] = near.astype(np.uint64) + far.astype(np.uint64) * FEW
    signs: Numbers = -(steps & np.uint64(1)).view(np.int64)
    return (steps >> np.uint64(1)).view(np.int64) ^ signs
