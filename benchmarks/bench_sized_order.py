"""Accounts that `check` reads until 95 % of a coin's open interest is seen on each side, with sizes by HyperEVM and
without, beside the fewest that suffice; run it by itself: `python -m benchmarks.bench_sized_order SEED`.

The list has 1,500 accounts of the sandbox, most of which hold something, and 9,000 that hold nothing.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

import polars as pl

from liqtruth.indexer.evm.sizing import EvmEndpoint
from liqtruth.indexer.sweep.largest import Endpoint, read_largest
from liqtruth.sandbox.market.market import MarketSpec, simulate
from liqtruth.sandbox.server import SandboxServer, serving_in_thread
from liqtruth.storage.store import Settings, Store

COIN, TARGET, EMPTY = "BTC", 0.95, 9_000


def fewest(served: SandboxServer) -> int:
    """The largest longs and the largest shorts that reach the target."""
    needed = 0
    for sign in (1, -1):
        side = served.true_positions().filter(pl.col("coin") == COIN, pl.col("szi") * sign > 0)
        held = side["notional_usd"].sort(descending=True)
        needed += int((held.cum_sum() < TARGET * held.sum()).sum()) + 1
    return needed


def read_with(served: SandboxServer, evm: EvmEndpoint | None) -> int:
    """Accounts read."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Store.open(Settings(data_dir=Path(folder) / "data")) as store,
    ):
        listed = Path(folder) / "accounts.txt"
        empty = [f"0x{number:040x}" for number in range(EMPTY)]
        listed.write_text("\n".join([*served.market.addresses, *empty]))
        endpoint = Endpoint(served.base_url, served.base_url, None, 1, evm=evm)
        report = asyncio.run(read_largest(store, [COIN], endpoint, files=[listed], target=TARGET))
    return 0 if report.swept is None else report.swept.accounts


if __name__ == "__main__":
    market = simulate(MarketSpec(seed=int(sys.argv[1]) if len(sys.argv) > 1 else 11, accounts=1_500, days=2))
    with serving_in_thread(market, weight_per_minute=None) as served:
        sized, guessed = read_with(served, EvmEndpoint(served.evm_url, None)), read_with(served, None)
        sys.stdout.write(f"fewest {fewest(served)}, sized first {sized}, without sizes {guessed}\n")
