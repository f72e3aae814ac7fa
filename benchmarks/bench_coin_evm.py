"""Minutes to one coin's exact map through HyperEVM from many known holders, at the public limits:
`python -m benchmarks.bench_coin_evm [SEED] [HOLDERS] [virtual|real]`.

On the `virtual` clock (`tests.virtual_clock`) minutes are what limits, answers that take `ANSWER_S` and our own
waits take; the processor time of the reader stands beside them, and who computes on a core of its own is done after
their sum at most. The `real` clock is that of the machine, where sandbox and reader share what cores there are.

The sandbox is the node and the exchange: 100 requests and a weight of 1,200 a minute, and so much gas a call that about
200 reads fit. Everyone in the list holds something; the order is that of a sizing of some time ago, each size off by a
half (standard deviation of its logarithm). Every price is compared with the truth, every interval must hold it.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from liqtruth.indexer.coin.census import CoinRead, read_coin
from liqtruth.indexer.evm.sizing import EvmEndpoint
from liqtruth.indexer.info.budget import Budget
from liqtruth.indexer.info.client import InfoClient
from liqtruth.indexer.positions.intervals import stored_intervals
from liqtruth.indexer.positions.readings import Readings
from liqtruth.sandbox.exchange import EVM_PER_MINUTE
from liqtruth.sandbox.http.faults import Faults
from liqtruth.sandbox.market.market import Market, MarketSpec
from liqtruth.sandbox.server import SandboxServer, serving, serving_in_thread
from liqtruth.sandbox.truth import true_positions
from liqtruth.storage.store import Settings, Store
from tests import virtual_clock
from tests.markets import market_of

COIN: Final = "BTC"
ANSWER_S: Final = 0.1
"""A request takes so long to be answered, and up to so much longer."""
GAS_CAP: Final = 4_000_000
HOLDING: Final = 0.5
"""At least this share of the sandbox's accounts holds something."""
NOISE_PX: Final = 1e-9
"""The sandbox searches for prices: of a position with no cash leg it finds the last digits of a zero."""


def known_holders(truth: pl.DataFrame, most: int, seed: int) -> list[str]:
    held = (
        truth.filter(dex="").group_by("address").agg(pl.col("notional_usd").sum()).sort("address").head(most)
    )
    off = np.random.default_rng(seed).lognormal(0.0, 0.5, held.height)
    return (
        held.with_columns(then=pl.col("notional_usd") * off)
        .sort("then", descending=True)["address"]
        .to_list()
    )


@dataclass
class Timed:
    """`seen`: (minutes, USD known) after each part; `reader_s` of processor time, the node's own left out."""

    seen: list[tuple[float, float]] = field(default_factory=list)
    reader_s: float = 0.0
    node_s: float = 0.0

    async def read(self, served: SandboxServer, store: Store, listed: list[str]) -> CoinRead:
        clock = asyncio.get_running_loop().time
        started_s, before_s = clock(), time.thread_time()

        def on_part(positions: pl.DataFrame, asked: int) -> None:
            known = self.seen[-1][1] if self.seen else 0.0
            self.seen.append(((clock() - started_s) / 60, known + float(positions["notional_usd"].sum())))

        async with InfoClient(served.base_url, Budget(960)) as info:
            read = await read_coin(store, COIN, listed, EvmEndpoint(served.evm_url), info, on_part=on_part)
        self.reader_s = time.thread_time() - before_s - self.node_s
        return read

    def of_node(self, work: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """`work`, its processor time counted as the node's."""

        def counted(body: Any) -> Any:
            began_s = time.thread_time()
            try:
                return work(body)
            finally:
                self.node_s += time.thread_time() - began_s

        return counted


def compared(store: Store, truth: pl.DataFrame) -> str:
    """Prices and intervals beside the truth."""
    px = pl.when(pl.col("liq_px") > NOISE_PX).then("liq_px")
    of_coin = truth.filter(coin=COIN).select("address", true_px=px, own_leverage="max_leverage")
    known = Readings(store, COIN).known().join(of_coin, on="address")
    solved = known.filter(pl.col("status").is_in(["solved_only", "never"]))
    same = (pl.col("liq_px") / pl.col("true_px") - 1).abs() <= 1e-6
    null = pl.col("liq_px").is_null() & pl.col("true_px").is_null()
    right = solved.filter(same.fill_null(value=False) | null).height
    listed = float(known["own_leverage"].mode().min())  # type: ignore[arg-type]
    older = solved.filter(pl.col("own_leverage") != listed).height
    waiting = stored_intervals(store, known).join(of_coin, on="address")
    inside = (pl.col("true_px") >= pl.col("low_px") * (1 - 1e-9)) & (
        pl.col("true_px") <= pl.col("high_px") * (1 + 1e-9)
    )
    held = waiting.filter(pl.when(pl.col("true_px").is_null()).then("may_be_never").otherwise(inside)).height
    return (
        f"{right:,} of {solved.height:,} solved prices within 1e-6, {older:,} are of an older margin table; "
        f"{held:,} of {waiting.height:,} intervals hold the truth"
    )


async def on_virtual_clock(
    market: Market, faults: Faults, work: Callable[[SandboxServer, Timed], Awaitable[CoinRead]]
) -> tuple[CoinRead, Timed, SandboxServer]:
    timed = Timed()
    async with serving(market, weight_per_minute=1200, faults=faults) as served:
        prepare(served)
        served._evm.answer = timed.of_node(served._evm.answer)  # type: ignore[method-assign]
        return await work(served, timed), timed, served


def prepare(served: SandboxServer) -> None:
    served.evm_node.gas_cap = GAS_CAP
    served._info.book.clearinghouse(
        served.market.addresses[0], ""
    )  # all prices are worked out at the first question


def main(seed: int, holders: int, clock: str) -> None:
    spec = MarketSpec(seed=seed, accounts=int(holders / HOLDING), days=1, cex_accounts=10, step_minutes=60)
    market, faults = market_of(spec), Faults(delay_s=ANSWER_S, delay_spread_s=ANSWER_S)
    truth = true_positions(market)
    listed = known_holders(truth, holders, seed)
    with (
        tempfile.TemporaryDirectory() as folder,
        Store.open(Settings(data_dir=Path(folder))) as store,
    ):

        def work(served: SandboxServer, timed: Timed) -> Awaitable[CoinRead]:
            return timed.read(served, store, listed)

        if clock == "virtual":
            read, timed, served = virtual_clock.run(on_virtual_clock(market, faults, work))
        else:
            timed = Timed()
            with serving_in_thread(market, weight_per_minute=1200, faults=faults) as served:
                prepare(served)
                read = asyncio.run(timed.read(served, store, listed))
        say(read, timed, served, f"seed {seed}, {clock} clock: {len(listed):,} holders of something")
        sys.stdout.write(f"{compared(store, truth)}\n")


def say(read: CoinRead, timed: Timed, served: SandboxServer, what: str) -> None:
    whole, requests = timed.seen[-1][1], served.requests["/evm"]
    half = next(minutes for minutes, usd in timed.seen if usd >= 0.5 * whole)
    first = next((usd for minutes, usd in reversed(timed.seen) if minutes <= 1.0), 0.0)
    sys.stdout.write(
        "\n".join(read.report.describe()[:3])
        + f"\n{what} in {timed.seen[-1][0]:.2f} minutes, {requests / EVM_PER_MINUTE:.2f} of them the limit's for "
        f"{requests} requests; processor time of the reader {timed.reader_s:.1f} s; half of the notional after "
        f"{half:.2f}, {first / whole:.0%} in the first; {served.count_429} answers of 429\n"
    )


if __name__ == "__main__":
    given = [*sys.argv[1:], *("31", "60000", "virtual")[len(sys.argv) - 1 :]]
    main(int(given[0]), int(given[1]), given[2])
