"""Rows of many readings side by side, kept small: what the row before and the mark foretell is not stored.

Between two readings most of a position stays as it is, and the rest moves with its mark. Rows are sorted by coin,
account and time, so that what stays is one long run; a column that moves is stored as the distance, in steps of the
last bit of a double, from what simple arithmetic foretells of it: `|szi| * mark` of the notional, the row before moved
by the new mark of the profit. A forecast that is off costs bytes and never a digit: `decoded` gives back every bit.
What the positions of an account share, its collateral, is one row per account and reading, in a file of its own.

The forecasts are part of the format: changing one needs a new name in `FORMAT`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]
Rows = Mapping[str, Floats]
"""Columns as arrays of equal length; null is nan."""
FORMAT: Final = "moving-1"
READING: Final = "reading"
"""Number of the reading of a row, in the order of the archive."""
PLACE: Final = "place"
"""How much further behind among the coin's rows of its reading a row stood than it stands when sorted."""
KEY: Final = ("coin", "address", "dex")
ACCOUNT: Final = ("address", "dex", READING)
COLLATERAL: Final = ("account_value_usd", "cross_maintenance_usd", "pooled_available_usd")
FEW: Final = np.uint64(1 << 16)


@dataclass(frozen=True)
class Forecast:
    """What is expected of a column: `first` of the first row of a position, `next` from the row before as well."""

    column: str
    needs: tuple[str, ...]
    first: Callable[[Rows], Floats]
    next: Callable[[Rows, Rows], Floats]


def _moved(name: str) -> Callable[[Rows, Rows], Floats]:
    return lambda now, then: then[name] + now["szi"] * (now["mark_px"] - then["mark_px"])


def _margin(now: Rows, then: Rows) -> Floats:
    """Of a cross position in proportion to its mark, of an isolated one, which has a cash leg, with its profit."""
    cross = then["margin_used_usd"] * (now["mark_px"] / then["mark_px"])
    return np.where(np.isnan(now["isolated_raw_usd"]), cross, _moved("margin_used_usd")(now, then))


def _price(now: Rows, then: Rows) -> Floats:
    """`mark - margin available / (szi * d)` of a cross position, with the d that the row before had."""
    divisor = _available(then) / (then["szi"] * (then["mark_px"] - then["liq_px_solved"]))
    cross = now["mark_px"] - _available(now) / (now["szi"] * divisor)
    return np.where(np.isnan(now["isolated_raw_usd"]), cross, then["liq_px_solved"])


def _available(rows: Rows) -> Floats:
    pooled = rows["pooled_available_usd"]
    own = rows["account_value_usd"] - rows["cross_maintenance_usd"]
    return np.where(np.isnan(pooled), own, pooled)


def _pool(now: Rows, then: Rows) -> Floats:
    gain = now["account_value_usd"] - then["account_value_usd"]
    return then["pooled_available_usd"] + (
        gain - (now["cross_maintenance_usd"] - then["cross_maintenance_usd"])
    )


OF_POSITIONS: Final = (
    Forecast(
        "notional_usd",
        ("szi", "mark_px"),
        lambda now: np.abs(now["szi"]) * now["mark_px"],
        lambda now, then: np.abs(now["szi"]) * now["mark_px"],
    ),
    Forecast(
        "unrealized_pnl_usd",
        ("szi", "mark_px", "entry_px"),
        lambda now: now["szi"] * (now["mark_px"] - now["entry_px"]),
        _moved("unrealized_pnl_usd"),
    ),
    Forecast(
        "margin_used_usd",
        ("szi", "mark_px", "isolated_raw_usd", "leverage"),
        lambda now: np.abs(now["szi"]) * now["mark_px"] / now["leverage"],
        _margin,
    ),
    Forecast(
        "liq_px_solved",
        ("szi", "mark_px", "isolated_raw_usd", "liq_px_exchange", *COLLATERAL),
        lambda now: now["liq_px_exchange"],
        _price,
    ),
    Forecast(
        "liq_px", ("liq_px_solved",), lambda now: now["liq_px_solved"], lambda now, then: now["liq_px_solved"]
    ),
)
OF_COLLATERAL: Final = (
    Forecast("pooled_available_usd", COLLATERAL[:2], lambda now: np.zeros_like(now[COLLATERAL[0]]), _pool),
)


def encoded(rows: pl.DataFrame, forecasts: Sequence[Forecast], key: Sequence[str]) -> pl.DataFrame:
    """The rows, sorted by `key`, then time, with two whole numbers for each column that is foretold."""
    arrays = _arrays(rows, forecasts)
    first = _begins(rows, key)
    stored = rows
    for one in _usable(rows, forecasts):
        shifted = {name: np.concatenate(([np.nan], values[:-1])) for name, values in arrays.items()}
        with np.errstate(all="ignore"):
            expected = np.where(first, one.first(arrays), one.next(arrays, shifted))
        off = _bits(arrays[one.column]) - _bits(_sound(expected))
        steps = pl.Series(((off << 1) ^ (off >> 63)).view(np.uint64))
        known = rows[one.column].is_not_null()
        near, far = (pl.Series(half) for half in _halves(steps.to_numpy()))
        stored = stored.drop(one.column).with_columns(
            pl.when(known).then(near).alias(f"{one.column}+"),
            pl.when(known).then(far).alias(f"{one.column}++"),
        )
    return stored


def decoded(
    stored: pl.DataFrame, forecasts: Sequence[Forecast], key: Sequence[str], columns: Sequence[str]
) -> pl.DataFrame:
    """What `encoded` was given, with its `columns`; `stored` has the collateral that forecasts need."""
    foretold = [one for one in forecasts if f"{one.column}+" in stored.columns]
    arrays = _arrays(stored, foretold)
    offs = {one.column: _off(stored, one.column) for one in foretold}
    known = {one.column: stored[f"{one.column}+"].is_not_null().to_numpy() for one in foretold}
    first = _begins(stored, key)
    for now, is_first in _in_order(first):
        current = {name: values[now] for name, values in arrays.items() if name not in offs}
        before = {name: values[now - 1] for name, values in arrays.items()}
        for one in foretold:
            with np.errstate(all="ignore"):
                expected = _sound(one.first(current) if is_first else one.next(current, before))
            value = (_bits(expected) + offs[one.column][now]).view(np.float64)
            current[one.column] = np.where(known[one.column][now], value, np.nan)
            arrays[one.column][now] = current[one.column]
    return stored.with_columns(
        pl.when(pl.Series(known[one.column])).then(pl.Series(arrays[one.column])).alias(one.column)
        for one in foretold
    ).select(columns)


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
        name: rows[name].fill_null(np.nan).to_numpy().copy()
        if rows.schema.get(name) == pl.Float64
        else np.full(rows.height, np.nan)
        for name in names
    }


def _begins(rows: pl.DataFrame, key: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which rows are the first of their position."""
    names = [name for name in key if name in rows.columns]
    changed = rows.select(
        pl.any_horizontal([pl.col(name).ne_missing(pl.col(name).shift(1)) for name in names])
    )
    begins = changed.to_series().fill_null(True).to_numpy().copy()
    begins[:1] = True
    return begins


def _in_order(first: npt.NDArray[np.bool_]) -> Any:
    """Row numbers in the order in which they can be decoded: all first rows, all second ones, ..."""
    numbers = np.arange(first.size)
    rank = numbers - np.maximum.accumulate(np.where(first, numbers, 0))
    order = np.argsort(rank, kind="stable")
    ends = np.cumsum(np.bincount(rank))
    return ((part, place == 0) for place, part in enumerate(np.split(order, ends[:-1])) if part.size)


def _bits(values: Floats) -> npt.NDArray[np.int64]:
    return np.ascontiguousarray(values).view(np.int64)


def _sound(expected: Floats) -> Floats:
    return np.where(np.isfinite(expected), expected, 0.0)


def _halves(steps: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint64]]:
    """The low digits and the rest: most distances have none."""
    return (steps % FEW).astype(np.uint16), steps // FEW


def _off(stored: pl.DataFrame, column: str) -> npt.NDArray[np.int64]:
    near, far = (stored[f"{column}{half}"].fill_null(0).to_numpy() for half in ("+", "++"))
    steps: npt.NDArray[np.uint64] = near.astype(np.uint64) + far.astype(np.uint64) * FEW
    signs: npt.NDArray[np.int64] = -(steps & np.uint64(1)).view(np.int64)
    return (steps >> np.uint64(1)).view(np.int64) ^ signs
