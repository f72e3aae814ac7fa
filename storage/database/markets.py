"""Rows of `market` and `universe`: stored by key, looked up by the last one not later than a moment.

What may be stored is decided by the package that read it; here rows are merged, and never deleted.
"""

from bisect import bisect_right
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import func
from sqlmodel import col, select

from liqtruth.storage.database.connection import Database
from liqtruth.storage.database.tables import Market, Universe, upsert


def store_markets(database: Database, rows: Iterable[Market]) -> int:
    """Insert or replace by (venue, dex, coin, as_of), all or none; returns the number of rows."""
    told = list(rows)
    database.transact(lambda session: upsert(session, told))
    return len(told)


def store_universe(database: Database, row: Universe) -> None:
    """Insert or replace a dex's `meta` answer by (venue, dex, as_of)."""
    database.transact(lambda session: upsert(session, [row]))


def last_market(database: Database, venue: str, coin: str, at: datetime | None = None) -> Market | None:
    """The last market row of `coin` not later than `at`."""
    query = select(Market).where(Market.venue == venue, Market.coin == coin)
    if at is not None:
        query = query.where(Market.as_of <= at)
    with database.session() as session:
        return session.exec(query.order_by(col(Market.as_of).desc()).limit(1)).first()


def last_markets(database: Database, venue: str) -> dict[str, Market]:
    """The last stored row of every coin."""
    latest = (
        select(Market.coin, func.max(Market.as_of)).where(Market.venue == venue).group_by(col(Market.coin))
    )
    with database.session() as session:
        moments = dict(session.exec(latest).all())
        rows = session.exec(
            select(Market).where(Market.venue == venue, col(Market.as_of).in_(set(moments.values())))
        ).all()
    return {row.coin: row for row in rows if row.as_of == moments[row.coin]}


def market_coins(database: Database, venue: str) -> list[str]:
    """Every coin that has a market row."""
    with database.session() as session:
        return sorted(session.exec(select(Market.coin).where(Market.venue == venue).distinct()).all())


def universes_at(database: Database, venue: str, dex: str, moments: Iterable[datetime]) -> list[Universe]:
    """The `meta` answers of `dex` that held at these moments, oldest first.

    Each is the last not later than its moment, or the first where all are later. Of answers that follow each other and
    say the same, only the first. Only these are read whole.
    """
    query = select(Universe.as_of).where(Universe.venue == venue, Universe.dex == dex)
    with database.session() as session:
        stored = sorted(session.exec(query).all())
        needed = sorted({max(bisect_right(stored, moment), 1) - 1 for moment in moments}) if stored else []
        found = [session.get_one(Universe, (venue, dex, stored[number])) for number in needed]
    kept: list[Universe] = []
    for row in found:
        if not kept or kept[-1].meta_json != row.meta_json:
            kept.append(row)
    return kept
