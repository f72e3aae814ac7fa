"""Mark and open interest to show beside what is known of a coin at a moment, and what a reader must know of them.

The row of the very moment of the last reading where there is one, else the last not later than the moment asked for.
Where that row is older than the whole last reading, the mark is the median of that reading's own marks and only open
interest (with its age in the notes) is the row's.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import polars as pl
from sqlmodel import Session, func, select

from liqtruth.heatmap.notes import Notes, note
from liqtruth.heatmap.text import stamp
from liqtruth.indexer.positions.universe import VENUE
from liqtruth.storage.database.markets import last_market_in
from liqtruth.storage.database.tables import Market, Partition, Reading
from liqtruth.storage.store import Store

MARK_LAG: Final = timedelta(minutes=5)
"""A watch reads marks once a minute; a mark that is older than its positions by more than this is noted."""

Beside = tuple[Market | None, Notes]


def markets_beside(
    store: Store, coin: str, asked: Sequence[tuple[pl.DataFrame, Reading | None, datetime | None]]
) -> list[Beside]:
    """The market of `coin`, null where none is stored, and notes, for each of the asked (positions of the coin, the
    reading of the last of them, moment)."""
    with store.database.session() as session:
        return [_beside(session, coin, *one) for one in asked]


def _beside(
    session: Session, coin: str, positions: pl.DataFrame, last: Reading | None, at: datetime | None
) -> Beside:
    if last is None:
        return _with_lag(positions, last_market_in(session, VENUE, coin, at))
    same = last_market_in(session, VENUE, coin, last.as_of)
    if same is not None and same.as_of == last.as_of:
        return same, ()
    row = last_market_in(session, VENUE, coin, at)
    if row is None or row.as_of >= _began(session, last):
        return _with_lag(positions, row)
    return _marked_by_positions(positions, last, row)


def _began(session: Session, reading: Reading) -> datetime:
    """When its first account was read; a sweep takes a while."""
    query = select(func.min(Partition.first_at)).where(Partition.reading_id == reading.id)
    return session.exec(query).one() or reading.as_of


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
    return Market(**{**row.model_dump(), "mark_px": mark_px}), (marked,)
