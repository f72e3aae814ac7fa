"""Many readings in few files: an archive holds the readings of an hour, or of a day, and reads as they did.

The rows of all its readings lie sorted by coin, account and time, as `storage.packing.moving` keeps them small; a large
archive is split by coins, so that whoever asks for a coin opens one file. A reading says which archive it is in, and
the files of an archive have manifest rows of their own: of books, of which a question needs the last, a row per coin;
of censuses and readings of accounts, which are looked up by coin and time, the rows that they had. New files are
written first; then one transaction points readings and rows to them, and what nothing points to any more goes: a kill
at any instant leaves the old files or the new ones. A column that only some of the readings have is null in the others.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote

import polars as pl

from liqtruth.storage.database.records import Partition, Reading, Scope
from liqtruth.storage.lake.manifest import ALL_COINS, OF_COIN, file_of, folder_of, snapshot_rows
from liqtruth.storage.packing.decimals import packed
from liqtruth.storage.packing.digits import READING
from liqtruth.storage.packing.forecasts import COLLATERAL, FORMAT, FORMATS, OF_COLLATERAL, OF_POSITIONS
from liqtruth.storage.packing.moving import ACCOUNT, KEY, PLACE, Digits, decoded, encoded
from liqtruth.storage.places.parquet import write_new

if TYPE_CHECKING:
    from liqtruth.storage.lake.lake import Lake

SHARED: Final = "collateral"
"""Dataset of what the positions of an account share."""
WITH_TIME: Final = (*COLLATERAL, "as_of")
"""The same of accounts that were read one after the other."""
DATASETS: Final = ("positions", "accounts", SHARED)
OF_READINGS: Final = (
    "(reading_id IN :ids OR (reading_id IS NULL AND "
    "archive IN (SELECT archive FROM reading WHERE id IN :ids AND archive IS NOT NULL)))"
)
"""Manifest rows of files of the readings `ids`, be they their own or an archive's."""
OF_DATASET: Final = "dataset || '' = :dataset"
"""Beside it: an expression, or SQLite takes the index on datasets and reads the whole history of this one."""
SMALL: Final = 9
"""Level of zstd: long runs of decimals, which polars stores without a dictionary, take a tenth."""
DIGITS: Final = tuple(one.name for one in fields(Digits))
PART_ROWS: Final = 2_000_000
"""Of a file of positions, which are in memory together when it is written."""


@dataclass(frozen=True)
class Archive:
    """`readings` of one venue, by time, which are to lie in the archive `name`; `dropped` are given up with it.

    Together they are all readings of the archives that any of them is in.
    """

    name: str
    readings: Sequence[Reading]
    dropped: Sequence[Reading] = ()

    @property
    def ids(self) -> list[str]:
        return [one.id for one in self.readings]

    @property
    def is_of_books(self) -> bool:
        return all(one.scope == Scope.BOOK for one in self.readings)

    @property
    def before(self) -> dict[str, str | None]:
        """Where each reading was when this was planned."""
        return {one.id: one.archive for one in (*self.readings, *self.dropped)}


class CoinRows(NamedTuple):
    """How many rows a coin has."""

    coin: str
    rows: int


def write_archive(lake: "Lake", archive: Archive) -> list[Partition]:
    """Write its files; the manifest rows that make them count. Raises `NotWritten`."""
    for shared in (COLLATERAL, ()) if archive.is_of_books else (WITH_TIME, COLLATERAL, ()):
        rows = _written(lake, archive, shared)
        if rows is not None:
            return rows
    raise AssertionError("positions that keep their collateral can always be written")


def _written(lake: "Lake", archive: Archive, columns: tuple[str, ...]) -> list[Partition] | None:
    """Null, and nothing is written, where the positions of an account do not share one value of these columns."""
    rows: list[Partition] = []
    try:
        shared, shares = pl.DataFrame(), columns
        for number, coins in enumerate(_groups(lake, archive)):
            part = _side_by_side(lake, "positions", archive, coins)
            shares = shares if set(shares) <= set(part.columns) else ()
            if shares:
                shared = pl.concat([shared, part.select(*ACCOUNT, *shares)]).unique()
            rows += _write(lake, "positions", archive, part, shares, f"{archive.name}.{number}")
        if shares and shared.height:
            if shared.select(*ACCOUNT).is_duplicated().any():
                lake.remove({file_of(row) for row in rows})
                return None
            rows += _write(lake, SHARED, archive, shared.sort(*ACCOUNT), shares)
        accounts = _side_by_side(lake, "accounts", archive, None)
        rows += _write(lake, "accounts", archive, accounts, shares)
    except BaseException:
        lake.remove({file_of(row) for row in rows})
        raise
    return rows


def _groups(lake: "Lake", archive: Archive) -> Iterator[tuple[str, ...]]:
    """Coins whose rows make one file."""
    sql = (
        f"SELECT coin, sum(rows) FROM partition WHERE {OF_READINGS} AND {OF_DATASET} "
        "GROUP BY coin ORDER BY coin"
    )
    with lake.database.asking() as asked:
        counted = asked.rows(CoinRows, sql, ids=archive.ids, dataset="positions")
    group, rows = list[str](), 0
    for coin, count in sorted(counted):
        if group and rows + count > PART_ROWS:
            yield tuple(group)
            group, rows = [], 0
        group.append(coin)
        rows += count
    if group:
        yield tuple(group)


def _side_by_side(
    lake: "Lake", dataset: str, archive: Archive, coins: tuple[str, ...] | None
) -> pl.DataFrame:
    """The rows of all readings by coin, account and time, each with its reading and its place in it."""
    found = lake.snapshots(dataset, archive.ids, coins)
    if not found:
        return pl.DataFrame()
    rows = pl.concat(found, how="diagonal").with_columns(
        pl.col("reading_id").cast(pl.Enum(archive.ids)).alias(READING)
    )
    group = [name for name in (READING, "coin") if name in rows.columns]
    rows = rows.drop("reading_id").with_columns(
        pl.int_range(pl.len(), dtype=pl.Int64).over(group).alias(PLACE)
    )
    rows = rows.sort(*_key(rows), READING, PLACE)
    rank = pl.int_range(pl.len(), dtype=pl.Int64).over(group)
    return rows.with_columns((pl.col(PLACE) - rank).cast(pl.Int32))


def _key(rows: pl.DataFrame) -> list[str]:
    return [name for name in KEY if name in rows.columns]


def _write(
    lake: "Lake",
    dataset: str,
    archive: Archive,
    rows: pl.DataFrame,
    shares: tuple[str, ...],
    name: str = "",
) -> list[Partition]:
    """One file, and a manifest row for each of its coins, or one in all where it has none."""
    if rows.is_empty():
        return []
    last = archive.readings[-1]
    stored, digits = rows, Digits()
    if dataset == SHARED:
        stored, digits = encoded(rows, OF_COLLATERAL, ACCOUNT[:2])
    elif dataset == "positions":
        stored, digits = encoded(rows, OF_POSITIONS, KEY)
        stored = stored.drop(shares)
    small, metadata = packed(stored)
    metadata[FORMAT] = json.dumps(
        {
            "columns": rows.columns,
            "shares": bool(shares) and dataset == "positions",
            **{name: getattr(digits, name) for name in DIGITS},
        }
    )
    folder = folder_of(dataset, last.venue, ALL_COINS, last.as_of.date())
    file = write_new(small, lake.place, folder, name or archive.name, metadata, SMALL)
    return _rows_of(archive, file, dataset, rows)


def _rows_of(archive: Archive, file: str, dataset: str, rows: pl.DataFrame) -> list[Partition]:
    """`last_at` is the moment of the last reading that has any: what is asked of its readings by coin."""
    if dataset != SHARED and not archive.is_of_books:
        known = {one.id: one for one in archive.readings}
        return [
            row
            for (name,), part in rows.group_by(READING, maintain_order=True)
            for row in snapshot_rows(file, dataset, known[str(name)], part, archive.name)
        ]
    first = archive.readings[0]
    moments = {one.id: one.as_of for one in archive.readings}
    has_coins = "coin" in rows.columns
    counted = [pl.len().alias("rows"), pl.col(READING).max().alias("last")]
    counted += [pl.col("as_of").min().alias("first")] if "as_of" in rows.columns else []
    parts = rows.group_by("coin", maintain_order=True).agg(counted) if has_coins else rows.select(counted)
    return [
        Partition(
            path=f"{file}{OF_COIN}{quote(row['coin'], safe='')}" if has_coins else file,
            dataset=dataset,
            venue=first.venue,
            coin=row["coin"] if has_coins else ALL_COINS,
            day=first.as_of.date(),
            rows=row["rows"],
            first_at=row.get("first") or first.as_of,
            last_at=moments[row["last"]],
            source=first.source,
            archive=archive.name,
        )
        for row in parts.iter_rows(named=True)
    ]


def read_archived(
    row: Partition,
    stored: pl.DataFrame,
    metadata: Mapping[str, Any],
    reading_ids: tuple[str, ...],
    collateral: Callable[[Partition, tuple[str, ...]], pl.DataFrame],
) -> pl.DataFrame:
    """The rows of these readings in the file, each reading's in their old order, with `reading_id`; of collateral those
    of all readings by which positions are decoded. `collateral` is asked where the file shares it with others."""
    form = next(one for one in FORMATS if one in metadata)
    layout = json.loads(metadata[form])
    digits = Digits(**{name: layout[name] for name in DIGITS if name in layout})
    names = stored.schema[READING].categories.to_list()  # type: ignore[attr-defined]
    asked, number = [names.index(one) for one in reading_ids if one in names], pl.col(READING).to_physical()
    needed = number.is_between(digits.since(asked), max(asked, default=-1))
    rows, columns = stored.filter(needed), layout["columns"]
    if row.dataset == SHARED:
        return decoded(rows, OF_COLLATERAL, ACCOUNT[:2], columns, digits)
    if layout["shares"]:
        rows = rows.join(collateral(row, reading_ids), on=ACCOUNT, how="left", maintain_order="left")
    if row.dataset == "positions":
        rows = decoded(rows, FORMATS[form], KEY, columns, digits)
    rows = rows.filter(number.is_in(asked))
    group = [name for name in (READING, "coin") if name in rows.columns]
    rank = pl.int_range(pl.len(), dtype=pl.Int64).over(group)
    ordered = rows.with_columns(pl.col(PLACE) + rank).sort(*group, PLACE)
    return ordered.with_columns(reading_id=pl.col(READING).cast(pl.String)).drop(READING, PLACE)
