"""CPU of whole commands beside the floor: a script with bare polars and sqlite3 that reads the same rows and answers.

    python benchmarks/bench_commands.py [--folder DIR] [--rounds 5] [--other OLD/.venv/bin/liqtruth]

The store is that of `bench_growth.py`, of one day: a book of 250,000 positions, 60,000 accounts, 200 coins. The floors
read those rows from plain Parquet, one file a coin, and what is looked up from a plain SQLite file; they have no
options, no checks, no notes and no model. Commands and floors take turns, each a process of its own; the least CPU
(user and system, seconds) of all rounds counts, so that what else the machine does weighs on all alike. `--other` is
another liqtruth, to be measured in the same turns.
"""

import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import polars as pl

ROOT: Final = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.bench_growth import COIN, made_aside  # noqa: E402
from benchmarks.bench_storage import drawn_snapshot  # noqa: E402
from benchmarks.telling import command_line  # noqa: E402

OURS: Final = ROOT / ".venv/bin/liqtruth"
MAP: Final = f"""
import json, sqlite3, sys
import numpy as np, polars as pl
folder = sys.argv[1]
mark_px, = sqlite3.connect(folder + "/plain.db").execute("select mark_px from market where coin = '{COIN}'").fetchone()
rows = pl.read_parquet(folder + "/{COIN}.parquet", columns=["szi", "liq_px"]).drop_nulls("liq_px")
szi, px = rows["szi"].to_numpy(), rows["liq_px"].to_numpy()
place = np.clip(np.floor(np.log(px / mark_px) / 1e-3).astype(np.int64), -695, 694) + 695
binned = [np.bincount(place[side], np.abs(szi[side]) * mark_px, 1390) for side in (szi > 0, szi < 0)]
json.dump([one.tolist() for one in binned], sys.stdout)
"""
STATUS: Final = """
import json, sqlite3, sys
import polars as pl
folder = sys.argv[1]
open_interest = dict(sqlite3.connect(folder + "/plain.db").execute("select coin, open_interest from market"))
rows = pl.read_parquet(folder + "/*.parquet", columns=["coin", "szi", "address", "as_of"])
coins = rows.group_by("coin").agg(pl.len(), held=pl.col("szi").filter(pl.col("szi") > 0).sum())
shares = {coin: (count, held / open_interest[coin]) for coin, count, held in coins.iter_rows()}
json.dump([rows["address"].n_unique(), str(rows["as_of"].min()), shares], sys.stdout)
"""
FEEDS: Final = """
import json, sqlite3, sys
import polars
database = sqlite3.connect(sys.argv[2] + "/liqtruth.db")
asked = "select dataset, venue, coin, min(first_at), max(last_at), sum(rows) from partition group by 1, 2, 3"
json.dump(database.execute(asked).fetchall(), sys.stdout)
"""
HELP: Final = """
import typer
app = typer.Typer()
app.command()(lambda: None)
app(["--help"])
"""
FLOORS: Final = (
    (f"map exact {COIN} --json", MAP, 0.8),
    (f"compare {COIN} --json", MAP, 2.0),
    ("index status --json", STATUS, 0.8),
    ("feed status --json", FEEDS, 1.0),
    ("--help", HELP, 0.12),
)
"""Command, floor and target (CPU seconds); the floor of `compare` is its map alone."""


def make_plain(folder: Path) -> None:
    """The rows of the last book as the floors read them."""
    folder.mkdir(parents=True)
    snapshot = drawn_snapshot()
    for (coin,), rows in snapshot.partition_by("coin", as_dict=True).items():
        rows.write_parquet(folder / f"{coin}.parquet")
    with sqlite3.connect(folder / "plain.db") as database:
        database.execute("create table market (coin text primary key, mark_px real, open_interest real)")
        held = pl.col("szi").filter(pl.col("szi") > 0).sum()
        rows = snapshot.group_by("coin").agg(pl.col("mark_px").first(), 1.1 * held)
        database.executemany("insert into market values (?, ?, ?)", rows.iter_rows())


def cpu_s(words: list[str]) -> float:
    """Of a process, which must end well; what was compiled once is kept, as it is where liqtruth is installed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, env=environment)
    _, status, used = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{' '.join(words)[:200]} ended {os.waitstatus_to_exitcode(status)}")
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--folder", type=Path, help="where the store is made, and found again")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--other", type=Path, help="the command of another liqtruth")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        store, plain = folder / "1d", folder / "plain"
        if not store.exists():
            made_aside(store, 1, 5, 5)
        if not plain.exists():
            make_plain(plain)
        programs = [OURS, *([asked.other] if asked.other else [])]
        least: dict[tuple[str, str], float] = {}
        for _ in range(asked.rounds):
            for command, floor, _ in FLOORS:
                runs = {
                    str(program): [str(program), "--data-dir", str(store), *command.split()]
                    for program in programs
                }
                runs["floor"] = [sys.executable, "-c", floor, str(plain), str(store)]
                for name, words in runs.items():
                    least[command, name] = min(least.get((command, name), float("inf")), cpu_s(words))
        print(f"synthetic store; CPU seconds, least of {asked.rounds} rounds in turns")  # noqa: T201
        print(f"{'':28}{'ours':>7}{'floor':>7}{'ratio':>7}{'target':>8}" + ("  other" if asked.other else ""))  # noqa: T201
        for command, _, target in FLOORS:
            ours, floor_s = least[command, str(OURS)], least[command, "floor"]
            other = f"{least[command, str(asked.other)]:7.2f}" if asked.other else ""
            print(f"{command:28}{ours:7.2f}{floor_s:7.2f}{ours / floor_s:7.2f}{target:8.2f}{other}")  # noqa: T201


if __name__ == "__main__":
    main()
