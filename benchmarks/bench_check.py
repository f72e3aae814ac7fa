"""What `check --offline` costs: a process that compares two map files and six models with 250,000 stored positions.

    python benchmarks/bench_check.py [--folder DIR] [--all-in-one] [--rounds 3]

A store is made by the product's own writers: one book of 250,000 positions (of the coin that is checked about a third;
`--all-in-one`: all of them), 30 days of 5-minute candles and open interest of three venues, and two files beside it, a
Coinglass heatmap and a CoinAnk map by leverage. Printed are wall clock, CPU and peak memory of whole processes, the
least of the rounds. The target is 3 s of each.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

ROOT: Final = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.bench_growth import COIN, shifted, write_book  # noqa: E402
from benchmarks.bench_storage import drawn_snapshot  # noqa: E402
from benchmarks.telling import command_line  # noqa: E402
from liqtruth.estimator.frames import DATASETS, conform  # noqa: E402
from liqtruth.storage.database.markets import store_markets  # noqa: E402
from liqtruth.storage.database.tables import Market  # noqa: E402
from liqtruth.storage.store import Settings, Store  # noqa: E402

VENUES: Final = ("binance", "bybit", "okx")
DAYS: Final = 30
STEP: Final = timedelta(minutes=5)
FILES: Final = ("coinglass.json", "coinank.json")


def make_store(folder: Path, *, in_one: bool) -> None:
    """The store, and the files beside it."""
    snapshot = drawn_snapshot()
    mark_px = float(snapshot.filter(coin=COIN)["mark_px"][0])
    if in_one:
        snapshot = all_of_one(snapshot, mark_px)
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    with Store.open(Settings(data_dir=folder / "store")) as store:
        write_book(store, shifted(snapshot, now), now)
        held = float(snapshot.filter((pl.col("coin") == COIN) & (pl.col("szi") > 0))["szi"].sum())
        known: dict[str, Any] = {
            "dex": "",
            "max_leverage": 10,
            "margin_table_id": 10,
            "open_interest": 1.02 * held,
        }
        market = Market(venue="hyperliquid", coin=COIN, as_of=now, mark_px=mark_px, **known)
        store_markets(store.database, [market])
        for number, venue in enumerate(VENUES):
            write_series(store, venue, now, mark_px, number)
    for name, document in zip(FILES, (coinglass(now, mark_px), coinank(mark_px)), strict=True):
        (folder / name).write_text(json.dumps(document))


def all_of_one(snapshot: pl.DataFrame, mark_px: float) -> pl.DataFrame:
    """Every position as one of the coin, at the same distances."""
    factor = mark_px / pl.col("mark_px")
    prices = [name for name in snapshot.columns if name.endswith("_px") or name.startswith("liq_px")]
    return snapshot.with_columns(
        *(pl.col(name) * factor for name in prices), szi=pl.col("szi") / factor, coin=pl.lit(COIN)
    ).unique(["address", "coin"], maintain_order=True)


def write_series(store: Store, venue: str, now: datetime, mark_px: float, seed: int) -> None:
    """Candles and open interest that end at the mark."""
    rng = np.random.default_rng(seed)
    count = int(timedelta(days=DAYS) / STEP)
    ts = [now - STEP * (count - at) for at in range(count + 1)]
    walk = np.cumsum(rng.normal(0, 0.0015, len(ts)))
    close = mark_px * np.exp(walk - walk[-1])
    opened = np.append(close[0], close[:-1])
    spread = np.exp(np.abs(rng.normal(0, 0.0007, len(ts))))
    volume = rng.lognormal(8, 0.7, len(ts))
    columns = {
        "ts": ts, "interval_s": [int(STEP.total_seconds())] * len(ts), "open": opened,
        "high": np.maximum(opened, close) * spread, "low": np.minimum(opened, close) / spread, "close": close,
        "volume": volume,
    }  # fmt: skip
    interest = 60 * volume.mean() * np.exp(np.cumsum(rng.normal(0, 0.002, len(ts))))
    for name, rows in (("candles", columns), ("open_interest", {"ts": ts, "open_interest": interest})):
        frame = conform(pl.DataFrame(rows), name)
        store.lake.merge_series(name, venue, COIN, frame, DATASETS[name].key, "synthetic")


def coinglass(now: datetime, mark_px: float) -> dict[str, Any]:
    """An API heatmap of 30,000 cells: 288 columns of 391 prices, of which a quarter is filled."""
    rng = np.random.default_rng(5)
    axis = mark_px * np.linspace(0.85, 1.15, 391)
    at = np.sort(rng.choice(288 * 391, 30_000, replace=False))
    cells = [
        [int(x // 391), int(x % 391), round(float(usd), 2)]
        for x, usd in zip(at, rng.lognormal(13, 2, at.size), strict=True)
    ]
    start = int(now.timestamp()) - 287 * 300
    text = f"{mark_px:.6f}"
    candles = [[start + 300 * n, text, text, text, text, "1000000.5"] for n in range(288)]
    data = {
        "y_axis": axis.round(8).tolist(),
        "liquidation_leverage_data": cells,
        "price_candlesticks": candles,
    }
    return {"code": "0", "data": {**data, "symbol": COIN}}


def coinank(mark_px: float) -> dict[str, Any]:
    """Nine leverages over 6,740 prices, of which 500 are filled."""
    rng = np.random.default_rng(6)
    axis = mark_px * np.linspace(0.9, 1.1, 6_741)
    tiers: dict[str, list[float]] = {}
    for tier in (25, 30, 40, 50, 60, 70, 80, 90, 100):
        amount = np.zeros(axis.size)
        amount[rng.choice(axis.size, 500, replace=False)] = rng.lognormal(16, 1, 500)
        tiers[f"x{tier}"] = amount.round(1).tolist()
    known = {"lastIndex": 3_370, "lastPrice": float(axis[3_370])}
    return {"success": True, "code": 1, "data": {"symbol": COIN, "prices": axis.tolist(), **tiers, **known}}


def run(folder: Path, *words: str) -> tuple[float, float, float, int]:
    """Wall clock, CPU seconds and peak MB of the whole process, and its exit code."""
    line = [
        sys.executable,
        "-m",
        "liqtruth.cli",
        "--data-dir",
        str(folder / "store"),
        "check",
        COIN,
        "--offline",
    ]
    started = time.perf_counter()
    process = subprocess.Popen([*line, *words], cwd=folder, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - started
    return wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, os.waitstatus_to_exitcode(status)


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--folder", type=Path, help="where the store is made, and found again")
    parser.add_argument(
        "--all-in-one", action="store_true", help="all positions are of the coin that is checked"
    )
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (asked.folder or Path(temporary)) / ("one" if asked.all_in_one else "many")
        if not (folder / "store").exists():
            folder.mkdir(parents=True, exist_ok=True)
            make_store(folder, in_one=asked.all_in_one)
        maps = [word for name in FILES for word in ("--map", name)]
        for label, words in (("two files, six models", maps), ("two files", [*maps, "--venue", "none"])):
            costs = [run(folder, *words) for _ in range(asked.rounds)]
            wall_s, cpu_s, peak_mb = (min(part) for part in list(zip(*costs, strict=True))[:3])
            codes = sorted({cost[3] for cost in costs})
            line = f"{label:<24}{wall_s:6.2f} s wall {cpu_s:6.2f} s CPU {peak_mb:6.0f} MB  exit {codes}"
            print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
