"""The file door of the feeds: a table of anyone's aggregates becomes the venue's stored series.

Reads one file and writes the lake; a file that is refused leaves nothing behind. Duplicates and disorder are
repaired and reported; a value that cannot be right is refused with file, row, column and value.

Rows that would replace stored ones are compared with them before anything is written. A file of another market or unit
differs materially from what is stored; a few such rows, and stored zeros and blanks that get a value, are corrections.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl

from liqtruth.estimator.feeds.contradictions import FEW, unit_warning, weighed
from liqtruth.estimator.feeds.event_files import ReadFile, read_event_file
from liqtruth.estimator.feeds.layouts import (
    COINS_OR_USD,
    HOLDINGS,
    OURS_SHOWN,
    PRICE,
    PRICES,
    QUOTE_VOLUME,
    SAMPLES_NOTE,
    TAKER_BUY,
    TAKER_SELL,
    TIME,
    VOLUMES,
    FeedLayout,
    layout_of,
    mapping_of,
    named_by_structure,
    series_in,
)
from liqtruth.estimator.feeds.liquidation_tables import read_liquidation_table
from liqtruth.estimator.feeds.named_markets import of_market
from liqtruth.estimator.frames import DATASETS, RATIO_KINDS
from liqtruth.estimator.venues.bounds import possible
from liqtruth.estimator.venues.spec import Venue
from liqtruth.estimator.venues.table import venue_named
from liqtruth.heatmap.errors import ROWS, LeftOut
from liqtruth.heatmap.words.notes import source_of_file
from liqtruth.storage.errors import TableRefused
from liqtruth.storage.files.cells import refuse_first
from liqtruth.storage.files.coin_names import CoinName, folded
from liqtruth.storage.files.content import read_content
from liqtruth.storage.files.tabular import TextTable, parse_rows, select_columns, shortened, to_float, to_time
from liqtruth.storage.store import Store

MOST_DIFFERING: Final = 0.05
"""Rows of one time that differ: a download that was appended twice has some, a file of two markets half of its rows."""
OTHER_PRICE: Final = 0.05
OTHER_AMOUNT: Final = 0.2
"""Shares by which two accounts of one price or amount differ materially: feeds of one market differ by less."""
COMPARED: Final = ("candles", "open_interest", "funding", "ratios")
REPLACE: Final = "--replace"


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
    warnings: tuple[str, ...] = ()

    def describe(self) -> list[str]:
        """Lines for a terminal."""
        return [
            "; ".join((f"{self.path}: {self.layout}, {self.venue} {self.coin}", *self.warnings)),
            *(f"  {series.line()}" for series in self.series),
            *(f"  {remark}" for remark in self.remarks),
        ]


@dataclass(frozen=True)
class Asked:
    """The market that a file is to be of, and the store whose candles its amounts are compared with."""

    store: Store
    venue: Venue
    coin: CoinName


def import_feed(
    store: Store,
    path: Path,
    venue: str,
    coin: str,
    columns: Mapping[str, str] | None = None,
    replace: bool = False,
) -> ImportSummary:
    """Store the series that the table at `path` holds; `columns` maps our names to theirs (`layouts.OURS`, or
    `liquidation_tables.OURS` where it names a side).

    `replace` lets many rows take the place of stored ones that differ. `coin` is folded
    (`storage.files.coin_names`). Raises `TableRefused` for a table that is not recognised, is of another market,
    contradicts itself or what is stored, or holds an impossible value, `UnknownChoice` for a venue or column that is
    not known.
    """
    market, name = venue_named(venue), folded(coin)
    asked = Asked(store, market, name)
    content = read_content(path)
    read = (
        (None if columns else read_event_file(content, path, market, name))
        or read_liquidation_table(content, path, columns, market, name)
        or _read_table(content, path, columns, asked)
    )
    kept, remarks = _possible(read, path)
    differing = _replaced(kept, store, market.name, name.coin, path, replace)
    warnings = (*read.warnings, *_beside_stored(kept, asked))
    series = tuple(
        _store(store, dataset, market.name, name.coin, frame, read.source or str(path))
        for dataset, frame in kept.items()
    )
    renaming = (name.words(),) if name.is_changed else ()
    return ImportSummary(
        *(str(path), market.name, name.coin, read.layout, series),
        (*renaming, *read.remarks, *remarks, *differing),
        warnings,
    )


def _read_table(content: bytes, path: Path, columns: Mapping[str, str] | None, asked: Asked) -> ReadFile:
    table, layout, remarks, warnings, source = _feed(content, path, columns, asked)
    notes = (*layout.remarks, *((SAMPLES_NOTE,) if PRICE in table.columns else ()), *remarks)
    return ReadFile(series_in(table, path), layout.name, notes, warnings, source)


def _feed(
    content: bytes, path: Path, columns: Mapping[str, str] | None, asked: Asked
) -> tuple[pl.DataFrame, FeedLayout, tuple[str, ...], tuple[str, ...], str]:
    parsed = parse_rows(content, path)
    raw = _named(parsed, path, columns)
    of = of_market(raw, path, asked.venue, asked.coin)
    layout = layout_of(raw.columns, columns)
    if layout is None:
        raise TableRefused(
            f"{path}: the columns {shortened(raw.columns)} are no known layout; map yours onto ours "
            f"({', '.join(OURS_SHOWN)}) with --columns OURS=THEIRS,..."
        )
    theirs = mapping_of(layout, raw.columns, given=bool(columns))
    table = select_columns(of.rows, theirs, path)
    numbers = [name for name in table.columns if name != TIME]
    table = to_float(to_time(table, TIME, path, theirs), numbers, path, theirs)
    _check(table, layout, path, theirs)
    table, settled = _settle_coins(table)
    table = table.with_columns(pl.col(name) * factor for name, factor in layout.scale.items())
    table = _per_coin(table, of.factor)
    sound = weighed(table, path, asked.store, asked.venue.name, asked.coin.coin)
    ordered, remarks = _ordered(sound.table, path)
    notes = (*parsed.remarks, *of.remarks, *settled, *sound.remarks, *remarks)
    return ordered, layout, notes, sound.warnings, source_of_file(str(path), of.rows)


def _named(parsed: TextTable, path: Path, columns: Mapping[str, str] | None) -> pl.DataFrame:
    """The rows under the file's own names, or those that its structure implies, with what stands beside them."""
    named = parsed.rows if parsed.headed or columns else named_by_structure(parsed.rows)
    if named is None:
        raise TableRefused(
            f"{path}: has no header line, and {parsed.rows.width} columns of no known structure; write one, or name "
            "the columns by their places: --columns ts=1,price=2"
        )
    beside = {name: value for name, value in parsed.beside.items() if name not in named.columns}
    return named.with_columns(pl.lit(value, pl.String).alias(name) for name, value in beside.items())


def _per_coin(table: pl.DataFrame, factor: float) -> pl.DataFrame:
    """Prices and amounts of our coin, of which one of the file's is `factor`."""
    if factor == 1.0:
        return table
    prices = [pl.col(name) / factor for name in (PRICE, *PRICES) if name in table.columns]
    amounts = [pl.col(name) * factor for name in (*VOLUMES, HOLDINGS[0]) if name in table.columns]
    return table.with_columns(*prices, *amounts)


def _settle_coins(table: pl.DataFrame) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """OKX's `oi` is coins in some exports and USD like `oi_value` in others: coins where the two differ."""
    if COINS_OR_USD not in table.columns:
        return table, ()
    same = (table[COINS_OR_USD] - table["open_interest_usd"]).abs() <= 1e-6 * table["open_interest_usd"].abs()
    if same.all():
        return table.drop(COINS_OR_USD), ("open interest stands as USD in both columns: no coins are given",)
    return table.rename({COINS_OR_USD: "open_interest"}), ()


def _check(table: pl.DataFrame, layout: FeedLayout, path: Path, theirs: Mapping[str, str]) -> None:
    """Refuse the first value that its column cannot have."""
    needed = layout.table.columns

    def refuse(name: str, wrong: pl.Expr, wanted: str) -> None:
        found = table.select(wrong.fill_null(False)).to_series()
        refuse_first(path, theirs[name], table[name], found, wanted)

    for name in set(table.columns) & set(needed):
        refuse(name, pl.col(name).is_null(), "given (the cell is empty)")
    for name, limit in layout.below.items():
        refuse(name, pl.col(name) >= limit, f"below {limit:g}, as this layout's unit has it")
    for name in {PRICE, *PRICES} & set(table.columns):
        refuse(name, pl.col(name) <= 0, "a price: it must be positive")
    amounts = {*HOLDINGS, *RATIO_KINDS, TAKER_BUY, TAKER_SELL, QUOTE_VOLUME, *VOLUMES}
    for name in amounts & set(table.columns):
        refuse(name, pl.col(name) < 0, "an amount: it must not be negative")
    if set(PRICES) <= set(table.columns):
        top, bottom = pl.max_horizontal("open", "close"), pl.min_horizontal("open", "close")
        refuse("high", pl.col("high") < top, "the bar's high: open or close is above it")
        refuse("low", pl.col("low") > bottom, "the bar's low: open or close is below it")


def _ordered(table: pl.DataFrame, path: Path) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Ascending, the last of rows with one time kept; what was repaired, and the gaps."""
    once = unique = table
    if not (table[TIME].diff()[1:] > timedelta(0)).all():
        once = table.unique(keep="first", maintain_order=True)
        unique = once.unique(TIME, keep="last", maintain_order=True)
    ordered = unique.sort(TIME)
    differing = once.height - unique.height
    if differing > max(1, MOST_DIFFERING * unique.height):
        raise TableRefused(
            f"{path}: {differing} of {once.height} rows differ from another row of the same time: is it of several "
            "markets? give the rows of one"
        )
    repairs = {
        f"{table.height - once.height} repeated rows dropped": table.height - once.height,
        f"{differing} rows replaced by a later row of the same time": differing,
        "rows were not in order of time: sorted": not unique[TIME].is_sorted(),
    }
    if ordered.height < 2:
        raise TableRefused(f"{path}: a series must have at least two rows, got {ordered.height}")
    return ordered, (*(text for text, happened in repairs.items() if happened), *_gaps(ordered))


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


def _possible(read: ReadFile, path: Path) -> tuple[dict[str, pl.DataFrame], tuple[str, ...]]:
    """The rows with possible values (`estimator.venues.bounds`); raises `TableRefused` where many cannot."""
    left_out, kept = LeftOut(), {}
    for dataset, frame in read.frames.items():
        kept[dataset] = possible(frame, dataset, datetime.now(UTC), left_out)
        if frame.height - kept[dataset].height > FEW * frame.height:
            raise TableRefused(f"{path}: {left_out.describe(ROWS)[-1]}; most rows of a file must be possible")
    return kept, tuple(left_out.describe(ROWS))


def _replaced(
    frames: Mapping[str, pl.DataFrame], store: Store, venue: str, coin: str, path: Path, replace: bool
) -> tuple[str, ...]:
    """Remarks on rows that differ materially from the stored ones of their time.

    Raises `TableRefused` where they are many and `replace` does not mark them as a correction.
    """
    remarks = []
    for dataset in COMPARED:
        if dataset not in frames:
            continue
        both = _both(frames[dataset], store, dataset, venue, coin)
        wrong = both.filter(pl.col("column").is_not_null())
        if wrong.height > max(1, FEW * both.height) and not replace:
            name = wrong["column"][0]
            raise TableRefused(
                f"{path}: {wrong.height} of {both.height} rows differ from the stored {dataset} of {venue} {coin} (at "
                f"{wrong['ts'][0]:%Y-%m-%dT%H:%MZ} {name} is {wrong[name][0]:.6g}, stored {wrong[_old(name)][0]:.6g}): "
                f"another market or unit? if this corrects them, give {REPLACE}"
            )
        if wrong.height:
            remarks.append(f"{dataset}: {wrong.height} stored rows that differ materially are replaced")
    return tuple(remarks)


def _old(name: str) -> str:
    return f"{name}_stored"


def _both(frame: pl.DataFrame, store: Store, dataset: str, venue: str, coin: str) -> pl.DataFrame:
    """Rows that are stored already, with the stored values and the first `column` that differs, null where none."""
    kind = DATASETS[dataset]
    span = (frame["ts"].min(), frame["ts"].max())
    stored = store.lake.read_series(dataset, venue, coin, kind.schema, *span, damaged=[])  # type: ignore[arg-type]
    both = frame.join(stored, on=list(kind.key), suffix="_stored")
    names = [name for name, dtype in kind.schema.items() if dtype == pl.Float64() and name not in kind.key]
    return both.with_columns(column=pl.coalesce(_named_if_other(name) for name in names))


def _named_if_other(name: str) -> pl.Expr:
    new, old = pl.col(name), pl.col(_old(name))
    most = OTHER_PRICE if name in PRICES else OTHER_AMOUNT
    differs = (new - old).abs() > most * pl.max_horizontal(new.abs(), old.abs())
    return pl.when(differs & (old != 0)).then(pl.lit(name))


def _beside_stored(frames: Mapping[str, pl.DataFrame], asked: Asked) -> tuple[str, ...]:
    if "candles" not in frames:
        return ()
    return unit_warning(frames["candles"], asked.store, asked.venue.name, asked.coin.coin)


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
