"""Takes back a stored reading: one that was read wrongly, or that has a time at which nobody can have read anything.

With the reading go the marks that were stored for its moment, unless another reading is of that moment too. Where the
moment cannot be true, all else of the venue that cannot be true goes as well, for it would hide everything later:
marks, margin tables, days of series, and when accounts of the address book count as seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, func, literal, or_, update
from sqlmodel import Session, col, select

from liqtruth.heatmap.words.text import AHEAD, EARLIEST, ago, counted, is_timely
from liqtruth.storage.database import records
from liqtruth.storage.database.asking import columns
from liqtruth.storage.database.tables import Account, Market, Partition, Reading, Universe
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Store


@dataclass(frozen=True)
class Stored:
    """A reading as it is listed; `timely` is whether its time can be true."""

    id: str
    as_of: datetime
    scope: str
    source: str
    accounts: int
    positions: int
    timely: bool

    def describe(self) -> list[str]:
        """One line for people."""
        doubt = "" if self.timely else "  (not a time at which it can have been read)"
        counts = f"{counted(self.accounts, 'account')}, {counted(self.positions, 'position')}"
        return [
            f"{self.id}  as of {self.as_of:%Y-%m-%dT%H:%M:%SZ} ({ago(self.as_of)}), {self.scope}, {counts}, "
            f"{self.source}{doubt}"
        ]


@dataclass(frozen=True)
class Forgotten:
    """A reading that was removed, or would have been where it was `dry`, and how many rows of what went with it."""

    reading: Stored
    rows: dict[str, int]
    dry: bool = False

    def describe(self) -> list[str]:
        """Lines for people."""
        lines = [f"{'would forget' if self.dry else 'forgot'} {line}" for line in self.reading.describe()]
        return lines + [f"  and {counted(count, what)}" for what, count in self.rows.items() if count]


def stored_readings(store: Store) -> list[Stored]:
    """All stored readings, the latest first."""
    sql = f"SELECT {columns(records.Reading)} FROM reading ORDER BY as_of DESC, id DESC"
    with store.database.asking() as asked:
        return [_stored_of(row) for row in asked.rows(records.Reading, sql)]


def forget(store: Store, reading_ids: Sequence[str], dry: bool = False) -> list[Forgotten]:
    """Remove readings, their files and the rows of their moments; a dry run only counts them.

    Raises `NothingStored` naming the latest readings where there is none of one of these ids; nothing is removed then.
    """
    rows = [_row(store, reading_id) for reading_id in dict.fromkeys(reading_ids)]
    return [Forgotten(_stored_of(row), _forgotten(store, row, dry), dry) for row in rows]


def _row(store: Store, reading_id: str) -> records.Reading:
    sql = f"SELECT {columns(records.Reading)} FROM reading WHERE id = :id"
    with store.database.asking() as asked:
        row = asked.row(records.Reading, sql, id=reading_id)
    if row is None:
        latest = ", ".join(one.id for one in stored_readings(store)[:3]) or "none"
        raise NothingStored(
            f"no reading {reading_id!r} is stored (the latest: {latest}); `liqtruth index forget` lists all"
        )
    return row


def _forgotten(store: Store, row: records.Reading, dry: bool) -> dict[str, int]:
    if not dry:
        return store.lake.forget(row.id, lambda session: _drop_rows(session, row, dry))
    with store.database.session() as session:
        return _drop_rows(session, row, dry)


def _stored_of(row: records.Reading) -> Stored:
    return Stored(
        row.id,
        row.as_of,
        str(row.scope.value),
        row.source,
        row.accounts,
        row.positions,
        is_timely(row.as_of),
    )


def _drop_rows(session: Session, row: records.Reading, dry: bool) -> dict[str, int]:
    """Count the rows that go with the reading, and remove them unless it is a dry run."""
    if is_timely(row.as_of):
        doomed = [("mark of that time", _marks_of(session, row))]
    else:
        doomed = [("row of times that cannot be", one) for one in _untimely_rows(row.venue)]
    gone: dict[str, int] = {}
    for what, statement in doomed:
        assert statement.whereclause is not None
        found = select(func.count()).select_from(statement.table).where(statement.whereclause)
        gone[what] = gone.get(what, 0) + int(session.exec(found).one())
        if not dry:
            session.connection().execute(statement)
    return gone


def _marks_of(session: Session, row: records.Reading) -> Any:
    same = select(Reading.id).where(
        Reading.venue == row.venue, Reading.as_of == row.as_of, Reading.id != row.id
    )
    shared = session.exec(same).first() is not None
    return delete(Market).where(
        col(Market.venue) == row.venue, col(Market.as_of) == row.as_of, literal(not shared)
    )


def _untimely_rows(venue: str) -> list[Any]:
    """Statements that remove them; the files of the series are left to `index tidy`."""
    latest = datetime.now(UTC) + AHEAD
    statements: list[Any] = [
        delete(table).where(
            col(table.venue) == venue, or_(col(table.as_of) < EARLIEST, col(table.as_of) > latest)
        )
        for table in (Market, Universe)
    ]
    statements.append(
        delete(Partition).where(
            col(Partition.venue) == venue,
            col(Partition.reading_id).is_(None),
            or_(col(Partition.last_at) < EARLIEST, col(Partition.first_at) > latest),
        )
    )
    for column in (col(Account.last_read_at), col(Account.last_traded_at)):
        wrong = update(Account).where(col(Account.venue) == venue, or_(column < EARLIEST, column > latest))
        statements.append(wrong.values({column: None}))
    return statements
