"""Tables of positions and of marks, read and checked before anything of them is written."""

from dataclasses import replace
from pathlib import Path

import polars as pl

from liqtruth.heatmap.words.notes import note, sentence, source_of_file
from liqtruth.indexer.errors import ImportRefused
from liqtruth.indexer.files.answers.account_files import when
from liqtruth.indexer.files.summary import ImportSummary, Options, Prepared, source_of, summarise
from liqtruth.indexer.files.tables.contradictions import without_contradictions
from liqtruth.indexer.files.tables.layouts import EXPORT, Recognised, recognised
from liqtruth.indexer.files.tables.position_rows import (
    last_of_each,
    markets_of_table,
    typed_rows,
    without_repetitions,
)
from liqtruth.indexer.files.tables.table_readings import (
    latest,
    lists_everyone,
    readings_of,
    taken_for,
    with_times_of_accounts,
)
from liqtruth.indexer.margin.reconcile import notes_on_collateral, reconcile
from liqtruth.indexer.positions.markets import market_rows
from liqtruth.storage.errors import TableRefused
from liqtruth.storage.files.content import read_content
from liqtruth.storage.files.tabular import TextTable, parse_rows, read_rows
from liqtruth.storage.store import Store

OF_ERRORS = ("code", "msg", "data", "success", "message")
"""Fields of an answer that has no rows, those of Coinglass' API among them."""
POSITIONS = "positions"
"""The kind of a table that holds them."""


def prepared_table(store: Store, path: Path) -> Prepared:
    """A table of positions, read and checked as `import_paths` does it; nothing is written.

    Raises `ImportRefused` or `TableRefused`.
    """
    options = Options(
        store=store,
        address=None,
        spot=None,
        metas={},
        columns={},
        dex="",
        as_of=None,
        census=None,
        keep=False,
    )
    table = parse_rows(read_content(path), path)
    known = recognised(table, {}, path)
    if known.kind != POSITIONS:
        raise ImportRefused(f"{path}: a table of {known.kind}, not of positions")
    return prepare_positions(path, table, known, options)


def is_table_of_positions(path: Path) -> bool:
    """Whether a file has the columns of one, in any layout that is known."""
    try:
        table = parse_rows(read_content(path), path)
        return recognised(table, {}, path).kind == POSITIONS
    except (ImportRefused, TableRefused):
        return False


def refuse_error(table: TextTable, path: Path) -> None:
    """Raise `ImportRefused` for an answer that states why it has no rows."""
    if table.rows.height == 1 and {"code", "msg"} <= set(table.rows.columns) <= {*OF_ERRORS}:
        code, text = (str(table.rows[name][0])[:80] for name in ("code", "msg"))
        raise ImportRefused(f"{path}: the answer must hold positions, got an error (code {code!r}): {text!r}")


def prepare_positions(path: Path, table: TextTable, known: Recognised, options: Options) -> Prepared:
    """Positions of a recognised table, without what contradicts itself; raises `ImportRefused` where none is left."""
    exported = known.layout == EXPORT.name
    moment, how = (options.as_of, None) if known.is_dated else when(path, options.as_of)
    rows, notes = typed_rows(table.rows, known, path, moment, options.dex, options.coins)
    notes = [*known.notes, *([how] if how else []), *notes]
    at, source = latest(rows), source_of_file(source_of(path), table.rows)
    given = {
        **known.columns,
        **({} if "szi" in known.columns else {"szi": known.columns.get("size", "size")}),
    }
    holdings = without_contradictions(
        rows, given, str(path), options.marks(sorted(rows["coin"].unique()), at), options.keep
    )
    rows, text = without_repetitions(holdings.rows, path)
    if rows.is_empty():
        raise ImportRefused(f"{path}: no row holds a position")
    if known.is_census is not None:
        rows, later = last_of_each(rows)
        text += later
    notes = [*map(sentence, table.remarks), *notes, *holdings.notes, *text]
    stated = options.census if options.census is not None else known.is_census
    census = stated if stated is not None else exported or lists_everyone(rows)
    if not census:
        rows, text = with_times_of_accounts(rows)
        notes += text
    if not exported:
        tables, text = options.tables(sorted(rows["dex"].unique()), rows["as_of"].unique())
        rows = rows.with_columns(source=pl.lit(source))
        rows = pl.concat(
            [reconcile(part, tables) for part in rows.partition_by("as_of", maintain_order=True)]
        )
        notes += text
    whole = exported or (census and known.is_census is not None)
    readings = readings_of(path, source, rows, census, whole)
    if rows["as_of"].n_unique() > 1 and stated is None and not exported:
        notes.append(taken_for(rows, census))
    if known.is_census is False and not census and rows["coin"].n_unique() == 1:
        notes.append(note("one_coin_of_accounts", coin=rows["coin"][0]))
    if known.dropped:
        notes.append(note("columns_not_used", names=known.dropped))
    summary = summarise(
        path, "positions", known.layout, {**known.columns, **known.constants}, len(readings), rows,
        rows["address"].n_unique(), rows,
    )  # fmt: skip
    notes += notes_on_collateral(rows)
    return Prepared(replace(summary, notes=tuple(notes), left_out=holdings.left_out), readings)


def prepare_market_file(path: Path, options: Options) -> Prepared:
    """A file that must be a table of marks; raises `ImportRefused` where it is another."""
    table = read_rows(path)
    known = recognised(table, {}, path)
    if known.kind != "markets":
        raise ImportRefused(f"{path}: a table of positions, not of marks; give it as PATH, not as --market")
    return prepare_markets(path, table, known, options)


def prepare_markets(path: Path, table: TextTable, known: Recognised, options: Options) -> Prepared:
    """Marks of a recognised table."""
    frame = markets_of_table(table.rows, known, path, options.dex, options.coins)
    markets = market_rows(frame)
    summary = ImportSummary(
        file=str(path),
        kind="markets",
        layout=known.layout,
        columns=dict(known.columns),
        coins=tuple(frame["coin"].unique(maintain_order=True)),
        market_rows=len(markets),
        first=frame["as_of"].min(),  # type: ignore[arg-type]
        last=frame["as_of"].max(),  # type: ignore[arg-type]
        notes=(
            *map(sentence, table.remarks),
            *((note("columns_not_used", names=known.dropped),) if known.dropped else ()),
        ),
    )
    return Prepared(summary, markets=markets)
