"""Settings that cannot be used are one line that names the variable, and no message ever shows a secret."""

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import make_url

from liqtruth.heatmap.errors import BadInput, LiqtruthError
from liqtruth.storage.database import connection
from liqtruth.storage.database.address import address_of
from liqtruth.storage.database.connection import Database
from liqtruth.storage.net.answers import shown_url
from liqtruth.storage.store import Settings, Store
from tests.conftest import ROOT, called

SECRET = "hunter2-hunter2"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("WEIGHT_PER_MINUTE", "many"),
        ("WEIGHT_PER_MINUTE", "0"),
        ("WEIGHT_PER_MINUTE", "-1"),
        ("WEIGHT_PER_MINUTE", "1e400"),
        ("WEIGHT_PER_MINUTE", "9" * 5000),
        ("REQUEST_TIMEOUT_S", "soon"),
        ("REQUEST_TIMEOUT_S", "nan"),
        ("REQUEST_TIMEOUT_S", "inf"),
        ("REQUEST_TIMEOUT_S", "-1"),
    ],
)
def test_a_bad_value_is_refused_naming_its_variable(
    run: Run, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(f"LIQTRUTH_{variable}", value)
    found = run("index", "status", code=2).stderr
    assert found.startswith(f"error: LIQTRUTH_{variable}")
    assert len(found.splitlines()) == 1
    assert len(found.strip()) <= 300


@pytest.mark.parametrize("name", ["DATA_DIR", "DATABASE_URL", "WEIGHT_PER_MINUTE", "HYPERLIQUID_URL"])
def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv(f"LIQTRUTH_{name}", raising=False)
    usual = Settings()
    monkeypatch.setenv(f"LIQTRUTH_{name}", "")
    assert Settings() == usual


@pytest.fixture(autouse=True)
def opened_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is not there is not waited for."""
    monkeypatch.setattr(connection, "OPENING_PATIENCE_S", 0.1)


UNUSABLE = [
    f"{SECRET}",
    f"postgresql://u:{SECRET}@127.0.0.1:{SECRET}/x",
    f"postgresql://u:{SECRET}@127.0.0.1:99999999/x",
    f"postgresql://u:{SECRET}@[::1/x",
    f"mysql://u:{SECRET}@127.0.0.1/x",
    f"postgresql+psycopg2://u:{SECRET}@127.0.0.1/x",
    f"sqlite+aiosqlite:///{SECRET}",
    f"sqlite:////tmp/x.db?timeout={SECRET}",
    f"postgresql://u:{SECRET}@127.0.0.1:1/x",
    f"postgresql://u@127.0.0.1:1/x?password={SECRET}",
    f"postgresql://u@127.0.0.1:1/x?sslpassword={SECRET}&sslmode=require",
    f"postgresql://u@127.0.0.1:1/x?passfile={SECRET}&options={SECRET}",
    f"postgresql://u@127.0.0.1:1/x?no_such_option={SECRET}",
    f"postgresql://u@127.0.0.1:1/x?connect_timeout={SECRET}",
    f"postgresql://u@127.0.0.1:1/x?sslmode=require&sslrootcert=/nowhere/{SECRET}&sslcert={SECRET}",
    f"postgresql://u@127.0.0.1:1/x?password={SECRET}&password={SECRET}",
]


@pytest.mark.parametrize(
    "url",
    [
        f"sqlite:////nonexist/dir/x.db?password={SECRET}",
        f"sqlite:////tmp/x.db?password={SECRET}",
        f"sqlite:///file:/tmp/x.db?uri=true&key={SECRET}",
        f"sqlite:////tmp/x.db?timeout={SECRET}",
        f"sqlite:////tmp/x.db?timeout=1&timeout={SECRET}",
        "sqlite:////nonexist/dir/x.db",
    ],
)
def test_a_sqlite_url_that_cannot_be_used_is_bad_input_and_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("LIQTRUTH_DATABASE_URL", url)
    found = run("index", "import", __file__, code=2).stderr
    assert len(found.splitlines()) == 1
    assert SECRET not in found
    assert "LIQTRUTH_DATABASE_URL" in found


def test_options_of_a_sqlite_url_that_the_driver_knows_are_taken(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LIQTRUTH_DATABASE_URL", f"sqlite:///{tmp_path / 'x.db'}?timeout=60")
    Store.open(Settings(data_dir=tmp_path / "data")).close()
    run("index", "status", code=0)


@pytest.mark.parametrize("url", UNUSABLE)
def test_no_message_about_a_database_shows_a_secret(
    tmp_path: Path,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("LIQTRUTH_DATABASE_URL", url)
    done = called(["--data-dir", str(tmp_path), "index", "status"])
    assert done.returncode in (1, 2, 3)
    assert SECRET not in done.stderr + done.stdout
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert capfd.readouterr() == ("", ""), "what a library of C writes past Python"
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING], "the last resort is stderr"


OF_ITS_OWN = """
import os, sys
from liqtruth.cli import main
from liqtruth.storage.database import connection
from liqtruth.storage.database.address import address_of

connection.OPENING_PATIENCE_S = 0.1
data_dir, *urls = sys.argv[1:]
sys.argv[1:] = ["--data-dir", data_dir, "index", "status"]
codes = []
for url in urls:
    os.environ["LIQTRUTH_DATABASE_URL"] = url
    try:
        main()
    except SystemExit as end:
        codes.append(end.code)
print(*codes)
"""


def test_no_message_of_a_process_of_its_own_shows_a_secret(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", OF_ITS_OWN, str(tmp_path), *UNUSABLE],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PATH": "/usr/bin"},
        timeout=120,
    )
    codes = done.stdout.split()
    assert len(codes) == len(UNUSABLE)
    assert set(codes) <= {"1", "2", "3"}
    assert SECRET not in done.stderr
    assert len(done.stderr.splitlines()) == len(UNUSABLE), done.stderr


def test_a_server_that_refuses_a_password_in_an_option_does_not_get_it_shown() -> None:
    database = "postgresql://u@127.0.0.1:1/x?password=" + SECRET
    with pytest.raises(LiqtruthError) as found:
        Database(database)
    assert SECRET not in str(found.value)
    assert "127.0.0.1" in str(found.value)


def test_a_place_names_user_host_and_name_and_no_option() -> None:
    url = make_url(f"postgresql://desk:{SECRET}@127.0.0.1:5432/liq?password={SECRET}&x=1")
    assert address_of(url).place == "postgresql+psycopg://desk:***@127.0.0.1:5432/liq?…"


def test_an_endpoint_in_the_environment_that_is_none_is_refused_by_its_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LIQTRUTH_HYPERLIQUID_URL", SECRET)
    with pytest.raises(BadInput, match="LIQTRUTH_HYPERLIQUID_URL") as found:
        Settings()
    assert SECRET not in str(found.value)


@pytest.mark.parametrize("url", [f"http://key:{SECRET}", f"ftp://{SECRET}", f"\0{SECRET}"])
def test_an_endpoint_that_cannot_be_read_is_not_shown(url: str) -> None:
    with pytest.raises(BadInput) as found:
        shown_url(url)
    assert SECRET not in str(found.value)
