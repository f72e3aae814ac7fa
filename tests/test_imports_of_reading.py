"""Commands that only read what is stored load nothing that they do not use: looked at in processes of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

from liqtruth.sandbox.server import SandboxServer
from liqtruth.sandbox.truth import addresses
from tests.conftest import ROOT, called

NEVER = {
    "sqlmodel",
    "sqlalchemy",
    "pydantic_settings",
    "ccxt",
    "scipy.signal",
    "scipy.stats",
    "hyperliquid",
    "plotly",
    "jinja2",
    "alembic",
    "psycopg",
    "websockets",
}
"""Of no use to any question about what is stored."""
WIRE = {"httpx", "aiohttp", "stamina", "prometheus_client", "structlog"}
"""What talks to exchanges, and runs for days."""
WORKERS = {"joblib", "distributed"}
MODELS = {"scipy"}
"""What fits compute with."""
LOADED = """
import sys
from liqtruth.cli import main
try:
    main()
finally:
    sys.stderr.write("\\n" + " ".join(sys.modules))
"""


@pytest.fixture(scope="module")
def stored(served: SandboxServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with positions and series of a synthetic market."""
    folder = tmp_path_factory.mktemp("stored")
    listed = folder / "addresses.txt"
    listed.write_text("\n".join(addresses(served.market)[:200]))
    sweep = ["index", "sweep", "--addresses", str(listed), "--base-url", served.base_url]
    fetch = ["feed", "fetch", "binance", "BTC", "--days", "3", "--base-url", served.binance_url]
    for line in ([*sweep, "--weight-per-minute", "0"], fetch):
        done = called(["--data-dir", str(folder / "data"), *line])
        assert done.returncode == 0, done.stderr
    return folder / "data"


@pytest.mark.parametrize(
    ("line", "unused"),
    [
        ("map exact BTC --json", NEVER | WIRE | WORKERS | MODELS | {"rich"}),
        ("map positions BTC --between 1 1000000 --json", NEVER | WIRE | WORKERS | MODELS | {"rich"}),
        ("index status --json", NEVER | WIRE | WORKERS | MODELS | {"rich"}),
        ("index positions --json", NEVER | WIRE | WORKERS | MODELS | {"rich"}),
        ("index coverage --json", NEVER | WORKERS | MODELS),
        ("feed status --json", NEVER | WIRE | WORKERS | MODELS),
        ("feed events BTC --json", NEVER | WIRE | WORKERS | MODELS),
        ("map moved BTC --model tiers --venue binance --json", NEVER | WIRE | WORKERS),
        ("map model BTC --venue binance --model tiers --json", NEVER | WIRE | WORKERS | MODELS),
        ("report BTC --model binance:tiers -o {folder}", (NEVER | WIRE | WORKERS) - {"plotly", "jinja2"}),
        ("compare BTC --model binance:tiers --json", NEVER | WIRE | WORKERS | MODELS),
        ("check BTC --offline --venue binance --json", NEVER | WIRE | WORKERS | MODELS),
    ],
)
def test_a_command_that_reads_loads_no_library_of_others(
    stored: Path, tmp_path: Path, line: str, unused: set[str]
) -> None:
    asked = line.format(folder=tmp_path).split()
    words = [sys.executable, "-c", LOADED, "--data-dir", str(stored), *asked]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert done.returncode == 0, done.stderr[:2000]
    loaded = set(done.stderr.splitlines()[-1].split())
    assert not loaded & unused
    assert "polars" in loaded, "the modules of the process were seen"
