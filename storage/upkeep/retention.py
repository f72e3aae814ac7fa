"""What is kept of the past: everything for a while, then one book an hour, then one a day; never fewer accounts.

The last book of an hour, or of a day, stands for the others, which it replaces anyway; one that has an account which
that book lacks stays. Marks are thinned to the same moments, and those beside a reading that is kept stay with it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from typing import NamedTuple

import numpy as np
import polars as pl
from sqlmodel import Session, col, delete

from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.words.text import format_duration
from liqtruth.storage.database.records import Reading
from liqtruth.storage.database.tables import Market
from liqtruth.storage.lake.lake import Lake

HOUR_S = 3600
DAY_S = 24 * HOUR_S
AT_ONCE = 500
"""Moments of one statement; SQLite takes only so many parameters."""


class Listed(NamedTuple):
    """A coin of a dex."""

    dex: str
    coin: str


@dataclass(frozen=True)
class Keep:
    """Everything of the last `everything` (null: of all time), one an hour of the last `hourly` (null: of all time
    before), one a day before that. Raises `BadInput` where `hourly` is not the longer one."""

    everything: timedelta | None = None
    hourly: timedelta | None = None

    def __post_init__(self) -> None:
        if self.hourly is not None and (self.everything is None or self.hourly < self.everything):
            kept = "no --keep" if self.everything is None else f"--keep {format_duration(self.everything)}"
            raise BadInput(
                f"--keep-hourly {format_duration(self.hourly)} must be longer than --keep, got {kept}"
            )

    def step_s(self, at: datetime, now: datetime) -> int:
        """Of how many seconds one is kept at that moment; zero: all are."""
        if self.everything is None or at >= now - self.everything:
            return 0
        return HOUR_S if self.hourly is None or at >= now - self.hourly else DAY_S

    def bucket(self, at: datetime, now: datetime) -> tuple[int, int] | None:
        """What is kept once; null where everything is kept."""
        step_s = self.step_s(at, now)
        return (step_s, int(at.timestamp()) // step_s) if step_s else None


def given_up(lake: Lake, books: Sequence[Reading], keep: Keep, now: datetime) -> list[Reading]:
    """Books, of `books` by time, that another one of their hour or day stands for."""
    gone: list[Reading] = []
    for bucket, group in groupby(books, key=lambda one: keep.bucket(one.as_of, now)):
        *others, last = group
        if bucket is not None and others:
            known = _accounts(lake, last)
            gone += [
                one
                for one in others
                if _accounts(lake, one).join(known, on=known.columns, how="anti").is_empty()
            ]
    return gone


def _accounts(lake: Lake, reading: Reading) -> pl.DataFrame:
    """Every account and dex that the reading has."""
    schema = {"address": pl.String(), "dex": pl.String()}
    frames = [part for name in ("accounts", "positions") for part in lake.snapshots(name, [reading.id])]
    named = [part.select(*schema) for part in frames if set(schema) <= set(part.columns)]
    return pl.concat([pl.DataFrame(schema=schema), *named]).unique()


def thin_markets(lake: Lake, venue: str, keep: Keep, now: datetime, dry: bool = False) -> int:
    """Remove market rows that are not kept; how many there were, or would have been where it is `dry`."""
    if keep.everything is None:
        return 0
    until, count = now - keep.everything, 0
    past = "SELECT as_of FROM reading WHERE venue = :venue AND as_of <= :now"
    listed = "SELECT DISTINCT dex, coin FROM market WHERE venue = :venue"
    with lake.database.asking() as asked:
        moments = asked.column(datetime, past, venue=venue, now=now)
        coins = asked.rows(Listed, listed, venue=venue)
    for dex, coin in coins:
        gone = _rows_given_up(lake, (venue, dex, coin), until, keep, now, moments)
        count += len(gone)
        if not dry:
            lake.database.transact(partial(_remove_rows, series=(venue, dex, coin), moments=gone))
    return count


def _rows_given_up(
    lake: Lake,
    series: tuple[str, str, str],
    until: datetime,
    keep: Keep,
    now: datetime,
    moments: Iterable[datetime],
) -> list[datetime]:
    venue, dex, coin = series
    sql = (
        "SELECT as_of FROM market WHERE venue = :venue AND dex = :dex AND coin = :coin AND as_of < :until "
        "ORDER BY as_of"
    )
    with lake.database.asking() as asked:
        stored = asked.column(datetime, sql, venue=venue, dex=dex, coin=coin, until=until)
    kept = {max(group) for bucket, group in groupby(stored, key=lambda at: keep.bucket(at, now)) if bucket}
    at_s = np.array([one.timestamp() for one in stored])
    beside = np.searchsorted(at_s, [one.timestamp() for one in moments], side="right") - 1
    kept |= {stored[place] for place in np.unique(beside) if place >= 0}
    return [one for one in stored if one not in kept]


def _remove_rows(session: Session, series: tuple[str, str, str], moments: Sequence[datetime]) -> None:
    venue, dex, coin = series
    of_series = (col(Market.venue) == venue, col(Market.dex) == dex, col(Market.coin) == coin)
    for start in range(0, len(moments), AT_ONCE):
        some = col(Market.as_of).in_(moments[start : start + AT_ONCE])
        session.exec(delete(Market).where(*of_series, some))
