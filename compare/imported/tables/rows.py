"""A table with a level per row: one map, one per leverage, per exchange or per moment.

Hyblock's rows are such tables: levels with a side and a leverage, or intervals from `startingPrice` to `endingPrice`.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from liqtruth.compare.imported.documents import Answer, amounts, check_once, floats
from liqtruth.compare.imported.fields import sides_of
from liqtruth.compare.imported.levels import LONG, SHORT, Levels, span
from liqtruth.compare.imported.maps_in_file import MapsInFile
from liqtruth.compare.imported.tables.columns import HYBLOCK, mark, numbers, one_of, prices_of
from liqtruth.compare.imported.vendor_map import TABLE, WHOLE, VendorMap
from liqtruth.heatmap.grid import FloatArray, IntArray
from liqtruth.heatmap.words.notes import note
from liqtruth.storage.files.tabular import to_time


def by_row(
    rows: pl.DataFrame,
    columns: dict[str, str],
    answer: Answer,
    given: Mapping[str, str],
) -> MapsInFile:
    """A level per row: one map, or one per time, or one per exchange. Raises where a price is there twice and no other
    column tells one row from the other."""
    low, high = prices_of(rows, columns, answer)
    check_once("rows", answer, low, high, *_beside(rows, columns))
    leverage = _leverage(rows, columns.get("leverage"), answer)
    if "usd" in columns:
        amount = amounts(numbers(rows, columns["usd"], answer), "amount of row", answer)
        side = sides_of(rows[columns["side"]].to_list(), answer) if "side" in columns else None
        levels = Levels(low, high, amount, side, leverage)
    else:
        halves = [name for name in ("long", "short") if name in columns]
        parts = [
            amounts(numbers(rows, columns[name], answer, empty=0.0), f"{name} of row", answer)
            for name in halves
        ]
        side = np.repeat([LONG if name == "long" else SHORT for name in halves], low.size)
        times = len(halves)
        levels = Levels(
            np.tile(low, times), np.tile(high, times), np.concatenate(parts), side,
            None if leverage is None else np.tile(leverage, times),
        )  # fmt: skip
        rows = pl.concat([rows] * times)
    if not levels.amount.any():
        raise answer.empty()
    vendor = "hyblock" if HYBLOCK & {name.lower() for name in rows.columns} else TABLE
    tiers = () if leverage is None or not np.isfinite(leverage).all() else tuple(np.unique(leverage).tolist())
    whole = VendorMap(
        answer,
        vendor,
        "intervals" if (high > low).any() else "levels",
        levels,
        span(levels),
        coin=one_of(rows, columns.get("coin"), "the coin", answer),
        leverages=tiers if len(tiers) <= 50 else (),
        unit="usd" if _in_usd(columns, given) else "unknown",
    )
    if "time" in columns:
        return _by_time(rows, columns, whole, answer)
    whole = replace(whole, mark_px=mark(rows, columns.get("mark"), answer))
    if "venue" in columns and rows[columns["venue"]].n_unique() > 1:
        return _by_venue(rows[columns["venue"]].to_list(), whole)
    venue = one_of(rows, columns.get("venue"), "the venue", answer)
    return MapsInFile.by_leverage(replace(whole, venue=venue))


def _beside(rows: pl.DataFrame, columns: Mapping[str, str]) -> list[IntArray]:
    """The other columns but for amounts, each as the ranks of its values."""
    taken = {columns.get(name) for name in ("price", "low", "high", "usd", "long", "short")}
    others = [name for name in rows.columns if name not in taken]
    return [rows[name].cast(pl.String).fill_null("").rank("dense").to_numpy() for name in others]


def _in_usd(columns: Mapping[str, str], given: Mapping[str, str]) -> bool:
    """Whether the amounts are called USD, by the file or by the user."""
    named = [name for ours in ("usd", "long", "short") if (name := columns.get(ours)) is not None]
    return "usd" in given or all("usd" in name.lower() or "notional" in name.lower() for name in named)


def _leverage(rows: pl.DataFrame, theirs: str | None, answer: Answer) -> FloatArray | None:
    if theirs is None:
        return None
    column = rows[theirs].cast(pl.String).str.strip_chars().str.to_lowercase().str.strip_suffix("x")
    found = floats(column.to_list(), "leverage of row", answer)
    if (found < 1).any():
        at = int(np.flatnonzero(found < 1)[0])
        raise answer.refuse(f"leverage of row {at + 1} must be at least 1, got {found[at]:g}")
    return found


def _by_venue(venues: list[Any], whole: VendorMap) -> MapsInFile:
    parts = {}
    names = np.array([str(one) for one in venues])
    for name in dict.fromkeys(names.tolist()):
        levels = whole.levels.at(names == name)
        if levels.amount.any():
            parts[name] = replace(whole, levels=levels, name=name, venue=name)
    return MapsInFile.with_sum(parts, WHOLE)


def _by_time(rows: pl.DataFrame, columns: Mapping[str, str], whole: VendorMap, answer: Answer) -> MapsInFile:
    """A map per moment; the last is the current one."""
    times = to_time(rows.select(columns["time"]), columns["time"], Path(answer.place))[columns["time"]]
    moments = sorted(set(times.to_list()))
    column = times.rank("dense").to_numpy() - 1
    venue = one_of(rows, columns.get("venue"), "the venue", answer)
    makers = {}
    for at, moment in enumerate(moments):
        name = f"{moment:%Y-%m-%dT%H:%M:%SZ}"
        makers[name] = lambda at=at, moment=moment, name=name: _moment(
            rows, columns, whole, column == at, moment, name, len(moments), at, venue, answer
        )
    return MapsInFile(whole.vendor, whole.layout, makers, next(reversed(makers)))


def _moment(
    rows: pl.DataFrame, columns: Mapping[str, str], whole: VendorMap, which: Any, moment: datetime, name: str,
    count: int, place: int, venue: str | None, answer: Answer,
) -> VendorMap:  # fmt: skip
    levels = whole.levels.at(which)
    about = () if count == 1 else (note("column_of_file", name=name, place=place + 1, count=count),)
    mark_px = mark(rows.filter(pl.Series(which)), columns.get("mark"), answer)
    return replace(
        whole, levels=levels, as_of=moment, name=name, mark_px=mark_px, venue=venue,
        notes=(*whole.notes, *about), covers=span(whole.levels),
    )  # fmt: skip
