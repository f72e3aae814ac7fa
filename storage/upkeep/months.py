"""A series in one file a month, once the month is over, instead of one a day; it reads as before.

Liquidations stay by day: on which days any were recorded is known from their files alone. Of sizes, which only order
what is read next, the last of each account and dex in a month is kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import polars as pl
from sqlmodel import Session, col, delete, select

from liqtruth.storage.database.tables import Partition, upsert
from liqtruth.storage.errors import FileDamaged
from liqtruth.storage.lake.archives import DATASETS
from liqtruth.storage.lake.lake import LOCK, Lake
from liqtruth.storage.lake.manifest import AND, Series, folder_of, month_of, sources_in
from liqtruth.storage.lake.parquet import read_parquet, unique, write_new
from liqtruth.storage.lock import waiting

BY_DAY: Final = ("liquidations",)
LAST_OF_EACH: Final = {"sizes": ("address", "dex")}
DAYS: Final = {"dataset": pl.String(), "venue": pl.String(), "coin": pl.String(), "day": pl.Date()}


@dataclass(frozen=True)
class Month:
    """A month of a series that lies in `files` files."""

    series: Series
    first: date
    files: int


def finished_months(lake: Lake, now: datetime) -> list[Month]:
    """Those that are over and lie in more than one file."""
    this_month = now.date().replace(day=1)
    query = (
        select(Partition.dataset, Partition.venue, Partition.coin, col(Partition.day))
        .where(Partition.day < this_month, col(Partition.reading_id).is_(None))
        .where(col(Partition.dataset).not_in((*BY_DAY, *DATASETS)))
    )
    with lake.database.session() as session:
        rows = pl.DataFrame([tuple(row) for row in session.exec(query).all()], schema=DAYS, orient="row")
    counted = (
        rows.group_by("dataset", "venue", "coin", pl.col("day").dt.truncate("1mo"))
        .len()
        .filter(pl.col("len") > 1)
    )
    return [
        Month(Series(dataset, venue, coin), first, files)
        for dataset, venue, coin, first, files in counted.sort(counted.columns).iter_rows()
    ]


def put_together(lake: Lake, month: Month) -> bool:
    """Write the month's one file in place of those of its days; false where there is nothing to do, or one of them
    cannot be read: they stay as they are."""
    series = month.series
    folder = folder_of(series.dataset, series.venue, series.coin)
    with waiting(lake.root / folder / LOCK):
        with lake.database.session() as session:
            rows = session.exec(series.query().where(*_within(month.first))).all()
        if len(rows) < 2:
            return False
        try:
            days = pl.concat([read_parquet(lake.root / row.path)[0] for row in rows])
        except (FileNotFoundError, FileDamaged):
            return False
        known = LAST_OF_EACH.get(series.dataset)
        kept = days if known is None else days.unique(known, keep="last", maintain_order=True)
        path = write_new(kept, lake.root / folder / month.first.isoformat(), unique("month"))
        file, source = (
            path.relative_to(lake.root).as_posix(),
            AND.join(sources_in(row.source for row in rows)),
        )
        after = series.row(file, month.first, kept, source, month_of(month.first))
        lake.database.transact(lambda session: _swap(session, rows, after))
    lake.remove({row.path for row in rows})
    return True


def _within(first: date) -> tuple[Any, ...]:
    following = (first + timedelta(days=31)).replace(day=1)
    return col(Partition.day) >= first, col(Partition.day) < following


def _swap(session: Session, days: Sequence[Partition], month: Partition) -> None:
    session.exec(delete(Partition).where(col(Partition.path).in_([row.path for row in days])))
    upsert(session, [month])
