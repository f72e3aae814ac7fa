"""One writer per exchange at a time, wherever it runs: PostgreSQL's advisory locks, which end with their holder.

Whoever swaps rows of the manifest takes the venue's turn in that transaction; a SQLite file has one writer anyway.
What is to run once, a watch for one, holds a claim for as long as it runs. A lock is of the schema that it is taken in.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import text
from sqlmodel import Session

from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.storage.database.connection import Database
from liqtruth.storage.lock import alone

KEY: Final = "hashtextextended(current_schema() || '/' || :name, 0)"
WAIT: Final = text(f"SELECT pg_advisory_xact_lock({KEY})")
TRY: Final = text(f"SELECT pg_try_advisory_lock({KEY})")
HOLDER: Final = text(
    "SELECT COALESCE(host(client_addr), 'its own machine') || ', backend ' || pid"
    " FROM pg_locks JOIN pg_stat_activity USING (pid)"
    " WHERE locktype = 'advisory' AND granted"
    f" AND (classid::bigint << 32 | objid::bigint) = {KEY} LIMIT 1"
)
NOTICED: Final = ("tcp_keepalives_idle = 30", "tcp_keepalives_interval = 5", "tcp_keepalives_count = 3")
"""Of a holder's connection: a machine that vanished without a word is let go of after three quarters of a minute."""


def take_turn(session: Session, venue: str) -> None:
    """Let no other transaction change what the lake has of the venue until this one ends; waits for the one before."""
    if _is_server(session.get_bind()):
        session.connection().execute(WAIT, {"name": f"venue/{venue}"})


@contextmanager
def claimed(database: Database, name: str, what: str) -> Iterator[None]:
    """Hold the claim `name` for the block; raises `LiqtruthError` where another process holds it.

    Of a SQLite file it is a lock file beside it. Where the server restarts the claim is lost without a word: it keeps
    two runs from doing the same, and what is stored from harm `take_turn` keeps.
    """
    file = database.address.file
    if file is not None:
        with alone(Path(f"{file}.{quote(name, safe='')}.lock"), what):
            yield
        return
    if not _is_server(database.engine):
        yield
        return
    with database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.detach()  # not handed on to others: closing it gives the claim back
        for setting in NOTICED:
            connection.execute(text(f"SET {setting}"))
        if not connection.execute(TRY, {"name": name}).scalar():
            holder = connection.execute(HOLDER, {"name": name}).scalar()
            raise LiqtruthError(
                f"{what} runs already on this lake ({holder or 'ending'}); wait for it or stop it"
            )
        yield


def _is_server(bind: Any) -> bool:
    return bool(bind.dialect.name == "postgresql")
