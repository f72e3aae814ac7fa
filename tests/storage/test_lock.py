"""A lock is one process's, and nobody's once that process has ended."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from heatmap.errors import LiqtruthError
from storage.lock import alone

HOLD = """
import sys, time
from pathlib import Path
from storage.lock import alone
with alone(Path(sys.argv[1]), "a watch"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_told_who_holds_it_until_that_one_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "data" / "watch.lock"
    command = [sys.executable, "-c", HOLD, str(path)]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
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
