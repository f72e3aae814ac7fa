"""The address book: every account that was ever met, from where, and what was last known of it.

An address keeps the source that met it first. What is noted later only adds: the later of two trades, the later of two
readings, a mode where one was read. So telling the same thing twice, or in another order, leaves the same book. Writes
are one statement for many rows and go through on SQLite and PostgreSQL alike; each call is one transaction. Lists of
addresses come from files, one a line or as a column of a table.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import polars as pl
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from liqtruth.heatmap.errors import BadInput, MissingData
from liqtruth.heatmap.files import NOT_DECODED
from liqtruth.indexer.errors import ImportRefused
from liqtruth.indexer.frames import MOMENT, READS, Schema, conform
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.storage.database.tables import Account, UtcDateTime
from liqtruth.storage.files.tabular import read_table
from liqtruth.storage.store import Store

TAPE: Final = "tape"
SWEEP: Final = "sweep"

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

_KEY: Final = ("venue", "address")


def _bulk_table() -> sa.TableClause:
    """The table with moments as the database keeps them, UTC without a zone: converting cell by cell is slow."""
    stored: sa.Table = Account.__table__  # type: ignore[attr-defined]
    plain = sa.DateTime()
    return sa.table(
        stored.name,
        *(sa.column(c.name, plain if isinstance(c.type, UtcDateTime) else c.type) for c in stored.columns),
    )


_ACCOUNT: Final = _bulk_table()


@dataclass(frozen=True)
class Label:
    """What the protocol says an account is (`vault`, `sub-account`, `liquidator`), and whose where it is a child."""

    address: str
    label: str
    master: str | None = None


def remember(store: Store, addresses: Iterable[str], source: str, at: datetime) -> int:
    """Write down who is not known yet as met at `at` in `source`; returns how many were new."""
    met_at = _without_zone(at)
    rows = [_met(address, source, met_at) for address in _folded(addresses)]
    statement = _insert(store).on_conflict_do_nothing(index_elements=_KEY)
    return _execute(store, statement, rows)


def note_trades(store: Store, traded_at: Mapping[str, datetime]) -> None:
    """Each account's last trade; those not known yet are met on the tape at that moment."""
    moments = ((address.lower(), _without_zone(moment)) for address, moment in traded_at.items())
    rows = [{**_met(address, TAPE, moment), "last_traded_at": moment} for address, moment in moments]
    insert = _insert(store)
    reported = insert.excluded.last_traded_at
    known = _ACCOUNT.c.last_traded_at
    upsert = insert.on_conflict_do_update(
        index_elements=_KEY, set_={"last_traded_at": reported}, where=known.is_(None) | (reported > known)
    )
    _execute(store, upsert, rows)


def note_reads(store: Store, reads: pl.DataFrame) -> None:
    """What readings found (`READS`: one row per account, sums over the dexes that were read).

    A reading older than the one that is known changes nothing; a null mode keeps the known mode and its age.
    """
    insert = _insert(store)
    reported, known = insert.excluded, _ACCOUNT.c
    changed: dict[str, Any] = {
        name: getattr(reported, name) for name in ("last_read_at", "positions", "notional_usd")
    }
    changed["mode"] = sa.func.coalesce(reported.mode, known.mode)
    changed["mode_at"] = sa.func.coalesce(reported.mode_at, known.mode_at)
    newer = known.last_read_at.is_(None) | (reported.last_read_at >= known.last_read_at)
    upsert = insert.on_conflict_do_update(index_elements=_KEY, set_=changed, where=newer)
    _execute(store, upsert, _rows_of(reads))


def label(store: Store, labels: Iterable[Label]) -> None:
    """Label accounts that the book has already; others are left out."""
    rows = [{"b_address": one.address.lower(), "label": one.label, "master": one.master} for one in labels]
    if not rows:
        return
    where = (_ACCOUNT.c.venue == VENUE) & (_ACCOUNT.c.address == sa.bindparam("b_address"))
    update = sa.update(_ACCOUNT).where(where)
    store.database.transact(lambda session: session.connection().execute(update, rows))


def book(store: Store) -> pl.DataFrame:
    """Everyone (`BOOK`), by address."""
    columns = [_ACCOUNT.c[name] for name in BOOK]
    query = sa.select(*columns).where(_ACCOUNT.c.venue == VENUE).order_by(_ACCOUNT.c.address)
    return _frame(store, query, BOOK)


def yields(store: Store) -> pl.DataFrame:
    """Per first source (`YIELDS`): how many it found, how many of them were read, hold positions, and how much."""
    known = _ACCOUNT.c
    query = (
        sa.select(
            known.source,
            sa.func.count(),
            sa.func.count(known.last_read_at),
            sa.func.coalesce(sa.func.sum(sa.case((known.positions > 0, 1), else_=0)), 0),
            sa.func.coalesce(sa.func.sum(known.notional_usd), 0.0),
        )
        .where(known.venue == VENUE)
        .group_by(known.source)
        .order_by(sa.func.count().desc(), known.source)
    )
    return _frame(store, query, YIELDS)


def _met(address: str, source: str, at: datetime) -> dict[str, Any]:
    return {"venue": VENUE, "address": address, "source": source, "first_seen_at": at, "label": ""}


def _rows_of(reads: pl.DataFrame) -> list[dict[str, Any]]:
    reported = conform(reads, READS).with_columns(
        pl.col("address").str.to_lowercase(), pl.col("read_at").dt.replace_time_zone(None)
    )
    last = reported.sort("read_at").unique("address", keep="last", maintain_order=True)
    return last.select(
        pl.lit(VENUE).alias("venue"),
        "address",
        pl.lit(SWEEP).alias("source"),
        pl.col("read_at").alias("first_seen_at"),
        pl.lit("").alias("label"),
        pl.col("read_at").alias("last_read_at"),
        "mode",
        pl.when(pl.col("mode").is_not_null()).then("read_at").alias("mode_at"),
        "positions",
        "notional_usd",
    ).to_dicts()


def _without_zone(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def _folded(addresses: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(address.lower() for address in addresses))


def _insert(store: Store) -> Any:
    """The dialect's own insert: both know `ON CONFLICT`, which the common one does not."""
    made = postgresql.insert if store.database.engine.dialect.name == "postgresql" else sqlite.insert
    return made(_ACCOUNT)


def _execute(store: Store, statement: Any, rows: Sequence[dict[str, Any]]) -> int:
    """Run for all rows at once; returns the number of rows written.

    Rows go in the order of their keys, so that two writers on one database never wait for each other in a circle.
    """
    if not rows:
        return 0
    ordered = sorted(rows, key=lambda row: row["address"])
    counted = {"preserve_rowcount": True}
    return store.database.transact(
        lambda session: int(
            session.connection().execute(statement, ordered, execution_options=counted).rowcount
        )
    )


def _frame(store: Store, query: Any, schema: Schema) -> pl.DataFrame:
    with store.database.session() as session:
        rows = session.exec(query).all()
    columns: Iterable[Sequence[Any]] = zip(*rows, strict=True) if rows else [()] * len(schema)
    return pl.DataFrame(
        [_series(*named, values) for named, values in zip(schema.items(), columns, strict=True)]
    )


def _series(name: str, dtype: pl.DataType, values: Sequence[Any]) -> pl.Series:
    if dtype != MOMENT:
        return pl.Series(name, values, dtype)
    return pl.Series(name, values, pl.Datetime("us")).dt.replace_time_zone("UTC")


ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
COLUMNS: Final = ("address", "addr", "user", "ethaddress", "wallet", "trader", "account")
TABLES: Final = (".parquet", ".json", ".jsonl", ".ndjson")


def read_addresses(path: Path) -> list[str]:
    """Addresses in lower case, each once, in the file's order: one a line, a column of a CSV, Parquet or JSON table as
    other tools export them, or a JSON list; `#` begins a comment.

    Raises `BadInput` naming the line and the value for anything that is no address, and for an empty list.
    """
    if path.suffix.lower() in TABLES:
        return _of_table(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: cannot be read as text: {error}") from None
    addresses = list(dict.fromkeys(_addresses(path, text.splitlines())))
    if not addresses:
        raise BadInput(f"{path}: no addresses in it; write one a line, 0x and 40 hexadecimal digits")
    return addresses


def _of_table(path: Path) -> list[str]:
    values = _of_json_list(path) if path.suffix.lower() == ".json" else None
    if values is None:
        table = read_table(path)
        column = next((name for name in table.columns if name.lower().replace("_", "") in COLUMNS), None)
        if column is None:
            raise BadInput(f"{path}: no column of {', '.join(COLUMNS)} among {', '.join(table.columns[:12])}")
        if table[column].dtype.is_nested():
            raise BadInput(f"{path}: the cells of {column} are no addresses")
        values = table[column].cast(pl.String).drop_nulls().to_list()
    folded = dict.fromkeys(value.strip().lower() for value in values)
    for value in folded:
        if not ADDRESS.fullmatch(value):
            raise BadInput(f"{path}: {value!r} is no address (0x and 40 hexadecimal digits)")
    if not folded:
        raise BadInput(f"{path}: no addresses in it")
    return list(folded)


def _of_json_list(path: Path) -> list[str] | None:
    """The texts of a list of texts; null for any other document, and for what cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[str])
    except (OSError, *NOT_DECODED):
        return None


def _addresses(path: Path, lines: Sequence[str]) -> Iterator[str]:
    rows = [(n, line.split("#")[0].strip()) for n, line in enumerate(lines, start=1)]
    rows = [(n, line) for n, line in rows if line]
    column = _column(path, *rows[0]) if rows else None
    for number, line in rows if column is None else rows[1:]:
        value = line if column is None else _cell(line, column)
        folded = value.strip().lower()
        if not ADDRESS.fullmatch(folded):
            raise BadInput(f"{path}: line {number}: {value!r} is no address (0x and 40 hexadecimal digits)")
        yield folded


def _column(path: Path, number: int, first: str) -> int | None:
    """Which column of a CSV holds addresses; None for a plain list."""
    names = [cell.strip().lower() for cell in next(csv.reader([first]))]
    found = next((names.index(name) for name in COLUMNS if name in names), None)
    if found is None and len(names) > 1 and not names[0].startswith("0x"):
        raise BadInput(f"{path}: line {number}: no column of {', '.join(COLUMNS)} among {', '.join(names)}")
    return 0 if found is None and len(names) > 1 else found


def _cell(line: str, column: int) -> str:
    cells = next(csv.reader([line]))
    return cells[column] if column < len(cells) else ""


def check_address(text: str) -> str:
    """The address in lower case; raises `ImportRefused` for what is none."""
    folded = text.strip().lower()
    if not ADDRESS.fullmatch(folded):
        raise ImportRefused(f"--address: {text!r} is no address; write 0x and 40 hexadecimal digits")
    return folded


def known_addresses(store: Store, files: Sequence[Path] | None) -> list[str]:
    """Those of the files, else everyone in the address book; raises `MissingData` where that is empty."""
    listed = [address for path in files or () for address in read_addresses(path)] or book(store)[
        "address"
    ].to_list()
    if not listed:
        raise MissingData("no account is known; find some with `liqtruth index find`, or give --addresses")
    return listed
