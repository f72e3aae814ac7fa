"""Which readings and coins are stored: the books, censuses and readings of accounts that a window of time needs.

Only rows of the database; a window needs what stood at its start and what came until its end. Readings are looked up
first, then their files: `dataset || ''` keeps SQLite from reading all files of a dataset instead.
"""

import difflib
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import polars as pl

from liqtruth.indexer.errors import UnknownCoin
from liqtruth.indexer.frames import MOMENT
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.storage.database.asking import Asked, columns
from liqtruth.storage.database.records import Reading, Scope
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.lake.lake import ALL_COINS
from liqtruth.storage.store import Store

POSITION_FILES: Final = "dataset = 'positions' AND venue = :venue"
CENSUSES: Final = {"coin": pl.String(), "base_id": pl.String(), "base_at": MOMENT}
ACCOUNT_READINGS: Final = {"reading_id": pl.String(), "reading_at": MOMENT, "first_at": MOMENT}


def books(asked: Asked, start: datetime | None, end: datetime | None) -> list[Reading]:
    """The last book by `start` and all after it until `end`, in the order of time."""
    of_books = f"SELECT {columns(Reading)} FROM reading WHERE venue = :venue AND scope = :scope"
    by_start = "" if start is None else " AND as_of <= :start"
    of = {"venue": VENUE, "scope": Scope.BOOK, "start": start, "end": end}
    first = asked.rows(Reading, f"{of_books}{by_start} ORDER BY as_of DESC, id DESC LIMIT 1", **of)
    if start is None or end is None:
        return first
    later = f"{of_books} AND as_of > :start AND as_of <= :end ORDER BY as_of, id"
    return [*first, *asked.rows(Reading, later, **of)]


def censuses(asked: Asked, coin: str | None, start: datetime | None, end: datetime | None) -> pl.DataFrame:
    """Readings of all accounts of each coin (or of `coin`): the last by `start` and all after it until `end`."""

    def of_censuses(until: str, moment: datetime | None) -> str:
        return (
            "FROM partition p JOIN reading r ON p.reading_id = r.id "
            "WHERE p.dataset || '' = 'positions' AND r.venue = :venue AND r.scope = :scope"
            + ("" if coin is None else " AND p.coin = :coin")
            + ("" if moment is None else f" AND r.as_of <= :{until}")
        )

    last = f"SELECT p.coin, max(r.as_of) AS at {of_censuses('start', start)} GROUP BY p.coin"
    since = f"""
        SELECT all_.coin, all_.id, all_.as_of
        FROM (SELECT p.coin, r.id, r.as_of {of_censuses("end", end)}) all_
        LEFT JOIN ({last}) last_ ON last_.coin = all_.coin
        WHERE last_.at IS NULL OR all_.as_of >= last_.at
    """
    found = asked.frame(CENSUSES, since, venue=VENUE, scope=Scope.CENSUS, coin=coin, start=start, end=end)
    return found.sort("base_at", "base_id")


def account_readings(asked: Asked, since: datetime | None, end: datetime | None) -> pl.DataFrame:
    """Readings of single accounts since a book and until `end`: `ACCOUNT_READINGS`."""
    sql = (
        "SELECT r.id, r.as_of, p.first_at FROM reading r JOIN partition p ON p.reading_id = r.id "
        "WHERE p.dataset || '' = 'accounts' AND p.coin = :coin AND r.venue = :venue AND r.scope = :scope"
        + ("" if since is None else " AND r.as_of >= :since")
        + ("" if end is None else " AND p.first_at <= :end")
    )
    return asked.frame(
        ACCOUNT_READINGS, sql, coin=ALL_COINS, venue=VENUE, scope=Scope.ACCOUNTS, since=since, end=end
    )


def no_positions(coin: str, at: datetime | None) -> NothingStored:
    """What to raise where a coin is known but none of its positions were read by `at`."""
    until = "" if at is None else f" by {at:%Y-%m-%dT%H:%M}Z"
    return NothingStored(f"no positions of {coin} are stored{until}; `liqtruth index import` or `sweep`")


def known_coins(store: Store) -> list[str]:
    """Coins that a stored reading or market has."""
    with store.database.asking() as asked:
        read = asked.different("partition", "coin", POSITION_FILES, venue=VENUE)
        return sorted({*read, *asked.different("market", "coin", "venue = :venue", venue=VENUE)})


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
    read = f"SELECT 1 FROM partition WHERE {POSITION_FILES} AND coin = :coin LIMIT 1"
    listed = "SELECT 1 FROM market WHERE venue = :venue AND coin = :coin LIMIT 1"
    with store.database.asking() as asked:
        return any(asked.value(int, sql, venue=VENUE, coin=coin) for sql in (read, listed))


def _near(coin: str, known: Sequence[str]) -> str:
    folded = {name.lower(): name for name in known}
    near = difflib.get_close_matches(coin.lower(), list(folded), n=3)
    if near:
        return f"did you mean {' or '.join(folded[name] for name in near)}?"
    shown = ", ".join(known[:8])
    return f"stored are {shown}" + (f" and {len(known) - 8} more" if len(known) > 8 else "")
