"""Maps as tables: price and amount, with or without side, leverage and time, or a grid of prices by times or exchanges.

Columns are recognised by names that people use, or named with `--columns price=PX,usd=AMOUNT`. Hyblock's rows are such
tables: levels with a side and a leverage, or intervals from `startingPrice` to `endingPrice`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from liqtruth.compare.errors import VendorMapRefused
from liqtruth.compare.imported.documents import Answer, amounts, ascending, floats, prices
from liqtruth.compare.imported.levels import LONG, SHORT, Levels, buckets, span
from liqtruth.compare.imported.maps_in_file import MapsInFile, OverTime, summed
from liqtruth.compare.imported.vendor_map import WHOLE, VendorMap
from liqtruth.compare.imported.vendors import SUM_FITS, sides_of
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.notes import note
from liqtruth.storage.errors import TableRefused
from liqtruth.storage.files.delimited import NUMBER
from liqtruth.storage.files.tabular import shortened, to_float, to_time

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
    "mark": ("mark", "mark_px", "mark_price", "last_price", "lastprice", "ref_price"),
    "coin": ("coin", "symbol", "base"),
    "venue": ("venue", "exchange"),
}
"""Ours, and what others call it, in lower case."""
HYBLOCK: Final = frozenset({"openduration", "creationdate", "startingprice"})
ACCOUNTS: Final = frozenset({"address", "addr", "user", "wallet", "account"})
"""Columns of tables of positions, in lower case."""
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


def read_table(
    rows: pl.DataFrame, given: Mapping[str, str], place: str, beside: Mapping[str, str]
) -> MapsInFile:
    """The maps of a table; raises `VendorMapRefused` or `TableRefused` naming row and column."""
    answer = Answer(None, place)
    rows = _headed(rows)
    if rows.is_empty():
        raise answer.empty()
    columns = mapping_of(rows.columns, given, place)
    if not ({"price"} <= columns.keys() or {"low", "high"} <= columns.keys()):
        if "time" in columns:
            rows, columns = _transposed(rows, columns["time"], answer)
        elif ACCOUNTS & {name.strip().lower() for name in rows.columns}:
            raise answer.refuse(
                "must be a map, got positions of accounts: `liqtruth index import FILE` stores them, and `map exact`, "
                "`check` and `calibrate fit` (without --truth) use what is stored"
            )
        else:
            raise answer.refuse(
                f"must be a map: a known vendor's, or a table of price and usd; it has {shortened(rows.columns)}: "
                "name them with --columns price=...,usd=..."
            )
    columns = _of_one_kind(rows, columns, given, answer)
    if not ({"usd"} <= columns.keys() or {"long", "short"} & columns.keys()):
        return _wide(rows, columns, answer)
    return _long(rows, columns, answer, beside, given)


def _of_one_kind(
    rows: pl.DataFrame, columns: dict[str, str], given: Mapping[str, str], answer: Answer
) -> dict[str, str]:
    """Amounts of both sides, or of longs and shorts: what the user named goes first, and of a table that has both,
    the sides, which must sum to the other. Raises where they do not."""
    sides = {"long", "short"} & columns.keys()
    if "usd" not in columns or not sides:
        return columns
    if "usd" in given:
        return {name: theirs for name, theirs in columns.items() if name not in sides}
    if not sides & given.keys():
        total = _numbers(rows, columns["usd"], answer, empty=0.0)
        added = sum(_numbers(rows, columns[side], answer, empty=0.0) for side in sides)
        off = np.abs(added - total) > SUM_FITS * np.maximum(np.abs(total), 1.0)
        if off.any():
            at = int(np.flatnonzero(off)[0])
            names = " and ".join(columns[side] for side in sorted(sides))
            raise answer.refuse(
                f"{columns['usd']} of row {at + 1} must be the sum of {names}, got {total[at]:,.6g}: name the amounts "
                "with --columns"
            )
    return {name: theirs for name, theirs in columns.items() if name != "usd"}


def _headed(rows: pl.DataFrame) -> pl.DataFrame:
    """A grid whose header is prices or times was taken for a table without one: its first row names the columns."""
    if rows.is_empty() or rows.columns[0] != "1":
        return rows
    first = [str(cell) for cell in rows.row(0)]
    known = {name for names in NAMES.values() for name in names}
    if first[0].strip().lower() not in known or len(set(first)) < len(first):
        return rows
    return rows[1:].rename(dict(zip(rows.columns, first, strict=True)))


def _numbers(rows: pl.DataFrame, theirs: str, answer: Answer, *, empty: float | None = None) -> FloatArray:
    """A column as numbers; an empty cell is refused, or `empty`."""
    column = to_float(rows.select(theirs), [theirs], Path(answer.place))[theirs]
    if column.null_count() and empty is None:
        row = int(column.is_null().arg_true()[0])
        raise TableRefused(f"{answer.place}: row {row + 1}, column {theirs!r}: empty; it must be a number")
    return np.asarray(column.fill_null(empty or 0.0).to_numpy(), dtype=np.float64)


def _one(rows: pl.DataFrame, theirs: str | None, what: str, answer: Answer) -> str | None:
    """The text of a column that has one value; raises for several."""
    if theirs is None:
        return None
    values = rows[theirs].drop_nulls().cast(pl.String).unique().to_list()
    if len(values) > 1:
        raise answer.refuse(f"{what} must be one, got {', '.join(sorted(values)[:4])}: filter the table")
    return values[0] if values else None


def _prices(rows: pl.DataFrame, columns: Mapping[str, str], answer: Answer) -> tuple[FloatArray, FloatArray]:
    """Low and high price of each row."""
    if {"low", "high"} <= columns.keys():
        low = prices(_numbers(rows, columns["low"], answer), "price of row", answer)
        high = prices(_numbers(rows, columns["high"], answer), "price of row", answer)
        if (low > high).any():
            at = int(np.flatnonzero(low > high)[0])
            raise answer.refuse(f"row {at + 1} must end above its beginning, got {low[at]:g} to {high[at]:g}")
        return low, high
    px = prices(_numbers(rows, columns["price"], answer), "price of row", answer)
    return px, px


def _long(
    rows: pl.DataFrame,
    columns: dict[str, str],
    answer: Answer,
    beside: Mapping[str, str],
    given: Mapping[str, str],
) -> MapsInFile:
    """A level per row: one map, or one per time, or one per exchange."""
    low, high = _prices(rows, columns, answer)
    leverage = _leverage(rows, columns.get("leverage"), answer)
    if "usd" in columns:
        amount = amounts(_numbers(rows, columns["usd"], answer), "amount of row", answer)
        side = sides_of(rows[columns["side"]].to_list(), answer) if "side" in columns else None
        levels = Levels(low, high, amount, side, leverage)
    else:
        halves = [name for name in ("long", "short") if name in columns]
        parts = [
            amounts(_numbers(rows, columns[name], answer, empty=0.0), f"{name} of row", answer)
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
    vendor = "hyblock" if HYBLOCK & {name.lower() for name in rows.columns} else "table"
    tiers = () if leverage is None or not np.isfinite(leverage).all() else tuple(np.unique(leverage).tolist())
    whole = VendorMap(
        answer,
        vendor,
        "intervals" if (high > low).any() else "levels",
        levels,
        span(levels),
        coin=_one(rows, columns.get("coin"), "the coin", answer) or beside.get("symbol"),
        leverages=tiers if len(tiers) <= 50 else (),
        unit="usd" if _in_usd(columns, given) else "unknown",
    )
    if "time" in columns:
        return _by_time(rows, columns, whole, answer)
    whole = replace(whole, mark_px=_mark(rows, columns.get("mark"), answer))
    if "venue" in columns and rows[columns["venue"]].n_unique() > 1:
        return _by_venue(rows[columns["venue"]].to_list(), whole)
    venue = _one(rows, columns.get("venue"), "the venue", answer)
    return MapsInFile.by_leverage(replace(whole, venue=venue))


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


def _mark(rows: pl.DataFrame, theirs: str | None, answer: Answer) -> float | None:
    text = _one(rows, theirs, "the mark", answer)
    return None if text is None else float(prices([text], "mark", answer)[0])


def _by_venue(venues: list[Any], whole: VendorMap) -> MapsInFile:
    parts = {}
    names = np.array([str(one) for one in venues])
    for name in dict.fromkeys(names.tolist()):
        levels = whole.levels.at(names == name)
        if levels.amount.any():
            parts[name] = replace(whole, levels=levels, name=name, venue=name)
    return MapsInFile.with_sum(summed(parts, venue=WHOLE), parts)


def _by_time(rows: pl.DataFrame, columns: Mapping[str, str], whole: VendorMap, answer: Answer) -> MapsInFile:
    """A map per moment; the last is the current one."""
    times = to_time(rows.select(columns["time"]), columns["time"], Path(answer.place))[columns["time"]]
    moments = sorted(set(times.to_list()))
    column = times.rank("dense").to_numpy() - 1
    venue = _one(rows, columns.get("venue"), "the venue", answer)
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
    mark_px = _mark(rows.filter(pl.Series(which)), columns.get("mark"), answer)
    return replace(
        whole, levels=levels, as_of=moment, name=name, mark_px=mark_px, venue=venue,
        notes=(*whole.notes, *about), covers=span(whole.levels),
    )  # fmt: skip


# ----------------------------------------------------------------------------------------- grids


def _wide(rows: pl.DataFrame, columns: Mapping[str, str], answer: Answer) -> MapsInFile:
    """A row per price and a column per time, or per exchange."""
    known = set(columns.values())
    names = [name for name in rows.columns if name not in known and name.lower() not in IGNORED]
    if not names:
        raise answer.refuse(f"there must be a column of amounts; it has {shortened(rows.columns)}")
    if {"low", "high"} <= columns.keys():
        low, high = _prices(rows, columns, answer)
    else:
        order = np.argsort(_numbers(rows, columns["price"], answer))
        rows = rows[order.tolist()]
        low, high = buckets(ascending(_numbers(rows, columns["price"], answer), "price", answer))
    empty = sum(int(rows[name].null_count()) for name in names)
    cells = {
        name: amounts(_numbers(rows, name, answer, empty=0.0), f"amount of {name},", answer) for name in names
    }
    notes = (note("empty_cells", count=empty),) if empty else ()
    about = VendorMap(
        answer, "table", "grid", Levels(low, high, np.zeros(low.size)), (float(low.min()), float(high.max())),
        coin=_one(rows, columns.get("coin"), "the coin", answer),
        mark_px=_mark(rows, columns.get("mark"), answer), unit="usd", notes=notes,
    )  # fmt: skip
    if (times := _times(names, answer)) is not None:
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
    return MapsInFile.with_sum(summed(parts, venue=WHOLE), parts)


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


def _transposed(rows: pl.DataFrame, time: str, answer: Answer) -> tuple[pl.DataFrame, dict[str, str]]:
    """A row per time and a column per price, turned into a row per price."""
    names = [name for name in rows.columns if name != time]
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
    return pl.concat([pl.DataFrame({"price": px}), values], how="horizontal"), {"price": "price"}
