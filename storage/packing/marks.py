"""Marks of many readings, kept small: what was read at about the same time had about the same mark.

An answer of the exchange has no mark, so that a reading of accounts has notional over size instead: of it the mark is
stored with as few decimals as give the notional. Marks are stored as steps from the one of the same coin that was read
before, whoever's that was.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import polars as pl

from liqtruth.storage.packing.digits import (
    PLACES,
    Flags,
    Floats,
    Numbers,
    bits,
    blocks_of,
    readings_of,
    steps_of,
    units_of,
)
from liqtruth.storage.packing.forecasts import TICK

MOST_TICK_PLACES: Final = 8
NEARLY_ALL: Final = 0.99


def ratios_of(rows: pl.DataFrame, readings: Numbers) -> Flags:
    """Of each reading whether all its marks are notional over size; of rows without marks empty."""
    if any(rows.schema.get(name) != pl.Float64 for name in ("mark_px", "notional_usd", "szi")):
        return np.empty(0, np.bool_)
    mark, ratio = rows.select("mark_px", ratio=pl.col("notional_usd") / pl.col("szi").abs()).get_columns()
    off = (mark.is_not_null() & mark.ne_missing(ratio)).to_numpy()
    return np.asarray(np.bincount(readings, off, int(readings.max(initial=-1)) + 1) == 0)


def ticks_of(rows: pl.DataFrame, is_ratio: Flags) -> Floats:
    """Marks, those that are ratios with the fewest decimals that give nearly all notionals of their coin."""
    mark, szi, notional = (rows[name].to_numpy() for name in ("mark_px", "szi", "notional_usd"))
    coin = _coins(rows)
    counted = np.bincount(coin[is_ratio], minlength=int(coin.max(initial=-1)) + 1)
    tick, sent, left = mark.copy(), np.full(mark.size, 10.0 ** PLACES[0]), is_ratio
    for places in range(MOST_TICK_PLACES + 1):
        scale = np.full(mark.size, 10.0**places)
        rounded = units_of(mark, scale) / scale
        with np.errstate(
            invalid="ignore"
        ):  # an infinite size at a mark of nothing is no number, and fits none
            fits = units_of(np.abs(szi) * rounded, sent) == units_of(notional, sent)
        hit = np.bincount(coin[left & fits], minlength=counted.size)
        done = left & (hit >= NEARLY_ALL * counted)[coin]
        tick[done], left = rounded[done], left & ~done
    return tick + 0.0  # of -0 decimals keep no sign


def tick_places(rows: pl.DataFrame, tick: Floats) -> dict[str, int]:
    """Of each coin the fewest decimals in which all its marks are exact; of none where a coin has no such number."""
    coin, known = _coins(rows), ~np.isnan(tick)
    names = rows["coin"].rle().struct.field("value").to_list()
    found: dict[str, int] = {}
    for places in range(PLACES[-1] + 1):
        scale = np.full(tick.size, 10.0**places)
        off = known & (bits(units_of(tick, scale) / scale) != bits(tick))
        fits = np.bincount(coin, off, len(names)) == 0
        found |= {name: places for name, fit in zip(names, fits, strict=True) if fit and name not in found}
    return found if len(found) == len(names) else {}


def since_last(rows: pl.DataFrame, ticks: Mapping[str, int], every: int) -> Numbers:
    """Last digits between each mark and the one of the same coin that was read before it, whoever's that was, beginning
    anew after `every` readings (0: never)."""
    order, begins = _by_time(rows, every)
    known = rows[TICK].is_not_null().to_numpy()[order]
    place = np.arange(order.size)
    last = np.maximum.accumulate(np.where(known, place, 0))  # a row without a mark is no step
    last = np.maximum(last, np.repeat(begins, np.diff(np.append(begins, order.size))))
    units = units_of(rows[TICK].to_numpy(), _tick_scale(rows, ticks))[order][last]
    steps = np.diff(units, prepend=np.int64(0))
    steps[begins] = units[begins]
    found = np.empty_like(steps)
    found[order] = steps
    return found


def ticks_read(stored: pl.DataFrame, ticks: Mapping[str, int], every: int) -> pl.Series:
    """The marks of which `since_last` has the steps."""
    order, begins = _by_time(stored, every)
    steps = steps_of(stored, TICK)[order]
    reached = np.cumsum(steps)
    lengths = np.diff(np.append(begins, steps.size))
    units = np.empty_like(reached)
    units[order] = reached - np.repeat((reached - steps)[begins], lengths)
    known = stored[f"{TICK}+"].is_not_null().to_numpy()
    return pl.Series(TICK, np.where(known, units / _tick_scale(stored, ticks), np.nan), nan_to_null=True)


def _by_time(rows: pl.DataFrame, every: int) -> tuple[Numbers, Numbers]:
    """The order of rows by coin, reading and time, and where in it steps begin anew."""
    coin = _coins(rows)
    at = rows["as_of"].to_physical().fill_null(0).to_numpy() if "as_of" in rows.columns else coin
    order = np.lexsort((at, readings_of(rows), coin))
    runs = np.column_stack((coin, blocks_of(rows, every)))[order]
    is_new = np.any(np.diff(runs, axis=0, prepend=np.int64(-1)) != 0, axis=1)
    return order, np.flatnonzero(is_new)


def _tick_scale(rows: pl.DataFrame, ticks: Mapping[str, int]) -> Floats:
    return np.asarray(10.0 ** rows["coin"].replace_strict(ticks, return_dtype=pl.Int64).to_numpy())


def _coins(rows: pl.DataFrame) -> Numbers:
    """The number of the coin of each row."""
    return rows["coin"].rle_id().cast(pl.Int64).to_numpy()
