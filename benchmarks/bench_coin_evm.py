"""Minutes to one coin's exact map through HyperEVM from many known holders, at the public limits; run it by itself:
`python -m benchmarks.bench_coin_evm [SEED] [HOLDERS]`.

The sandbox is the node and the exchange: 100 requests and a weight of 1,200 a minute, and so much gas a call that about
200 reads fit. Everyone in the list holds something; the order is that of a sizing of some time ago, each size off by a
half (standard deviation of its logarithm). Every price is compared with the truth, every interval must hold it.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from liqtruth.indexer.coin.census import CoinRead, read_coin
from liqtruth.indexer.evm.sizing import EvmEndpoint
from liqtruth.indexer.info.budget import Budget
from liqtruth.indexer.info.client import InfoClient
from liqtruth.indexer.positions.intervals import stored_intervals
from liqtruth.indexer.positions.readings import Readings
from liqtruth.sandbox.market.market import MarketSpec
from liqtruth.sandbox.server import SandboxServer, serving_in_thread
from liqtruth.storage.store import Settings, Store
from tests.markets import market_of

COIN: Final = "BTC"
GAS_CAP: Final = 4_000_000
HOLDING: Final = 0.5
"""At least this share of the sandbox's accounts holds something."""
NOISE_PX: Final = 1e-9
"""The sandbox searches for prices: of a position with no cash leg it finds the last digits of a zero."""
Seen = list[tuple[float, float]]


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


def timed_read(served: SandboxServer, store: Store, listed: list[str]) -> tuple[CoinRead, Seen]:
    """What was read, and (minutes, USD known) after each part."""
    seen, started_s = list[tuple[float, float]](), time.monotonic()

    def on_part(positions: pl.DataFrame, asked: int) -> None:
        before = seen[-1][1] if seen else 0.0
        seen.append(((time.monotonic() - started_s) / 60, before + float(positions["notional_usd"].sum())))

    async def run() -> CoinRead:
        async with InfoClient(served.base_url, Budget(960)) as info:
            return await read_coin(store, COIN, listed, EvmEndpoint(served.evm_url), info, on_part=on_part)

    return asyncio.run(run()), seen


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


def main(seed: int, holders: int) -> None:
    spec = MarketSpec(seed=seed, accounts=int(holders / HOLDING), days=1, cex_accounts=10, step_minutes=60)
    with (
        serving_in_thread(market_of(spec), weight_per_minute=1200) as served,
        tempfile.TemporaryDirectory() as folder,
        Store.open(Settings(data_dir=Path(folder))) as store,
    ):
        served.evm_node.gas_cap = GAS_CAP
        truth = served.true_positions()
        listed = known_holders(truth, holders, seed)
        served._info.book.clearinghouse(
            listed[0], ""
        )  # the sandbox works out all prices at the first question
        read, seen = timed_read(served, store, listed)
        whole = seen[-1][1]
        half = next(minutes for minutes, usd in seen if usd >= 0.5 * whole)
        first = next((usd for minutes, usd in reversed(seen) if minutes <= 1.0), 0.0)
        sys.stdout.write(
            "\n".join(read.report.describe()[:3])
            + f"\nseed {seed}: {len(listed):,} holders of something in {seen[-1][0]:.2f} minutes; half of the notional "
            f"after {half:.2f}, {first / whole:.0%} in the first; {served.count_429} answers of 429\n"
            f"{compared(store, truth)}\n"
        )


if __name__ == "__main__":
    main(*(int(value) for value in [*sys.argv[1:], *("31", "60000")[len(sys.argv) - 1 :]]))
