"""A simulated day of `index watch` against a sandbox that misbehaves all the time.

    python benchmarks/bench_long_watch.py --hours 24 --minutes 12

The sandbox lets `--hours` pass in `--minutes` and spoils `--share` of its answers and messages, each kind of fault as
often as another. The watch runs in a process of its own, over real sockets, with its intervals shortened by the same
factor. Printed are: whether it lived and how long it took to end, its memory, answers of 429 that it earned, and, at
every simulated hour, the coverage that it tells against what the sandbox knows. Exit 1 where something does not hold.
"""

import argparse
import logging
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.telling import say
from liqtruth.indexer.audit.status import coverage_of
from liqtruth.indexer.discovery import address_book
from liqtruth.indexer.info.budget import Patience
from liqtruth.indexer.positions.readings import positions_as_of
from liqtruth.indexer.positions.watch_state import read_state
from liqtruth.indexer.watch.run import WatchPlan, run_watch
from liqtruth.indexer.watch.watch import Pace
from liqtruth.sandbox.http.faults import Faults
from liqtruth.sandbox.market.market import MarketSpec, simulate
from liqtruth.sandbox.server import SandboxServer, serving_in_thread
from liqtruth.sandbox.truth import addresses
from liqtruth.storage.store import Settings, Store

ROOT = Path(__file__).parents[1]

LIMIT_PER_MINUTE = 12_000
SPENT_PER_MINUTE = 9_600
FLAT = 0.05
WARM_UP = 0.25
HONEST = 0.05
"""Coverage of the whole market may be stated this much too high: who closed a position since it was read still counts,
and a second of reading is minutes of the market here."""


@dataclass
class Seen:
    """What was measured while the watch ran."""

    rss_mb: list[float] = field(default_factory=list)
    stated: list[float] = field(default_factory=list)
    highest: list[float] = field(default_factory=list)
    right: list[float] = field(default_factory=list)
    deaths: int = 0
    end_s: float = 0.0
    code: int | None = None

    @property
    def growth(self) -> float:
        """Median memory of the last quarter over that of the quarter after the warm-up, less one."""
        quarter = max(int(len(self.rss_mb) * WARM_UP), 1)
        early, late = self.rss_mb[quarter : 2 * quarter], self.rss_mb[-quarter:]
        return statistics.median(late) / statistics.median(early or late) - 1


def watch(url: str, data_dir: str, factor: float) -> None:
    """The child: a watch whose intervals are shortened by `factor`."""
    pace = Pace(
        plan_s=0.1,
        keep_s=max(10 / factor, 0.5),
        mark_s=max(60 / factor, 0.5),
        first_book_s=5.0,
        book_s=max(3600 / factor, 10.0),
    )
    patience = Patience(attempts=4, total_s=20.0, first_wait_s=0.05, pause_s=0.5)
    plan = WatchPlan(url, weight_per_minute=SPENT_PER_MINUTE, pace=pace, patience=patience)
    with Store.open(Settings(data_dir=Path(data_dir), request_timeout_s=3.0)) as store:
        run_watch(store, plan)


def started(url: str, data_dir: Path, factor: float) -> "subprocess.Popen[bytes]":
    words = [sys.executable, __file__, "--child", url, str(data_dir), str(factor)]
    log = (data_dir / "watch.log").open("ab")
    return subprocess.Popen(words, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": str(ROOT)})


def rss_mb(process: int) -> float:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def look(store: Store, server: SandboxServer, seen: Seen) -> None:
    """Coverage as it is stated (of the whole market, and the most of any coin and side), and the share of true notional
    that is known rightly."""
    truth = server.true_positions()
    known = positions_as_of(store)
    if known.is_empty():
        return
    coverage = coverage_of(store, known)
    shares = [
        share for coin in coverage for share in (coin.long_share, coin.short_share) if share is not None
    ]
    open_positions = truth.select("address", "coin", "szi", usd=pl.col("szi").abs() * pl.col("mark_px"))
    both = open_positions.join(
        known.select("address", "coin", read="szi"), on=["address", "coin"], how="left"
    )
    right = ((pl.col("read") / pl.col("szi") - 1).abs() < 0.01).fill_null(False)
    usd = both.select(right=pl.col("usd").filter(right).sum(), total=pl.col("usd").sum()).row(0)
    seen.highest.append(max(shares, default=0.0))
    known_usd = sum(coin.long_usd + coin.short_usd for coin in coverage if coin.open_interest_usd)
    seen.stated.append(known_usd / (2 * sum(coin.open_interest_usd or 0.0 for coin in coverage)))
    seen.right.append(usd[0] / usd[1])


def measure(
    hours: float, minutes: float, share: float, accounts: int, seed: int
) -> tuple[Seen, SandboxServer]:
    market = simulate(
        MarketSpec(seed=seed, accounts=accounts, days=2, cex_accounts=10, live_hours=int(hours) + 2)
    )
    factor, seen = hours * 60 / minutes, Seen()
    faults = Faults.of_every_kind(share, seed)
    faults.bomb_bytes = 200_000_000
    with (
        tempfile.TemporaryDirectory() as folder,
        serving_in_thread(
            market, weight_per_minute=LIMIT_PER_MINUTE, faults=faults, live_speed=factor
        ) as server,
        Store.open(Settings(data_dir=Path(folder))) as store,
    ):
        address_book.remember(store, addresses(market), "file", server.as_of)
        child = started(server.base_url, Path(folder), factor)
        until_s, next_look_s = time.monotonic() + 60 * minutes, time.monotonic() + 3600 / factor
        while time.monotonic() < until_s:
            time.sleep(1.0)
            if child.poll() is not None:
                seen.deaths += 1
                say(f"died with {child.returncode}: {(Path(folder) / 'watch.log').read_text()[-2000:]}")
                child = started(server.base_url, Path(folder), factor)
                continue
            seen.rss_mb.append(rss_mb(child.pid))
            if time.monotonic() >= next_look_s:
                next_look_s += 3600 / factor
                look(store, server, seen)
        stopped_s = time.monotonic()
        child.send_signal(signal.SIGTERM)
        seen.code = child.wait(120)
        seen.end_s = time.monotonic() - stopped_s
        look(store, server, seen)
        state = read_state(store)
        assert state is not None
        say(
            f"passed {server.now - market.as_of}; {state.reads:,} reads, {state.failures:,} failed, "
            f"{state.tape.trades:,} trades, {state.tape.gaps:,} gaps, {state.funding_hours} fundings"
        )
        for line in state.faults.describe():
            say(f"  {line}")
        say(f"faults met: {dict(sorted(faults.met.items()))}")
    return seen, server


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--hours", type=float, default=24.0)
    asked.add_argument("--minutes", type=float, default=12.0)
    asked.add_argument("--share", type=float, default=0.05)
    asked.add_argument("--accounts", type=int, default=300)
    asked.add_argument("--seed", type=int, default=7)
    asked.add_argument("--child", nargs=3, metavar=("URL", "FOLDER", "FACTOR"))
    options = asked.parse_args()
    if options.child:
        watch(options.child[0], options.child[1], float(options.child[2]))
        return 0
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)  # clients that hang up are what is meant here
    seen, server = measure(options.hours, options.minutes, options.share, options.accounts, options.seed)
    earned = server.count_429 - sum(server.faults.met.get(kind, 0) for kind in ("429", "odd_retry_after"))
    holds = {
        f"deaths: {seen.deaths}, exit {seen.code} within {seen.end_s:.1f} s": not seen.deaths
        and not seen.code,
        f"memory: {seen.rss_mb[-1]:.0f} MB, {100 * seen.growth:+.1f} % since the warm-up": seen.growth < FLAT,
        f"answers of 429 that were earned: {earned}": earned == 0,
        f"coverage: {100 * min(seen.stated, default=0):.1f} to {100 * max(seen.stated, default=0):.1f} % of open "
        f"interest (of one coin and side at most {100 * max(seen.highest, default=0):.1f} %)": bool(
            seen.stated
        )
        and max(seen.stated) < 1 + HONEST,
        f"known to within 1 %: {100 * min(seen.right[1:], default=0):.1f} % of notional at the least, "
        f"{100 * seen.right[-1]:.1f} % at the end": True,
    }
    for statement, is_so in holds.items():
        say(f"{'holds' if is_so else 'FAILS'}  {statement}")
    return 0 if all(holds.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
