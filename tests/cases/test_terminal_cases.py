"""Case 61: what the commands print on a terminal that is not UTF-8."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import RECORDED, ROOT, Run

CASE = RECORDED.parent / "cases" / "61"
COMMANDS = (
    ("index", "status"),
    ("map", "exact", "BTC"),
    ("index", "reconcile"),
    ("feed", "venues"),
    ("calibrate", "list"),
    ("map", "--help"),
)


@pytest.mark.skipif(not CASE.is_dir(), reason=f"no cases at {CASE}")
@pytest.mark.parametrize("encoding", ["cp1252", "latin-1"])
def test_output_degrades_on_a_terminal_that_is_not_utf_8(run: Run, tmp_path: Path, encoding: str) -> None:
    run("index", "import", str(CASE / "pos.csv"), "--market", str(CASE / "market.csv"))
    for words in COMMANDS:
        line = [sys.executable, "-m", "liqtruth.cli", "--data-dir", str(tmp_path / "data"), *words]
        env = {**os.environ, "PYTHONIOENCODING": encoding}
        done = subprocess.run(line, capture_output=True, cwd=ROOT, env=env, timeout=120)
        assert (done.returncode, done.stderr) == (0, b""), words
        assert done.stdout.decode(encoding).strip(), words
