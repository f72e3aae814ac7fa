"""Kills at random instants over all commands that write: `benchmarks/bench_kills.py [KILLS] [SEED]`, default 200.

Each kill is on a copy of a filled data directory (creation: on none, upgrade: on one of an earlier schema). After it
the directory is opened and read, the command is run again to its end, and the directory is read again. Rows that were
there before and are not, or that the command writes and that are not there in the end, are lost; rows that are there
twice by their key are doubled; a directory that does not open, or on which the command no longer runs, is locked. The
exit code is 1 unless all three are none.
"""

import random
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
for beside in (ROOT, ROOT / "tests" / "faults"):
    sys.path.insert(0, str(beside))


def main(kills: int, seed: int) -> int:
    from killing import bases_in, kill_often, writings

    total = [0, 0, 0, 0, 0]
    with tempfile.TemporaryDirectory(prefix="liqtruth-kills-") as folder:
        place = Path(folder)
        bases = bases_in(place / "bases")
        with writings(place) as all_of_them:
            for number, writing in enumerate(all_of_them):
                share = kills // len(all_of_them) + (number < kills % len(all_of_them))
                done = kill_often(writing, bases, place, share, random.Random(f"{seed} {writing.name}"))
                figures = (done.kills, done.finished_first, done.lost, done.doubled, done.locked)
                total = [a + b for a, b in zip(total, figures, strict=True)]
                say(done.name, *figures)
                for line in done.broken[:3]:
                    sys.stdout.write(f"    {line}\n")
                total[4] += bool(done.broken) and not done.locked
    say("all", *total)
    return int(any(total[2:]))


def say(name: str, kills: int, finished: int, lost: int, doubled: int, locked: int) -> None:
    sys.stdout.write(
        f"{name:<16} {kills:>4} kills (and {finished} too late)  "
        f"{lost} rows lost  {doubled} doubled  {locked} locked\n"
    )
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 200, int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    )
