"""Tasks for the tests of workers: worker processes import this module alone, so that they are quick to start."""

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from liqtruth.compare.workers import THREADS
from liqtruth.estimator.errors import UnknownChoice
from liqtruth.heatmap.errors import MissingData


@dataclass(frozen=True)
class Order:
    """What a test asks of one task: `folder` counts how often each number was begun."""

    number: int
    folder: Path
    fatal: int = -1
    """The number whose worker dies the first time."""
    for_s: float = 0.0
    others_s: float = 5.0
    """How long the fatal one waits for the others; on a cluster some may be behind it in the queue of its worker."""


def squared(number: int) -> int:
    return number * number


def solved_bytes(seed: int) -> bytes:
    """Least squares large enough for BLAS to share among threads, which changes its last digits."""
    rng = np.random.default_rng(seed)
    solution = np.linalg.lstsq(rng.normal(size=(900, 300)), rng.normal(size=900), rcond=None)[0]
    return solution.tobytes()


def noted(order: Order) -> int:
    """Notes that it was begun; the fatal one then kills its own process, unless it was begun before, once the results
    of all others have come, or their turn is after it."""
    begun = times_begun(order.folder, order.number)
    (order.folder / f"{order.number}.{begun}").touch()
    time.sleep(order.for_s)
    if order.number == order.fatal and begun == 0:
        until = time.monotonic() + order.others_s
        while not (order.folder / "all but one").exists() and time.monotonic() < until:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGKILL)
    return order.number


def refuses(order: Order) -> int:
    """Number 2 refuses late, with an error that makes its message itself; number 3 at once."""
    noted(order)
    if order.number == 2:
        time.sleep(0.3)
        raise UnknownChoice("weights", "waves", ["flat", "bell"])
    if order.number == 3:
        raise MissingData("nothing is stored of DOGE; fetch it first")
    return order.number


def always_dies(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def ends_process(pid: int) -> int:
    """Ends another process, and stays for its consequences."""
    if pid:
        os.kill(pid, signal.SIGKILL)
        time.sleep(30)
    return pid


def threads_set(_: int) -> tuple[str | None, ...]:
    return tuple(os.environ.get(name) for name in THREADS)


def put_first(folder: str) -> None:
    sys.path.insert(0, folder)


def take_out(folder: str) -> None:
    sys.path.remove(folder)


def times_begun(folder: Path, number: int) -> int:
    return len([*folder.glob(f"{number}.*")])
