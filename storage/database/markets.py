"""Rows of `market` and `universe`: stored by key, looked up by the last one not later than a moment.

What may be stored is decided by the package that read it; here rows are merged, and removed by retention alone.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy.orm import aliased
from sqlmodel import Session, and_, col, func, select

from liqtruth.storage.database.connection import Database
from liqtruth.storage.database.tables import Market, Universe, different_values, upsert


def store_markets(database: Database, rows: Iterable[Market]) -> int:
    """Insert or replace by (venue, dex, coin, as_of), all or none; returns the number of rows."""
    listed = list(rows)
    database.transact(lambda session: upsert(session, listed))
    return len(listed)


def store_universe(database: Database, row: Universe) -> None:
    """Insert or replace a dex's `meta` answer by (venue, dex, as_of)."""
    database.transact(lambda session: upsert(session, [row]))


def last_market(database: Database, venue: str, coin: str, at: datetime | None = None) -> Market | None:
    """The last market row of `coin` not later than `at`."""
    with database.session() as session:
        return last_market_in(session, venue, coin, at)


def last_market_in(session: Session, venue: str, coin: str, at: datetime | None = None) -> Market | None:
    """The same in a session that asks more."""
    query = select(Market).where(Market.venue == venue, Market.coin == coin)
    if at is not None:
        query = query.where(Market.as_of <= at)
    return session.exec(query.order_by(col(Market.as_of).desc()).limit(1)).first()


def last_markets(database: Database, venue: str, at: datetime | None = None) -> dict[str, Market]:
    """The last row of every coin, stored not later than `at`.

    Each coin's is looked up by itself, so that the cost follows the number of coins and not how long they are stored.
    """
    coins = different_values(Market.coin, Market.venue == venue)
    own = aliased(Market)
    last = select(func.max(own.as_of)).where(own.venue == venue, own.coin == coins.c.value)
    last = last if at is None else last.where(own.as_of <= at)
    query = (
        select(Market)
        .select_from(coins)
        .join(Market, and_(Market.venue == venue, Market.coin == coins.c.value))
        .where(Market.as_of == last.correlate(coins).scalar_subquery())
    )
    with database.session() as session:
        return {row.coin: row for row in session.exec(query).all()}


def universes_at(
    database: Database, venue: str, dexes: Iterable[str], moments: Iterable[datetime]
) -> dict[str, list[Universe]]:
    """The `meta` answers of each dex that were valid at these moments, oldest first; a dex without any has none.

    Each is the last not later than its moment, or the first where all are later. Of answers that follow each other and
    are equal, only the first. Only these are read whole.
    """
    wanted = list(moments)
    with database.session() as session:
        return {dex: _that_differ(_valid_at(session, venue, dex, wanted)) for dex in dexes}


def _valid_at(session: Session, venue: str, dex: str, moments: Sequence[datetime]) -> list[Universe]:
    query = select(Universe.as_of).where(Universe.venue == venue, Universe.dex == dex)
    stored = sorted(session.exec(query).all())
    needed = sorted({max(bisect_right(stored, moment), 1) - 1 for moment in moments}) if stored else []
    return [session.get_one(Universe, (venue, dex, stored[number])) for number in needed]


def _that_differ(rows: Iterable[Universe]) -> list[Universe]:
    kept: list[Universe] = []
    for row in rows:
        if not kept or kept[-1].meta_json != row.meta_json:
            kept.append(row)
    return kept
