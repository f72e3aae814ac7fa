"""Feeds a door with mutated inputs: each must end in a result or one printable line, in bounded time and memory."""

import faulthandler
import random
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from liqtruth.heatmap.errors import LONGEST_LINE, LiqtruthError
from tests.fuzz.mutations import mutated

LONGEST_S: Final = 10.0
HANGS_AFTER_S: Final = 120.0
MOST_BYTES_MORE: Final = 1 << 30


@dataclass(frozen=True)
class Door:
    """A way in: `enter` takes an input and gives anything or raises `LiqtruthError`."""

    name: str
    seeds: Sequence[bytes]
    enter: Callable[[bytes], object]


@dataclass
class Outcome:
    """What became of the inputs of one door; `faults` has each kind of fault once, with an input that shows it."""

    door: str
    inputs: int = 0
    taken: int = 0
    refused: int = 0
    slowest_s: float = 0.0
    faults: dict[str, bytes] = field(default_factory=dict)

    def line(self) -> str:
        return (
            f"{self.door:<28} {self.inputs:>8,} inputs: {self.taken:,} taken, {self.refused:,} refused, "
            f"{len(self.faults)} kinds of fault, slowest {self.slowest_s:.2f} s"
        )


def tried(door: Door, count: int, seed: int, keep: Path | None = None) -> Outcome:
    """`count` inputs through `door`; one that hangs for minutes ends the process with a traceback."""
    chance, outcome = random.Random(f"{door.name}-{seed}"), Outcome(door.name)
    for one in door.seeds:
        _try(door, one, outcome)
    while outcome.inputs < count:
        _try(door, mutated(door.seeds, chance), outcome)
    if keep is not None:
        _keep(outcome, keep)
    return outcome


def _try(door: Door, content: bytes, outcome: Outcome) -> None:
    outcome.inputs += 1
    before, began_s = _peak(), time.perf_counter()
    faulthandler.dump_traceback_later(HANGS_AFTER_S, exit=True)
    try:
        door.enter(content)
        outcome.taken += 1
    except LiqtruthError as error:
        outcome.refused += 1
        told = str(error)
        if not told.strip() or not told.isprintable() or len(told) > LONGEST_LINE:
            outcome.faults.setdefault(f"{type(error).__name__} is not one printable line", content)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # polars' panics are no `Exception`
        outcome.faults.setdefault(_kind(error), content)
    finally:
        faulthandler.cancel_dump_traceback_later()
    took_s = time.perf_counter() - began_s
    outcome.slowest_s = max(outcome.slowest_s, took_s)
    if took_s > LONGEST_S:
        outcome.faults.setdefault(f"took more than {LONGEST_S:g} s", content)
    if _peak() - before > MOST_BYTES_MORE:
        outcome.faults.setdefault("took more than 1 GB", content)


def _kind(error: BaseException) -> str:
    """The error and the innermost place in our own code."""
    where, step = "?", error.__traceback__
    while step is not None:
        file = step.tb_frame.f_code.co_filename
        if "site-packages" not in file and "/tests/" not in file and not file.startswith("<"):
            where = f"{Path(file).parent.name}/{Path(file).name}:{step.tb_lineno}"
        step = step.tb_next
    return f"{type(error).__name__} at {where}"


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _keep(outcome: Outcome, folder: Path) -> None:
    for number, (kind, content) in enumerate(sorted(outcome.faults.items())):
        folder.mkdir(parents=True, exist_ok=True)
        stem = f"{outcome.door.replace(' ', '-')}-{number}"
        (folder / f"{stem}.input").write_bytes(content)
        (folder / f"{stem}.txt").write_text(kind + "\n")
