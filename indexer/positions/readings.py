"""What is known as of a moment, from everything that was read until then.

For each coin the latest census stands for all accounts, or the latest book of a watch, whichever is newer; accounts
read on their own since then replace what it said of them, and one that held nothing any more is removed. Rows are
compared by the moment at which each was read, so nothing later than the asked moment is ever mixed in, not even from
a sweep that was under way. What a watch read since its last book is laid over that (`indexer.positions.under_way`),
so that the answer does not wait for the next book.
"""

import difflib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import polars as pl
from sqlmodel import col, select

from liqtruth.heatmap.notes import Notes, note
from liqtruth.heatmap.text import stamp
from liqtruth.indexer.errors import UnknownCoin
from liqtruth.indexer.frames import ACCOUNTS, PAIR, POSITIONS, conform, empty
from liqtruth.indexer.positions.first_sight import with_first_sight
from liqtruth.indexer.positions.under_way import UnderWay, said_of_watch, under_way
from liqtruth.indexer.positions.universe import VENUE
from liqtruth.storage.database.markets import last_market, market_coins
from liqtruth.storage.database.tables import Market, Partition, Reading, Scope
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.lake.lake import ALL_COINS
from liqtruth.storage.store import Store

MARK_LAG: Final = timedelta(minutes=5)
"""A watch reads marks once a minute; a mark that is older than its positions by more than this is told."""
MOMENT: Final = pl.Datetime("us", "UTC")
HELD = {**POSITIONS, "reading_id": pl.String()}
KNOWN = {**POSITIONS, "reading_id": pl.String(), "age_s": pl.Float64()}
"""Columns of `positions_as_of`; `age_s` is how long before the moment asked for a row was read."""


def positions_as_of(store: Store, at: datetime | None = None, coin: str | None = None) -> pl.DataFrame:
    """Positions known at `at` (default: everything stored), of one coin or all; columns `KNOWN`.

    Empty where the coin is known but nothing was read by then. Raises `UnknownCoin`, and `NothingStored` where
    there is no reading at all.
    """
    if coin is not None:
        check_coin(store, coin)
    read = under_way(store, at)  # before the rest: the watch may put it into a book meanwhile
    known = stored_positions(store, at, coin)
    if not read.accounts.is_empty():
        newer = _newer(read, stored_accounts(store, at), known)
        known = _laid_over(known, read, newer, coin)
    frame = known.sort("coin", maintain_order=True)
    moment = at if at is not None else frame["as_of"].max()
    age_s = (pl.lit(moment, POSITIONS["as_of"]) - pl.col("as_of")).dt.total_milliseconds() / 1000
    return frame.with_columns(age_s=age_s).select(*KNOWN)


def stored_positions(store: Store, at: datetime | None = None, coin: str | None = None) -> pl.DataFrame:
    """The same without what a watch read since its last book; columns `HELD`."""
    accounts, bases, book = _accounts_read(store, at), _bases(store, at, coin), last_book(store, at)
    ids = {*accounts["reading_id"], *bases["base_id"], *([book.id] if book else [])}
    return _known_of(_with_base(_held(store, sorted(ids), coin), bases, book), accounts)


def _newer(read: UnderWay, accounts: pl.DataFrame, positions: pl.DataFrame) -> pl.DataFrame:
    """Accounts of `read` of which nothing newer is known; those known before have true in `was_read`."""
    known = pl.concat([frame.select(*PAIR, known_at="as_of") for frame in (accounts, positions)])
    last = known.group_by(PAIR).agg(pl.col("known_at").max())
    told = read.accounts.join(last, on=PAIR, how="left", maintain_order="left")
    told = told.with_columns(was_read=pl.col("known_at").is_not_null())
    return told.filter(~(pl.col("known_at") > pl.col("as_of")).fill_null(False))


def _laid_over(known: pl.DataFrame, read: UnderWay, newer: pl.DataFrame, coin: str | None) -> pl.DataFrame:
    """`known` with the accounts `newer` as they were read since; columns `HELD`."""
    fresh = read.positions.join(newer, on=PAIR, how="semi", maintain_order="left")
    fresh = fresh if coin is None else fresh.filter(pl.col("coin") == coin)
    seen = with_first_sight(fresh, known, newer.filter("was_read"))
    kept = known.join(newer, on=PAIR, how="anti", maintain_order="left")
    return pl.concat([kept, seen.with_columns(reading_id=pl.lit(read.batches, pl.String)).select(*HELD)])


def accounts_as_of(store: Store, at: datetime | None = None) -> pl.DataFrame:
    """The last reading of every account in every dex by `at`, those without positions included: `ACCOUNTS`."""
    read = under_way(store, at)
    both = pl.concat([stored_accounts(store, at), read.accounts])
    return both.sort("as_of", maintain_order=True).unique(subset=PAIR, keep="last", maintain_order=True)


def stored_accounts(store: Store, at: datetime | None = None) -> pl.DataFrame:
    """The same without what a watch read since its last book."""
    ids = _account_readings(store, at)
    book = last_book(store, at)
    wanted = sorted({*ids, *([book.id] if book else [])})
    if not wanted:
        return empty(ACCOUNTS)
    rows = store.lake.read_snapshots("accounts", wanted)
    until = rows if at is None else rows.filter(pl.col("as_of") <= at)
    last = until.sort("as_of", "reading_id").unique(subset=PAIR, keep="last", maintain_order=True)
    return last.select(*ACCOUNTS)


def market_as_of(store: Store, coin: str, at: datetime | None = None) -> Market | None:
    """Mark and open interest to show beside `positions_as_of` of the same coin and moment; see `market_with_notes`."""
    return market_with_notes(store, coin, at)[0]


def market_with_notes(store: Store, coin: str, at: datetime | None = None) -> tuple[Market | None, Notes]:
    """The market of `coin` at `at`, and what a reader must know about its parts; raises `UnknownCoin` as above."""
    return market_beside(store, coin, positions_as_of(store, at, coin), at)


def coin_as_of(
    store: Store, coin: str, at: datetime | None = None
) -> tuple[pl.DataFrame, Market | None, Notes]:
    """Positions, market and notes of a coin, read together; raises `NothingStored` where no position is known."""
    positions = positions_as_of(store, at, coin)
    if positions.is_empty():
        raise no_positions(coin, at)
    market, notes = market_beside(store, coin, positions, at)
    book = last_book(store, at)
    said = said_of_watch(store, under_way(store, at), None if book is None else book.id)
    return positions, market, (*said, *notes)


def market_beside(
    store: Store, coin: str, positions: pl.DataFrame, at: datetime | None = None
) -> tuple[Market | None, Notes]:
    """The market of `coin` to show beside its `positions` (`KNOWN`, of that coin and moment), and notes on its parts.

    The row of the very moment of the last reading where there is one, else the last not later than `at`. Where that
    row is older than the whole last reading, the mark is the median of that reading's own marks and only open
    interest (with its age in the notes) is the row's. Null where no row is stored.
    """
    last = _last_reading(store, positions)
    if last is None:
        return _with_lag(positions, last_market(store.database, VENUE, coin, at))
    same = last_market(store.database, VENUE, coin, last.as_of)
    if same is not None and same.as_of == last.as_of:
        return same, ()
    row = last_market(store.database, VENUE, coin, at)
    if row is None or row.as_of >= _began(store, last):
        return _with_lag(positions, row)
    return _marked_by_positions(positions, last, row)


def no_positions(coin: str, at: datetime | None) -> NothingStored:
    """What to raise where a coin is known but none of its positions were read by `at`."""
    until = "" if at is None else f" by {at:%Y-%m-%dT%H:%M}Z"
    return NothingStored(f"no positions of {coin} are stored{until}; `liqtruth index import` or `sweep`")


def known_coins(store: Store) -> list[str]:
    """Coins that a stored reading or market has."""
    query = (
        select(Partition.coin).where(Partition.venue == VENUE, Partition.dataset == "positions").distinct()
    )
    with store.database.session() as session:
        held = set(session.exec(query).all())
    return sorted(held | set(market_coins(store.database, VENUE)))


def check_coin(store: Store, coin: str) -> str:
    """`coin` if something is stored about it; raises `UnknownCoin` with near spellings, or `NothingStored`."""
    known = known_coins(store)
    if coin in known:
        return coin
    if not known:
        raise NothingStored("no positions are stored yet; `liqtruth index import` or `liqtruth index sweep`")
    raise UnknownCoin(f"no coin {coin!r} is stored; {_near(coin, known)}")


def _near(coin: str, known: Sequence[str]) -> str:
    folded = {name.lower(): name for name in known}
    near = difflib.get_close_matches(coin.lower(), list(folded), n=3)
    if near:
        return f"did you mean {' or '.join(folded[name] for name in near)}?"
    shown = ", ".join(known[:8])
    return f"stored are {shown}" + (f" and {len(known) - 8} more" if len(known) > 8 else "")


def _held(store: Store, reading_ids: Sequence[str], coin: str | None) -> pl.DataFrame:
    """All positions of these readings, in `coin` or all, each file read once; a reading need not hold any."""
    try:
        return conform(store.lake.read_snapshots("positions", reading_ids, coin), HELD)
    except NothingStored:
        return empty(HELD)


def _with_base(rows: pl.DataFrame, bases: pl.DataFrame, book: Reading | None) -> pl.DataFrame:
    """The rows with the reading that stands for all accounts of their coin, its last census or the last book:
    `base_id` and `base_at`, null where there is none."""
    told = rows.join(bases, on="coin", how="left", maintain_order="left")
    if book is None:
        return told
    newer = pl.col("base_at").is_null() | (pl.col("base_at") < pl.lit(book.as_of, MOMENT))
    return told.with_columns(
        base_id=pl.when(newer).then(pl.lit(book.id)).otherwise("base_id"),
        base_at=pl.when(newer).then(pl.lit(book.as_of, MOMENT)).otherwise("base_at"),
    )


def _known_of(rows: pl.DataFrame, accounts: pl.DataFrame) -> pl.DataFrame:
    """Of each coin's base whoever was not read on their own since; of the others their own last reading."""
    told = rows.join(
        accounts.select(*PAIR, own_at="as_of", own_id="reading_id"),
        on=PAIR,
        how="left",
        maintain_order="left",
    )
    read_since = pl.col("own_at").is_not_null() & (
        pl.col("base_at").is_null() | (pl.col("own_at") >= pl.col("base_at"))
    )
    of_base = (pl.col("reading_id") == pl.col("base_id")).fill_null(False)
    of_own = (pl.col("reading_id") == pl.col("own_id")) & (pl.col("as_of") == pl.col("own_at"))
    own = told.filter(read_since & of_own)
    return pl.concat([told.filter(of_base & ~read_since), own]).select(*HELD)


def _bases(store: Store, at: datetime | None, coin: str | None) -> pl.DataFrame:
    """The latest reading of all accounts of each coin (or of `coin`) not later than `at`: coin, base_id, base_at."""
    query = (
        select(Partition.coin, Reading.id, Reading.as_of)
        .join(Reading, col(Partition.reading_id) == Reading.id)
        .where(Partition.dataset == "positions", Reading.venue == VENUE, Reading.scope == Scope.CENSUS)
    )
    if coin is not None:
        query = query.where(Partition.coin == coin)
    if at is not None:
        query = query.where(Reading.as_of <= at)
    with store.database.session() as session:
        found = [tuple(row) for row in session.exec(query).all()]
    schema = {"coin": pl.String(), "base_id": pl.String(), "base_at": MOMENT}
    rows = pl.DataFrame(found, schema=schema, orient="row").sort("base_at", "base_id")
    return rows.unique("coin", keep="last", maintain_order=True)


def last_book(store: Store, at: datetime | None = None) -> Reading | None:
    """The latest book of a watch not later than `at`."""
    query = select(Reading).where(Reading.venue == VENUE, Reading.scope == Scope.BOOK)
    if at is not None:
        query = query.where(Reading.as_of <= at)
    with store.database.session() as session:
        return session.exec(
            query.order_by(col(Reading.as_of).desc(), col(Reading.id).desc()).limit(1)
        ).first()


def _account_readings(store: Store, at: datetime | None) -> list[str]:
    """Ids of the readings of single accounts since the last book."""
    query = (
        select(Partition.reading_id)
        .join(Reading, col(Partition.reading_id) == Reading.id)
        .where(Partition.dataset == "accounts", Partition.coin == ALL_COINS, Reading.venue == VENUE)
        .where(Reading.scope == Scope.ACCOUNTS)
    )
    if (book := last_book(store, at)) is not None:
        query = query.where(Reading.as_of >= book.as_of)
    if at is not None:
        query = query.where(Partition.first_at <= at)
    with store.database.session() as session:
        return [found for found in session.exec(query).all() if found is not None]


def _accounts_read(store: Store, at: datetime | None) -> pl.DataFrame:
    """The last time that each account was read on its own: address, dex, as_of, reading_id."""
    ids = _account_readings(store, at)
    if not ids:
        return pl.DataFrame(schema={name: ACCOUNTS[name] for name in (*PAIR, "as_of")}).with_columns(
            reading_id=pl.lit(None, pl.String)
        )
    rows = store.lake.read_snapshots("accounts", ids).select(*PAIR, "as_of", "reading_id")
    until = rows if at is None else rows.filter(pl.col("as_of") <= at)
    return until.sort("as_of", "reading_id").unique(subset=PAIR, keep="last", maintain_order=True)


def _last_reading(store: Store, positions: pl.DataFrame) -> Reading | None:
    """The reading of the most recent of the positions."""
    if positions.is_empty():
        return None
    with store.database.session() as session:
        return session.get(Reading, positions.sort("as_of", "reading_id")["reading_id"][-1])


def _began(store: Store, reading: Reading) -> datetime:
    """When its first account was read; a sweep takes a while."""
    query = select(Partition.first_at).where(Partition.reading_id == reading.id)
    with store.database.session() as session:
        return min(session.exec(query).all(), default=reading.as_of)


def _with_lag(positions: pl.DataFrame, row: Market | None) -> tuple[Market | None, Notes]:
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
    said = note("marked_by_positions", at=f"{last.as_of:%Y-%m-%dT%H:%M}Z", older_h=age_h)
    return Market(**{**row.model_dump(), "mark_px": mark_px}), (said,)
