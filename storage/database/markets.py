"""Rows of `market` and `universe`: stored by key, looked up by the last one not later than a moment.

What may be stored is decided by the package that read it; here rows are merged, and removed by retention alone.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from liqtruth.storage.database.asking import Asked, columns, different
from liqtruth.storage.database.connection import Database
from liqtruth.storage.database.records import Market, Universe

LAST_MARKETS: Final = """
{coins}
SELECT {columns} FROM found JOIN market m ON m.venue = :venue AND m.coin = found.value
WHERE m.as_of = (SELECT max(o.as_of) FROM market o WHERE o.venue = :venue AND o.coin = found.value{until})
"""


def store_markets(database: Database, rows: Iterable[Market]) -> int:
    """Insert or replace by (venue, dex, coin, as_of), all or none; returns the number of rows."""
    from liqtruth.storage.database.tables import upsert  # readers of markets never load the tables

    listed = list(rows)
    database.transact(lambda session: upsert(session, listed))
    return len(listed)


def store_universe(database: Database, row: Universe) -> None:
    """Insert or replace a dex's `meta` answer by (venue, dex, as_of)."""
    from liqtruth.storage.database.tables import upsert

    database.transact(lambda session: upsert(session, [row]))


def last_market(database: Database, venue: str, coin: str, at: datetime | None = None) -> Market | None:
    """The last market row of `coin` not later than `at`."""
    with database.asking() as asked:
        return last_market_in(asked, venue, coin, at)


def last_market_in(asked: Asked, venue: str, coin: str, at: datetime | None = None) -> Market | None:
    """The same beside other questions."""
    until = "" if at is None else " AND as_of <= :at"
    sql = (
        f"SELECT {columns(Market)} FROM market WHERE venue = :venue AND coin = :coin{until} "
        "ORDER BY as_of DESC LIMIT 1"
    )
    return asked.row(Market, sql, venue=venue, coin=coin, at=at)


def last_markets(database: Database, venue: str, at: datetime | None = None) -> dict[str, Market]:
    """The last row of every coin, stored not later than `at`.

    Each coin's is looked up by itself, so that the cost follows the number of coins and not how long they are stored.
    """
    sql = LAST_MARKETS.format(
        coins=different("market", "coin", "venue = :venue"),
        columns=columns(Market, "m"),
        until="" if at is None else " AND o.as_of <= :at",
    )
    with database.asking() as asked:
        return {row.coin: row for row in asked.rows(Market, sql, venue=venue, at=at)}


def universes_at(
    database: Database, venue: str, dexes: Iterable[str], moments: Iterable[datetime]
) -> dict[str, list[Universe]]:
    """The `meta` answers of each dex that were valid at these moments, oldest first; a dex without any has none.

    Each is the last not later than its moment, or the first where all are later. Of answers that follow each other and
    are equal, only the first. Only these are read whole.
    """
    wanted = list(moments)
    with database.asking() as asked:
        return {dex: _that_differ(_valid_at(asked, venue, dex, wanted)) for dex in dexes}


def _valid_at(asked: Asked, venue: str, dex: str, moments: Sequence[datetime]) -> list[Universe]:
    of_dex = "FROM universe WHERE venue = :venue AND dex = :dex"
    stored = asked.column(datetime, f"SELECT as_of {of_dex} ORDER BY as_of", venue=venue, dex=dex)
    needed = {max(bisect_right(stored, moment), 1) - 1 for moment in moments} if stored else set()
    sql = f"SELECT {columns(Universe)} {of_dex} AND as_of IN :at ORDER BY as_of"
    valid = [stored[number] for number in sorted(needed)]
    return asked.rows(Universe, sql, venue=venue, dex=dex, at=valid) if valid else []


def _that_differ(rows: Iterable[Universe]) -> list[Universe]:
    kept: list[Universe] = []
    for row in rows:
        if not kept or kept[-1].meta_json != row.meta_json:
            kept.append(row)
    return kept
