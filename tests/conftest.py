"""Fixtures and settings that several packages' tests share."""

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from hypothesis import settings

from liqtruth.sandbox.market.market import Market, MarketSpec, simulate
from liqtruth.sandbox.server import SandboxServer, serving_in_thread
from liqtruth.storage.settings import Settings
from liqtruth.storage.store import Store

ROOT = Path(__file__).resolve().parents[1]
RECORDED = Path(__file__).resolve().parents[2] / "shared" / "recorded"

# A property is a statement about values; on a shared machine its duration says nothing. The suite draws the same
# examples each time, so that a red run is the change's doing; `make fuzz` draws new ones, and more of them.
settings.register_profile("liqtruth", deadline=None, derandomize=True, max_examples=15)
settings.register_profile("fuzz", deadline=None, max_examples=300)
settings.load_profile(os.environ.get("LIQTRUTH_HYPOTHESIS", "liqtruth"))


@pytest.fixture(scope="session")
def recorded() -> Path:
    """The folder of recorded payloads, outside the repository; its tests skip where it is absent."""
    if not RECORDED.is_dir():
        pytest.skip(f"no recorded payloads at {RECORDED}")
    return RECORDED


@pytest.fixture(scope="session")
def small_market() -> Market:
    """A synthetic market, small enough to be read whole in a second."""
    return simulate(MarketSpec(seed=5, accounts=600, days=5, cex_accounts=500))


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
    import structlog

    from liqtruth.cli import main

    told, before = [io.StringIO(), io.StringIO()], sys.argv
    sys.argv = ["liqtruth", *line]
    try:
        with redirect_stdout(told[0]), redirect_stderr(told[1]), pytest.raises(SystemExit) as end:
            main()
    finally:
        sys.argv = before
        structlog.reset_defaults()
    return subprocess.CompletedProcess(line, int(end.value.code or 0), *(text.getvalue() for text in told))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty data directory."""
    with Store.open(Settings(data_dir=tmp_path / "data")) as opened:
        yield opened
