"""Lets the tests beside it import what they share, and run on PostgreSQL where `LIQTRUTH_DATABASE_URL` names one."""

import asyncio
import os
import pickle
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from liqtruth.indexer.sweep.sweep import SweepReport, sweep
from liqtruth.sandbox.hyperliquid.batches import Batches
from liqtruth.sandbox.hyperliquid.evm import EvmNode
from liqtruth.sandbox.hyperliquid.protocol import ProtocolParts
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.server import SandboxServer, serving_in_thread
from liqtruth.sandbox.truth import addresses
from liqtruth.storage.lock import waiting
from liqtruth.storage.store import Settings, Store
from tests.markets import FOLDER
from tests.on_server import database_of_children, url_of_data_dir  # noqa: F401

for beside in (Path(__file__).parent, Path(__file__).parents[1] / "storage"):
    sys.path.insert(0, str(beside))


@pytest.fixture(scope="session")
def swept_once(request: pytest.FixtureRequest, small_market: Market) -> tuple[Path, SweepReport]:
    """The data directory of a sweep over all dexes of `small_market`, which no test may change, and its report.

    Made once for all processes of the tests; on a server, whose tables are not in the folder, once for each.
    """
    if os.environ.get("LIQTRUTH_DATABASE_URL"):
        return swept_into(request.getfixturevalue("tmp_path_factory").mktemp("swept"), request, small_market)
    folder = Path(os.environ[FOLDER]) / "swept"
    report = folder.with_suffix(".pickle")
    with waiting(folder.with_suffix(".lock")):
        if not report.exists():
            report.write_bytes(pickle.dumps(swept_into(folder, request, small_market)[1]))
    loaded: SweepReport = pickle.loads(report.read_bytes())
    return folder, loaded


def swept_into(folder: Path, request: pytest.FixtureRequest, market: Market) -> tuple[Path, SweepReport]:
    base_url = request.getfixturevalue("served").base_url
    with Store.open(Settings(data_dir=folder)) as store:
        report = asyncio.run(
            sweep(store, addresses(market), base_url=base_url, dexes="all", weight_per_minute=0)
        )
    return folder, report


@pytest.fixture(scope="module")
def swept(swept_once: tuple[Path, SweepReport], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """What the sweep stored, for the tests of one file to add to."""
    folder = swept_once[0]
    if not os.environ.get("LIQTRUTH_DATABASE_URL"):
        folder = shutil.copytree(folder, tmp_path_factory.mktemp("swept") / "data")
    with Store.open(Settings(data_dir=folder)) as store:
        yield store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty data directory; a busy machine's slow answer is no fault."""
    with Store.open(Settings(data_dir=tmp_path / "data", request_timeout_s=30.0)) as opened:
        yield opened


@pytest.fixture(scope="session")
def running(small_market: Market) -> Iterator[SandboxServer]:
    """`small_market` on real HTTP, by a server that tests may change: ask for `server`, which changes it back."""
    with serving_in_thread(small_market, weight_per_minute=None) as server:
        yield server


@pytest.fixture
def server(running: SandboxServer) -> Iterator[SandboxServer]:
    """No door for batches is open, nothing newer is switched on, and nothing was asked."""
    running.requests.clear()
    yield running
    vars(running.batches).update(vars(Batches()))
    vars(running.evm_node).update(vars(EvmNode()))
    vars(running.protocol).update(vars(ProtocolParts()))
