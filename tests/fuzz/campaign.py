"""`python -m tests.fuzz --inputs 500000`: mutated inputs over all doors; exit 1 where one of them faults."""

import argparse
import tempfile
from multiprocessing import get_context
from pathlib import Path

from liqtruth.commands.line.terminal import say
from tests.fuzz.runner import Outcome, tried


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=500_000, help="over all doors")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--door", default="", help="only doors whose name holds this")
    parser.add_argument(
        "--keep", type=Path, default=Path(".fuzz"), help="where inputs that fault are written"
    )
    asked = parser.parse_args()
    from tests.fuzz.doors import SHARES

    names = [name for name in SHARES if asked.door in name]
    whole = sum(SHARES[name] for name in names)
    tasks = [
        (name, round(asked.inputs * SHARES[name] / whole / PARTS) + 1, asked.seed * PARTS + part, asked.keep)
        for name in names
        for part in range(PARTS)
    ]
    with get_context("spawn").Pool(asked.processes, maxtasksperchild=8) as pool:
        outcomes = pool.starmap(_one, tasks, chunksize=1)
    return _told(outcomes)


PARTS = 4
"""Each door's share is cut so that no process waits long for another."""


def _one(name: str, count: int, seed: int, keep: Path) -> Outcome:
    from tests.fuzz.doors import doors

    with tempfile.TemporaryDirectory() as folder:
        door = doors(Path(folder))[name]
        outcome = tried(door, count, seed, keep)
    say(outcome.line())
    for kind in outcome.faults:
        say(f"    {kind}")
    return outcome


def _told(outcomes: list[Outcome]) -> int:
    faults = sum(len(one.faults) for one in outcomes)
    total = sum(one.inputs for one in outcomes)
    taken = sum(one.taken for one in outcomes)
    slowest_s = max(one.slowest_s for one in outcomes)
    over = len({one.door for one in outcomes})
    say(f"{total:,} inputs over {over} doors: {taken:,} taken, {faults} faults, slowest {slowest_s:.2f} s")
    return 1 if faults else 0
