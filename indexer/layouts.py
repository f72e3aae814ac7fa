"""Which tables of positions and marks are recognised, and their rows as the frames of `indexer.frames`.

Never calls the exchange and stores nothing: a table becomes a checked frame, or is refused with the row (1 = first
data row), the column and the value. Three ways to know a column, in this order: `--columns ours=theirs`, a layout
seen before, a name in common use. Rows that hold nothing (size 0) and exact repetitions are left out and counted;
two different rows for one account, coin and moment are refused, because one of them is wrong.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import polars as pl

from indexer.errors import ImportRefused
from indexer.frames import MARKETS, POSITIONS, conform
from storage.tabular import Layout, recognise, select_columns, to_float, to_time

LATER: Final = ("mark_from", "tables_matching", "check")
"""Columns that exports of earlier versions lack."""
EXPORT: Final = Layout(
    "liqtruth export",
    "positions",
    {name: name for name in POSITIONS if name not in LATER},
    optional={name: name for name in LATER},
)
RECORDED: Final = Layout(
    "account table (addr, szi, liqPx)",
    "positions",
    {
        "address": "addr",
        "coin": "coin",
        "szi": "szi",
        "notional_usd": "notional",
        "liq_px_exchange": "liqPx",
        "as_of": "ts",
    },
    optional={
        "account_value_usd": "av",
        "entry_px": "entryPx",
        "unrealized_pnl_usd": "upnl",
        "leverage": "lev",
        "margin_mode": "levType",
    },
)
MARKET_TABLE: Final = Layout(
    "market table (ts, mark, oi)",
    "markets",
    {"as_of": "ts", "coin": "coin", "mark_px": "mark"},
    optional={"open_interest": "oi", "funding_rate": "funding"},
)

POSITION_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "address": ("address", "addr", "user", "ethaddress", "account", "wallet"),
    "coin": ("coin", "asset", "symbol"),
    "szi": ("szi",),
    "size": ("size", "sz", "qty", "quantity", "amount"),
    "side": ("side", "direction"),
    "entry_px": ("entry_px", "entrypx", "entry_price", "entryprice", "avg_entry", "entry"),
    "mark_px": ("mark_px", "markpx", "mark_price", "markprice", "mark"),
    "notional_usd": ("notional_usd", "notional", "position_value", "positionvalue", "value_usd"),
    "liq_px_exchange": ("liq_px_exchange", "liq_px", "liqpx", "liquidation_px", "liquidationpx", "liq_price",
                        "liquidation_price", "liquidationprice"),
    "account_value_usd": ("account_value_usd", "account_value", "accountvalue", "av", "equity"),
    "unrealized_pnl_usd": ("unrealized_pnl_usd", "unrealized_pnl", "unrealizedpnl", "upnl"),
    "leverage": ("leverage", "lev"),
    "margin_mode": ("margin_mode", "levtype", "lev_type", "leverage_type", "margin_type"),
    "as_of": ("as_of", "ts", "time", "timestamp", "ts_ms", "snapshot_at"),
}  # fmt: skip
MARKET_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "as_of": POSITION_NAMES["as_of"],
    "coin": POSITION_NAMES["coin"],
    "mark_px": POSITION_NAMES["mark_px"],
    "open_interest": ("open_interest", "openinterest", "oi"),
    "funding_rate": ("funding_rate", "fundingrate", "funding"),
}
"""Our column to names in common use (compared in lower case)."""

ALIASES: Final = {"liq_px": "liq_px_exchange", "addr": "address", "ts": "as_of", "notional": "notional_usd"}
"""Other spellings of our columns that `--columns` takes."""

SHORTS: Final = ("short", "sell", "s", "a", "ask")
LONGS: Final = ("long", "buy", "l", "b", "bid")
FLOATS: Final = tuple(name for name, dtype in POSITIONS.items() if dtype == pl.Float64())
KEY: Final = ("address", "dex", "coin", "as_of")


@dataclass(frozen=True)
class Place:
    """Where a row came from, to name it in an error by the file's own words."""

    path: Path
    columns: Mapping[str, str]

    def __str__(self) -> str:
        return str(self.path)

    def theirs(self, ours: str) -> str:
        return self.columns.get(ours, ours)


@dataclass(frozen=True)
class Recognised:
    """What a table was taken for: `columns` maps ours to theirs."""

    kind: str
    layout: str
    columns: Mapping[str, str]


def recognise_table(header: Sequence[str], asked: Mapping[str, str], place: Path) -> Recognised:
    """Positions or markets, and by which columns; raises `ImportRefused` naming what is missing."""
    columns = _checked_names(asked)
    if layout := recognise(header, (EXPORT, RECORDED)):
        return Recognised(layout.kind, layout.name, {**layout.mapping(header), **columns})
    named = "--columns" if columns else "common names"
    positions = {**_by_common_names(header, POSITION_NAMES), **columns}
    if not (lacking := _lacking_for_positions(positions)):
        return Recognised("positions", named, positions)
    if layout := recognise(header, (MARKET_TABLE,)):
        return Recognised(layout.kind, layout.name, {**layout.mapping(header), **columns})
    markets = {**_by_common_names(header, MARKET_NAMES), **columns}
    if "address" not in positions and {"as_of", "coin", "mark_px"} <= markets.keys():
        return Recognised("markets", named, markets)
    raise ImportRefused(
        f"{place}: not a table of positions or marks: no column for {lacking}; it has {', '.join(header)}; "
        f"map them with --columns, e.g. --columns {lacking.split()[0]}=THEIRS"
    )


def _checked_names(asked: Mapping[str, str]) -> dict[str, str]:
    known = {*POSITIONS, *POSITION_NAMES, *MARKET_NAMES}
    columns = {ALIASES.get(ours, ours): theirs for ours, theirs in asked.items()}
    for ours in columns:
        if ours not in known:
            near = difflib.get_close_matches(ours, sorted(known), n=3, cutoff=0.4)
            offered = f"near it: {', '.join(near)}" if near else f"ours are {', '.join(POSITION_NAMES)}"
            raise ImportRefused(f"--columns: {ours!r} is no column of ours; {offered}")
    return columns


def _by_common_names(header: Sequence[str], names: Mapping[str, Sequence[str]]) -> dict[str, str]:
    theirs = {column.strip().lower(): column for column in reversed(header)}
    return {
        ours: theirs[next(name for name in known if name in theirs)]
        for ours, known in names.items()
        if any(name in theirs for name in known)
    }


def _lacking_for_positions(columns: Mapping[str, str]) -> str:
    """The first thing that a table of positions cannot do without; empty where it has all."""
    needs = (("address",), ("coin",), ("szi", "size"), ("notional_usd", "mark_px"))
    return next((" or ".join(names) for names in needs if not set(names) & columns.keys()), "")


def positions_of_table(
    table: pl.DataFrame, known: Recognised, path: Path, as_of: datetime | None = None, dex: str | None = None
) -> tuple[pl.DataFrame, list[str]]:
    """A `POSITIONS` frame, not reconciled, and notes on what was left out.

    `as_of` stands in where the table has no time; `dex` where coins have no prefix. Raises `ImportRefused` and
    `TableRefused`.
    """
    place = Place(path, known.columns)
    rows = _typed(_selected(table, (*FLOATS, "size"), place), place, as_of)
    rows = _signed_sizes(rows, place)
    rows = _valued(rows, place)
    rows = rows.with_columns(
        _fold_address(pl.col("address").str.strip_chars()),
        dex=_dex_of(rows, dex),
        exchange_read=_exchange_read(rows),
    )
    return _without_repetitions(rows, place)


def _selected(table: pl.DataFrame, numbers: Sequence[str], place: Place) -> pl.DataFrame:
    """The mapped columns under our names with their row number; numbers and times are checked before that."""
    if table.is_empty():
        raise ImportRefused(f"{place}: the table has a header and no rows")
    for ours, theirs in place.columns.items():
        if theirs in table.columns and ours in numbers:
            table = to_float(table, [theirs], place.path)
        elif theirs in table.columns and ours == "as_of":
            table = to_time(table, theirs, place.path)
    return select_columns(table, place.columns, place.path).with_row_index("row", offset=1)


def _typed(rows: pl.DataFrame, place: Place, as_of: datetime | None) -> pl.DataFrame:
    if "as_of" not in rows.columns:
        if as_of is None:
            raise ImportRefused(f"{place}: the table does not say when it was read; give --as-of TIME")
        rows = rows.with_columns(pl.lit(as_of).alias("as_of").cast(POSITIONS["as_of"]))
    rows = rows.with_columns(
        pl.col(name).cast(pl.String) for name in ("address", "coin", "side") if name in rows.columns
    )
    for name in ("address", "coin"):
        refuse_rows(rows, pl.col(name).fill_null("").str.strip_chars() == "", name, "is empty", place)
    return _margin_mode(rows, place)


def _margin_mode(rows: pl.DataFrame, place: Place) -> pl.DataFrame:
    if "margin_mode" not in rows.columns:
        return rows
    rows = rows.with_columns(pl.col("margin_mode").cast(pl.String).str.to_lowercase())
    wrong = ~pl.col("margin_mode").is_in(["cross", "isolated"])
    refuse_rows(rows, wrong, "margin_mode", "is neither cross nor isolated", place)
    return rows


def _signed_sizes(rows: pl.DataFrame, place: Place) -> pl.DataFrame:
    """`szi` from `size` and `side` where the table keeps them apart; there a negative size is refused."""
    if "side" in rows.columns and ("size" in rows.columns or "szi" in rows.columns):
        name = "size" if "size" in rows.columns else "szi"
        side = pl.col("side").str.strip_chars().str.to_lowercase()
        refuse_rows(rows, ~side.is_in([*SHORTS, *LONGS]), "side", "is no side: write long or short", place)
        refuse_rows(rows, pl.col(name) < 0, name, "is negative beside a side column: give it unsigned", place)
        rows = rows.with_columns(szi=pl.when(side.is_in(SHORTS)).then(-pl.col(name)).otherwise(name))
    elif "szi" not in rows.columns:
        rows = rows.with_columns(szi=pl.col("size"))
    refuse_rows(rows, pl.col("szi").is_null(), "szi", "is empty", place)
    return rows


def _valued(rows: pl.DataFrame, place: Place) -> pl.DataFrame:
    """Notional from the mark or the mark from notional, both positive; a price of 0 means none was sent."""
    for name in ("notional_usd", "mark_px", "liq_px_exchange"):
        if name in rows.columns:
            refuse_rows(rows, pl.col(name) < 0, name, "is negative", place)
    held = pl.col("szi") != 0
    if "notional_usd" in rows.columns:
        refuse_rows(
            rows, held & (pl.col("notional_usd").fill_null(0) == 0), "notional_usd", "is missing", place
        )
        if "mark_px" not in rows.columns:
            rows = rows.with_columns(mark_px=pl.col("notional_usd") / pl.col("szi").abs())
    refuse_rows(rows, held & (pl.col("mark_px").fill_null(0) == 0), "mark_px", "is missing", place)
    if "notional_usd" not in rows.columns:
        rows = rows.with_columns(notional_usd=pl.col("szi").abs() * pl.col("mark_px"))
    return rows


def _fold_address(address: pl.Expr) -> pl.Expr:
    """Hexadecimal addresses in lower case; labels as they are."""
    return pl.when(address.str.contains("^0[xX]")).then(address.str.to_lowercase()).otherwise(address)


def _dex_of(rows: pl.DataFrame, dex: str | None) -> pl.Expr:
    """The dex that the table names, else the coin's prefix (`xyz:TSLA`), else `dex`."""
    prefix = pl.col("coin").str.extract("^([^:]+):")
    named = [pl.col("dex")] if "dex" in rows.columns else []
    return pl.coalesce(*named, prefix, pl.lit(dex or ""))


def _exchange_read(rows: pl.DataFrame) -> pl.Expr:
    if "exchange_read" in rows.columns:
        return pl.col("exchange_read").cast(pl.String).str.to_lowercase() == "true"
    return pl.lit("liq_px_exchange" in rows.columns)


def _without_repetitions(rows: pl.DataFrame, place: Place) -> tuple[pl.DataFrame, list[str]]:
    held = rows.filter(pl.col("szi") != 0)
    frame = held.with_columns(_null_if_zero(held)).pipe(conform, POSITIONS)
    repeated = ~frame.select(pl.struct(pl.all()).is_first_distinct()).to_series()
    once = held.filter(~repeated)
    contradicting = once.filter(pl.struct(KEY).is_duplicated()).sort(*KEY)
    if contradicting.height:
        one, other = contradicting.row(0, named=True), contradicting.row(1, named=True)
        raise ImportRefused(
            f"{place}: rows {one['row']} and {other['row']} both give the {one['coin']} position of "
            f"{one['address']} at {one['as_of']:%Y-%m-%dT%H:%M:%SZ}, and differ; remove one"
        )
    left_out = ((rows.height - held.height, "of size 0"), (int(repeated.sum()), "repeated word for word"))
    notes = [f"{count} rows {why} left out" for count, why in left_out if count]
    return frame.filter(~repeated), notes


def _null_if_zero(rows: pl.DataFrame) -> list[pl.Expr]:
    if "liq_px_exchange" not in rows.columns:
        return []
    price = pl.col("liq_px_exchange")
    return [pl.when(price > 0).then(price).alias("liq_px_exchange")]


def markets_of_table(table: pl.DataFrame, known: Recognised, path: Path, dex: str | None) -> pl.DataFrame:
    """A `MARKETS` frame; raises `ImportRefused` for a mark that is not positive or negative open interest."""
    place = Place(path, known.columns)
    rows = _selected(table, ("mark_px", "open_interest", "funding_rate"), place)
    rows = rows.with_columns(pl.col("coin").cast(pl.String))
    refuse_rows(rows, pl.col("coin").fill_null("").str.strip_chars() == "", "coin", "is empty", place)
    refuse_rows(rows, ~(pl.col("mark_px") > 0).fill_null(False), "mark_px", "is not a positive price", place)
    if "open_interest" in rows.columns:
        refuse_rows(rows, pl.col("open_interest") < 0, "open_interest", "is negative", place)
    return conform(rows.with_columns(dex=_dex_of(rows, dex)), MARKETS)


def refuse_rows(rows: pl.DataFrame, wrong: pl.Expr, name: str, why: str, place: Place) -> None:
    """Raise `ImportRefused` for the first row that is wrong, by its number and value."""
    found = rows.filter(wrong.fill_null(False)).head(1)
    if found.height:
        row, value = found["row"][0], found[name][0]
        raise ImportRefused(f"{place}: row {row}, column {place.theirs(name)!r}: {value!r} {why}")
