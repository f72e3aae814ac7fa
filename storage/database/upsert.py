"""Rows that are inserted or, where their key is there, replaced: in one statement, so that two writers never collide.

Reading a row first to see whether it is there lets another process insert it in between; `ON CONFLICT` does not.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, SQLModel


def upsert(session: Session, rows: Sequence[SQLModel], replace: bool = True) -> None:
    """Insert or replace rows of one table by their primary key; of two with the same key the last one stays.

    Without `replace` a row that is there stays as it is.

    They go in the order of their keys, so that two writers never wait for each other in a circle.
    """
    if not rows:
        return
    table: Table = type(rows[0]).__table__  # type: ignore[attr-defined]
    key = [column.name for column in table.primary_key]
    by_key = {tuple(getattr(row, name) for name in key): row for row in rows}
    values = [by_key[at].model_dump() for at in sorted(by_key, key=str)]
    session.connection().execute(_statement(session, table, key, replace), values)


def _statement(session: Session, table: Table, key: Sequence[str], replace: bool) -> Any:
    made = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    insert = made(table)
    if not replace:
        return insert.on_conflict_do_nothing(index_elements=list(key))
    changed = {
        column.name: insert.excluded[column.name] for column in table.columns if column.name not in key
    }
    return insert.on_conflict_do_update(index_elements=list(key), set_=changed)
