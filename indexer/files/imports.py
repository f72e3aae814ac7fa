"""The file door: answers of accounts, tables of positions and tables of marks, recognised by their content.

Reads files and writes the store; never calls the exchange. Every file is read and checked whole before the first
one is written, and writing the same file again replaces what it wrote. What cannot be read of a file (an account, a
row that contradicts itself) is left out, counted and named in its summary; the rest is stored.

A table of positions is a census of each of its moments or a reading of accounts (`tables.table_readings`). A table that
liqtruth exported is one census, its rows keeping their own times. Answers of accounts, one or a million in a file or
folder, are a reading of those accounts.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from liqtruth.heatmap.errors import LeftOut
from liqtruth.heatmap.words.notes import Note, note
from liqtruth.heatmap.words.text import expected_time, is_timely
from liqtruth.indexer.discovery.address_lists import check_address
from liqtruth.indexer.errors import ImportRefused
from liqtruth.indexer.files.account_imports import AccountsRead, Asked, read_accounts
from liqtruth.indexer.files.answers.account_files import (
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
from liqtruth.indexer.files.answers.answers import (
    Answer,
    Entry,
    answers_of_document,
    answers_of_lines,
    is_lines,
)
from liqtruth.indexer.files.summary import (
    ImportSummary,
    Options,
    Prepared,
    coverage_warnings,
    metas_of,
    source_of,
    summarise,
)
from liqtruth.indexer.files.table_imports import (
    is_table_of_positions,
    prepare_market_file,
    prepare_markets,
    prepare_positions,
    refuse_error,
)
from liqtruth.indexer.files.tables.contradictions import refuse_past
from liqtruth.indexer.files.tables.layouts import recognised
from liqtruth.indexer.files.tables.table_readings import reading_of_answers
from liqtruth.indexer.margin.reconcile import notes_on_collateral, reconcile
from liqtruth.indexer.positions.latest import keep_latest
from liqtruth.indexer.positions.markets import markets_answered, universe_row
from liqtruth.storage.database.markets import store_markets, store_universe
from liqtruth.storage.files.content import head_of, lines_of, read_content
from liqtruth.storage.files.json_rows import holds_rows
from liqtruth.storage.files.tabular import parse_rows
from liqtruth.storage.store import Store

READABLE = "what can be read is a clearinghouseState, meta or metaAndAssetCtxs answer, or a table of rows"


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
    on_part: Callable[[float], None] = lambda part: None,
) -> list[ImportSummary]:
    """Read `paths` (and `meta`, `market`) into the store; one summary per file, which counts what was left out of it.

    `meta` gives margin tables, one file per dex, and marks where it is a `metaAndAssetCtxs` answer, at the moment of
    the account files; without it the stored tables nearest in time are used. `address` and `spot` belong to one account
    file. `as_of` dates files without a time. `census` None: each table decides. `on_part` is told what part of the work
    is done: every file is read, then every one written. Raises
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
    beside = [prepare_market_file(path, options) for path in _listed(market)]
    options = replace(options, markets=[row for one in beside for row in one.markets])
    files = [path for given in paths for path in _tables_of(given)]
    prepared = list[Prepared]()
    for path in files:
        prepared.append(_prepare(path, options))
        on_part(len(prepared) / len(files) / 2)
    _refuse_shared_owner(prepared, options)
    metas = [_prepare_meta(file, options, _moment_of_accounts(prepared)) for file in options.metas.values()]
    done = [_with_coverage(one, options) for one in [*prepared, *beside, *metas]]
    for number, one in enumerate(done, 1):
        _write(store, one)
        on_part(0.5 + number / len(done) / 2)
    keep_latest(store)
    return [one.summary for one in done]


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
    refuse_error(table, path)
    known = recognised(table, options.columns, path)
    if known.kind == "markets":
        return prepare_markets(path, table, known, options)
    return prepare_positions(path, table, known, options)


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


# ------------------------------------------------------------------------------------------ summary


def _with_coverage(prepared: Prepared, options: Options) -> Prepared:
    """The file with a warning where it holds more than there is, by the markets given or stored."""
    found = coverage_warnings(prepared.readings, prepared.markets, options.markets, options.store.database)
    return replace(prepared, summary=replace(prepared.summary, warnings=tuple(found)))
