"""Which readings and coins are stored: the books, censuses and readings of accounts that a window of time needs.

Only rows of the database; a window needs what stood at its start and what came until its end.
"""

import difflib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import polars as pl
from sqlmodel import Session, col, func, or_, select

from liqtruth.indexer.errors import UnknownCoin
from liqtruth.indexer.frames import MOMENT
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.storage.database.tables import Market, Partition, Reading, Scope, different
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.lake.lake import ALL_COINS
from liqtruth.storage.store import Store

POSITION_FILES: Final = (Partition.dataset == "positions", Partition.venue == VENUE)
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


def no_positions(coin: str, at: datetime | None) -> NothingStored:
    """What to raise where a coin is known but none of its positions were read by `at`."""
    until = "" if at is None else f" by {at:%Y-%m-%dT%H:%M}Z"
    return NothingStored(f"no positions of {coin} are stored{until}; `liqtruth index import` or `sweep`")


def known_coins(store: Store) -> list[str]:
    """Coins that a stored reading or market has."""
    with store.database.session() as session:
        read = different(session, Partition.coin, *POSITION_FILES)
        return sorted({*read, *different(session, Market.coin, Market.venue == VENUE)})


def check_coin(store: Store, coin: str) -> str:
    """`coin` if something is stored about it; raises `UnknownCoin` with near spellings, or `NothingStored`."""
    if store.once(_is_known, coin):
        return coin
    known = known_coins(store)
    if not known:
        raise NothingStored(
            "no positions are stored yet; `liqtruth check`, `index import` or `index sweep` brings them"
        )
    raise UnknownCoin(f"no coin {coin!r} is stored; {_near(coin, known)}")


def _is_known(store: Store, coin: str) -> bool:
    read = select(Partition.path).where(*POSITION_FILES, Partition.coin == coin).limit(1)
    listed = select(Market.coin).where(Market.venue == VENUE, Market.coin == coin).limit(1)
    with store.database.session() as session:
        return any(session.exec(query).first() is not None for query in (read, listed))


def _near(coin: str, known: Sequence[str]) -> str:
    folded = {name.lower(): name for name in known}
    near = difflib.get_close_matches(coin.lower(), list(folded), n=3)
    if near:
        return f"did you mean {' or '.join(folded[name] for name in near)}?"
    shown = ", ".join(known[:8])
    return f"stored are {shown}" + (f" and {len(known) - 8} more" if len(known) > 8 else "")
