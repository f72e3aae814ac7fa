"""Every machine-readable output of the command line, recorded, and two such recordings compared.

For a change that must change nothing. `build` makes stored markets and a node's state (synthetic) once; `record` runs
`outputs_commands.txt` and the commands of `../shared/cases` through any `liqtruth`, and keeps exit code, stdout and
written files of each; `compare` ends 1 where two recordings differ. Inputs that others recorded are read from
`../shared`. Pages and pictures are not looked at, and of stderr only the reason of a failure.

    python benchmarks/outputs.py build INPUTS
    python benchmarks/outputs.py record BEFORE --inputs INPUTS --liqtruth OLD/.venv/bin/liqtruth
    python benchmarks/outputs.py record AFTER --inputs INPUTS
    python benchmarks/outputs.py compare BEFORE AFTER --renames renames.json
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from outputs_compared import compare, is_json
from telling import command_line

ROOT: Final = Path(__file__).resolve().parents[1]
SHARED: Final = ROOT.parent / "shared"
COMMANDS: Final = Path(__file__).with_name("outputs_commands.txt")
SERVED: Final = "--port 0 --seed 5 --accounts 1500 --days 8 --weight-per-minute 0 --venues binance,bybit,okx"
LIMIT_S: Final = 600
KEPT: Final = (".json", ".csv", ".parquet")
STORED: Final = ("models/*.json", "models/*/*.json", "final-windows.json")
"""JSON of a data directory whose layout is documented."""

# ------------------------------------------------------------------------------------------------ build


def build(folder: Path) -> None:
    """By the builders of the tests: data directories by the name of their commands, and files of a node."""
    sys.path.insert(0, str(ROOT))
    from liqtruth.estimator.model.brackets import stored_brackets
    from liqtruth.estimator.venues.table import venue_named
    from liqtruth.sandbox.hyperliquid.node_state import write_state
    from liqtruth.sandbox.market.market import MarketSpec, simulate
    from liqtruth.storage.store import Settings, Store
    from tests.compare import scored_markets, transferred_markets
    from tests.compare.calibrated_markets import random_series
    from tests.compare.stored_markets import stored_reading, stored_series
    from tests.indexer.test_node_fills import both_sides, by_block

    with Store.open(Settings(data_dir=folder / "market")) as store:
        for seed, (coin, first) in enumerate({"BTC": 59, "SOL": 60}.items(), start=11):
            series = random_series(seed)
            stored_series(store, series, coin=coin)
            for bar in range(first, 361, 12):
                stored_reading(store, series, bar, coin=coin)
        brackets = stored_brackets(store, venue_named("hyperliquid"), coin, series.as_of)
        model = transferred_markets.fitted_model()
        reported = transferred_markets.liquidated(series, model, brackets, 0.4, seed=1)
        transferred_markets.store_liquidations(store, "hyperliquid", reported)
        transferred_markets.store_listening(store, "hyperliquid", series.start, series.as_of)
        transferred_markets.store_market(store, "bybit", random_series(2), -0.2, seed=2)
    with Store.open(Settings(data_dir=folder / "scored")) as store:
        scored_markets.store_market(store, scored_markets.ScoredMarket())
    write_state(simulate(MarketSpec(seed=5, accounts=600, days=5, cex_accounts=500)), folder / "state.rmp")
    (folder / "marks.csv").write_text("ts,coin,mark\n1788220800000,BTC,80000\n")
    (folder / "fills.jsonl").write_text(by_block([one for n in range(200) for one in both_sides(n)]))


# ------------------------------------------------------------------------------------------------ record


@dataclass
class Group:
    """The commands of one data directory, run in order in a folder of their own; results go to `kept`."""

    name: str
    lines: Sequence[str]
    place: Path
    kept: Path
    liqtruth: Path
    words: Mapping[str, str]
    seen: dict[Path, int] = field(default_factory=dict)

    def run(self) -> None:
        self.written()
        for line in self.lines:
            first, *others = line.split(" | ")
            done = first_done = self.called(first)
            while done.returncode == 2 and others:
                done = self.called(others.pop(0))
            self.keep(first, first_done if done.returncode == 2 else done)
        data = self.place / "data"
        for path in (path for pattern in STORED for path in data.glob(pattern)):
            target = self.kept / "stored" / path.relative_to(data)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)

    def called(self, command: str) -> "subprocess.CompletedProcess[str]":
        """Paths are relative, so that none of the machine is in them; the real exchange is out of reach."""
        line = [str(self.liqtruth), "--data-dir", "data", *shlex.split(filled(command, self.words))]
        env = {name: value for name, value in os.environ.items() if not name.startswith("LIQTRUTH_")}
        env |= {"LIQTRUTH_HYPERLIQUID_URL": self.words["url"]}
        return subprocess.run(
            line, cwd=self.place, env=env, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )

    def keep(self, command: str, done: "subprocess.CompletedProcess[str]") -> None:
        name, count = re.sub(r"[^\w.,]+", "_", command).strip("_")[:150], 1
        folder = self.kept / name
        while folder.exists():
            folder, count = self.kept / f"{name}~{count + 1}", count + 1
        folder.mkdir(parents=True)
        (folder / "command.txt").write_text(command + "\n")
        (folder / "exit.json").write_text(f"{done.returncode}\n")
        if done.stdout.strip():
            (folder / f"stdout.{'json' if is_json(done.stdout) else 'txt'}").write_text(done.stdout)
        if done.returncode:
            (folder / "error.txt").write_text((done.stderr.strip().splitlines() or [""])[-1] + "\n")
        for path in self.written():
            shutil.copyfile(path, folder / path.name)

    def written(self) -> list[Path]:
        """Files of a kind that is kept, new or written since this was asked last."""
        before = self.seen
        self.seen = {path: path.stat().st_mtime_ns for path in self.place.iterdir() if path.suffix in KEPT}
        return [path for path, at in self.seen.items() if before.get(path) != at]


def filled(text: str, words: Mapping[str, str]) -> str:
    """With every {NAME} replaced, also inside of what a name stands for."""
    while (found := text.format_map(words)) != text:
        text = found
    return text


def record(folder: Path, liqtruth: Path, inputs: Path, jobs: int, only: Sequence[str]) -> None:
    """All groups, or those of `only`, `jobs` at a time; what they worked on is removed again."""
    work = folder.absolute() / ".work"
    work.mkdir(parents=True)
    if len(list(folder.iterdir())) > 1:
        raise SystemExit(f"{folder} is not empty")
    commands, words = told_commands()
    groups = commands | cases()
    with served(liqtruth, work) as (url, addresses):
        words |= {"url": url, "address": addresses.read_text().split()[0]}
        ready = [
            Group(name, lines, work / name, folder.absolute() / name, liqtruth, words)
            for name, lines in sorted(groups.items(), key=lambda one: -len(one[1]))
            if not only or name in only
        ]
        for group in ready:
            prepare(group, inputs.resolve(), addresses)
        with ThreadPoolExecutor(jobs) as pool:
            list(pool.map(Group.run, ready))
    shutil.rmtree(work)


def told_commands() -> tuple[dict[str, list[str]], dict[str, str]]:
    """Commands by group, and what the names in them stand for."""
    groups: dict[str, list[str]] = {}
    words: dict[str, str] = {}
    for line in (line for line in COMMANDS.read_text().splitlines() if line and not line.startswith("#")):
        if line.startswith("["):
            lines = groups.setdefault(line.strip("[]"), [])
        elif named := re.fullmatch(r"(\w+) = (.*)", line):
            words[named[1]] = named[2]
        else:
            lines.append(line)
    return groups, words


def cases() -> dict[str, list[str]]:
    """The commands of each folder of `../shared/cases` that need no shell, as JSON; then what they stored."""
    found = {}
    for path in sorted(SHARED.glob("cases/*/command.txt")):
        plain = [line for line in path.read_text().splitlines() if re.match(r"liqtruth [^|>]*$", line)]
        asked = [line.removeprefix("liqtruth ") for line in plain]
        lines = [line if re.search("--(json|csv) ", line) else f"{line} --json" for line in asked]
        found[f"case-{path.parent.name}"] = [*lines, "index positions --json", "feed status --json"]
    return found


def prepare(group: Group, inputs: Path, addresses: Path) -> None:
    """The folder of a group: its stored market or the files of its case, and links to all inputs."""
    if group.name.startswith("case-"):
        shutil.copytree(SHARED / "cases" / group.name.removeprefix("case-"), group.place)
    group.place.mkdir(exist_ok=True)
    if (inputs / group.name).is_dir():
        shutil.copytree(inputs / group.name, group.place / "data")
    (group.place / "inputs").symlink_to(inputs)
    (group.place / "shared").symlink_to(SHARED)
    shutil.copyfile(addresses, group.place / addresses.name)


@contextmanager
def served(liqtruth: Path, work: Path) -> Iterator[tuple[str, Path]]:
    """The synthetic exchange of that program on a free port: its address, and the file of its accounts."""
    addresses = work / "addresses.txt"
    line = [str(liqtruth), "sandbox", "serve", *shlex.split(SERVED), "--addresses", str(addresses)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            url = next(
                (re.search(r"http://127[\d.:]+", line) for line in process.stdout if "/info" in line), None
            )
            if url is None:
                raise SystemExit("the synthetic exchange ended before it announced itself")
            yield url[0], addresses
        finally:
            process.terminate()


def main() -> None:
    asked = command_line(__doc__)
    what = asked.add_subparsers(dest="what", required=True)
    what.add_parser("build").add_argument("folder", type=Path)
    recorded, compared = what.add_parser("record"), what.add_parser("compare")
    recorded.add_argument("folder", type=Path)
    recorded.add_argument("--liqtruth", type=Path, default=Path(sys.executable).with_name("liqtruth"))
    recorded.add_argument("--inputs", type=Path, required=True, help="what `build` made")
    recorded.add_argument("--jobs", type=int, default=2, help="data directories at a time")
    recorded.add_argument("--only", nargs="*", default=[], metavar="NAME", help="only these data directories")
    compared.add_argument("old", type=Path)
    compared.add_argument("new", type=Path)
    compared.add_argument("--renames", type=Path, help="JSON: old to new names of keys and columns")
    given = asked.parse_args()
    if given.what == "build":
        build(given.folder)
    elif given.what == "record":
        record(given.folder, given.liqtruth.absolute(), given.inputs, given.jobs, given.only)
    else:
        renames = json.loads(given.renames.read_text()) if given.renames else {}
        sys.exit(0 if compare(given.old, given.new, renames) else 1)


if __name__ == "__main__":
    main()
