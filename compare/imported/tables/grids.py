"""Tables that are grids: prices by times or by exchanges, whichever of them are the rows."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from liqtruth.compare.errors import VendorMapRefused
from liqtruth.compare.imported.documents import Answer, amounts, ascending, floats, moment_of
from liqtruth.compare.imported.fields import OTHER_NAMES
from liqtruth.compare.imported.levels import Levels, buckets
from liqtruth.compare.imported.maps_in_file import MapsInFile, OverTime
from liqtruth.compare.imported.tables.columns import IGNORED, mark, numbers, one_of, prices_of
from liqtruth.compare.imported.tables.left_out import is_numbering
from liqtruth.compare.imported.totals import RUNNING, totals_among
from liqtruth.compare.imported.vendor_map import TABLE, WHOLE, VendorMap
from liqtruth.estimator.venues.table import VENUES
from liqtruth.heatmap.words.notes import Notes, note
from liqtruth.storage.errors import TableRefused
from liqtruth.storage.files.tabular import shortened, to_time

EXCHANGES: Final = frozenset(
    {
        *OTHER_NAMES, *VENUES, "aster", "bitfinex", "bitunix", "coinbase", "coinex", "crypto.com", "dydx", "edgex",
        "gmx", "lbank", "lighter", "phemex", "whitebit",
    }
)  # fmt: skip
"""What columns of exchanges are called by, in lower case: those that are modelled here, and others that maps name."""


def amounts_alone(rows: pl.DataFrame, columns: Mapping[str, str], answer: Answer) -> str | None:
    """The one column that can be amounts, whatever it is called: `btc`, `share`; null where it is called by an exchange
    or a time, or there are several. Raises where there are several and none is called so."""
    names = _unnamed(rows, columns, answer)
    names = [name for name in names if name not in totals_among(names) and not RUNNING.search(name)]
    if not names or any(map(_is_exchange, names)) or _times(names, answer) is not None:
        return None
    if len(names) > 1:
        raise answer.refuse(
            f"columns beside the price must be exchanges or times, got {shortened(names)}: name the amounts with "
            f"--columns usd={names[0]}"
        )
    return names[0]


def _unnamed(rows: pl.DataFrame, columns: Mapping[str, str], answer: Answer) -> list[str]:
    """Columns whose names are none of those that people use."""
    known = set(columns.values())
    return [
        name
        for name in rows.columns
        if name not in known and name.lower() not in IGNORED and not is_numbering(rows, name, answer)
    ]


def _is_exchange(name: str) -> bool:
    """Whether a column is called by an exchange: `Binance`, `OKX perp`."""
    words = re.split(r"[^a-z0-9.]+", name.lower())
    return any(word in EXCHANGES for word in words)


def wide(rows: pl.DataFrame, columns: Mapping[str, str], answer: Answer) -> MapsInFile:
    """A row per price and a column per time, or per exchange."""
    names = _unnamed(rows, columns, answer)
    totals = totals_among(names)
    times = _times([name for name in names if name not in totals], answer)
    if times is not None:
        names = [name for name in names if name not in totals]
    if not names:
        raise answer.refuse(f"there must be a column of amounts; it has {shortened(rows.columns)}")
    if {"low", "high"} <= columns.keys():
        low, high = prices_of(rows, columns, answer)
    else:
        order = np.argsort(numbers(rows, columns["price"], answer))
        rows = rows[order.tolist()]
        low, high = buckets(ascending(numbers(rows, columns["price"], answer), "price", answer))
    running = [name for name in names if RUNNING.search(name)]
    names = [name for name in names if name not in running]
    if not names:
        raise answer.refuse(
            f"amounts must be those of each level, got running totals: {shortened(running)}: remove them, or name the "
            "amounts with --columns usd=..."
        )
    empty = sum(int(rows[name].null_count()) for name in names)
    cells = {
        name: amounts(numbers(rows, name, answer, empty=0.0), f"amount of {name},", answer) for name in names
    }
    notes: Notes = (note("empty_cells", count=empty),) if empty else ()
    totals = (*(totals if times is not None else ()), *running)
    if totals:
        notes += (note("totals_left_out", names=totals),)
    about = VendorMap(
        answer, TABLE, "grid", Levels(low, high, np.zeros(low.size)), (float(low.min()), float(high.max())),
        coin=one_of(rows, columns.get("coin"), "the coin", answer),
        as_of=moment_of(one_of(rows, columns.get("time"), "the time", answer), "the time", answer),
        mark_px=mark(rows, columns.get("mark"), answer), notes=notes,
    )  # fmt: skip
    if times is not None:
        level = np.tile(np.arange(low.size), len(names))
        column = np.repeat(np.arange(len(names)), low.size)
        return OverTime(about, level, column, np.concatenate([*cells.values()]), times, None).maps()
    parts = {
        name: replace(about, levels=Levels(low, high, amount), name=name, venue=name)
        for name, amount in cells.items()
        if amount.any()
    }
    if not parts:
        raise answer.empty()
    return MapsInFile.with_sum(parts, WHOLE)


def _times(names: Sequence[str], answer: Answer) -> list[datetime] | None:
    """The moments that columns are called by; null where any is no moment."""
    try:
        table = to_time(pl.DataFrame({"time": list(names)}), "time", Path(answer.place))
        return table["time"].to_list()
    except TableRefused:
        if all(_is_date(name) for name in names):
            raise  # moments that cannot be are no exchanges
        return None


def _is_date(name: str) -> bool:
    try:
        datetime.fromisoformat(name.strip())
    except ValueError:
        return False
    return True


def transposed(rows: pl.DataFrame, time: str, answer: Answer) -> tuple[pl.DataFrame, dict[str, str], Notes]:
    """A row per time and a column per price, turned into a row per price; a column of totals is left out."""
    totals = totals_among([name for name in rows.columns if name != time])
    names = [name for name in rows.columns if name != time and name not in totals]
    try:
        px = floats(names, "price", answer)
    except VendorMapRefused:
        raise answer.refuse(
            f"must be a map: a table of price and usd, or a grid of them; it has {shortened(rows.columns)}: name "
            "the columns with --columns price=...,usd=..."
        ) from None
    moments = [str(one) for one in rows[time].to_list()]
    if len(set(moments)) < len(moments):
        raise answer.refuse("each time must be there once")
    values = rows.select(names).transpose(column_names=moments)
    table = pl.concat([pl.DataFrame({"price": px}), values], how="horizontal")
    return table, {"price": "price"}, (note("totals_left_out", names=totals),) if totals else ()
