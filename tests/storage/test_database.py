"""The database is migrated once, says what is wrong with it, and never shows its password."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlmodel import SQLModel

from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.storage.database.connection import HEAD, Database
from liqtruth.storage.database.upgrade import MIGRATIONS, current_revision
from liqtruth.storage.store import Settings, Store
from tests.on_server import SERVER


@pytest.fixture
def tables_at_once() -> None:
    """Here the migrations run themselves."""


def test_a_new_database_is_at_the_newest_revision(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'a.db'}")
    assert current_revision(database.engine) == HEAD
    database.close()


def test_the_newest_migration_is_the_one_that_the_code_knows() -> None:
    revisions = sorted(path.name[1:5] for path in (MIGRATIONS / "versions").glob("v*.py"))
    assert revisions[-1] == HEAD


def test_the_migrations_build_what_the_models_declare(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'a.db'}")
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, SQLModel.metadata) == []
    database.close()


@pytest.mark.skipif(SERVER is not None, reason="of SQLite files")
def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "liqtruth.db").write_text(
        "this is text, and long enough to be mistaken for nothing else" * 20
    )
    with pytest.raises(LiqtruthError, match=r"cannot open the database .*liqtruth\.db"):
        Store.open(Settings(data_dir=tmp_path))


def test_a_database_of_a_later_liqtruth_is_left_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    database = Database(url)
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(LiqtruthError, match="9999"):
        Database(url)


def test_a_data_directory_that_cannot_be_written_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LiqtruthError, match=r"file/data.*--data-dir"):
        Store.open(Settings(data_dir=tmp_path / "file" / "data"))


def test_the_database_url_keeps_its_password_to_itself() -> None:
    settings = Settings(database_url="postgresql://desk:hunter2@127.0.0.1/liq")  # type: ignore[arg-type]
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in f"{settings} {settings.database_url}"


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LIQTRUTH_DATA_DIR", str(tmp_path))
    assert Settings().data_dir == tmp_path
