"""Minutes of a sweep from a cold start to 50, 80 and 95 % of the open interest of whoever is listed, sizing included:
`python -m benchmarks.bench_cold_sweep [SEED ...]`.

The sweep itself asks the sandbox over sockets at the public limits, on a clock that counts no processor time
(`tests.virtual_clock`). The list is a leaderboard of three quarters of all accounts by their value, among nine
times as many of like values that hold nothing, and then whoever else traded within the last hour. Beside it an oracle
that knows every size and cost, and is answered at once.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from benchmarks.bench_coin_evm import ANSWER_S, GAS_CAP
from liqtruth.indexer.evm.sizing import EvmEndpoint
from liqtruth.indexer.positions.accounts import AccountReading
from liqtruth.indexer.sweep.report import Sight
from liqtruth.indexer.sweep.sweep import sweep
from liqtruth.sandbox.http.faults import Faults
from liqtruth.sandbox.hyperliquid.directory import account_values
from liqtruth.sandbox.market.market import Market, MarketSpec
from liqtruth.sandbox.server import SandboxServer, serving
from liqtruth.storage.store import Settings, Store
from tests import virtual_clock
from tests.markets import market_of

SEEDS: Final = (37, 41, 43)
ACCOUNTS, LISTED, DORMANT = 4_000, 0.75, 27_000
SHARES: Final = (0.5, 0.8, 0.95)
WEIGHT_PER_MINUTE: Final = 960


class Noting(Sight):
    """Ends the sweep at the last of `SHARES`; `seen` are moments (loop) and the USD known by then."""

    def __init__(self, usd: dict[str, float]) -> None:
        super().__init__(["BTC"], 2.0)
        self.usd, self.whole = usd, sum(usd.values())
        self.seen: list[tuple[float, float]] = []

    def take(self, readings: Sequence[AccountReading]) -> None:
        before = self.seen[-1][1] if self.seen else 0.0
        known = before + self.usd.get(readings[0].address, 0.0)
        self.seen.append((asyncio.get_running_loop().time(), known))
        super().take(readings)
        if known >= SHARES[-1] * self.whole:
            self.stop.set()


async def timed(served: SandboxServer, store: Store, listed: list[str], usd: dict[str, float]) -> Noting:
    sight = Noting(usd)
    await sweep(
        store,
        listed,
        base_url=served.base_url,
        weight_per_minute=WEIGHT_PER_MINUTE,
        sight=sight,
        evm=EvmEndpoint(served.evm_url),
    )
    return sight


def oracle_weights(truth: pl.DataFrame) -> list[float]:
    """Weight until each of `SHARES` where most notional per weight comes first."""
    cross = (pl.col("margin_mode") == "cross").any()
    accounts = truth.group_by("address").agg(pl.col("notional_usd").sum(), weight=2 + 2 * cross)
    ordered = accounts.sort(pl.col("notional_usd") / pl.col("weight"), descending=True)
    known = ordered["notional_usd"].cum_sum().to_numpy()
    spent = ordered["weight"].cum_sum().to_numpy()
    return [float(spent[np.searchsorted(known, share * known[-1])]) for share in SHARES]


def board_and_tape(market: Market, seed: int) -> list[str]:
    """Those on the board, by account value, and after them the others on the tape of the last hour."""
    draw, values = np.random.default_rng(seed), account_values(market)
    on_board = np.flatnonzero(values > np.quantile(values, 1 - LISTED))
    names = [market.addresses[row] for row in on_board] + [f"0x{number:040x}" for number in range(DORMANT)]
    worth = np.concatenate([values[on_board], draw.choice(values[on_board], DORMANT)])
    trades = market.trades
    traded = np.unique(
        np.concatenate([trades.buyer, trades.seller])[np.tile(trades.point > market.point - 60, 2)]
    )
    tape = [market.addresses[row] for row in traded]
    return list(dict.fromkeys([*(names[row] for row in np.argsort(-worth, kind="stable")), *tape]))


async def measured(seed: int) -> str:
    market = market_of(MarketSpec(seed=seed, accounts=ACCOUNTS, days=2, cex_accounts=10, step_minutes=60))
    faults = Faults(delay_s=ANSWER_S, delay_spread_s=ANSWER_S)
    async with serving(market, weight_per_minute=1200, faults=faults) as served:
        served.evm_node.gas_cap = GAS_CAP
        listed = board_and_tape(market, seed)
        truth = served.true_positions().filter(pl.col("address").is_in(listed), dex="")
        usd = dict(truth.group_by("address").agg(pl.col("notional_usd").sum()).iter_rows())
        with (
            tempfile.TemporaryDirectory() as folder,
            Store.open(Settings(data_dir=Path(folder))) as store,
        ):
            started_s, cpu_s = asyncio.get_running_loop().time(), time.process_time()
            sight = await timed(served, store, listed, usd)
            cpu_s = time.process_time() - cpu_s
        done = shown(sight, truth, started_s, served)
        return f"seed {seed}: {len(listed):,} listed; {done}; {cpu_s:.0f} s of processor time, the sandbox's included\n"


def shown(sight: Noting, truth: pl.DataFrame, started_s: float, served: SandboxServer) -> str:
    at_s, known = map(np.array, zip(*sight.seen, strict=True))
    parts = []
    for share, weight in zip(SHARES, oracle_weights(truth), strict=True):
        place = int(np.searchsorted(known, share * sight.whole))
        minutes, least = (at_s[place] - started_s) / 60, weight / WEIGHT_PER_MINUTE
        parts.append(f"{share:.0%} {minutes:.2f} minutes, oracle {least:.2f} ({minutes / least:.2f}x)")
    return f"{'; '.join(parts)}; {served.requests['/evm']} requests to HyperEVM, {served.count_429} answers of 429"


if __name__ == "__main__":
    for seed in map(int, sys.argv[1:] or SEEDS):
        sys.stdout.write(virtual_clock.run(measured(seed)))
        sys.stdout.flush()
