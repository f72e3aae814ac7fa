"""What the columns of other people's tables are called, and their values: numbers, prices, one text for all rows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from liqtruth.compare.errors import VendorMapRefused
from liqtruth.compare.imported.documents import Answer, prices
from liqtruth.heatmap.grid import FloatArray
from liqtruth.storage.errors import TableRefused
from liqtruth.storage.files.delimited import NUMBER
from liqtruth.storage.files.tabular import shortened, to_float

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "price": ("price", "px", "price_level", "liq_price", "liqpx", "liquidation_price", "level"),
    "low": ("low_px", "price_low", "startingprice", "price_from", "low"),
    "high": ("high_px", "price_high", "endingprice", "price_to", "high"),
    "usd": ("usd", "notional_usd", "usd_value", "liq_usd", "amount", "notional", "size", "value", "volume"),
    "long": ("long_usd", "longs_usd", "long", "longs"),
    "short": ("short_usd", "shorts_usd", "short", "shorts"),
    "side": ("side", "direction", "position_side"),
    "leverage": ("leverage", "lev"),
    "time": ("time", "timestamp", "ts", "as_of", "datetime", "date"),
    "mark": (
        "mark",
        "mark_px",
        "mark_price",
        "last_price",
        "lastprice",
        "ref_price",
        "current_price",
        "currentprice",
    ),
    "coin": ("coin", "symbol", "base"),
    "venue": ("venue", "exchange"),
}
"""Ours, and what others call it, in lower case."""
HYBLOCK: Final = frozenset({"openduration", "creationdate", "startingprice"})
ACCOUNTS: Final = frozenset({"address", "addr", "user", "wallet", "account"})
"""Columns of tables of positions, in lower case."""
OF_ALL_ROWS: Final = ("coin", "venue", "time", "mark")
"""What a document may state once, beside its rows."""
IGNORED: Final = frozenset({"creationdate", "openduration", "filtered_by"})


def names_any(cells: Sequence[str]) -> bool:
    """Whether any cell is a name in `NAMES` or a number."""
    known = {name for names in NAMES.values() for name in names}
    return any(cell.strip().lower() in known or NUMBER.fullmatch(cell.strip()) for cell in cells)


def mapping_of(header: Sequence[str], given: Mapping[str, str], place: str) -> dict[str, str]:
    """Ours -> theirs; raises `VendorMapRefused` for a name that is none of ours or that the table lacks."""
    for ours, theirs in given.items():
        if ours not in NAMES:
            raise VendorMapRefused(f"--columns: must be {', '.join(NAMES)}, got {ours!r}")
        if theirs not in header:
            raise VendorMapRefused(
                f"{place}: no column {theirs!r} (for {ours}); the file has {shortened(header)}"
            )
    found: dict[str, str] = {}
    for ours, names in NAMES.items():
        spelled = {name.lower(): name for name in header if name not in given.values()}
        match = next((spelled[name] for name in names if name in spelled), None)
        if match is not None and match not in found.values():
            found[ours] = match
    return {**found, **given}


def with_beside(
    rows: pl.DataFrame, columns: dict[str, str], beside: Mapping[str, str]
) -> tuple[pl.DataFrame, dict[str, str]]:
    """The table with what is stated beside it as columns, where its rows do not state it themselves; a mark is that of
    one moment, so that rows of several take none."""
    spelled = {name.lower(): name for name in beside if name not in rows.columns}
    more = {
        ours: spelled[name]
        for ours in OF_ALL_ROWS
        if ours not in columns and (name := next((one for one in NAMES[ours] if one in spelled), None))
    }
    if "time" in columns and rows[columns["time"]].n_unique() > 1:
        more.pop("mark", None)
    stated = [pl.lit(beside[theirs], pl.String).alias(theirs) for theirs in more.values()]
    return rows.with_columns(stated), {**columns, **more}


def numbers(rows: pl.DataFrame, theirs: str, answer: Answer, *, empty: float | None = None) -> FloatArray:
    """A column as numbers; an empty cell is refused, or `empty`."""
    column = to_float(rows.select(theirs), [theirs], Path(answer.place))[theirs]
    if column.null_count() and empty is None:
        row = int(column.is_null().arg_true()[0])
        raise TableRefused(f"{answer.place}: row {row + 1}, column {theirs!r}: empty; it must be a number")
    return np.asarray(column.fill_null(empty or 0.0).to_numpy(), dtype=np.float64)


def one_of(rows: pl.DataFrame, theirs: str | None, what: str, answer: Answer) -> str | None:
    """The text of a column that has one value; raises for several."""
    if theirs is None:
        return None
    values = rows[theirs].drop_nulls().cast(pl.String).unique().to_list()
    if len(values) > 1:
        raise answer.refuse(f"{what} must be one, got {', '.join(sorted(values)[:4])}: filter the table")
    return values[0] if values else None


def prices_of(
    rows: pl.DataFrame, columns: Mapping[str, str], answer: Answer
) -> tuple[FloatArray, FloatArray]:
    """Low and high price of each row."""
    if {"low", "high"} <= columns.keys():
        low = prices(numbers(rows, columns["low"], answer), "price of row", answer)
        high = prices(numbers(rows, columns["high"], answer), "price of row", answer)
        if (low > high).any():
            at = int(np.flatnonzero(low > high)[0])
            raise answer.refuse(f"row {at + 1} must end above its beginning, got {low[at]:g} to {high[at]:g}")
        return low, high
    px = prices(numbers(rows, columns["price"], answer), "price of row", answer)
    return px, px


def mark(rows: pl.DataFrame, theirs: str | None, answer: Answer) -> float | None:
    text = one_of(rows, theirs, "the mark", answer)
    return None if text is None else float(prices([text], "mark", answer)[0])
