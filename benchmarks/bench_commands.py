"""CPU of whole commands beside the floor: a script with bare polars and sqlite3 that reads the same rows and answers.

    python benchmarks/bench_commands.py [--folder DIR] [--rounds 5] [--other OLD/.venv/bin/liqtruth]

The store is that of `bench_growth.py`, of one day: a book of 250,000 positions, 60,000 accounts, 200 coins. The floors
read the same columns of those rows from plain Parquet, one file a coin, what is looked up from a plain SQLite file, and
the series from the store's own files; they count what the commands count and write it as JSON: of `map exact` the bins
and the breakdown by six dimensions; of `compare` the exact map and its crowd, four modelled maps of bars and two of an
earlier book, each scored on three ranges, and clusters of all; of `index status` addresses, ages, coverage and checks;
of `feed status` spans, gaps and what is wrong with open interest beside candles. Models and findings are the plainest
that do such work, not ours: no brackets, cohorts, repairs or pairs of clusters; and floors have no options, no checks
of what they read and no notes. Commands and floors take turns, each a process of its own; the least CPU
(user and system, seconds) of all rounds counts, so that what else the machine does weighs on all alike. `--other` is
another liqtruth, to be measured in the same turns.
"""

import os
import sqlite3
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Final

import polars as pl

ROOT: Final = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.bench_growth import COIN, NOW, made_aside, thinned  # noqa: E402
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
COMPARE: Final = f"""
import json, sqlite3, sys
import numpy as np, polars as pl
folder, store, coin = sys.argv[1], sys.argv[2], pl.col
asked = "select mark_px, open_interest from market where coin = '{COIN}'"
mark_px, open_interest = sqlite3.connect(folder + "/plain.db").execute(asked).fetchone()
edges = np.arange(-695, 696) * np.log1p(1e-3)
def series(dataset, venue):
    database = sqlite3.connect(store + "/liqtruth.db")
    asked = "select path from partition where dataset = ? and venue = ? and coin = '{COIN}' order by first_at"
    paths = [store + "/lake/" + path for path, in database.execute(asked, (dataset, venue))]
    return pl.read_parquet(paths[-31:]).sort("ts")
def drawn(px, usd):
    place = np.searchsorted(edges, np.log(px / mark_px), side="right")
    return np.bincount(place, usd, 1392)
def of_positions(name, most=np.inf):
    rows = pl.read_parquet(folder + name, columns=["address", "coin", "szi", "liq_px", "status", "as_of", "source"])
    rows = rows.filter(coin("coin") == "{COIN}", coin("status") != "unknown_collateral", coin("liq_px").is_not_null())
    px, szi = rows["liq_px"].to_numpy(), rows["szi"].to_numpy()
    usd = np.minimum(np.abs(szi) * mark_px, most)
    return [drawn(px[which], usd[which]) for which in (szi > 0, szi < 0)]
def of_model(bars, interest, leverages, weights, reach):
    high, low, close = (bars[name].to_numpy() for name in ("high", "low", "close"))
    opened = np.append(np.maximum(np.diff(np.interp(np.arange(len(close)), np.linspace(0, len(close), len(interest)),
        interest)), 0), 0) + interest[-1] / reach
    left = opened * np.exp(-np.arange(len(close))[::-1] / reach)
    left *= interest[-1] / left.sum()
    later = np.minimum.accumulate(low[::-1])[::-1], np.maximum.accumulate(high[::-1])[::-1]
    found = []
    for sign, extreme in ((-1, later[0]), (1, later[1])):
        made = np.zeros(1392)
        for entry in (high, low, close):
            px = entry[:, None] * (1 + sign * (1 / leverages - 0.005))
            alive = (px < extreme[:, None]) if sign < 0 else (px > extreme[:, None])
            usd = (left / 3 * close[-1])[:, None] * weights
            made += drawn(px[alive], usd[alive])
        found.append(made)
    return found
def clusters(sides):
    found = []
    for mass in sides:
        smooth = np.convolve(mass[1:-1], np.hanning(21) / 10, "same")
        peaks = np.flatnonzero((smooth[1:-1] > smooth[:-2]) & (smooth[1:-1] >= smooth[2:])) + 1
        peaks = peaks[smooth[peaks] > 2 * smooth.mean()]
        found.append([(float(edges[one]), float(smooth[one]), float(mass[max(0, one - 10):one + 11].sum()))
            for one in peaks])
    return found
def apart(truth, model, reach):
    scores = []
    for one, other in zip(truth, model):
        inside = np.abs(edges[:-1]) <= np.log1p(reach)
        shares = [np.cumsum(mass[1:-1][inside]) / max(mass[1:-1][inside].sum(), 1e-300) for mass in (one, other)]
        scores.append(float(np.abs(shares[0] - shares[1]).sum() * np.log1p(1e-3)))
    return scores
truth = of_positions("/{COIN}.parquet")
crowd = of_positions("/{COIN}.parquet", 0.003 * open_interest * mark_px)
binance, hyperliquid = ((series("candles", venue), series("open_interest", venue)) for venue in
    ("binance", "hyperliquid"))
nodes = np.geomspace(1, 100, 40)
bell, tiers = np.exp(-0.5 * (np.log(nodes / 10)) ** 2), np.isin(np.arange(40), (20, 28, 34, 39)).astype(float)
maps = [of_model(bars, readings["open_interest"].to_numpy(), nodes, weight / weight.sum(), reach)
    for (bars, readings), weight, reach in ((binance, bell, 240), (binance, tiers, 1e9), (binance, bell, 1e9),
    (hyperliquid, bell, 720))]
maps += [of_positions("/earlier.parquet")] * 2
scores = [[apart(layer, one, reach) for layer in (truth, crowd) for reach in (0.1, 0.25, 0.5)] for one in maps]
json.dump(dict(
    maps=[[side.tolist() for side in one] for one in (truth, crowd, *maps)], scores=scores,
    clusters=[clusters(one) for one in (truth, crowd, *maps)], open_interest=open_interest,
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
import numpy as np, polars as pl
store, coin = sys.argv[2], pl.col
database = sqlite3.connect(store + "/liqtruth.db")
files = {}
for *series, path in database.execute(
    "select dataset, venue, coin, path from partition where reading_id is null and dataset in "
    "('candles', 'mark_candles', 'open_interest', 'funding', 'ratios', 'liquidations', 'listening', 'tiers')"
):
    files.setdefault(tuple(series), []).append(store + "/lake/" + path)
ts, px = coin("ts"), coin("open_interest") * coin("close")
def gaps(at):
    steps = at.diff().drop_nulls().dt.total_seconds().to_numpy()
    return int((steps > 1.5 * np.median(steps)).sum()), int(steps.max())
def still(values):
    runs = values.rle().struct.field("len")
    return int((runs >= 24).sum()), int(runs.max())
def findings(readings, bars):
    beside = readings.join_asof(bars, on="ts")
    usd = beside.filter((coin("open_interest_usd") / px).log().abs() > 0.05).height
    moved = beside.select(coin("open_interest").diff().abs() > coin("volume")).to_series().sum()
    leaps = bars.filter((coin("open") / coin("close").shift(1)).log().abs() > 1.5).height
    reach = (bars["high"] / bars["low"]).log()
    wrong = bars.filter((coin("low") > coin("high")) | (coin("close") <= 0) | ts.is_duplicated()).height
    values = readings["open_interest"].drop_nulls().to_numpy()
    shares = values[:, None] / 10.0 ** np.arange(12, -9, -1)
    step = (np.abs(shares - np.round(shares)) < 1e-6).all(axis=0).tolist()
    return (usd, moved, leaps, int((reach > 6 * reach.median()).sum()), wrong, step, still(readings["open_interest"]),
        still(bars["close"]), gaps(bars["ts"]), gaps(readings["ts"]))
read = {series: pl.read_parquet(paths).sort("ts") for series, paths in files.items()}
def told(series):
    rows, (dataset, *market) = read[series], series
    found = findings(rows, read["candles", *market]) if dataset == "open_interest" else ()
    return rows.height, str(rows["ts"][0]), str(rows["ts"][-1]), gaps(rows["ts"].unique().sort()), found
json.dump([[*series, *told(series)] for series in read], sys.stdout)
"""
HELP: Final = """
import typer
app = typer.Typer()
app.command()(lambda: None)
app(["--help"])
"""
FLOORS: Final = (
    (f"map exact {COIN} --json", MAP, 0.8),
    (f"compare {COIN} --json", COMPARE, 2.0),
    ("index status --json", STATUS, 0.8),
    ("feed status --json", FEEDS, 1.0),
    ("--help", HELP, 0.12),
)
"""Command, floor and target (CPU seconds)."""


def make_plain(folder: Path) -> None:
    """The rows of the last book as the floors read them."""
    folder.mkdir(parents=True)
    snapshot = drawn_snapshot()
    thinned(snapshot, NOW - timedelta(days=1)).write_parquet(folder / "earlier.parquet")
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
