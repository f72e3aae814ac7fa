"""The file door: raw account answers, tables of positions and tables of marks, recognised by their content.

Reads files and writes the store; never calls the exchange. Every file is read and checked whole before the first
one is written, and writing the same file again replaces what it wrote.

A table of positions is a census: each distinct time in it is one reading of its coins, which replaces all earlier
ones, because a table of several accounts is taken to list all that its maker saw. `census=False` makes it a reading
of the listed accounts only. A table that liqtruth exported is one census, its rows keeping their own times. A raw
`clearinghouseState` answer is always a reading of one account.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import polars as pl

from indexer.account_files import (
    AccountFile,
    MetaFile,
    check_address,
    kind_of,
    label_of,
    other_object,
    read_account,
    read_content,
    read_meta,
    read_spot,
    when,
)
from indexer.accounts import AccountReading, accounts_frame, positions_frame
from indexer.errors import ImportRefused
from indexer.frames import ACCOUNTS, conform
from indexer.import_summary import ImportSummary, notes_on_collateral, summarise
from indexer.layouts import EXPORT, Recognised, markets_of_table, positions_of_table, recognise_table
from indexer.margin_tables import MarginTables
from indexer.reconcile import reconcile
from indexer.universe import VENUE, market_rows, markets_answered, stored_tables, universe_row
from indexer.wire import SpotClearinghouseState
from storage.markets import store_markets, store_universe
from storage.store import Store
from storage.tables import Market, Reading, Scope, Universe
from storage.tabular import read_table

READABLE = "what can be read is a clearinghouseState, meta or metaAndAssetCtxs answer, or a table of rows"


@dataclass
class Prepared:
    """A checked file, ready to be written."""

    summary: ImportSummary
    readings: list[tuple[Reading, dict[str, pl.DataFrame]]] = field(default_factory=list)
    markets: list[Market] = field(default_factory=list)
    universe: Universe | None = None


@dataclass(frozen=True)
class Options:
    """What the command says about all files."""

    address: str | None
    spot: SpotClearinghouseState | None
    meta: MetaFile | None
    columns: Mapping[str, str]
    dex: str
    as_of: datetime | None
    census: bool


def import_paths(
    store: Store,
    paths: Sequence[Path],
    *,
    meta: Path | None = None,
    spot: Path | None = None,
    address: str | None = None,
    columns: Mapping[str, str] | None = None,
    market: Path | None = None,
    dex: str = "",
    as_of: datetime | None = None,
    census: bool | None = None,
) -> list[ImportSummary]:
    """Read `paths` (and `meta`, `market`) into the store; one summary per file.

    `meta` gives margin tables, and marks where it is a `metaAndAssetCtxs` answer, at the moment of the account
    files; without it the stored tables nearest in time are used. `address` and `spot` belong to one account file.
    `as_of` dates files that do not say when they were read. `census=False` see the module. Raises `ImportRefused`,
    `WireError` or `TableRefused`, and then nothing was written.
    """
    options = Options(
        address=check_address(address) if address else None,
        spot=read_spot(spot) if spot else None,
        meta=read_meta(meta) if meta else None,
        columns=dict(columns or {}),
        dex=dex,
        as_of=as_of,
        census=census is not False,
    )
    prepared = [_prepare(store, path, options) for path in paths]
    _refuse_shared_owner(prepared, options)
    if market is not None:
        prepared.append(_prepare_market_table(market, options))
    if options.meta is not None:
        prepared.append(_prepare_meta(options.meta, options, _moment_of_accounts(prepared)))
    for one in prepared:
        _write(store, one)
    return [one.summary for one in prepared]


def _write(store: Store, prepared: Prepared) -> None:
    if prepared.universe is not None:
        store_universe(store.database, prepared.universe)
    store_markets(store.database, prepared.markets)
    for reading, frames in prepared.readings:
        store.lake.write_reading(reading, frames)


def _prepare(store: Store, path: Path, options: Options) -> Prepared:
    content = read_content(path)
    kind = kind_of(content)
    if kind == "account":
        return _prepare_account(store, read_account(path, content, options.address, options.as_of), options)
    if kind in ("meta", "metaAndAssetCtxs"):
        return _prepare_meta(read_meta(path), options, None)
    if kind == "spot":
        raise ImportRefused(
            f"{path}: a `spotClearinghouseState` answer; give it as --spot beside its account"
        )
    if fields := other_object(content):
        raise ImportRefused(f"{path}: a JSON object of {fields}: {READABLE}")
    table = read_table(path)
    known = recognise_table(table.columns, options.columns, path)
    if known.kind == "markets":
        return _market_table(path, table, known, options)
    return _prepare_positions(store, path, table, known, options)


def _refuse_shared_owner(prepared: Sequence[Prepared], options: Options) -> None:
    files = [one.summary.file for one in prepared if one.summary.kind == "account"]
    for name, given in (("--address", options.address), ("--spot", options.spot)):
        if given is not None and len(files) != 1:
            raise ImportRefused(
                f"{name} belongs to one account file, and {len(files)} were given; import singly"
            )


def _moment_of_accounts(prepared: Sequence[Prepared]) -> datetime | None:
    return max((one.summary.last for one in prepared if one.summary.kind == "account" and one.summary.last),
               default=None)  # fmt: skip


# ----------------------------------------------------------------------------------------- accounts


def _prepare_account(store: Store, file: AccountFile, options: Options) -> Prepared:
    tables, notes = _tables(store, [options.dex], file.as_of, options.meta, options.dex)
    token = tables[options.dex].collateral_token if options.dex in tables else 0
    read = AccountReading(
        address=file.address,
        state=file.state,
        source=_source(file.path),
        dex=options.dex,
        spot=options.spot,
        as_of=file.as_of,
        collateral_token=token,
    )
    positions = reconcile(positions_frame([read]), tables)
    if not tables:
        notes.append("no margin tables: prices are the exchange's, unchecked; give --meta")
    reading = Reading(
        id=f"{file.address}@{_stamp(file.as_of)}" + (f"@{options.dex}" if options.dex else ""),
        venue=VENUE,
        source=_source(file.path),
        scope=Scope.ACCOUNTS,
        as_of=file.as_of,
        accounts=1,
        positions=positions.height,
    )
    frames = {"positions": positions, "accounts": accounts_frame([read])}
    summary = summarise(file.path, "account", "clearinghouseState", {}, [reading], positions, 1)
    return Prepared(
        _with_notes(summary, [*file.notes, *notes, *notes_on_collateral(positions)]), [(reading, frames)]
    )


def _tables(
    store: Store,
    dexes: Sequence[str],
    at: datetime | Iterable[datetime],
    meta: MetaFile | None,
    meta_dex: str,
) -> tuple[dict[str, MarginTables], list[str]]:
    """Margin tables from the file given for `meta_dex`, else as stored."""
    own = {} if meta is None else {meta_dex: MarginTables.from_meta(meta.meta)}
    stored, notes = stored_tables(store, [dex for dex in dexes if dex not in own], at)
    return {**stored, **own}, notes


def _prepare_meta(file: MetaFile, options: Options, moment: datetime | None) -> Prepared:
    as_of, how = (moment, "") if moment is not None else when(file.path, options.as_of)
    markets = [] if file.ctxs is None else markets_answered(file.meta, file.ctxs, options.dex, as_of)
    layout = "meta" if file.ctxs is None else "metaAndAssetCtxs"
    notes = [f"{len(file.meta.universe)} assets, {len(file.meta.margin_tables)} tiered margin tables"]
    summary = ImportSummary(
        file=str(file.path),
        kind="universe",
        layout=layout,
        market_rows=len(markets),
        first=as_of,
        last=as_of,
        notes=(*notes, *([how] if how else [])),
    )
    return Prepared(summary, markets=markets, universe=universe_row(file.raw, options.dex, as_of))


# ------------------------------------------------------------------------------------------- tables


def _prepare_positions(
    store: Store, path: Path, table: pl.DataFrame, known: Recognised, options: Options
) -> Prepared:
    rows, notes = positions_of_table(table, known, path, options.as_of, options.dex)
    exported = known.layout == EXPORT.name
    if not exported:
        rows = rows.with_columns(source=pl.lit(_source(path)))
    whole = exported or not options.census
    parts = [rows] if whole else rows.partition_by("as_of", maintain_order=True)
    if not exported:
        tables, said = _tables(store, _dexes(rows), rows["as_of"].unique(), options.meta, options.dex)
        parts = [reconcile(part, tables) for part in parts]
        notes += said
    readings = [(_table_reading(path, part, options.census), _frames(part, options.census)) for part in parts]
    if len(parts) > 3 and len(parts) * 2 > rows.height:
        notes.append(
            f"{len(parts):,} moments for {rows.height:,} rows: each is kept as a reading of all accounts; if the "
            "times are when each account was read, import it as accounts"
        )
    done = pl.concat(parts)
    stored = [reading for reading, _ in readings]
    summary = summarise(path, "positions", known.layout, known.columns, stored, done, _accounts(done))
    notes += [note for part in parts for note in notes_on_collateral(part)]
    return Prepared(_with_notes(summary, notes), readings)


def _table_reading(path: Path, part: pl.DataFrame, census: bool) -> Reading:
    as_of = _latest(part)
    place = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]
    return Reading(
        id=f"{label_of(path).removeprefix('file:')}@{_stamp(as_of)}-{place}",
        venue=VENUE,
        source=_source(path),
        scope=Scope.CENSUS if census else Scope.ACCOUNTS,
        as_of=as_of,
        accounts=_accounts(part),
        positions=part.height,
    )


def _frames(part: pl.DataFrame, census: bool) -> dict[str, pl.DataFrame]:
    """Positions, and where the reading is of accounts the list of them."""
    if census:
        return {"positions": part}
    accounts = part.group_by("address", "dex", "as_of", maintain_order=True).agg(
        pl.col("account_mode", "account_value_usd", "source").first(), pl.len().alias("positions")
    )
    return {"positions": part, "accounts": conform(accounts, ACCOUNTS)}


def _prepare_market_table(path: Path, options: Options) -> Prepared:
    table = read_table(path)
    known = recognise_table(table.columns, {}, path)
    if known.kind != "markets":
        raise ImportRefused(f"{path}: a table of positions, not of marks; give it as PATH, not as --market")
    return _market_table(path, table, known, options)


def _market_table(path: Path, table: pl.DataFrame, known: Recognised, options: Options) -> Prepared:
    frame = markets_of_table(table, known, path, options.dex)
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
    )
    return Prepared(summary, markets=markets)


# ------------------------------------------------------------------------------------------ summary


def _with_notes(summary: ImportSummary, notes: Sequence[str]) -> ImportSummary:
    return replace(summary, notes=tuple(notes))


def _source(path: Path) -> str:
    return f"file:{path.resolve().parent.name}/{path.name}"


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y%m%dT%H%M%S}.{moment.microsecond // 1000:03d}Z"


def _dexes(rows: pl.DataFrame) -> list[str]:
    return sorted(rows["dex"].unique())


def _accounts(rows: pl.DataFrame) -> int:
    return rows["address"].n_unique()


def _latest(rows: pl.DataFrame) -> datetime:
    latest = rows["as_of"].max()
    assert isinstance(latest, datetime)
    return latest
