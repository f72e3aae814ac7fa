"""Fixtures and settings that several packages' tests share."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from sandbox.market import Market, MarketSpec, simulate
from sandbox.server import SandboxServer, serving_in_thread
from storage.settings import Settings
from storage.store import Store

ROOT = Path(__file__).resolve().parents[1]
RECORDED = Path(__file__).resolve().parents[2] / "shared" / "recorded"

# A property is a statement about values; on a shared machine its duration says nothing. The suite draws the same
# examples each time, so that a red run is the change's doing; `make fuzz` draws new ones, and more of them.
settings.register_profile("liqtruth", deadline=None, derandomize=True)
settings.register_profile("fuzz", deadline=None, max_examples=400)
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
    """Runs `liqtruth` on a data directory of its own, and expects an exit code and no traceback."""

    def call(*words: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            [sys.executable, "-m", "cli", "--data-dir", str(tmp_path / "data"), *words],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=ROOT,
        )
        assert done.returncode == code, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    return call


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty data directory."""
    with Store.open(Settings(data_dir=tmp_path / "data")) as opened:
        yield opened
