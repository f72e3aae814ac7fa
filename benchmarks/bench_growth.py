"""What a command costs as the store grows: CPU seconds, peak memory, files opened and sessions on stores of some days.

    python benchmarks/bench_growth.py [--days 1 7 30] [--folder DIR] [--minutes 5] [--book-minutes 5]
        [--compact] [--runs 3] [--only WORD]

A store is made by the product's own writers: a last book of 250,000 positions (60,000 accounts, 200 coins), books every
`--book-minutes` before it, marks of all coins every `--minutes`, and hourly series of four venues for 180 days. Books
but the last are thinned to 2,000 positions of all coins, or 30 days would take 90 GB: the manifest is whole, and what a
question about now opens is whole too. Each command runs as a process of its own, `--runs` times; the least CPU counts.
Files and sessions are counted in another run. The last two columns are ratios of the longest store to the shortest, of
CPU and of memory. `--compact` has `index compact` run on the stores first.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

ROOT: Final = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.bench_storage import drawn_snapshot  # noqa: E402
from benchmarks.telling import command_line  # noqa: E402
from liqtruth.estimator.frames import DATASETS, conform  # noqa: E402
from liqtruth.indexer.frames import ACCOUNTS  # noqa: E402
from liqtruth.indexer.frames import conform as as_frame  # noqa: E402
from liqtruth.indexer.positions.latest import keep_latest  # noqa: E402
from liqtruth.storage.database.markets import store_markets  # noqa: E402
from liqtruth.storage.database.tables import Market, Reading, Scope  # noqa: E402
from liqtruth.storage.store import Settings, Store  # noqa: E402

THINNED: Final = 2_000
VENUES: Final = ("binance", "bybit", "okx", "hyperliquid")
SERIES_HOURS: Final = 180 * 24
BESIDE_BOOKS: Final = timedelta(days=31)
NOW: Final = datetime.now(UTC).replace(second=0, microsecond=0)
COIN: Final = "COIN0"
COMMANDS: Final = (
    f"map exact {COIN} --json",
    f"map exact {COIN} --series 1d --json",
    f"map exact {COIN} --series 7d --step 210m --json",
    f"map model {COIN} --venue binance --json",
    f"compare {COIN} --json",
    "index status --json",
    f"index positions --coin {COIN} --json",
    "index positions --json",
    f"map positions {COIN} --between 0.0001 1000000000 --json",
    "feed status --json",
    "gather",
    "--help",
)
"""As a user writes them, but for `gather`: what `calibrate fit` reads, 28 samples of seven days, without the fit."""
GATHERING: Final = f"""
import sys
from pathlib import Path
from liqtruth.compare.calibration.lake_samples import gather
from liqtruth.compare.calibration.samples import Limits
from liqtruth.estimator.model.leverage_model import leverage_model_named
from liqtruth.indexer.positions.readings import Readings
from liqtruth.storage.store import Settings, Store
from datetime import timedelta
with Store.existing(Settings(data_dir=Path(sys.argv[2]))) as store:
    start = Readings(store, "{COIN}").known()["as_of"].max() - 27 * timedelta(hours=6)
    limits = Limits(least_coverage=0.0)
    found = gather(store, ["{COIN}"], leverage_model_named("prior"), start=start, limits=limits)
    print(len(found.pairs), "samples", file=sys.stderr)
"""


@dataclass(frozen=True)
class Cost:
    """CPU seconds and MB of a process, its exit code, and how many files it opens and sessions it begins."""

    cpu_s: float
    peak_mb: float
    code: int
    opened: int = 0
    sessions: int = 0


def make_store(folder: Path, days: int, minutes: int, book_minutes: int) -> None:
    """Everything up to `NOW`, whose last book is whole."""
    snapshot = drawn_snapshot()
    with Store.open(Settings(data_dir=folder)) as store:
        for at in moments(days, timedelta(minutes=book_minutes)):
            write_book(store, thinned(snapshot, at), at)
        write_book(store, shifted(snapshot, NOW), NOW)
        keep_latest(store)
        write_marks(store, snapshot, days, minutes)
        for venue in VENUES:
            write_series(store, venue)


def made_aside(folder: Path, days: int, minutes: int, book_minutes: int) -> None:
    """In a process of its own: what this one once used counts as the least peak memory of those that it starts."""
    print(f"making a store of {days} days in {folder}", file=sys.stderr)  # noqa: T201
    words = [sys.executable, __file__, "--make", "--folder", folder, "--days", days]
    words += ["--minutes", minutes, "--book-minutes", book_minutes]
    subprocess.run([str(word) for word in words], check=True)


def moments(days: int, step: timedelta) -> Iterator[datetime]:
    start = NOW - timedelta(days=days)
    return (start + number * step for number in range(int(timedelta(days=days) / step)))


def shifted(snapshot: pl.DataFrame, at: datetime) -> pl.DataFrame:
    """As read in the minutes before `at`."""
    late = pl.lit(at, snapshot.schema["as_of"]) - pl.col("as_of").max()
    return snapshot.with_columns(as_of=pl.col("as_of") + late)


def thinned(snapshot: pl.DataFrame, at: datetime) -> pl.DataFrame:
    every_coin = snapshot.unique("coin", keep="first")
    some = pl.concat([every_coin, snapshot.sample(THINNED - every_coin.height, seed=int(at.timestamp()))])
    return shifted(some.unique(["address", "coin"], maintain_order=True), at)


def write_book(store: Store, positions: pl.DataFrame, at: datetime) -> None:
    holders = positions.unique("address", maintain_order=True)
    reading = Reading(
        id=f"book-{at:%Y%m%dT%H%M%S%f}",
        venue="hyperliquid",
        source="synthetic",
        scope=Scope.BOOK,
        as_of=at,
        accounts=holders.height,
        positions=positions.height,
    )
    store.lake.write_reading(reading, {"positions": positions, "accounts": as_frame(holders, ACCOUNTS)})


def write_marks(store: Store, snapshot: pl.DataFrame, days: int, minutes: int) -> None:
    coins = snapshot.group_by("coin", maintain_order=True).agg(
        pl.col("mark_px").first(), held=pl.col("szi").filter(pl.col("szi") > 0).sum()
    )
    rows = coins.rows(named=True)
    for at in [*moments(days, timedelta(minutes=minutes)), NOW]:
        store_markets(
            store.database,
            (
                Market(
                    venue="hyperliquid",
                    dex="",
                    coin=row["coin"],
                    as_of=at,
                    mark_px=row["mark_px"],
                    open_interest=1.1 * row["held"],
                    max_leverage=10,
                    margin_table_id=10,
                )
                for row in rows
            ),
        )


def write_series(store: Store, venue: str) -> None:
    rng = np.random.default_rng(len(venue))
    mark_px, held = drawn_market()
    start = NOW.replace(minute=0) - timedelta(hours=SERIES_HOURS)
    ts = [start + timedelta(hours=hour) for hour in range(SERIES_HOURS + 1)]
    beside = np.array(ts) > NOW - BESIDE_BOOKS  # whose marks stay
    moved = rng.normal(0, np.where(beside, 0.0003, 0.006))
    close = mark_px * np.exp(np.cumsum(moved[::-1])[::-1])
    spread = np.exp(np.abs(rng.normal(0, 0.003, len(ts))))
    opened = np.append(close[0], close[:-1])
    volume = held / 20 * rng.lognormal(0, 0.5, len(ts))
    candles = pl.DataFrame(
        {
            "ts": ts,
            "interval_s": [3600] * len(ts),
            "open": opened,
            "high": np.maximum(opened, close) * spread,
            "low": np.minimum(opened, close) / spread,
            "close": close,
            "volume": volume,
        }
    )
    interest = 1.1 * held * np.exp(np.cumsum(rng.normal(0, 0.0004, len(ts))[::-1])[::-1])
    readings = pl.DataFrame({"ts": ts, "open_interest": interest})
    for name, rows in (("candles", candles), ("open_interest", readings)):
        dataset = DATASETS[name]
        store.lake.merge_series(name, venue, COIN, conform(rows, name), dataset.key, "synthetic")


def drawn_market() -> tuple[float, float]:
    """Mark of the coin and coins held by longs."""
    of_coin = drawn_snapshot().filter(coin=COIN)
    return float(of_coin["mark_px"][0]), float(of_coin.filter(pl.col("szi") > 0)["szi"].sum())


COUNTING: Final = """
import sys
from liqtruth.cli import main
from tests.read_budget import counted_reads
with counted_reads() as reads:
    try:
        main()
    finally:
        print(len(reads.opened), reads.sessions, file=sys.stderr)
"""


def cost_of(command: str, folder: Path, runs: int) -> Cost:
    """The least of so many runs."""
    least = min((run(command, folder) for _ in range(runs)), key=lambda cost: cost.cpu_s)
    opened, sessions = reads_of(command, folder)
    return replace(least, opened=opened, sessions=sessions)


def reads_of(command: str, folder: Path) -> tuple[int, int]:
    """Parquet files that the command opens and sessions on the database that it begins."""
    if command == "gather":
        return 0, 0
    words = [sys.executable, "-c", COUNTING, "--data-dir", str(folder), *command.split()]
    done = subprocess.run(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False
    )
    counts = done.stderr.splitlines()[-1].split()
    return int(counts[0]), int(counts[1])


def run(command: str, folder: Path) -> Cost:
    called = ["-c", GATHERING] if command == "gather" else ["-m", "liqtruth.cli"]
    words = [sys.executable, *called, "--data-dir", str(folder), *command.split()]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, os.waitstatus_to_exitcode(status))


def shown(costs: Sequence[Cost]) -> str:
    cells = [
        f"{cost.cpu_s:6.2f} s {cost.peak_mb:5.0f} MB {cost.opened:4} files {cost.sessions:3}"
        for cost in costs
    ]
    failed = "".join(f"  exit {cost.code}" for cost in costs if cost.code)
    ratios = f"{costs[-1].cpu_s / costs[0].cpu_s:5.2f} {costs[-1].peak_mb / costs[0].peak_mb:5.2f}"
    return "   ".join([*cells, ratios]) + failed


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--days", type=int, nargs="+", default=[1, 7, 30])
    parser.add_argument("--folder", type=Path, help="where stores are made, and found again")
    parser.add_argument("--minutes", type=int, default=5, help="between marks")
    parser.add_argument("--book-minutes", type=int, default=5, help="between books")
    parser.add_argument("--runs", type=int, default=3, help="of each command, the least CPU counts")
    parser.add_argument("--compact", action="store_true", help="compact the stores first")
    parser.add_argument("--only", help="commands with this word")
    parser.add_argument(
        "--make", action="store_true", help="make the store of --days in --folder, and no more"
    )
    asked = parser.parse_args()
    if asked.make:
        return make_store(asked.folder, asked.days[0], asked.minutes, asked.book_minutes)
    with tempfile.TemporaryDirectory() as temporary:
        folders = [(asked.folder or Path(temporary)) / f"{days}d" for days in asked.days]
        for folder, days in zip(folders, asked.days, strict=True):
            if not folder.exists():
                made_aside(folder, days, asked.minutes, asked.book_minutes)
        for folder in folders if asked.compact else ():
            run("index compact", folder)
        print(f"{'':50}" + "   ".join(f"{days:>27} days" for days in asked.days) + "   ratios")  # noqa: T201
        for command in COMMANDS:
            if asked.only is None or asked.only in command:
                costs = [cost_of(command, folder, asked.runs) for folder in folders]
                print(f"{command:50}" + shown(costs), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
