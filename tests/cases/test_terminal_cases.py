"""Case 61: what the commands print on a terminal that is not UTF-8."""

import io
from pathlib import Path

import pytest

from tests.conftest import RECORDED, Run, called_with

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
    """Streams of that encoding; `tests/test_cli_terminal.py` starts a process with them."""
    run("index", "import", str(CASE / "pos.csv"), "--market", str(CASE / "market.csv"))
    for words in COMMANDS:
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2))
        code = called_with(["--data-dir", str(tmp_path / "data"), *words], out, err)
        out.flush()
        assert (code, err.buffer.getvalue()) == (0, b""), words
        assert out.buffer.getvalue().decode(encoding).strip(), words
