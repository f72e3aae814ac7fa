"""`liqtruth sandbox serve` announces what it serves, serves it, and ends when it is terminated."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from liqtruth.commands import sandbox
from tests.conftest import called

ROOT = Path(__file__).resolve().parents[2]
SMALL = ("--port", "0", "--accounts", "20", "--days", "2")


@contextmanager
def serve(*words: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "liqtruth.cli", "sandbox", "serve", *SMALL, *words]
    process = subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=300)


def announced(process: "subprocess.Popen[str]") -> list[str]:
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or "liquidations of" not in lines[-1]:
        line = process.stdout.readline()
        assert line, "it ended before it announced anything"
        lines.append(line)
    return lines


def test_it_serves_the_venues_that_were_asked_for() -> None:
    with serve("--venues", "bybit,okx") as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("a synthetic exchange of 20 accounts and 2 days")
        lines = announced(process)
        assert "synthetic" in lines[0]
        url = next(line for line in lines if line.split()[0] == "bybit:").split()[1]
        assert httpx.get(f"{url}/v5/market/time").json()["retCode"] == 0
        assert httpx.get(f"{url}/api/v5/public/time").json()["code"] == "0"
        assert httpx.get(f"{url}/fapi/v1/time").status_code == 404
    assert process.returncode == 0


def test_a_venue_that_is_not_there_is_refused_in_one_line() -> None:
    done = called(["sandbox", "serve", *SMALL, "--venues", "binance,kraken"])
    assert done.returncode == 2
    assert done.stderr.strip() == "error: no synthetic venue 'kraken'; there are binance, bybit, okx"


def test_progress_is_printed_now_and_then_where_no_bar_can_be_drawn(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float] = []
    advanced = sandbox.in_lines(seen.append, "simulated")
    monkeypatch.setattr(sandbox, "STEP_S", 60.0)
    advanced(0.1)
    monkeypatch.setattr(sandbox, "STEP_S", 0.0)
    advanced(0.25)
    assert seen == [0.1, 0.25]
    assert capsys.readouterr().err == "simulated 25%\n"
