"""2,000 accounts of the sandbox swept over loopback, the server in its own process, the weight budget lifted: one by
one, and their states by a thousand a request from a provider.

What counts is the reader's own CPU: the server is slower than it, and shares the machine. The target is 1,500 accounts
a second of one core.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Final

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from liqtruth.indexer.info.batch_doors import BatchEndpoint
from liqtruth.indexer.sweep.sweep import SweepReport, sweep
from liqtruth.storage.store import Settings, Store

ACCOUNTS: Final = 2_000
ROOT: Final = Path(__file__).parents[1]
SERVER: Final = f"""
from liqtruth.sandbox.hyperliquid.batches import Batches
from liqtruth.sandbox.market.market import MarketSpec, simulate
from liqtruth.sandbox.server import serve_forever
from liqtruth.sandbox.truth import addresses
market = simulate(MarketSpec(seed=5, accounts={ACCOUNTS}, days=5, cex_accounts=500))
def ready(server):
    print(server.base_url, *addresses(market), flush=True)
serve_forever(market, weight_per_minute=None, on_ready=ready, batches=Batches(provider=True))
"""


@pytest.fixture(scope="module")
def exchange() -> Iterator[tuple[str, list[str]]]:
    """The address of a sandbox in a process of its own, and its accounts."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        base_url, *addresses = child.stdout.readline().split()
        yield base_url, addresses
        child.terminate()


@pytest.mark.benchmark(group=f"{ACCOUNTS:,} accounts swept without a budget")
@pytest.mark.parametrize("dexes", [("",), ("", "xyz")], ids=["main dex", "all dexes"])
@pytest.mark.parametrize("door", ["one by one", "batches"])
def test_sweep(
    benchmark: BenchmarkFixture,
    exchange: tuple[str, list[str]],
    tmp_path: Path,
    dexes: tuple[str, ...],
    door: str,
) -> None:
    base_url, addresses = exchange
    batch = BatchEndpoint(f"{base_url}/hypercore", None) if door == "batches" else None
    folders = count()
    cpu_s: list[float] = []

    def run() -> SweepReport:
        before_s = time.process_time()
        report = swept()
        cpu_s.append(time.process_time() - before_s)
        return report

    def swept() -> SweepReport:
        with Store.open(Settings(data_dir=tmp_path / str(next(folders)))) as store:
            return asyncio.run(
                sweep(store, addresses, base_url=base_url, dexes=dexes, weight_per_minute=None, batch=batch)
            )

    report = benchmark.pedantic(run, rounds=3)
    assert (report.accounts, report.failed) == (ACCOUNTS, {})
    speed, of_cpu = ACCOUNTS / benchmark.stats.stats.min, ACCOUNTS / min(cpu_s)
    benchmark.extra_info["accounts_per_s"] = round(speed)
    benchmark.extra_info["accounts_per_cpu_s"] = round(of_cpu)
    benchmark.stats.name += (
        f" ({speed:,.0f} accounts/s, {of_cpu:,.0f} a second of CPU, "
        f"{report.requests / ACCOUNTS:.1f} requests each)"
    )
