"""The file door: answers of accounts, tables of positions and tables of marks, recognised by their content.

Reads files and writes the store; never calls the exchange. Every file is read and checked whole before the first
one is written, and writing the same file again replaces what it wrote. What cannot be read of a file (an account, a
row that contradicts itself) is left out, counted and named in its summary; the rest is stored.

A table of positions is a census of each of its moments or a reading of accounts (`indexer.files.table_readings`). A
table that liqtruth exported is one census, its rows keeping their own times. Answers of accounts, one or a million in
a file or folder, are a reading of those accounts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from liqtruth.heatmap.errors import LeftOut
from liqtruth.heatmap.words.notes import Note, note, sentence, source_of_file
from liqtruth.heatmap.words.text import expected_time, is_timely
from liqtruth.indexer.discovery.address_lists import check_address
from liqtruth.indexer.errors import ImportRefused
from liqtruth.indexer.files.account_files import (
    NAMED_FILE,
    MetaFile,
    answers_of_folder,
    as_json,
    files_below,
    kind_of,
    label_of,
    other_object,
    read_meta,
    read_spot,
    when,
)
from liqtruth.indexer.files.account_imports import AccountsRead, Asked, read_accounts
from liqtruth.indexer.files.answers import Answer, Entry, answers_of_document, answers_of_lines, is_lines
from liqtruth.indexer.files.contradictions import refuse_past, without_contradictions
from liqtruth.indexer.files.layouts import EXPORT, Recognised, recognised
from liqtruth.indexer.files.position_rows import (
    last_of_each,
    markets_of_table,
    typed_rows,
    without_repetitions,
)
from liqtruth.indexer.files.summary import ImportSummary, Options, coverage_warnings, metas_of, summarise
from liqtruth.indexer.files.table_readings import (
    Readings,
    latest,
    lists_everyone,
    reading_of_answers,
    readings_of,
    taken_for,
    with_times_of_accounts,
)
from liqtruth.indexer.margin.reconcile import notes_on_collateral, reconcile
from liqtruth.indexer.positions.latest import keep_latest
from liqtruth.indexer.positions.markets import market_rows, markets_answered, universe_row
from liqtruth.storage.database.markets import store_markets, store_universe
from liqtruth.storage.database.records import Market, Universe
from liqtruth.storage.errors import TableRefused
from liqtruth.storage.files.content import head_of, lines_of, read_content
from liqtruth.storage.files.json_rows import holds_rows
from liqtruth.storage.files.tabular import TextTable, parse_rows, read_rows
from liqtruth.storage.store import Store

OF_ERRORS = ("code", "msg", "data", "success", "message")
"""Fields of an answer that has no rows, those of Coinglass' API among them."""
POSITIONS = "positions"
"""The kind of a table that holds them."""
READABLE = "what can be read is a clearinghouseState, meta or metaAndAssetCtxs answer, or a table of rows"


@dataclass
class Prepared:
    """A checked file, ready to be written."""

    summary: ImportSummary
    readings: Readings = field(default_factory=list)
    markets: list[Market] = field(default_factory=list)
    universe: Universe | None = None


def import_paths(
    store: Store,
    paths: Sequence[Path],
    *,
    meta: Path | Sequence[Path] | None = None,
    spot: Path | None = None,
    address: str | None = None,
    columns: Mapping[str, str] | None = None,
    market: Path | Sequence[Path] | None = None,
    dex: str = "",
    as_of: datetime | None = None,
    census: bool | None = None,
    keep_contradictions: bool = False,
) -> list[ImportSummary]:
    """Read `paths` (and `meta`, `market`) into the store; one summary per file, which counts what was left out of it.

    `meta` gives margin tables, one file per dex, and marks where it is a `metaAndAssetCtxs` answer, at the moment of
    the account files; without it the stored tables nearest in time are used. `address` and `spot` belong to one account
    file. `as_of` dates files without a time. `census` None: each table decides. Raises
    `ImportRefused`, `WireError` or `TableRefused`, and then nothing was written.
    """
    if as_of is not None and not is_timely(as_of):
        raise ImportRefused(f"--as-of {as_of:%Y-%m-%dT%H:%MZ} is not {expected_time()}")
    options = Options(
        store=store,
        address=check_address(address) if address else None,
        spot=read_spot(spot) if spot else None,
        metas=metas_of(_listed(meta), dex),
        columns=dict(columns or {}),
        dex="" if dex == "main" else dex,
        as_of=as_of,
        census=census,
        keep=keep_contradictions,
    )
    beside = [_prepare_market_table(path, options) for path in _listed(market)]
    options = replace(options, markets=[row for one in beside for row in one.markets])
    prepared = [_prepare(path, options) for given in paths for path in _tables_of(given)]
    _refuse_shared_owner(prepared, options)
    metas = [_prepare_meta(file, options, _moment_of_accounts(prepared)) for file in options.metas.values()]
    done = [_with_coverage(one, options) for one in [*prepared, *beside, *metas]]
    for one in done:
        _write(store, one)
    keep_latest(store)
    return [one.summary for one in done]


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
    return _prepare_positions(path, table, known, options)


def is_table_of_positions(path: Path) -> bool:
    """Whether a file has the columns of one, in any layout that is known."""
    try:
        table = parse_rows(read_content(path), path)
        return recognised(table, {}, path).kind == POSITIONS
    except (ImportRefused, TableRefused):
        return False


def _listed(given: Path | Sequence[Path] | None) -> list[Path]:
    return [] if given is None else [given] if isinstance(given, Path) else list(given)


def _tables_of(path: Path) -> list[Path]:
    """The files of a folder of tables, by name; anything else as it is. The first file tells what a folder holds."""
    files = files_below(path) if path.is_dir() else iter(())
    first = next(files, None)
    if first is None or NAMED_FILE.match(first.name) or not is_table_of_positions(first):
        return [path]
    return [first, *files]


def _write(store: Store, prepared: Prepared) -> None:
    if prepared.universe is not None:
        store_universe(store.database, prepared.universe)
    store_markets(store.database, prepared.markets)
    for reading, frames in prepared.readings:
        store.lake.write_reading(reading, frames)


def _prepare(path: Path, options: Options) -> Prepared:
    if path.is_dir():
        return _prepare_answers(path, answers_of_folder(path, read_content), options, "folder of answers")
    who = Answer(path.name, b"", address=options.address)
    if is_lines(head_of(path)):
        return _prepare_answers(path, answers_of_lines(lines_of(path), who), options, "JSON lines of answers")
    content = as_json(read_content(path))
    kind = kind_of(content)
    if kind == "answers":
        return _prepare_answers(path, answers_of_document(content, who), options, "JSON of answers")
    if kind == "account":
        who = Answer(str(path), content, address=options.address)
        entry = next(iter(answers_of_document(content, who)))
        whole = entry if isinstance(entry, Answer) else who  # its decoder says what is wrong with it
        return _prepare_answers(path, [whole], options, "clearinghouseState", label_of(path))
    if kind in ("meta", "metaAndAssetCtxs"):
        return _prepare_meta(read_meta(path, options.dex), options, None)
    if kind == "spot":
        raise ImportRefused(
            f"{path}: a `spotClearinghouseState` answer; give it as --spot beside its account"
        )
    if (fields := other_object(content)) and not holds_rows(content):
        raise ImportRefused(f"{path}: a JSON object of {fields}: {READABLE}")
    table = parse_rows(content, path)
    _refuse_error(table, path)
    known = recognised(table, options.columns, path)
    if known.kind == "markets":
        return _market_table(path, table, known, options)
    return _prepare_positions(path, table, known, options)


def _refuse_error(table: TextTable, path: Path) -> None:
    """Raise `ImportRefused` for an answer that states why it has no rows."""
    if table.rows.height == 1 and {"code", "msg"} <= set(table.rows.columns) <= {*OF_ERRORS}:
        code, text = (str(table.rows[name][0])[:80] for name in ("code", "msg"))
        raise ImportRefused(f"{path}: the answer must hold positions, got an error (code {code!r}): {text!r}")


def _refuse_shared_owner(prepared: Sequence[Prepared], options: Options) -> None:
    accounts = [one.summary for one in prepared if one.summary.kind == "account"]
    single = len(accounts) == 1 and accounts[0].accounts <= 1
    for name, given in (("--address", options.address), ("--spot", options.spot)):
        if given is not None and not single:
            count = len(accounts) if len(accounts) != 1 else accounts[0].accounts
            raise ImportRefused(f"{name} belongs to one account file, and {count} were given; import singly")


def _moment_of_accounts(prepared: Sequence[Prepared]) -> datetime | None:
    return max((one.summary.last for one in prepared if one.summary.kind == "account" and one.summary.last),
               default=None)  # fmt: skip


# ----------------------------------------------------------------------------------------- accounts


def _prepare_answers(
    path: Path, entries: Iterable[Entry], options: Options, layout: str, label: str | None = None
) -> Prepared:
    tokens: dict[str, int] = {}

    def token(dex: str, ms: int) -> int:
        if dex not in tokens:
            tables, _ = options.tables([dex], datetime.fromtimestamp(ms / 1000, UTC))
            tokens[dex] = tables[dex].collateral_token if dex in tables else 0
        return tokens[dex]

    asked = Asked(
        path=path,
        source=source_of(path),
        label=label,
        dex=options.dex,
        spot=options.spot,
        undated=lambda: when(path, options.as_of),
        collateral_token=token,
        marks=options.marks,
        as_of=options.as_of,
        keep=options.keep,
    )
    read = read_accounts(entries, asked)
    tables, notes = options.tables(sorted(read.accounts["dex"].unique()), read.accounts["as_of"].unique())
    positions = reconcile(read.positions, tables)
    if not tables:
        notes.append(note("no_margin_tables"))
    past = refuse_past(positions, str(path), options.keep)
    readings = reading_of_answers(path, asked.source, positions, read.accounts, options.census is True)
    summary = summarise(
        path,
        "account",
        layout,
        {},
        len(readings),
        positions,
        read.accounts["address"].n_unique(),
        read.accounts,
    )
    lines = [
        *_owner_notes(read),
        *read.notes,
        *notes,
        *([past] if past else []),
        *_left_out_notes(read.left_out),
    ]
    return Prepared(
        replace(
            summary,
            notes=(*lines, *notes_on_collateral(positions)),
            left_out=read.left_out.total,
        ),
        readings,
    )


def _left_out_notes(left_out: LeftOut) -> list[Note]:
    return [
        note("items_left_out", count=count, kind=kind, first=left_out.first[kind])
        for kind, count in left_out.counts.items()
    ]


def _owner_notes(read: AccountsRead) -> list[Note]:
    labels = [one for one in read.accounts["address"].unique() if one.startswith("file:")]
    return [note("account_not_named", label=one) for one in labels]


def _prepare_meta(file: MetaFile, options: Options, moment: datetime | None) -> Prepared:
    as_of, how = (moment, None) if moment is not None else when(file.path, options.as_of)
    markets = [] if file.ctxs is None else markets_answered(file.meta, file.ctxs, file.dex, as_of)
    layout = "meta" if file.ctxs is None else "metaAndAssetCtxs"
    notes = [note("meta_listed", assets=len(file.meta.universe), tables=len(file.meta.margin_tables))]
    notes += [note("of_dex", dex=file.dex)] if file.dex else []
    missing = LeftOut()
    missing.note_all("assets, tables or values", file.meta.left_out)
    notes += _left_out_notes(missing)
    summary = ImportSummary(
        file=str(file.path),
        kind="universe",
        layout=layout,
        market_rows=len(markets),
        first=as_of,
        last=as_of,
        notes=(*notes, *([how] if how else [])),
        left_out=missing.total,
    )
    return Prepared(summary, markets=markets, universe=universe_row(file.raw, file.dex, as_of))


# ------------------------------------------------------------------------------------------- tables


def _prepare_positions(path: Path, table: TextTable, known: Recognised, options: Options) -> Prepared:
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


def _prepare_market_table(path: Path, options: Options) -> Prepared:
    table = read_rows(path)
    known = recognised(table, {}, path)
    if known.kind != "markets":
        raise ImportRefused(f"{path}: a table of positions, not of marks; give it as PATH, not as --market")
    return _market_table(path, table, known, options)


def _market_table(path: Path, table: TextTable, known: Recognised, options: Options) -> Prepared:
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


# ------------------------------------------------------------------------------------------ summary


def _with_coverage(prepared: Prepared, options: Options) -> Prepared:
    """The file with a warning where it holds more than there is, by the markets given or stored."""
    found = coverage_warnings(prepared.readings, prepared.markets, options.markets, options.store.database)
    return replace(prepared, summary=replace(prepared.summary, warnings=tuple(found)))


def source_of(path: Path) -> str:
    """The source of the rows of a file."""
    return f"file:{path.resolve().parent.name}/{path.name}"
