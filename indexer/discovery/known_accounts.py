"""Who is known: what the address book (`indexer.discovery.address_book`) has, for readers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import polars as pl

from liqtruth.heatmap.errors import MissingData
from liqtruth.indexer.frames import MOMENT, Schema
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.storage.store import Store

BOOK: Final[Schema] = {
    "address": pl.String(),
    "source": pl.String(),
    "first_seen_at": MOMENT,
    "last_traded_at": MOMENT,  # null: no trade of it was seen
    "last_read_at": MOMENT,  # null: never read
    "mode": pl.String(),  # as in the positions frame; null: not known
    "mode_at": MOMENT,
    "positions": pl.Int64(),  # at the last reading
    "notional_usd": pl.Float64(),
    "label": pl.String(),
    "master": pl.String(),
}
YIELDS: Final[Schema] = {
    "source": pl.String(),
    "addresses": pl.Int64(),
    "read": pl.Int64(),
    "with_positions": pl.Int64(),
    "notional_usd": pl.Float64(),
}


def book(store: Store) -> pl.DataFrame:
    """Everyone (`BOOK`), by address."""
    sql = f"SELECT {', '.join(BOOK)} FROM account WHERE venue = :venue ORDER BY address"
    with store.database.asking() as asked:
        return asked.frame(BOOK, sql, venue=VENUE)


def yields(store: Store) -> pl.DataFrame:
    """Per first source (`YIELDS`): how many it found, how many of them were read, hold positions, and how much."""
    sql = """
        SELECT source, count(*), count(last_read_at),
            coalesce(sum(CASE WHEN positions > 0 THEN 1 ELSE 0 END), 0), coalesce(sum(notional_usd), 0.0)
        FROM account WHERE venue = :venue GROUP BY source ORDER BY count(*) DESC, source
    """
    with store.database.asking() as asked:
        return asked.frame(YIELDS, sql, venue=VENUE)


def known_addresses(store: Store, files: Sequence[Path] | None) -> list[str]:
    """Those of the files, else everyone in the address book; raises `MissingData` where that is empty."""
    from liqtruth.indexer.discovery.address_lists import read_addresses

    listed = [address for path in files or () for address in read_addresses(path)] or book(store)[
        "address"
    ].to_list()
    if not listed:
        raise MissingData("no account is known; find some with `liqtruth index find`, or give --addresses")
    return listed
