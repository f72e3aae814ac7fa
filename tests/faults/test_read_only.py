"""A second user, who may read a data directory and not write it, sees what is stored and changes nothing."""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text
from writers import frames, only_open, opened, processes, reading, run_command, started, write_readings

SIGHTS = ("index forget", "index positions --json", "feed status", "index tidy --dry")


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A data directory of another user where we may give it away, else one whose owner took the right away."""
    with opened(tmp_path / "data", None) as store:
        store.lake.write_reading(reading("r1", 1), frames(1))
    folder = tmp_path / "data"
    yield folder
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def given_away(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        if os.getuid() == 0:
            os.chown(path, 65534, 65534)
        else:
            path.chmod(0o555 if path.is_dir() else 0o444)


@dataclass
class Done:
    """What a command gave."""

    returncode: int | None
    stdout: str
    stderr: str


def as_another(folder: Path, words: str) -> Done:
    """The command of a user with no special rights."""
    out, errors = folder.with_name("out"), folder.with_name("errors")
    process = started(run_command, folder, words.split(), out, errors, False)
    process.join(120)
    done = Done(process.exitcode, out.read_text(), errors.read_text())
    if "no user without rights" in done.stderr:
        pytest.skip(f"no user without rights: {done.stderr.splitlines()[-1]}")
    return done


def state_of(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_everything_can_be_seen_and_nothing_changes(data: Path) -> None:
    given_away(data)
    before = state_of(data)
    seen = {words: as_another(data, words) for words in SIGHTS}
    for words, done in seen.items():
        assert done.returncode == 0, f"{words}: {done.stderr}"
    assert "r1" in seen["index forget"].stdout
    assert state_of(data) == before


def test_what_a_running_writer_committed_is_seen(data: Path) -> None:
    with opened(data, None) as store:
        store.lake.write_reading(reading("r2", 2), frames(2))
        given_away(data)
        assert (data / "liqtruth.db-wal").stat().st_size > 0
        assert "r2" in as_another(data, "index forget").stdout


def test_what_a_killed_writer_committed_is_seen(data: Path) -> None:
    ready = processes().Event()
    writer = started(write_readings, data, None, 100, ready)
    assert ready.wait(60)
    assert writer.pid is not None
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    given_away(data)
    assert (data / "liqtruth.db-wal").stat().st_size > 0
    assert "r100" in as_another(data, "index forget").stdout


@pytest.mark.parametrize("words", ["index forget r1", "index watch --for 1s --base-url http://127.0.0.1:1"])
def test_writing_is_refused_in_one_line(data: Path, words: str) -> None:
    given_away(data)
    before = state_of(data)
    done = as_another(data, words)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert state_of(data) == before


def test_an_older_schema_is_not_migrated_by_a_reader(data: Path) -> None:
    with opened(data, None) as store, store.database.engine.begin() as connection:
        connection.execute(text("DROP TABLE lakeid"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0003'"))
    given_away(data)
    done = as_another(data, "index forget")
    assert done.returncode == 1
    assert "0003" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_empty_folder_that_cannot_be_written_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    given_away(tmp_path / "data")
    done = as_another(tmp_path / "data", "index status")
    (tmp_path / "data").chmod(0o755)
    assert done.returncode == 1
    assert "--data-dir" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_whoever_may_write_still_does(data: Path) -> None:
    process = started(only_open, data, None)
    process.join(60)
    assert process.exitcode == 0
