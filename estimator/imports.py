"""The file door of the feeds: a table of anyone's aggregates becomes the venue's stored series.

Reads one file and writes the lake; a file that is refused leaves nothing behind. Duplicates and disorder are
repaired and said; a value that cannot be right is refused with file, row, column and value.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import polars as pl

from estimator.event_files import ReadFile, read_event_file
from estimator.frames import DATASETS, RATIO_KINDS, TAKER_BUY_SELL, conform
from estimator.layouts import (
    COINS_OR_USD,
    HELD,
    OURS,
    PRICE,
    PRICES,
    SAMPLES_SAID,
    TAKER_BUY,
    TAKER_SELL,
    TIME,
    FeedLayout,
    layout_of,
)
from estimator.venues import venue_named
from storage.errors import TableRefused
from storage.store import Store
from storage.tabular import read_table, select_columns, to_float, to_time


@dataclass(frozen=True)
class SeriesSummary:
    """One series that a file brought: rows read, rows that were not stored before, first and last time."""

    dataset: str
    rows: int
    new_rows: int
    first: datetime
    last: datetime

    def line(self) -> str:
        return (
            f"{self.dataset}: {self.rows} rows ({self.new_rows} new), "
            f"{self.first:%Y-%m-%dT%H:%MZ} to {self.last:%Y-%m-%dT%H:%MZ}"
        )


@dataclass(frozen=True)
class ImportSummary:
    """What one file was recognised as, what it brought and what was repaired in it."""

    path: str
    venue: str
    coin: str
    layout: str
    series: tuple[SeriesSummary, ...]
    remarks: tuple[str, ...]

    def describe(self) -> list[str]:
        """Lines for a terminal."""
        return [
            f"{self.path}: {self.layout}, {self.venue} {self.coin}",
            *(f"  {series.line()}" for series in self.series),
            *(f"  {remark}" for remark in self.remarks),
        ]


def import_feed(
    store: Store, path: Path, venue: str, coin: str, columns: Mapping[str, str] | None = None
) -> ImportSummary:
    """Store the series that the table at `path` holds; `columns` maps our names to theirs (`layouts.OURS`).

    Raises `TableRefused` for a table that is not recognised or holds an impossible value, `UnknownChoice` for a
    venue or column name that is not known.
    """
    market = venue_named(venue)
    read = (None if columns else read_event_file(path, market, coin)) or _read_table_file(path, columns)
    series = tuple(
        _store(store, dataset, market.name, coin, frame, str(path)) for dataset, frame in read.frames.items()
    )
    return ImportSummary(str(path), market.name, coin, read.layout, series, read.remarks)


def _read_table_file(path: Path, columns: Mapping[str, str] | None) -> ReadFile:
    table, layout, remarks = read_feed(path, columns)
    said = (*layout.remarks, *((SAMPLES_SAID,) if PRICE in table.columns else ()), *remarks)
    return ReadFile(series_in(table, path), layout.name, said)


def read_feed(
    path: Path, columns: Mapping[str, str] | None = None
) -> tuple[pl.DataFrame, FeedLayout, tuple[str, ...]]:
    """The table under our names and units, ascending and unique in `ts`, with its layout and what was repaired."""
    raw = read_table(path)
    layout = layout_of(raw.columns, columns)
    if layout is None:
        raise TableRefused(
            f"{path}: the columns {', '.join(raw.columns)} are no known layout; say which is which with "
            f"--columns OURS=THEIRS,..., where ours are {', '.join(OURS)}"
        )
    theirs = layout.table.mapping(raw.columns)
    table = select_columns(raw, theirs, path)
    numbers = [name for name in table.columns if name != TIME]
    table = to_float(to_time(_with_zone(table), TIME, path, theirs), numbers, path, theirs)
    _check(table, layout, path)
    table, settled = _settle_coins(table)
    table = table.with_columns(pl.col(name) * factor for name, factor in layout.scale.items())
    ordered, remarks = _ordered(table, path)
    return ordered, layout, (*settled, *remarks)


def _settle_coins(table: pl.DataFrame) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """OKX's `oi` is coins in some exports and USD like `oi_value` in others: coins where the two differ."""
    if COINS_OR_USD not in table.columns:
        return table, ()
    same = (table[COINS_OR_USD] - table["open_interest_usd"]).abs() <= 1e-6 * table["open_interest_usd"].abs()
    if same.all():
        return table.drop(COINS_OR_USD), ("open interest stands as USD in both columns: no coins are given",)
    return table.rename({COINS_OR_USD: "open_interest"}), ()


def _with_zone(table: pl.DataFrame) -> pl.DataFrame:
    """`2025-01-21 00:05:00` is UTC: archives leave the zone out."""
    if table[TIME].dtype != pl.String:
        return table
    bare = r"^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d(?:\.\d+)?)$"
    return table.with_columns(pl.col(TIME).str.strip_chars().str.replace(bare, "${1}T${2}Z"))


def _check(table: pl.DataFrame, layout: FeedLayout, path: Path) -> None:
    """Refuse the first value that cannot be what its column says."""
    optional = layout.table.optional
    for name in table.columns:
        if name not in optional:
            refuse(table, name, pl.col(name).is_null(), "given (the cell is empty)", path, layout)
    for name, limit in layout.below.items():
        refuse(
            table, name, pl.col(name) >= limit, f"below {limit:g}, as this layout's unit has it", path, layout
        )
    for name in {PRICE, *PRICES} & set(table.columns):
        refuse(table, name, pl.col(name) <= 0, "a price: it must be positive", path, layout)
    for name in {*HELD, *RATIO_KINDS, TAKER_BUY, TAKER_SELL, "volume", "taker_buy_volume"} & set(
        table.columns
    ):
        refuse(table, name, pl.col(name) < 0, "an amount: it must not be negative", path, layout)
    if set(PRICES) <= set(table.columns):
        top, bottom = pl.max_horizontal("open", "close"), pl.min_horizontal("open", "close")
        refuse(table, "high", pl.col("high") < top, "the bar's high: open or close is above it", path, layout)
        refuse(table, "low", pl.col("low") > bottom, "the bar's low: open or close is below it", path, layout)


def refuse(
    table: pl.DataFrame, name: str, wrong: pl.Expr, wanted: str, path: Path, layout: FeedLayout
) -> None:
    """Raise `TableRefused` for the first row (1 = first data row) where `wrong` holds."""
    row = table.select(wrong.fill_null(False)).to_series().arg_true().first()
    if isinstance(row, int):
        theirs = {**layout.table.optional, **layout.table.columns}[name]
        raise TableRefused(f"{path}: row {row + 1}, column {theirs!r}: {table[name][row]!r} is not {wanted}")


def _ordered(table: pl.DataFrame, path: Path) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Ascending, the last of rows with one time kept; what was repaired, and the gaps."""
    once = table.unique(keep="first", maintain_order=True)
    unique = once.unique(TIME, keep="last", maintain_order=True)
    ordered = unique.sort(TIME)
    said = {
        f"{table.height - once.height} repeated rows dropped": table.height - once.height,
        f"{once.height - unique.height} rows replaced by a later row of the same time": once.height
        - unique.height,
        "rows were not in order of time: sorted": not unique[TIME].is_sorted(),
    }
    if ordered.height < 2:
        raise TableRefused(f"{path}: {ordered.height} rows make no series; at least two are needed")
    return ordered, (*(text for text, happened in said.items() if happened), *_gaps(ordered))


def _gaps(table: pl.DataFrame) -> tuple[str, ...]:
    steps_s = table[TIME].diff().dt.total_seconds().drop_nulls().cast(pl.Float64)
    usual_s = _median(steps_s)
    wide = steps_s.filter(steps_s > 1.5 * usual_s).to_numpy()
    if not wide.size:
        return ()
    usual, widest = f"{usual_s / 60:g} min", f"{wide.max() / 3600:.1f} h"
    return (f"{wide.size} gaps wider than 1.5 of the usual {usual}; the widest is {widest}",)


def _median(values: pl.Series) -> float:
    middle = values.median()
    assert isinstance(middle, float)
    return middle


# -------------------------------------------------------------------------------- a table's series


def series_in(table: pl.DataFrame, path: Path) -> dict[str, pl.DataFrame]:
    """Every series that a table under our names holds, as stored frames; raises `TableRefused` where there is none."""
    has = set(table.columns)
    made = {dataset: conform(make(table), dataset) for dataset, wanted, make in MAKERS if wanted(has)}
    frames = {dataset: frame for dataset, frame in made.items() if not frame.is_empty()}
    if not frames:
        raise TableRefused(
            f"{path}: the columns {', '.join(table.columns)} hold no series: candles need open, high, low and close "
            "(or price), open interest open_interest or open_interest_usd, funding rate"
        )
    return frames


def candles_from_bars(table: pl.DataFrame) -> pl.DataFrame:
    """Bars as given; their length is the usual distance of their times."""
    steps_s = table[TIME].diff().dt.total_seconds().drop_nulls()
    usual = steps_s.mode().min()
    return table.with_columns(interval_s=pl.lit(usual, pl.Int64))


def candles_from_samples(table: pl.DataFrame) -> pl.DataFrame:
    """One bar between each two neighbouring price samples: it starts at the earlier one, and knows only these two."""
    before = pl.col(PRICE).shift(1)
    return table.select(
        ts=pl.col(TIME).shift(1),
        interval_s=(pl.col(TIME) - pl.col(TIME).shift(1)).dt.total_seconds(),
        open=before,
        high=pl.max_horizontal(before, PRICE),
        low=pl.min_horizontal(before, PRICE),
        close=pl.col(PRICE),
    )[1:]


def ratios_long(table: pl.DataFrame) -> pl.DataFrame:
    """One row per time and kind; taker volumes become buys over sells."""
    if {TAKER_BUY, TAKER_SELL} <= set(table.columns):
        table = table.with_columns((pl.col(TAKER_BUY) / pl.col(TAKER_SELL)).alias(TAKER_BUY_SELL))
    kinds = [kind for kind in RATIO_KINDS if kind in table.columns]
    long = table.unpivot(kinds, index=TIME, variable_name="kind", value_name="ratio")
    return long.filter(pl.col("ratio").is_finite()).sort(TIME, "kind")


Maker = tuple[str, Callable[[set[str]], bool], Callable[[pl.DataFrame], pl.DataFrame]]

MAKERS: Final[tuple[Maker, ...]] = (
    ("candles", lambda has: set(PRICES) <= has, candles_from_bars),
    ("candles", lambda has: PRICE in has and not set(PRICES) <= has, candles_from_samples),
    ("open_interest", lambda has: bool(set(HELD) & has), lambda table: table),
    ("funding", lambda has: "rate" in has, lambda table: table),
    (
        "ratios",
        lambda has: bool(set(RATIO_KINDS) & has) or {TAKER_BUY, TAKER_SELL} <= has,
        ratios_long,
    ),
)


def _store(
    store: Store, dataset: str, venue: str, coin: str, frame: pl.DataFrame, source: str
) -> SeriesSummary:
    added = store.lake.merge_series(dataset, venue, coin, frame, DATASETS[dataset].key, source)
    return SeriesSummary(dataset, frame.height, added, *_span(frame))


def _span(frame: pl.DataFrame) -> tuple[datetime, datetime]:
    first, last = frame["ts"].min(), frame["ts"].max()
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    return first, last
