"""One kill of some commands that write; `benchmarks/bench_kills.py` does hundreds, over all of them."""

import random
from pathlib import Path

from killing import bases_in, kill_often, writings

QUICK = ("upgrade", "index import", "index sweep", "feed fetch", "index forget")


def test_a_kill_loses_nothing_doubles_nothing_and_locks_nothing(tmp_path: Path) -> None:
    bases = bases_in(tmp_path / "bases")
    with writings(tmp_path, accounts=80) as all_of_them:
        for writing in all_of_them:
            if writing.name in QUICK:
                done = kill_often(writing, bases, tmp_path, 1, random.Random(writing.name))
                assert done.kills == 1
                assert (done.lost, done.doubled, done.locked, done.broken) == (0, 0, 0, []), writing.name
