"""CPU of whole commands beside the floor: a script with bare polars and sqlite3 that reads the same rows and answers.

    python benchmarks/bench_commands.py [--folder DIR] [--rounds 5] [--other OLD/.venv/bin/liqtruth]

The store is that of `bench_growth.py`, of one day: a book of 250,000 positions, 60,000 accounts, 200 coins. The floors
read the same columns of those rows from plain Parquet, one file a coin, what is looked up from a plain SQLite file, and
the series from the store's own files; they count what the commands count (a map's breakdown, ages, gaps) and write it
as JSON. They have no options, no checks, no notes and no model: what `feed status` finds wrong is not in its floor, and
the floor of `compare` is its map alone. Commands and floors take turns, each a process of its own; the least CPU
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
folder, coin = sys.argv[1], pl.col
asked = "select mark_px, open_interest from market where coin = '{COIN}'"
mark_px, open_interest = sqlite3.connect(folder + "/plain.db").execute(asked).fetchone()
names = ["address", "szi", "liq_px", "leverage", "margin_mode", "account_mode", "account_value_usd", "as_of",
    "held_since", "status", "source"]
rows = pl.read_parquet(folder + "/{COIN}.parquet", columns=names)
as_of = rows["as_of"].max()
band = lambda name, edges: pl.sum_horizontal([coin(name) >= edge for edge in edges])
rows = rows.with_columns(
    side=coin("szi") < 0, usd=coin("szi").abs() * mark_px,
    age=(as_of - coin("as_of")).dt.total_seconds(), held=(as_of - coin("held_since")).dt.total_seconds(),
)
priced = rows.filter(coin("status") != "unknown_collateral")
steps = np.log(priced["liq_px"].to_numpy() / mark_px) / np.log1p(1e-3)
place = np.nan_to_num(np.clip(np.floor(steps), -695, 694) + 695, nan=1390).astype(np.int64)
side, usd = priced["side"].to_numpy(), priced["usd"].to_numpy()
binned = [np.bincount(place[which], usd[which], 1391) for which in (~side, side)]
by = priced.select(
    "side", "usd", "margin_mode", coin("account_mode").fill_null("unknown"), bin=place,
    leverage=band("leverage", [3, 7, 15, 30]), size=band("account_value_usd", [1e5, 1e6, 1e7]),
    age=band("age", [3600, 14400, 86400, 604800]), held=band("held", [14400, 86400, 604800]),
)
keys = [name for name in by.columns if name != "usd"]
parts = by.group_by(keys).agg(coin("usd").sum(), pl.len(), largest=coin("usd").max()).sort(keys)
seen = rows.group_by("side").agg(coin("usd").sum()).rows()
json.dump(dict(
    edges=(mark_px * np.exp(np.arange(-695, 696) * np.log1p(1e-3))).tolist(), binned=[one.tolist() for one in binned],
    seen=seen, open_interest=open_interest, positions=rows.height, accounts=rows["address"].n_unique(),
    oldest=rows["age"].max(), source=rows["source"].unique().to_list(), breakdown=parts.to_dict(as_series=False),
), sys.stdout)
"""
STATUS: Final = """
import json, sqlite3, sys
import polars as pl
folder, coin = sys.argv[1], pl.col
database = sqlite3.connect(folder + "/plain.db")
asked = "select source, count(*), count(last_read_at), sum(notional_usd) from account group by 1"
met = database.execute(asked).fetchall()
open_interest = dict(database.execute("select coin, open_interest from market"))
names = ["address", "coin", "szi", "mark_px", "notional_usd", "as_of", "source", "status", "check"]
rows = pl.read_parquet(folder + "/COIN*.parquet", columns=names)
accounts = pl.read_parquet(folder + "/accounts.parquet", columns=["address"])
read = accounts["address"].n_unique()
alone = rows.join(accounts, on="address", how="anti")["address"].n_unique()
aged = rows.select(age=coin("as_of").max() - coin("as_of"), usd="notional_usd").sort("age")
share = aged["usd"].cum_sum() / aged["usd"].sum()
ages = [str(aged["age"][int((share < wanted).sum())]) for wanted in (0.5, 0.9, 0.99)]
szi = coin("szi")
coins = rows.group_by("coin").agg(
    pl.len(), long=szi.filter(szi > 0).sum(), short=szi.filter(szi < 0).sum(), mark_px=coin("mark_px").median()
)
shares = [(name, *more, more[1] / open_interest[name]) for name, *more in coins.iter_rows()]
counts = [rows[name].value_counts().rows() for name in ("status", "check", "source")]
json.dump([met, read, alone, ages, shares, counts, rows.height, str(rows["as_of"].max())], sys.stdout)
"""
FEEDS: Final = """
import json, sqlite3, sys
import polars as pl
store = sys.argv[2]
database = sqlite3.connect(store + "/liqtruth.db")
files = {}
for *series, path in database.execute(
    "select dataset, venue, coin, path from partition where reading_id is null and dataset in "
    "('candles', 'mark_candles', 'open_interest', 'funding', 'ratios', 'liquidations', 'listening', 'tiers')"
):
    files.setdefault(tuple(series), []).append(store + "/lake/" + path)
def told(paths):
    rows = pl.read_parquet(paths)
    ts = rows["ts"].unique().sort()
    steps = ts.diff().drop_nulls()
    return rows.height, str(ts[0]), str(ts[-1]), int((steps > 1.5 * steps.median()).sum())
json.dump([[*series, *told(paths)] for series, paths in files.items()], sys.stdout)
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
"""Command, floor and target (CPU seconds)."""


def make_plain(folder: Path) -> None:
    """The rows of the last book as the floors read them."""
    folder.mkdir(parents=True)
    snapshot = drawn_snapshot()
    for (coin,), rows in snapshot.partition_by("coin", as_dict=True).items():
        rows.write_parquet(folder / f"{coin}.parquet")
    accounts = snapshot.group_by("address", maintain_order=True).agg(
        pl.col("source").first(),
        pl.col("as_of").max().cast(pl.String),
        pl.len(),
        pl.col("notional_usd").sum(),
    )
    accounts.write_parquet(folder / "accounts.parquet")
    with sqlite3.connect(folder / "plain.db") as database:
        database.execute("create table market (coin text primary key, mark_px real, open_interest real)")
        held = pl.col("szi").filter(pl.col("szi") > 0).sum()
        rows = snapshot.group_by("coin").agg(pl.col("mark_px").first(), 1.1 * held)
        database.executemany("insert into market values (?, ?, ?)", rows.iter_rows())
        database.execute(
            "create table account (address text primary key, source, last_read_at, positions, notional_usd real)"
        )
        database.executemany("insert into account values (?, ?, ?, ?, ?)", accounts.iter_rows())


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
        store, plain = folder / "1d", folder / "floors"
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
