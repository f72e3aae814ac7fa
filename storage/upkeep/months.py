"""A series in one file a month, once the month is over, instead of one a day; it reads as before.

Liquidations stay by day: on which days any were recorded is known from their files alone. Of sizes, which only order
what is read next, the last of each account and dex in a month is kept.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

import polars as pl

from liqtruth.storage.errors import FileDamaged
from liqtruth.storage.lake.archives import DATASETS
from liqtruth.storage.lake.lake import Lake
from liqtruth.storage.lake.manifest import AND, Series, folder_of, month_of, sources_in
from liqtruth.storage.lake.swaps import swap_series
from liqtruth.storage.places.parquet import read_parquet, unique, write_new

BY_DAY: Final = ("liquidations",)
LAST_OF_EACH: Final = {"sizes": ("address", "dex")}
DAYS: Final = {"dataset": pl.String(), "venue": pl.String(), "coin": pl.String(), "day": pl.Date()}


class Day(NamedTuple):
    """On which a series has a file."""

    dataset: str
    venue: str
    coin: str
    day: date


@dataclass(frozen=True)
class Month:
    """A month of a series that lies in `files` files."""

    series: Series
    first: date
    files: int


def finished_months(lake: Lake, now: datetime) -> list[Month]:
    """Those that are over and lie in more than one file."""
    this_month = now.date().replace(day=1)
    sql = (
        "SELECT dataset, venue, coin, day FROM partition "
        "WHERE day < :this_month AND reading_id IS NULL AND dataset NOT IN :others"
    )
    with lake.database.asking() as asked:
        found = asked.rows(Day, sql, this_month=this_month, others=(*BY_DAY, *DATASETS))
    rows = pl.DataFrame(found, schema=DAYS, orient="row")
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
    following = (month.first + timedelta(days=31)).replace(day=1)
    with lake.turn(folder):
        with lake.database.asking() as asked:
            within = ("day >= :first", "day < :following")
            rows = series.files(asked, *within, first=month.first, following=following)
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
        swapped = lake.database.transact(lambda session: swap_series(session, rows, after, following))
    lake.remove({row.path for row in rows} if swapped else {file})
    return swapped
