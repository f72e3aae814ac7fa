"""A dex's assets between their forms: the exchange's `meta` answer, `MARKETS` rows, stored rows, margin tables.

Reads and writes nothing but rows of the store; never calls the exchange.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import polars as pl

from liqtruth.indexer.frames import MARKETS, empty
from liqtruth.indexer.info.wire import AssetCtx, DexAnswer, Meta, decode_meta
from liqtruth.indexer.margin.tables import MarginTables
from liqtruth.indexer.positions.accounts import markets_of
from liqtruth.storage.database.markets import universes_at
from liqtruth.storage.database.tables import Market, Universe
from liqtruth.storage.store import Store

VENUE: Final = "hyperliquid"
SHOWN_DATES: Final = 3


def market_rows(markets: pl.DataFrame) -> list[Market]:
    """Rows to store of a `MARKETS` frame; an asset without a mark (never traded) has none."""
    names = [name for name in markets.columns if name != "open_interest_usd"]
    priced = markets.filter(pl.col("mark_px").is_finite()).select(names)
    return [Market(venue=VENUE, **_whole(row)) for row in priced.iter_rows(named=True)]


def _whole(row: dict[str, Any]) -> dict[str, Any]:
    leverage = row["max_leverage"]
    return {**row, "max_leverage": None if leverage is None else int(leverage)}


def markets_answered(meta: Meta, ctxs: Sequence[AssetCtx], dex: str, as_of: datetime) -> list[Market]:
    """Rows to store of a `metaAndAssetCtxs` answer."""
    return market_rows(markets_of(meta, ctxs, dex, as_of))


def markets_of_dexes(answers: Mapping[str, DexAnswer], offset_s: float = 0.0) -> pl.DataFrame:
    """A `MARKETS` frame of several dexes, each as of when its answer came; `offset_s` is added to our clock."""
    frames = [
        markets_of(answer.meta, answer.ctxs, dex, datetime.fromtimestamp(answer.came_s + offset_s, UTC))
        for dex, answer in answers.items()
    ]
    return pl.concat([empty(MARKETS), *frames])


def carried_on(last: pl.DataFrame, fresh: pl.DataFrame) -> pl.DataFrame:
    """`fresh` markets, and the `last` ones, with their age, of whatever those have no mark for."""
    marked = fresh.filter(pl.col("mark_px").is_not_null())
    known = last.filter(pl.col("mark_px").is_not_null())
    both = pl.concat([marked, known.join(marked, on=["dex", "coin"], how="anti", maintain_order="left")])
    return pl.concat([both, fresh.join(both, on=["dex", "coin"], how="anti", maintain_order="left")])


def universe_row(meta_json: bytes, dex: str, as_of: datetime) -> Universe:
    """The `meta` answer to store; margin tables are read from it again."""
    return Universe(venue=VENUE, dex=dex, as_of=as_of, meta_json=meta_json)


def stored_tables(
    store: Store, dexes: Sequence[str], at: datetime | Iterable[datetime]
) -> tuple[Mapping[str, MarginTables], list[str]]:
    """Margin tables of each dex as they held at `at`, one moment or several, and which ones those are, in words.

    Where nothing was stored by then, the first that was stored later stand in, and the words say so.
    """
    moments = [at] if isinstance(at, datetime) else sorted(set(at))
    tables, notes = {}, []
    for dex, rows in universes_at(store.database, VENUE, dexes, moments).items():
        if rows:
            tables[dex] = MarginTables.from_metas(
                [(row.as_of, decode_meta(row.meta_json, "the stored meta")) for row in rows]
            )
            notes.append(_note_on_tables(dex, [row.as_of for row in rows], moments[0]))
    return tables, notes


def _note_on_tables(dex: str, stored: Sequence[datetime], first: datetime) -> str:
    days = ", ".join(f"{one:%Y-%m-%dT%H:%M}Z" for one in stored[-SHOWN_DATES:])
    more = f"{len(stored) - SHOWN_DATES} earlier ones and " if len(stored) > SHOWN_DATES else ""
    later = "; they are later than what was read" if stored[0] > first else ""
    return f"margin tables of {dex or 'the main dex'} as stored of {more}{days}{later}"
