"""What a command says about all files that it imports, and what the store and the files beside them know."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

import polars as pl

from liqtruth.indexer.errors import ImportRefused
from liqtruth.indexer.files.account_files import MetaFile, read_meta
from liqtruth.indexer.info.wire import SpotClearinghouseState
from liqtruth.indexer.margin.tables import MarginTables
from liqtruth.indexer.positions.readings import known_coins
from liqtruth.indexer.positions.universe import VENUE, stored_tables
from liqtruth.storage.database.markets import last_market
from liqtruth.storage.database.tables import Market
from liqtruth.storage.store import Store


@dataclass(frozen=True)
class Options:
    """What the command says about all files."""

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
    ) -> tuple[dict[str, MarginTables], list[str]]:
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
