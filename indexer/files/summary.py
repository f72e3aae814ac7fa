"""What a command states about all files that it imports, and what it reports of each, for people and for JSON."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path

import polars as pl

from liqtruth.heatmap.drawing.view import TOO_MUCH_USD
from liqtruth.heatmap.heatmap import MORE_THAN_ALL
from liqtruth.heatmap.words.notes import Note, Notes
from liqtruth.heatmap.words.text import counted, percent, usd
from liqtruth.indexer.errors import ImportRefused
from liqtruth.indexer.files.account_files import MetaFile, read_meta
from liqtruth.indexer.files.table_readings import Readings
from liqtruth.indexer.frames import POSITION
from liqtruth.indexer.info.wire import SpotClearinghouseState
from liqtruth.indexer.margin.checks import Checks
from liqtruth.indexer.margin.reconcile import SHOWN_NOTES
from liqtruth.indexer.margin.tables import MarginTables
from liqtruth.indexer.positions.catalogue import known_coins
from liqtruth.indexer.positions.markets import VENUE, stored_tables
from liqtruth.storage.database.connection import Database
from liqtruth.storage.database.markets import last_market
from liqtruth.storage.database.records import Market, Reading, Universe
from liqtruth.storage.store import Store


@dataclass(frozen=True)
class Options:
    """What the command states about all files, and what the store and the files beside them know."""

    store: Store
    address: str | None
    spot: SpotClearinghouseState | None
    metas: Mapping[str, MetaFile]
    columns: Mapping[str, str]
    dex: str
    as_of: datetime | None
    census: bool | None
    keep: bool
    markets: Sequence[Market] = ()

    @cached_property
    def coins(self) -> set[str]:
        """Names that there are: stored, or in what was given beside the files."""
        named = {asset.name for file in self.metas.values() for asset in file.meta.universe}
        return named | {row.coin for row in self.markets} | set(known_coins(self.store))

    def tables(
        self, dexes: Sequence[str], at: datetime | Iterable[datetime]
    ) -> tuple[dict[str, MarginTables], list[Note]]:
        """Margin tables as given, else as stored."""
        own = {dex: MarginTables.from_meta(file.meta) for dex, file in self.metas.items() if dex in dexes}
        stored, notes = stored_tables(self.store, [dex for dex in dexes if dex not in own], at)
        return {**stored, **own}, notes

    def marks(self, coins: Sequence[str], at: datetime) -> pl.DataFrame:
        """What the market's mark of each coin was about `at`, as given, else as stored: coin, mark_px."""
        found = {}
        given: dict[str, list[Market]] = {}
        for row in self.markets:
            given.setdefault(row.coin, []).append(row)
        for coin in coins:
            stored = None if coin in given else last_market(self.store.database, VENUE, coin, at)
            rows = given.get(coin) or ([stored] if stored else [])
            near = min(rows, key=lambda row: abs(row.as_of - at), default=None)
            if near is not None and abs((near.as_of - at).total_seconds()) <= 86_400:
                found[coin] = near.mark_px
        schema = {"coin": pl.String(), "mark_px": pl.Float64()}
        return pl.DataFrame(list(found.items()), schema=schema, orient="row")


def metas_of(paths: Sequence[Path], dex: str) -> dict[str, MetaFile]:
    """By dex; raises `ImportRefused` for two of one."""
    found: dict[str, MetaFile] = {}
    for path in paths:
        file = read_meta(path, "" if dex == "main" else dex)
        if file.dex in found:
            name = file.dex or "the main dex"
            raise ImportRefused(
                f"{path}: also a meta of {name}, as {found[file.dex].path}; give one for each dex"
            )
        found[file.dex] = file
    return found


@dataclass(frozen=True)
class ImportSummary:
    """What one file was taken for and what came of it.

    `unpriced` counts positions with no liquidation price, `left_out` what could not be read; `warnings` say what can
    hardly be true.
    """

    file: str
    kind: str
    layout: str
    columns: dict[str, str] = field(default_factory=dict)
    positions: int = 0
    accounts: int = 0
    coins: tuple[str, ...] = ()
    readings: int = 0
    first: datetime | None = None
    last: datetime | None = None
    unpriced: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    checks: Checks = field(default_factory=Checks)
    market_rows: int = 0
    notes: Notes = ()
    left_out: int = 0
    warnings: tuple[str, ...] = ()

    def describe(self) -> list[str]:
        """Lines for people."""
        lines = [f"{self.file}: {self.kind}, recognised as {self.layout}"]
        lines += [f"  WARNING: {warning}" for warning in self.warnings]
        if self.columns:
            texts = [f"{ours}={theirs}" for ours, theirs in self.columns.items() if ours != theirs]
            lines.append(f"  columns: {', '.join(texts) or 'named as ours'}")
        if self.readings:
            lines.append(
                f"  {counted(self.positions, 'position row')} of {counted(self.accounts, 'account')} in "
                f"{_named(self.coins)}, {counted(self.readings, 'reading')} {_span(self.first, self.last)}"
            )
            lines.append(f"  {counted(self.unpriced, 'position')} without liquidation price; {self.checks}")
        if self.market_rows:
            lines.append(f"  {counted(self.market_rows, 'market row')} {_span(self.first, self.last)}")
        return lines + [f"  note: {note}" for note in self.notes]


def _named(coins: Sequence[str]) -> str:
    return ", ".join(coins) if len(coins) <= 6 else f"{len(coins)} coins"


def _span(first: datetime | None, last: datetime | None) -> str:
    if first is None or last is None:
        return ""
    return f"{first:%Y-%m-%dT%H:%M:%S}Z" + ("" if first == last else f" .. {last:%Y-%m-%dT%H:%M:%S}Z")


def summarise(
    path: Path,
    kind: str,
    layout: str,
    columns: Mapping[str, str],
    readings: int,
    positions: pl.DataFrame,
    accounts: int,
    looks: pl.DataFrame,
) -> ImportSummary:
    """Of `positions` as reconciled; `looks` has the moment of everything that was read."""
    counts = positions.group_by("status").len().sort("len", "status", descending=[True, False])
    return ImportSummary(
        file=str(path),
        kind=kind,
        layout=layout,
        columns=dict(columns),
        positions=positions.height,
        accounts=accounts,
        coins=tuple(sorted(positions["coin"].unique())),
        readings=readings,
        first=looks["as_of"].min(),  # type: ignore[arg-type]
        last=looks["as_of"].max(),  # type: ignore[arg-type]
        unpriced=positions["liq_px"].null_count(),
        statuses=dict(counts.iter_rows()),
        checks=Checks.of(positions),
    )


def coverage_warnings(
    readings: Sequence[tuple[Reading, Mapping[str, pl.DataFrame]]],
    own: Sequence[Market],
    given: Sequence[Market],
    database: Database,
) -> list[str]:
    """What was read of more than there is (by the markets given, else stored), and markets larger than any was."""
    warnings = []
    for row in own:
        if row.open_interest is not None and row.open_interest * row.mark_px > TOO_MUCH_USD:
            size = usd(row.open_interest * row.mark_px)
            warnings.append(f"open interest of {row.coin} is {size}: in coins it should be, is it in USD?")
    by_coin: dict[str, list[Market]] = {}
    for row in given:
        by_coin.setdefault(row.coin, []).append(row)
    for reading, frames in readings[-1:]:
        holdings = frames["positions"].sort("as_of").unique(POSITION, keep="last")
        sides = holdings.group_by("coin").agg(
            long=pl.col("szi").filter(pl.col("szi") > 0).sum(),
            short=-pl.col("szi").filter(pl.col("szi") < 0).sum(),
        )
        for coin, long, short in sides.sort("coin").iter_rows():
            market = _nearest(by_coin.get(coin, []), reading.as_of)
            market = market or last_market(database, VENUE, coin, reading.as_of)
            if market is None or not market.open_interest:
                continue
            share, side = max(long, short) / market.open_interest, "long" if long > short else "short"
            if share > MORE_THAN_ALL:
                warnings.append(
                    f"{percent(share)} of the {side} open interest of {coin} ({market.open_interest:,.6g} coins): more "
                    "than there is; sizes or open interest are in another unit, or positions are there twice"
                )
    return warnings[:SHOWN_NOTES]


def _nearest(markets: Sequence[Market], at: datetime) -> Market | None:
    return min(markets, key=lambda market: abs(market.as_of - at), default=None)


def left_out_of(summaries: Sequence[ImportSummary]) -> str:
    """One line on what could not be read of these files."""
    count = sum(one.left_out for one in summaries)
    return (
        f"{count:,} left out of {', '.join(one.file for one in summaries)}, named above; the rest is stored"
    )


@dataclass
class Prepared:
    """A checked file, ready to be written."""

    summary: ImportSummary
    readings: Readings = field(default_factory=list)
    markets: list[Market] = field(default_factory=list)
    universe: Universe | None = None


def source_of(path: Path) -> str:
    """The source of the rows of a file."""
    return f"file:{path.resolve().parent.name}/{path.name}"
