"""Which readings there are: the books, censuses and readings of single accounts that a window of time needs.

Only rows of the database; a window needs what stood at its start and what came until its end.
"""

from datetime import datetime
from typing import Any, Final

import polars as pl
from sqlmodel import Session, col, func, or_, select

from liqtruth.indexer.frames import MOMENT
from liqtruth.indexer.positions.universe import VENUE
from liqtruth.storage.database.tables import Partition, Reading, Scope
from liqtruth.storage.lake.lake import ALL_COINS

CENSUSES: Final = {"coin": pl.String(), "base_id": pl.String(), "base_at": MOMENT}
ACCOUNT_READINGS: Final = {"reading_id": pl.String(), "reading_at": MOMENT, "first_at": MOMENT}


def books(session: Session, start: datetime | None, end: datetime | None) -> list[Reading]:
    """The last book by `start` and all after it until `end`, in the order of time."""
    books = select(Reading).where(Reading.venue == VENUE, Reading.scope == Scope.BOOK)
    by_start = books if start is None else books.where(Reading.as_of <= start)
    first = session.exec(
        by_start.order_by(col(Reading.as_of).desc(), col(Reading.id).desc()).limit(1)
    ).first()
    if start is None or end is None:
        return [first] if first else []
    later = books.where(Reading.as_of > start, Reading.as_of <= end)
    return [
        *([first] if first else []),
        *session.exec(later.order_by(col(Reading.as_of), col(Reading.id))).all(),
    ]


def censuses(
    session: Session, coin: str | None, start: datetime | None, end: datetime | None
) -> pl.DataFrame:
    """Readings of all accounts of each coin (or of `coin`): the last by `start` and all after it until `end`."""

    def of_censuses(query: Any, until: datetime | None) -> Any:
        query = query.join(Reading, col(Partition.reading_id) == Reading.id).where(
            Partition.dataset == "positions", Reading.venue == VENUE, Reading.scope == Scope.CENSUS
        )
        query = query if coin is None else query.where(Partition.coin == coin)
        return query if until is None else query.where(Reading.as_of <= until)

    last = of_censuses(select(Partition.coin, func.max(Reading.as_of).label("at")), start)
    last = last.group_by(col(Partition.coin)).subquery()
    rows = of_censuses(select(Partition.coin, Reading.id, Reading.as_of), end)
    rows = rows.outerjoin(last, last.c.coin == Partition.coin)
    found = session.exec(rows.where(or_(last.c.at.is_(None), Reading.as_of >= last.c.at))).all()
    return pl.DataFrame([tuple(row) for row in found], schema=CENSUSES, orient="row").sort(
        "base_at", "base_id"
    )


def account_readings(session: Session, since: datetime | None, end: datetime | None) -> pl.DataFrame:
    """Readings of single accounts since a book and until `end`: `ACCOUNT_READINGS`."""
    query = (
        select(Reading.id, Reading.as_of, Partition.first_at)
        .join(Partition, col(Partition.reading_id) == Reading.id)
        .where(Partition.dataset == "accounts", Partition.coin == ALL_COINS, Reading.venue == VENUE)
        .where(Reading.scope == Scope.ACCOUNTS)
    )
    if since is not None:
        query = query.where(Reading.as_of >= since)
    if end is not None:
        query = query.where(Partition.first_at <= end)
    found = [tuple(row) for row in session.exec(query).all()]
    return pl.DataFrame(found, schema=ACCOUNT_READINGS, orient="row")
