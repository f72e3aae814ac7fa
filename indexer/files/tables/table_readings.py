"""Whether a table lists all accounts at its moments, or accounts each as of its own time; and its readings.

A census replaces every earlier reading of its coins, so it must be one. A table of one moment is taken for one, and so
is a table in which the accounts of one moment are there again at the next. A table whose moments hold one account each,
or other accounts each time, says when each account was read: it is one reading of those accounts. `--census` and
`--accounts` decide where the file does not show it.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import polars as pl
from msgspec.structs import replace

from liqtruth.heatmap.words.notes import Note, note
from liqtruth.indexer.files.answers.account_files import label_of
from liqtruth.indexer.frames import OF_COINS, PAIR, POSITION, conform, last_read
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.storage.database.records import Reading, Scope

SAME_ACCOUNTS: Final = 0.2
"""Share of the accounts of one moment that must be there at the next for the moments to be censuses."""

Readings = list[tuple[Reading, dict[str, pl.DataFrame]]]


def lists_everyone(rows: pl.DataFrame) -> bool:
    """Whether each moment of a `POSITIONS` frame seems to hold all accounts that its maker saw."""
    looks = rows.select(*PAIR, "as_of").unique()
    moments, accounts = looks["as_of"].n_unique(), looks["address"].n_unique()
    if moments == 1:
        return True
    if accounts == 1 or accounts == looks.height:
        return False
    alone = rows.select((pl.col("address").n_unique().over("as_of") == 1).mean()).item()
    return alone <= 0.5 and _carried_over(looks) >= SAME_ACCOUNTS


def taken_for(rows: pl.DataFrame, census: bool) -> Note:
    """A note on what the moments of a table were taken for, and how to state otherwise."""
    return note("moments_are_censuses" if census else "moments_of_accounts", count=rows["as_of"].n_unique())


def _carried_over(looks: pl.DataFrame) -> float:
    """Of the accounts of two neighbouring moments, the smaller one's, the share that is in both; over all moments."""
    order = looks.with_columns(moment=pl.col("as_of").rank("dense"))
    sizes = order.group_by("moment").len().sort("moment")["len"]
    both = order.join(order.with_columns(pl.col("moment") + 1), on=[*PAIR, "moment"], how="semi").height
    possible = pl.DataFrame({"one": sizes[:-1], "next": sizes[1:]}).min_horizontal().sum()
    return both / float(possible) if possible else 0.0


def with_times_of_accounts(rows: pl.DataFrame) -> tuple[pl.DataFrame, list[Note]]:
    """The rows, where an account's rows have times of their own all as of its latest, and a note on that.

    Only where no position is there twice: otherwise each moment of an account is a look at it.
    """
    spread = rows.group_by(*PAIR).agg(pl.col("as_of").n_unique())["as_of"] > 1
    if not spread.any() or rows.select(pl.struct(POSITION).is_duplicated().any()).item():
        return rows, []
    latest_of_each = rows.with_columns(pl.col("as_of").max().over(*PAIR))
    return latest_of_each, [note("times_of_accounts", count=int(spread.sum()))]


def readings_of(path: Path, source: str, rows: pl.DataFrame, census: bool, whole: bool = False) -> Readings:
    """The readings of reconciled rows: a census per moment (`whole`: one in all), or one of the listed accounts."""
    if not census:
        return [
            (_reading(path, source, rows, Scope.ACCOUNTS), {"positions": rows, "accounts": _accounts(rows)})
        ]
    parts = [rows] if whole else rows.partition_by("as_of", maintain_order=True)
    return [(_reading(path, source, part, Scope.CENSUS), {"positions": part}) for part in parts]


def reading_of_answers(
    path: Path, source: str, positions: pl.DataFrame, accounts: pl.DataFrame, census: bool
) -> Readings:
    """One reading of answered accounts; as a census of the last answer of each."""
    if census:
        _, positions = last_read(accounts, positions)
        return [(_reading(path, source, positions, Scope.CENSUS), {"positions": positions})]
    reading = _reading(path, source, accounts, Scope.ACCOUNTS)
    reading = replace(reading, positions=positions.height)
    return [(reading, {"positions": positions, "accounts": accounts})]


def _reading(path: Path, source: str, part: pl.DataFrame, scope: Scope) -> Reading:
    as_of = latest(part)
    place = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]
    return Reading(
        id=f"{label_of(path).removeprefix('file:')}@{stamp(as_of)}-{place}",
        venue=VENUE,
        source=source,
        scope=scope,
        as_of=as_of,
        accounts=part["address"].n_unique(),
        positions=part.height,
    )


def _accounts(rows: pl.DataFrame) -> pl.DataFrame:
    """The list of the accounts that the rows are of, each with every time at which it was looked at: of the coins that
    the table has of the dex, since it shows nothing of others."""
    shared: Sequence[str] = ("account_mode", "account_value_usd", "source")
    found = rows.group_by(*PAIR, "as_of", maintain_order=True).agg(
        pl.col(*shared).first(), pl.len().alias("positions")
    )
    listed = rows.group_by("dex").agg(pl.col("coin").unique().sort().str.join(" "))
    coins = listed.select("dex", coins=pl.format(" {} ", "coin"))
    return conform(found.join(coins, on="dex", how="left", maintain_order="left"), OF_COINS)


def stamp(moment: datetime) -> str:
    return f"{moment:%Y%m%dT%H%M%S}.{moment.microsecond // 1000:03d}Z"


def latest(rows: pl.DataFrame) -> datetime:
    moment = rows["as_of"].max()
    assert isinstance(moment, datetime)
    return moment
