"""A dex's assets and their marks: the exchange's `meta` answer, `MARKETS` rows, stored rows, margin tables.

Never calls the exchange. Beside positions at a moment stands the market row of the very moment of the last reading
where there is one, else the last not later than the moment asked for (`markets_beside`). Where that row is older than
the whole last reading, the mark is the median of that reading's own marks and only open interest (with its age in the
notes) is the row's.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import polars as pl
from msgspec.structs import replace

from liqtruth.heatmap.words.notes import Note, Notes, note
from liqtruth.heatmap.words.text import stamp
from liqtruth.indexer.frames import MARKETS, empty, from_columns
from liqtruth.storage.database.asking import Asked
from liqtruth.storage.database.markets import last_market_in, universes_at
from liqtruth.storage.database.records import Market, Reading, Universe
from liqtruth.storage.files.coin_names import is_outcome
from liqtruth.storage.store import Store

if TYPE_CHECKING:
    from liqtruth.indexer.info.wire import AssetCtx, DexAnswer, Meta
    from liqtruth.indexer.margin.tables import MarginTables

MARK_LAG: Final = timedelta(minutes=5)
"""A watch reads marks once a minute; a mark that is older than its positions by more than this is noted."""

Beside = tuple[Market | None, Notes]
VENUE: Final = "hyperliquid"
SHOWN_DATES: Final = 3


def markets_of(meta: "Meta", ctxs: "Sequence[AssetCtx]", dex: str, as_of: datetime) -> pl.DataFrame:
    """One `MARKETS` row per perpetual of the dex; a mark of zero (never traded) is null."""
    listed = [pair for pair in zip(meta.universe, ctxs, strict=True) if not is_outcome(pair[0].name)]
    if not listed:
        return empty(MARKETS)
    columns: dict[str, list[Any]] = {
        "coin": [asset.name for asset, _ in listed],
        "mark_px": [ctx.mark_px or None for _, ctx in listed],
        "open_interest": [ctx.open_interest for _, ctx in listed],
        "funding_rate": [ctx.funding for _, ctx in listed],
        "max_leverage": [float(asset.max_leverage) for asset, _ in listed],
        "margin_table_id": [asset.margin_table_id for asset, _ in listed],
    }
    return from_columns(columns, MARKETS).with_columns(
        dex=pl.lit(dex),
        open_interest_usd=pl.col("open_interest") * pl.col("mark_px"),
        collateral_token=pl.lit(meta.collateral_token, pl.Int64),
        as_of=pl.lit(as_of, MARKETS["as_of"]),
    )


def market_rows(markets: pl.DataFrame) -> list[Market]:
    """Rows to store of a `MARKETS` frame; an asset without a mark (never traded) has none."""
    names = [name for name in markets.columns if name != "open_interest_usd"]
    priced = markets.filter(pl.col("mark_px").is_finite()).select(names)
    return [Market(venue=VENUE, **_whole(row)) for row in priced.iter_rows(named=True)]


def _whole(row: dict[str, Any]) -> dict[str, Any]:
    leverage = row["max_leverage"]
    return {**row, "max_leverage": None if leverage is None else int(leverage)}


def markets_answered(meta: "Meta", ctxs: "Sequence[AssetCtx]", dex: str, as_of: datetime) -> list[Market]:
    """Rows to store of a `metaAndAssetCtxs` answer."""
    return market_rows(markets_of(meta, ctxs, dex, as_of))


def markets_of_dexes(answers: "Mapping[str, DexAnswer]", offset_s: float = 0.0) -> pl.DataFrame:
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
) -> "tuple[Mapping[str, MarginTables], list[Note]]":
    """Margin tables of each dex as they were at `at`, one moment or several, and notes on which ones those are.

    Where nothing was stored by then, the first that was stored later stand in, and the note states that.
    """
    from liqtruth.indexer.info.wire import decode_meta
    from liqtruth.indexer.margin.tables import MarginTables

    moments = [at] if isinstance(at, datetime) else sorted(set(at))
    tables, notes = {}, []
    for dex, rows in universes_at(store.database, VENUE, dexes, moments).items():
        if rows:
            tables[dex] = MarginTables.from_metas(
                [(row.as_of, decode_meta(row.meta_json, "the stored meta")) for row in rows]
            )
            notes.append(_note_on_tables(dex, [row.as_of for row in rows], moments[0]))
    return tables, notes


def _note_on_tables(dex: str, stored: Sequence[datetime], first: datetime) -> Note:
    return note(
        "margin_tables",
        dex=dex or "the main dex",
        at=[f"{one:%Y-%m-%dT%H:%M}Z" for one in stored[-SHOWN_DATES:]],
        earlier=max(len(stored) - SHOWN_DATES, 0),
        later=stored[0] > first,
    )


def markets_beside(
    store: Store, coin: str, asked: Sequence[tuple[pl.DataFrame, Reading | None, datetime | None]]
) -> list[Beside]:
    """The market of `coin`, null where none is stored, and notes, for each of the asked (positions of the coin, the
    reading of the last of them, moment)."""
    with store.database.asking() as look:
        return [_beside(look, coin, *one) for one in asked]


def _beside(
    look: Asked, coin: str, positions: pl.DataFrame, last: Reading | None, at: datetime | None
) -> Beside:
    if last is None:
        return _with_lag(positions, last_market_in(look, VENUE, coin, at))
    same = last_market_in(look, VENUE, coin, last.as_of)
    if same is not None and same.as_of == last.as_of:
        return same, ()
    row = last_market_in(look, VENUE, coin, at)
    if row is None or row.as_of >= _began(look, last):
        return _with_lag(positions, row)
    return _marked_by_positions(positions, last, row)


def _began(look: Asked, reading: Reading) -> datetime:
    """When its first account was read; a sweep takes a while."""
    if reading.first_at is not None:
        return reading.first_at
    sql = "SELECT min(first_at) FROM partition WHERE reading_id = :id"
    return look.value(datetime, sql, id=reading.id) or reading.as_of


def _with_lag(positions: pl.DataFrame, row: Market | None) -> Beside:
    """The row, and a note where it is older than the last positions by more than a map of one moment may hide."""
    read_at = positions["as_of"].max()
    if row is None or not isinstance(read_at, datetime) or read_at - row.as_of <= MARK_LAG:
        return row, ()
    older_s = (read_at - row.as_of).total_seconds()
    return row, (note("market_is_older", as_of=stamp(row.as_of), older_s=older_s),)


def _marked_by_positions(positions: pl.DataFrame, last: Reading, row: Market) -> tuple[Market, Notes]:
    mark_px = positions.filter(pl.col("reading_id") == last.id)["mark_px"].median()
    assert isinstance(mark_px, float)
    age_h = (last.as_of - row.as_of).total_seconds() / 3600
    marked = note("marked_by_positions", at=f"{last.as_of:%Y-%m-%dT%H:%M}Z", older_h=age_h)
    return replace(row, mark_px=mark_px), (marked,)
