"""The address book: every account that was ever met, from where, and what was last known of it.

An address keeps the source that met it first. What is noted later only adds: the later of two trades, the later of two
readings, a mode where one was read. So telling the same thing twice, or in another order, leaves the same book. Writes
are one statement for many rows and go through on SQLite and PostgreSQL alike; each call is one transaction. Who only
reads it asks `indexer.discovery.known_accounts`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import polars as pl
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from liqtruth.indexer.frames import READS, conform
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.storage.database.tables import Account, UtcDateTime
from liqtruth.storage.store import Store

TAPE: Final = "tape"
SWEEP: Final = "sweep"

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
