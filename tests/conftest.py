"""Fixtures and settings that several packages' tests share."""

import gc
import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from typing import TextIO

import certifi
import pytest
import typer.main
from hypothesis import settings
from sqlalchemy import Connection

from liqtruth.sandbox.market.market import Market, MarketSpec
from liqtruth.sandbox.server import SandboxServer, serving_in_thread
from liqtruth.storage.database import upgrade
from liqtruth.storage.store import Settings, Store
from tests import markets
from tests.markets import market_of

ROOT = Path(__file__).resolve().parents[1]
RECORDED = Path(__file__).resolve().parents[2] / "shared" / "recorded"
MIGRATED = upgrade._run
LONGEST = (
    "test_shared_budget.py",
    "test_cli.py",
    "test_workers.py",
    "test_settings.py",
    "test_pictures.py",
    "test_compaction.py",
    "test_compacted_books.py",
    "test_check_holds_on.py",
    "test_kill_compaction.py",
    "test_null_claims.py",
    "test_check_stopped.py",
    "test_watch.py",
    "test_kill_commands.py",
    "test_terminal_cases.py",
    "test_node_state.py",
    "test_cells.py",
    "test_cli_index.py",
    "test_wheel.py",
    "test_imports_of_reading.py",
    "test_python.py",
    "test_check.py",
    "test_serve_command.py",
    "test_sweep.py",
    "test_scheduler.py",
    "test_batches.py",
    "test_missing_venue.py",
    "test_bucket.py",
    "test_read_only.py",
    "test_evm.py",
    "test_read_budget.py",
    "test_cli_terminal.py",
    "test_pages.py",
    "test_watch_holds_on.py",
    "test_feed_watch_misbehaving.py",
    "test_calibration_lake.py",
    "test_transfer_lake.py",
    "test_imports.py",
    "test_diagnosis.py",
    "test_house.py",
)
"""Files of tests by their duration; those that wait stand among those that compute."""

os.environ.pop("COLUMNS", None)  # processes of the test runner have one: tables take their edge from it

# A property is a statement about values; on a shared machine its duration means nothing. The suite draws the same
# examples each time, so that a red run is the change's doing; `make fuzz` draws new ones, and more of them.
settings.register_profile("liqtruth", deadline=None, derandomize=True, max_examples=15)
settings.register_profile("fuzz", deadline=None, max_examples=300)
settings.load_profile(os.environ.get("LIQTRUTH_HYPOTHESIS", "liqtruth"))


made: list[Path] = []
"""The folder of markets where this process made it."""


def pytest_configure() -> None:
    """A folder for the markets of this run; test processes find it by their environment."""
    if markets.FOLDER not in os.environ:
        made.append(Path(tempfile.mkdtemp(prefix="liqtruth-markets-")))
        os.environ[markets.FOLDER] = str(made[0])


def pytest_unconfigure() -> None:
    for folder in made:
        shutil.rmtree(folder, ignore_errors=True)
        del os.environ[markets.FOLDER]
    made.clear()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest come first, so that no process works on one when the others are done."""
    items.sort(key=lambda item: LONGEST.index(name) if (name := item.path.name) in LONGEST else len(LONGEST))


def pytest_collection_finish() -> None:
    """What is loaded stays: to look through it for garbage again and again takes a tenth of the time."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


@pytest.fixture(scope="session", autouse=True)
def few_authorities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test speaks TLS, but every client reads all certificates that its machine trusts: here there is one."""
    end = "-----END CERTIFICATE-----\n"
    path = tmp_path_factory.mktemp("certificates") / "one.pem"
    path.write_text(Path(certifi.where()).read_text().partition(end)[0] + end)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certifi, "where", lambda: str(path))
        patch.setenv("SSL_CERT_FILE", str(path))
        yield


@pytest.fixture(scope="session", autouse=True)
def commands_built_once() -> Iterator[None]:
    """The tree of commands is the same for every line, and takes longer to build than most lines to run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", cache(typer.main.get_command))
        yield


@cache
def statements_of_schema() -> tuple[str, ...]:
    """What the migrations leave in an empty SQLite file."""
    from sqlalchemy import create_engine

    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        MIGRATED(connection, upgrade.HEAD)
        listed = connection.exec_driver_sql(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid"
        )
        statements = tuple(sql for (sql,) in listed)
    engine.dispose()
    return (*statements, f"INSERT INTO alembic_version VALUES ('{upgrade.HEAD}')")


@pytest.fixture(autouse=True)
def tables_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new SQLite file is given the tables that its migrations make, without loading and running each of them; a
    file that holds anything is migrated. Tests of migrations have a fixture of this name that does nothing."""

    def run(connection: Connection, revision: str) -> None:
        is_new = connection.dialect.name == "sqlite" and revision == upgrade.HEAD
        if not is_new or connection.exec_driver_sql("SELECT 1 FROM sqlite_master").first():
            return MIGRATED(connection, revision)
        for statement in statements_of_schema():
            connection.exec_driver_sql(statement)

    monkeypatch.setattr(upgrade, "_run", run)


@pytest.fixture(scope="session")
def recorded() -> Path:
    """The folder of recorded payloads, outside the repository; its tests skip where it is absent."""
    if not RECORDED.is_dir():
        pytest.skip(f"no recorded payloads at {RECORDED}")
    return RECORDED


@pytest.fixture(scope="session")
def small_market() -> Market:
    """A synthetic market, small enough to be read whole in a second."""
    return market_of(MarketSpec(seed=5, accounts=600, days=5, cex_accounts=500))


@pytest.fixture(scope="session")
def served(small_market: Market) -> Iterator[SandboxServer]:
    """`small_market` on real HTTP, without a rate limit."""
    with serving_in_thread(small_market, weight_per_minute=None) as running:
        yield running


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs `liqtruth` on a data directory of its own, and expects an exit code and no traceback.

    In this process, which has the packages loaded already; `apart=True` starts one as a user does.
    """

    def call(*words: str, code: int = 0, apart: bool = False) -> "subprocess.CompletedProcess[str]":
        line = ["--data-dir", str(tmp_path / "data"), *words]
        done = started(line) if apart else called(line)
        assert done.returncode == code, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return call


def started(line: list[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "liqtruth.cli", *line], capture_output=True, text=True, timeout=120, cwd=ROOT
    )


def called(line: list[str]) -> "subprocess.CompletedProcess[str]":
    out, err = io.StringIO(), io.StringIO()
    code = called_with(line, out, err)
    return subprocess.CompletedProcess(line, code, out.getvalue(), err.getvalue())


def called_with(line: list[str], out: TextIO, err: TextIO) -> int:
    """The exit code of the program in this process, with these as its standard streams."""
    import structlog

    from liqtruth.cli import main

    before = sys.argv
    sys.argv = ["liqtruth", *line]
    try:
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as end:
            main()
    finally:
        sys.argv = before
        structlog.reset_defaults()
    return int(end.value.code or 0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty data directory."""
    with Store.open(Settings(data_dir=tmp_path / "data")) as opened:
        yield opened
