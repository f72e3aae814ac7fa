"""PostgreSQL by URL: the same schema, the same values back, connections that are looked at before they are used."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from databases import emptied, new_postgresql
from sqlalchemy import event, make_url, text
from sqlmodel import Session, SQLModel, delete, select
from test_lake import SCHEMA, positions, series

from liqtruth.heatmap.errors import BadInput, LiqtruthError
from liqtruth.storage.database import connection
from liqtruth.storage.database.address import address_of
from liqtruth.storage.database.connection import HEAD, Database
from liqtruth.storage.database.engines import engine_for
from liqtruth.storage.database.markets import last_market, store_markets, store_universe, universes_at
from liqtruth.storage.database.tables import Market, Reading, Scope, Sweep, Universe
from liqtruth.storage.database.upgrade import MIGRATIONS, current_revision, migrate
from liqtruth.storage.errors import DatabaseLost
from liqtruth.storage.lake.lake import Lake
from liqtruth.storage.places.places import Folder
from liqtruth.storage.store import Settings, Store

NOON = datetime(2026, 9, 6, 12, tzinfo=UTC)


@pytest.fixture
def database(postgresql_url: str) -> Iterator[Database]:
    opened = Database(postgresql_url, patience_s=5)
    with opened.session() as session:
        for table in reversed(SQLModel.metadata.sorted_tables):
            session.connection().execute(table.delete())
    yield opened
    opened.close()


def reading(name: str, scope: Scope = Scope.CENSUS, as_of: datetime = NOON) -> Reading:
    return Reading(id=name, venue="hl", source="test", scope=scope, as_of=as_of, accounts=1, positions=1)


def market(coin: str, mark_px: float) -> Market:
    return Market(venue="hl", dex="", coin=coin, as_of=NOON, mark_px=mark_px)


def end_connections(url: str) -> None:
    """A server that stops: every connection to the database is broken off."""
    with psycopg.connect(url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_the_migrations_build_what_the_models_declare(database: Database) -> None:
    assert current_revision(database.engine) == HEAD
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), SQLModel.metadata) == []


def test_migrations_go_down_and_up_again() -> None:
    """In a database of its own, for it is empty in between."""
    with new_postgresql() as url:
        database = Database(url)
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with database.engine.begin() as connection:
            config.attributes["connection"] = connection
            command.downgrade(config, "base")
        migrate(database.engine)
        assert current_revision(database.engine) == HEAD
        database.close()


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_every_way_to_write_the_url_means_the_one_driver(scheme: str) -> None:
    engine = engine_for(address_of(f"{scheme}://desk:hunter2@db.example/liq?connect_timeout=2"))
    assert engine.url.drivername == "postgresql+psycopg"
    assert engine.url.password == "hunter2"


@pytest.mark.parametrize(
    "url", ["mysql://desk:hunter2@h/liq", "postgresql+psycopg2://desk:hunter2@h/liq", "hunter2"]
)
def test_other_databases_are_refused_without_the_password(url: str) -> None:
    with pytest.raises(BadInput, match="LIQTRUTH_DATABASE_URL") as result:
        Database(url)
    assert "hunter2" not in str(result.value)


@pytest.mark.parametrize("place", ["127.0.0.1:1/test", "127.0.0.1:5432/there_is_no_such_database"])
def test_a_server_that_cannot_be_used_is_named_without_the_password(
    place: str, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "OPENING_PATIENCE_S", 0.1)
    with pytest.raises(LiqtruthError, match=r"the database postgresql\+psycopg://postgres:\*\*\*@") as result:
        Database(f"postgresql://postgres:hunter2@{place}")
    assert "hunter2" not in str(result.value)
    assert "\n" not in str(result.value)


@pytest.mark.parametrize("scope", list(Scope))
def test_a_scope_and_a_moment_of_any_zone_come_back_as_they_were(database: Database, scope: Scope) -> None:
    elsewhere = NOON.astimezone(timezone(timedelta(hours=9)))
    with database.session() as session:
        session.add(reading("r", scope, elsewhere))
    with database.session() as session:
        found = session.get(Reading, "r")
        assert found is not None
        assert (found.scope, found.as_of, found.as_of.tzinfo) == (scope, NOON, UTC)
        stored = session.connection().execute(text("SELECT scope::text, as_of::text FROM reading")).one()
    assert tuple(stored) == (scope.name, "2026-09-06 12:00:00")


def test_megabytes_of_bytes_come_back_as_they_were(database: Database) -> None:
    meta = bytes(range(256)) * 20_000
    store_universe(database, Universe(venue="hl", dex="", as_of=NOON, meta_json=meta))
    (found,) = universes_at(database, "hl", [""], [NOON])[""]
    assert found.meta_json == meta


def test_rows_that_come_again_replace_themselves(database: Database) -> None:
    store_markets(database, [market("BTC", 1.0), market("ETH", 1.0)])
    store_markets(database, [market("ETH", 2.0), market("BTC", 2.0), market("BTC", 3.0)])
    assert [last_market(database, "hl", coin).mark_px for coin in ("BTC", "ETH")] == [3.0, 2.0]  # type: ignore[union-attr]


def test_a_connection_that_broke_between_two_sessions_is_not_noticed(
    database: Database, postgresql_url: str
) -> None:
    store_markets(database, [market("BTC", 1.0)])
    end_connections(postgresql_url)
    with database.session() as session:
        assert session.exec(select(Market.mark_px)).all() == [1.0]


def test_a_connection_that_breaks_within_a_session_is_reported_as_lost(
    database: Database, postgresql_url: str
) -> None:
    def broken_off() -> None:
        with database.session() as session:
            session.add(reading("r"))
            session.flush()
            end_connections(postgresql_url)

    with pytest.raises(DatabaseLost, match="does not answer") as result:
        broken_off()
    assert "\n" not in str(result.value)
    with database.session() as session:
        assert session.exec(select(Reading)).all() == []


def test_work_that_was_broken_off_is_done_again(database: Database, postgresql_url: str) -> None:
    tries = []

    def work(session: Session) -> int:
        tries.append(1)
        session.add(reading("r"))
        session.flush()
        if len(tries) < 3:
            end_connections(postgresql_url)
        return len(tries)

    assert database.transact(work) == 3
    with database.session() as session:
        assert session.exec(select(Reading.id)).all() == ["r"]


def test_a_store_keeps_tables_on_the_server_and_files_in_its_folder(
    postgresql_url: str, tmp_path: Path
) -> None:
    emptied(postgresql_url)
    with Store.open(Settings(data_dir=tmp_path, database_url=postgresql_url)) as store:  # type: ignore[arg-type]
        assert store.database.engine.dialect.name == "postgresql"
    assert not list(tmp_path.glob("*.db"))


def cut_off(url: str) -> None:
    """End every connection to the database but the one that does it, as a restart of the server would."""
    own = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(own, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_a_select_whose_server_goes_away_is_asked_again_and_earlier_rows_stay_as_they_were(
    database: Database, postgresql_url: str
) -> None:
    store_markets(database, [market("BTC", 1.0)])
    database.transact(lambda session: session.add(reading("r")))
    with database.session() as session:
        first = session.exec(select(Market)).one()
        for _ in range(3):
            cut_off(postgresql_url)
            again = session.exec(select(Reading)).one()
            cut_off(postgresql_url)
            got = session.get(Reading, "r")
        cut_off(postgresql_url)
    assert got is not None
    assert (first.coin, again.id, got.id) == ("BTC", "r", "r")


def test_what_was_written_in_a_session_is_not_lost_in_silence(
    database: Database, postgresql_url: str
) -> None:
    """A select after it would begin a new transaction, without the locks of the old one."""

    def write_and_read() -> None:
        with database.session() as session:
            session.add(reading("r"))
            session.flush()
            cut_off(postgresql_url)
            session.exec(select(Reading)).all()

    with pytest.raises(DatabaseLost):
        write_and_read()
    with database.session() as session:
        assert session.exec(select(Reading)).all() == []


@pytest.mark.parametrize("write", ["flush", "connection", "delete"])
def test_a_session_that_wrote_commits(database: Database, write: str) -> None:
    database.transact(lambda session: session.add(reading("kept")))
    with database.session() as session:
        match write:
            case "flush":
                session.add(reading("new"))
                session.flush()
            case "connection":
                session.connection().execute(text("INSERT INTO sweep VALUES ('s', '', '', 1, '2026-01-01')"))
            case "delete":
                session.exec(delete(Reading))
    with database.session() as session:
        ids = session.exec(select(Reading.id)).all()
        sweeps = session.exec(select(Sweep.id)).all()
    assert (sorted(ids), sweeps) == {
        "flush": (["kept", "new"], []),
        "connection": (["kept"], ["s"]),
        "delete": ([], []),
    }[write]


@contextmanager
def cut_at(database: Database, url: str, number: int) -> Iterator[list[int]]:
    """The server goes away once, before the statement or the commit of that number; gives the numbers that were met."""
    met: list[int] = []

    def count(*_: object) -> None:
        met.append(len(met))
        if met[-1] == number:
            cut_off(url)

    for name in ("before_cursor_execute", "commit"):
        event.listen(database.engine, name, count)
    try:
        yield met
    finally:
        for name in ("before_cursor_execute", "commit"):
            event.remove(database.engine, name, count)


def test_writing_outlives_its_server_going_away_at_any_statement(
    database: Database, postgresql_url: str, tmp_path: Path
) -> None:
    lake = Lake(Folder(tmp_path / "lake"), database)
    for number in range(200):
        with cut_at(database, postgresql_url, number) as met:
            lake.write_reading(reading(f"r{number}"), {"positions": positions("BTC", NOON)})
            assert lake.merge_series("funding", "hl", "BTC", series([number], float(number)), ["ts"]) == 1
            store_markets(database, [market("BTC", float(number))])
            assert lake.read_snapshots("positions", [f"r{number}"]).height == 1
        if met[-1] < number:
            break
    assert 10 < number < 200
    rates = lake.read_series("funding", "hl", "BTC", SCHEMA)["rate"].to_list()
    assert rates == [float(hour) for hour in range(number + 1)]
    assert lake.tidy(older_than=timedelta(seconds=-1)).files == 0
