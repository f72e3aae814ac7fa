"""Minutes that sizing 40,000 accounts takes at the public node's limit, in all dexes; run it by itself:
`python -m benchmarks.bench_sizing [GAS_CAP]`. Most of them hold nothing, as on the exchange.

The sandbox is the node: 100 requests a minute, and by default so much gas a call that about 200 reads fit.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from liqtruth.indexer.evm.sizing import EvmEndpoint, SizeReport, size
from liqtruth.indexer.info.budget import Budget
from liqtruth.indexer.info.client import InfoClient
from liqtruth.sandbox.market.market import MarketSpec, simulate
from liqtruth.sandbox.server import SandboxServer, serving_in_thread
from liqtruth.storage.store import Settings, Store

ACCOUNTS = 40_000
GAS_CAP = 4_000_000


def measured(served: SandboxServer, store: Store) -> SizeReport:
    async def run() -> SizeReport:
        empty = [f"0x{number:040x}" for number in range(ACCOUNTS - len(served.market.addresses))]
        async with InfoClient(served.base_url, Budget(960)) as info:
            return await size(
                store, [*served.market.addresses, *empty], EvmEndpoint(served.evm_url), info, ["", "xyz"]
            )

    return asyncio.run(run())


if __name__ == "__main__":
    market = simulate(MarketSpec(accounts=600, days=2))
    with (
        serving_in_thread(market, weight_per_minute=1200) as served,
        tempfile.TemporaryDirectory() as folder,
        Store.open(Settings(data_dir=Path(folder))) as store,
    ):
        served.evm_node.gas_cap = int(sys.argv[1]) if len(sys.argv) > 1 else GAS_CAP
        report = measured(served, store)
        sys.stdout.write(
            "\n".join(report.describe()[:2])
            + f"\n{report.seconds / 60:.2f} minutes, {report.refused} batches refused for their size, "
            f"{served.count_429} answers of 429, {report.unread} reads missing, {report.left_out:,} left out\n"
        )
