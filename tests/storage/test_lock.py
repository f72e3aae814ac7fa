"""A lock is one process's, and nobody's once that process has ended."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.storage.lock import alone, waiting

HOLD = """
import sys, time
from pathlib import Path
from liqtruth.storage.lock import alone
with alone(Path(sys.argv[1]), "a watch"):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_a_second_process_learns_who_holds_it_until_that_one_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "data" / "watch.lock"
    command = [sys.executable, "-c", HOLD, str(path)]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"locked\n"
    with (
        pytest.raises(LiqtruthError, match=rf"a watch runs already on .*data \(process {holder.pid}\)"),
        alone(path, "a watch"),
    ):
        pass
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    with alone(path, "a watch"):
        assert path.read_text() == str(os.getpid())


def test_a_lock_is_let_go_of_when_its_block_raises(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), alone(tmp_path / "lock", "it"):
        raise ZeroDivisionError
    with alone(tmp_path / "lock", "it"):
        pass


def link(path: Path) -> None:
    (path.parent / "precious").write_text("precious")
    path.symlink_to(path.parent / "precious")


def dangling(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere")


def pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("taken", [link, dangling, pipe, Path.mkdir])
@pytest.mark.parametrize("lock", [waiting, lambda path: alone(path, "a watch")])
def test_what_is_no_ordinary_file_is_no_lock_and_is_left_alone(
    tmp_path: Path,
    taken: Callable[[Path], None],
    lock: Callable[[Path], AbstractContextManager[None]],
) -> None:
    taken(tmp_path / "lock")
    with pytest.raises(LiqtruthError, match="lock"), lock(tmp_path / "lock"):
        pass
    assert not (tmp_path / "nowhere").exists()
    assert taken is not link or (tmp_path / "precious").read_text() == "precious"


def test_a_lock_file_that_holds_no_process_id_is_not_shown(tmp_path: Path) -> None:
    with alone(tmp_path / "lock", "a watch"):
        (tmp_path / "lock").write_bytes(b"\x1b[31m" + b"A" * 5000)
        with pytest.raises(LiqtruthError, match=r"\(process unknown\)"), alone(tmp_path / "lock", "a watch"):
            pass
