"""A simulated day of `feed watch` against three venues that misbehave all the time.

    python -m benchmarks.bench_long_feed_watch [--wall 720] [--rate 0.1] [--socket-rate 0.3] [--hours 24]

The watch runs in a process of its own, so that its memory is its own. A day passes in `--wall` seconds, a round of the
watch every five simulated minutes. Every answer is spoiled with probability `rate` in one of the ways of
`sandbox.http.misbehaviour`, every pushed liquidation and handshake with `socket-rate`; connections drop besides.
Printed: rounds, rows, faults met, resident memory after a quarter of the day and at its end (means of the tenth that
follows or precedes), requests in the busiest five simulated minutes, refusals for too many requests, redirects that
were followed, and whether all venues were collecting to the end. Exits with 1 where one of these does not hold.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import numpy as np
import structlog
from typer import echo

from liqtruth.estimator.feeds.watch import FeedWatchPlan, watch_feeds
from liqtruth.estimator.frames import DATASETS
from liqtruth.estimator.venues.exchange import Patience
from liqtruth.estimator.venues.table import venues_named
from liqtruth.sandbox.http.misbehaviour import ELSEWHERE
from liqtruth.sandbox.market.market import MarketSpec, simulate
from liqtruth.sandbox.market.population import BINANCE, BYBIT, OKX
from liqtruth.sandbox.server import SandboxServer, serving_in_thread
from liqtruth.storage.store import Settings, Store

VENUES = (BINANCE, BYBIT, OKX)
COINS = ("BTC", "ETH")
ROUND_S = 300
LATE_MS = 1_800_000
"""Liquidations are stamped so much earlier: between two rounds the venue's clock is taken to go at the usual pace."""
FLAT = 0.05
LIMITS = {"/fapi/": 2400 * 5, "/futures/": 1000, "/v5/": 600 * 60, "/api/v5/": 20 * 150}
"""Requests that the venues allow in five minutes, by the beginning of the path."""


def watch(data: Path, url: str, speed: float, for_s: float) -> None:
    """The child."""
    import logging

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    patience = Patience(timeout_s=1.0, attempts=2, total_s=3.0, first_wait_s=0.05)
    plan = FeedWatchPlan(
        venues=venues_named(",".join(VENUES)),
        coins=COINS,
        every_s=ROUND_S / speed,
        for_s=for_s,
        base_url=url,
        patience=patience,
        first_wait_s=0.1,
        flush_s=1.0,
        heartbeat_s=5.0,
    )
    with Store.open(Settings(data_dir=data)) as store:
        report = watch_feeds(store, plan)
    for line in report.describe():
        echo(line)
    raise SystemExit(report.exit_code)


def group_of(path: str) -> str:
    return next((start for start in sorted(LIMITS, key=len, reverse=True) if path.startswith(start)), "other")


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    for name, usual in (("wall", 720.0), ("rate", 0.1), ("socket-rate", 0.3), ("hours", 24.0)):
        asked.add_argument(f"--{name}", type=float, default=usual)
    asked.add_argument("--child", nargs=4, metavar=("DATA", "URL", "SPEED", "FOR"))
    options = asked.parse_args()
    if options.child:
        data, url, speed, for_s = options.child
        watch(Path(data), url, float(speed), float(for_s))
    speed = 3600 * options.hours / options.wall
    spec = MarketSpec(
        accounts=100, days=2, cex_accounts=1500, coins=COINS, live_hours=int(options.hours) + 1, venues=VENUES
    )
    with serving_in_thread(simulate(spec), weight_per_minute=None, live_speed=speed) as server:
        server.misbehaviour.rate, server.misbehaviour.socket_rate = options.rate, options.socket_rate
        server.faults.rate_drop, server.faults.clock_skew_ms = 0.02, -LATE_MS
        with tempfile.TemporaryDirectory() as folder:
            return run(server, Path(folder), speed, options.wall)


def run(server: SandboxServer, folder: Path, speed: float, wall_s: float) -> int:
    words = ["--child", str(folder), server.base_url, str(speed), str(wall_s)]
    child = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.bench_long_feed_watch", *words], stdout=subprocess.PIPE, text=True
    )
    memory, busiest = followed(child, server, ROUND_S / speed)
    shown, _ = child.communicate()
    echo(shown, nl=False)
    echo(f"ended with {child.returncode} after {server.now - server.market.spec.ends} of the market's time")
    echo(f"misbehaved {server.misbehaviour.met.total()} times, dropped {server.faults.met.get('drop', 0)}:")
    echo("  " + ", ".join(f"{count} {kind}" for kind, count in sorted(server.misbehaviour.met.items())))
    tenth = max(len(memory) // 10, 1)
    early = float(np.mean(memory[len(memory) // 4 :][:tenth]))
    late = float(np.mean(memory[-tenth:]))
    growth = late / early - 1
    echo(f"memory: {early / 2**20:.0f} MB after a quarter, {late / 2**20:.0f} MB at the end ({growth:+.1%})")
    echo(f"busiest five minutes: {dict(busiest)} of {LIMITS}")
    echo(f"refused as too many: {server.count_429}; redirects followed: {server.requests[ELSEWHERE]}")
    fresh = collecting(server, folder)
    echo("last open interest before the end: " + ", ".join(f"{name} {age}" for name, age in fresh.items()))
    holds = {
        "alive to the end": child.returncode in (0, 3),
        "memory flat within 5 %": growth <= FLAT,
        "no 429": not server.count_429 and all(busiest[path] <= most for path, most in LIMITS.items()),
        "no redirect followed": not server.requests[ELSEWHERE],
        "all venues collecting": all(age is not None and age < timedelta(hours=2) for age in fresh.values()),
    }
    for what, is_so in holds.items():
        echo(f"{what}: {'holds' if is_so else 'DOES NOT HOLD'}")
    return 0 if all(holds.values()) else 1


def followed(
    child: "subprocess.Popen[str]", server: SandboxServer, round_s: float
) -> tuple[list[int], Counter[str]]:
    """Resident memory twice a second, and the most requests between two rounds by the beginning of their paths."""
    memory: list[int] = []
    busiest: Counter[str] = Counter()
    resident = Path(f"/proc/{child.pid}/statm")
    before, since = Counter(server.requests), time.monotonic()
    while child.poll() is None:
        time.sleep(0.5)
        with suppress(OSError, IndexError):
            memory.append(int(resident.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
        if time.monotonic() - since >= round_s:
            now, since = Counter(server.requests), time.monotonic()
            asked: Counter[str] = Counter()
            for path, count in (now - before).items():
                asked[group_of(path)] += count
            busiest |= asked
            before = now
    return memory, busiest


def collecting(server: SandboxServer, folder: Path) -> dict[str, timedelta | None]:
    """By venue, how long before the market's end its last stored open interest is."""
    ages: dict[str, timedelta | None] = {}
    with Store.open(Settings(data_dir=folder)) as store:
        for name in VENUES:
            for dataset in ("open_interest", "candles", "liquidations", "listening"):
                rows = store.lake.read_series(dataset, name, COINS[0], DATASETS[dataset].schema)
                echo(f"{name} {COINS[0]}: {rows.height} rows of {dataset}")
                if dataset == "open_interest":
                    ages[name] = None if rows.is_empty() else server.now - rows["ts"][-1]
    return ages


if __name__ == "__main__":
    raise SystemExit(main())
