"""A kill at any statement of making or upgrading a database leaves one that the next start completes or makes anew."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, create_engine, event, text
from sqlmodel import SQLModel, select
from writers import frames, opened, reading

from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.storage.database.connection import HEAD, Database
from liqtruth.storage.database.tables import Reading
from liqtruth.storage.database.upgrade import MIGRATIONS, _run, current_revision


@pytest.fixture
def tables_at_once() -> None:
    """Here the migrations run themselves."""


REVISIONS = sorted(path.name[1:5] for path in (MIGRATIONS / "versions").glob("v*.py"))
FILES = ("liqtruth.db", "liqtruth.db-wal", "liqtruth.db-shm")
SOME_ROWS = (
    "INSERT INTO reading VALUES ('old', 'hyperliquid', 'test', 'CENSUS', '2026-09-06 00:00:00', 1, 1, '')",
    "INSERT INTO market (venue, dex, coin, as_of, mark_px) "
    "VALUES ('hyperliquid', '', 'BTC', '2026-09-06 00:00:00', 60000)",
)


def as_before(url: str, revision: str) -> None:
    """Bring a database to a revision as liqtruth did before: its driver commits every change of the schema."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("PRAGMA journal_mode=WAL"))
        _run(connection, revision)
    engine.dispose()


def filled(folder: Path, revision: str | None) -> None:
    """A database of that revision with rows in it, none at all for null."""
    folder.mkdir()
    if revision is None:
        return
    as_before(f"sqlite:///{folder / 'liqtruth.db'}", revision)
    connection = sqlite3.connect(folder / "liqtruth.db")
    for statement in SOME_ROWS:
        connection.execute(statement)
    connection.commit()
    connection.close()


class Kills:
    """Copies the files of a database before every statement that is sent to it: what a kill there would leave."""

    def __init__(self, folder: Path, copies: Path) -> None:
        self.folder, self.copies, self.statements = folder, copies, 0
        self.known: set[bytes] = set()
        self.places: list[Path] = []

    def before(self, _statement: str) -> None:
        self.statements += 1
        there = [self.folder / name for name in FILES if (self.folder / name).exists()]
        content = b"|".join(
            path.name.encode() + path.read_bytes() for path in there if path.suffix != ".db-shm"
        )
        if content in self.known:
            return
        self.known.add(content)
        place = self.copies / str(self.statements)
        place.mkdir(parents=True)
        for path in there:
            shutil.copy(path, place)
        self.places.append(place)


@contextmanager
def every_statement(folder: Path, copies: Path) -> Iterator[Kills]:
    kills = Kills(folder, copies)

    def traced(connection: sqlite3.Connection, _record: object) -> None:
        (_, _, file) = connection.execute("PRAGMA database_list").fetchone()
        if file:
            connection.set_trace_callback(kills.before)

    event.listen(Engine, "connect", traced)
    try:
        yield kills
    finally:
        event.remove(Engine, "connect", traced)


def assert_usable(place: Path, has_rows: bool) -> None:
    """It opens, has the whole schema and the rows it had, and takes a reading."""
    with opened(place, None) as store:
        assert current_revision(store.database.engine) == HEAD
        with store.database.engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), SQLModel.metadata) == []
        store.lake.write_reading(reading("new", 1), frames(1))
        with store.database.session() as session:
            ids = session.exec(select(Reading.id)).all()
            marks = session.connection().execute(text("SELECT count(*) FROM market")).scalar()
        assert set(ids) == ({"old", "new"} if has_rows else {"new"})
        assert marks == has_rows
        assert store.lake.read_snapshots("positions", ["new"]).height == frames(1)["positions"].height


@pytest.mark.parametrize("before", [None, *REVISIONS[:-1]])
def test_a_kill_at_any_statement_leaves_a_database_that_the_next_start_uses(
    tmp_path: Path, before: str | None
) -> None:
    filled(tmp_path / "data", before)
    with every_statement(tmp_path / "data", tmp_path / "kills") as kills, opened(tmp_path / "data", None):
        pass
    assert kills.statements > 20
    assert len(kills.places) >= 2
    for place in kills.places:
        assert_usable(place, has_rows=before is not None)


@pytest.mark.parametrize("before", [None, "0001", "0002"])
def test_a_database_that_an_earlier_liqtruth_left_half_made_is_completed(
    tmp_path: Path, before: str | None
) -> None:
    filled(tmp_path / "data", before)
    with every_statement(tmp_path / "data", tmp_path / "kills") as kills:
        as_before(f"sqlite:///{tmp_path / 'data' / 'liqtruth.db'}", "0003")
    half_made = 0
    for place in kills.places:
        revision, tables = recorded(place / "liqtruth.db")
        half_made += len(tables) > {None: 0, "0001": 6, "0002": 7, "0003": 9}[revision]
        assert_usable(place, has_rows=before is not None)
    assert half_made >= 2


def recorded(file: Path) -> tuple[str | None, set[str]]:
    """The revision that the file says, and its tables."""
    connection = sqlite3.connect(file)
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    row = (
        connection.execute("SELECT * FROM alembic_version").fetchone() if "alembic_version" in names else None
    )
    connection.close()
    return (row[0] if row else None), names - {"alembic_version"}


def test_rows_of_a_later_schema_are_never_thrown_away(tmp_path: Path) -> None:
    filled(tmp_path / "data", "0003")
    connection = sqlite3.connect(tmp_path / "data" / "liqtruth.db")
    connection.execute("DELETE FROM alembic_version")
    connection.commit()
    connection.close()
    with pytest.raises(LiqtruthError, match="holds rows"):
        opened(tmp_path / "data", None)
    assert recorded(tmp_path / "data" / "liqtruth.db")[0] is None


def test_tables_of_another_program_in_the_same_file_stay(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "shared.db")
    connection.execute("CREATE TABLE theirs (a)")
    connection.commit()
    connection.close()
    Database(f"sqlite:///{tmp_path / 'shared.db'}").close()
    assert "theirs" in recorded(tmp_path / "shared.db")[1]
