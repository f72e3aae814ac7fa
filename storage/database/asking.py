"""Questions about what is stored, as SQL that SQLite and PostgreSQL both understand; answers are typed rows.

A SQLite file is asked by the library that Python has, on connections that cannot write: to load an object mapper takes
longer than most questions. A server is asked by the sessions that writers have too, which wait for it
(`storage.database.sessions`). Names in a statement are `:name`; a list stands after `IN`. Moments are stored in UTC
without a zone, and scopes by their names, as `storage.database.tables` declares.
"""

import os
import re
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache, partial
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args, get_type_hints
from urllib.parse import quote

from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.storage.database.records import Scope

if TYPE_CHECKING:
    import polars as pl

BUSY_S: Final = 30
"""How long another process's transaction is waited for."""
FAULTS: Final = (sqlite3.OperationalError, sqlite3.InternalError)
NO_ROOM: Final = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMOPEN)
"""Codes of a file whose journal has no room on the disk."""
Row = TypeVar("Row")
Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Asked:
    """A look at the database: all that is asked within it is of one moment."""

    ask: Callable[[str, Mapping[str, Any]], Sequence[Sequence[Any]]]

    def rows(self, record: type[Row], sql: str, **values: Any) -> list[Row]:
        """Every row, as a `record` whose fields are the columns in their order."""
        kind: Any = record
        make: Callable[[Sequence[Any]], Row] = _maker(kind)
        return [make(row) for row in self.ask(*_spread(sql, values))]

    def row(self, record: type[Row], sql: str, **values: Any) -> Row | None:
        """The first row; null where there is none."""
        return next(iter(self.rows(record, sql, **values)), None)

    def column(self, kind: type[Kind], sql: str, **values: Any) -> list[Kind]:
        """The first column, whose values are of that type; nulls are left out."""
        decode = _decoder(kind)
        found = (row[0] for row in self.ask(*_spread(sql, values)))
        return [one if decode is None else decode(one) for one in found if one is not None]

    def value(self, kind: type[Kind], sql: str, **values: Any) -> Kind | None:
        """The first value of the first column that is not null."""
        return next(iter(self.column(kind, sql, **values)), None)

    def frame(self, schema: "Mapping[str, pl.DataType]", sql: str, **values: Any) -> "pl.DataFrame":
        """Every row, the columns in their order as those of `schema`."""
        import polars as pl

        rows = self.ask(*_spread(sql, values))
        found = zip(*rows, strict=True) if rows else [()] * len(schema)
        return pl.DataFrame(
            [_series(name, dtype, one) for (name, dtype), one in zip(schema.items(), found, strict=True)]
        )

    def different(self, table: str, column: str, where: str = "", **values: Any) -> list[str]:
        """The different values of a text column in ascending order.

        An index on what `where` compares, then on the column, is asked for the next value after each, so that the cost
        follows their number and not that of the rows.
        """
        found = f"{different(table, column, where)} SELECT value FROM found WHERE value IS NOT NULL"
        return self.column(str, found, **values)


def _series(name: str, dtype: "pl.DataType", values: Sequence[Any]) -> "pl.Series":
    import polars as pl

    if not isinstance(dtype, pl.Datetime):
        return pl.Series(name, values, dtype)
    stored = pl.Series(name, values, None if any(values) else pl.Datetime)
    plain = stored.str.to_datetime("%Y-%m-%d %H:%M:%S%.f") if stored.dtype == pl.String else stored
    return plain.dt.replace_time_zone("UTC").cast(dtype)


def different(table: str, column: str, where: str = "") -> str:
    """The start of a statement that goes on with those values as the table `found`, whose last `value` is null."""
    condition = where or "TRUE"
    return (
        f"WITH RECURSIVE found(value) AS (SELECT min({column}) FROM {table} WHERE {condition} UNION ALL "
        f"SELECT (SELECT min({column}) FROM {table} WHERE {condition} AND {column} > found.value) "
        "FROM found WHERE found.value IS NOT NULL)"
    )


@cache
def columns(record: type, table: str = "") -> str:
    """Its columns for a SELECT, in the order of its fields."""
    prefix = f"{table}." if table else ""
    return ", ".join(f"{prefix}{name}" for name in get_type_hints(record))


@dataclass(frozen=True)
class FileDoor:
    """A SQLite file that is asked; connections that are not in use wait in `idle`."""

    file: Path
    read_only: bool
    idle: deque[sqlite3.Connection] = field(default_factory=deque)

    @contextmanager
    def asking(self) -> Iterator[Asked]:
        """Raises `LiqtruthError` where the file fails, not where the statement is wrong."""
        try:
            connection = self._connection()
            try:
                connection.execute("BEGIN")
                yield Asked(partial(_answers, connection))
                connection.execute("COMMIT")
            except BaseException:
                connection.close()
                raise
        except sqlite3.DatabaseError as error:
            if isinstance(error, FAULTS) or type(error) is sqlite3.DatabaseError:
                raise unusable(str(self.file), " ".join(str(error).split())) from error
            raise
        self._give_back(connection)

    def revision(self) -> str | None:
        """The schema's; null where there is none or it cannot be looked at."""
        try:
            with self.asking() as asked:
                return asked.value(str, "SELECT version_num FROM alembic_version")
        except LiqtruthError:
            return None

    def close(self) -> None:
        while self.idle:
            self.idle.pop().close()

    def _connection(self) -> sqlite3.Connection:
        try:
            return self.idle.pop()
        except IndexError:
            return opened_to_read(self.file, self.read_only)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        if self.read_only or isinstance(connection, StandingStill):  # the next look is at the journal of then
            connection.close()
        else:
            self.idle.append(connection)


class StandingStill(sqlite3.Connection):
    """To a file that nobody is taken to write, since no journal can be made beside it: of one look."""


def opened_to_read(file: Path, read_only: bool) -> sqlite3.Connection:
    """A connection that writes nothing, and where this user may not write, or the disk is full, no journal and no lock
    either.

    Where the last writer put everything into the file and left no journal, none can be made: the file is then taken
    to stand still.
    """
    if read_only:
        return _connected(file, "mode=ro") if _has_journal(file) else _standing_still(file)
    connection = _connected(file, "mode=rw")  # whoever is last at the file tidies its journal up
    try:
        connection.execute("PRAGMA schema_version")
    except sqlite3.OperationalError as error:
        connection.close()
        if error.sqlite_errorcode not in NO_ROOM or _has_journal(file):
            raise
        return _standing_still(file)
    return connection


def _has_journal(file: Path) -> bool:
    journal = Path(f"{file}-wal")
    return journal.exists() and journal.stat().st_size > 0


def _standing_still(file: Path) -> sqlite3.Connection:
    return _connected(file, "mode=ro&immutable=1", StandingStill)


def _connected(
    file: Path, how: str, kind: type[sqlite3.Connection] = sqlite3.Connection
) -> sqlite3.Connection:
    path = quote(os.fsencode(file.absolute()))
    connection = sqlite3.connect(
        f"file:{path}?{how}",
        uri=True,
        timeout=BUSY_S,
        isolation_level=None,
        check_same_thread=False,
        factory=kind,
    )
    connection.execute("PRAGMA query_only=ON")
    return connection


def unusable(place: str, cause: str) -> LiqtruthError:
    """The one line for a fault of the database that does not pass by itself."""
    return LiqtruthError(f"cannot use the database {place}: {cause}{remedy_of(cause)}")


def remedy_of(cause: str) -> str:
    if "disk" in cause.lower() or "No space left" in cause:
        return "; make room on its disk, what was stored before is whole"
    if "readonly" in cause or "read-only" in cause:
        return "; you may read this data directory, not write it: choose another with --data-dir"
    if "locked" in cause:
        return "; another process holds it, try again when that one is done"
    return ""


def _answers(connection: sqlite3.Connection, sql: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    return connection.execute(sql, {name: _as_text(value) for name, value in values.items()}).fetchall()


def _as_text(value: Any) -> Any:
    """Moments and days as they are stored in SQLite."""
    if isinstance(value, datetime):
        return value.isoformat(" ", "microseconds")
    return value.isoformat() if isinstance(value, date) else value


def _spread(sql: str, values: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Each list as names of its own; moments without a zone, scopes by name."""
    spread: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, str | bytes) or not isinstance(value, Sequence):
            spread[name] = _stored(value)
            continue
        names = [f"{name}_{number}" for number in range(len(value))]
        spread |= zip(names, map(_stored, value), strict=True)
        listed = ", ".join(f":{one}" for one in names) or "NULL"
        sql = re.sub(rf":{name}\b", f"({listed})", sql)
    return sql, spread


def _stored(value: Any) -> Any:
    if isinstance(value, Scope):
        return value.name
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) else value


def _moment(value: Any) -> datetime:
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    return found.replace(tzinfo=UTC)


def _day(value: Any) -> date:
    return date.fromisoformat(value) if isinstance(value, str) else value


DECODERS: Final[dict[Any, Callable[[Any], Any]]] = {
    datetime: _moment,
    date: _day,
    bool: bool,
    Scope: lambda name: Scope[name],
}


def _decoder(kind: Any) -> Callable[[Any], Any] | None:
    kinds = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    return next((DECODERS[one] for one in kinds if one in DECODERS), None)


@cache
def _maker(record: type) -> Callable[[Sequence[Any]], Any]:
    hints = get_type_hints(record)
    names = tuple(hints)
    decoded = [
        (place, decode) for place, kind in enumerate(hints.values()) if (decode := _decoder(kind)) is not None
    ]

    def made(row: Sequence[Any]) -> Any:
        values = list(row)
        for place, decode in decoded:
            if values[place] is not None:
                values[place] = decode(values[place])
        return record(**dict(zip(names, values, strict=True)))

    return made
