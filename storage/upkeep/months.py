"""A series in one file a month, once the month is over, instead of one a day; it reads as before.

Liquidations stay by day: on which days any were recorded is known from their files alone. Of sizes, which only order
what is read next, the last of each account and dex in a month is kept.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import polars as pl
from sqlmodel import col, select

from liqtruth.storage.database.tables import Partition
from liqtruth.storage.errors import FileDamaged
from liqtruth.storage.lake.archives import DATASETS
from liqtruth.storage.lake.lake import Lake
from liqtruth.storage.lake.manifest import AND, Series, folder_of, month_of, sources_in, swap_series
from liqtruth.storage.lake.parquet import read_parquet, unique, write_new

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
    until = (month.first + timedelta(days=31)).replace(day=1)
    with lake.turn(folder):
        with lake.database.session() as session:
            rows = session.exec(
                series.query().where(Partition.day >= month.first, Partition.day < until)
            ).all()
        if len(rows) < 2:
            return False
        try:
            days = pl.concat([read_parquet(lake.place, row.path)[0] for row in rows])
        except (FileNotFoundError, FileDamaged):
            return False
        known = LAST_OF_EACH.get(series.dataset)
        kept = days if known is None else days.unique(known, keep="last", maintain_order=True)
        file = write_new(kept, lake.place, f"{folder}/{month.first.isoformat()}", unique("month"))
        source = AND.join(sources_in(row.source for row in rows))
        after = series.row(file, month.first, kept, source, month_of(month.first))
        swapped = lake.database.transact(lambda session: swap_series(session, rows, after, until))
    lake.remove({row.path for row in rows} if swapped else {file})
    return swapped
