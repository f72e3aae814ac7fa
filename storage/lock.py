"""One process at a time: a lock that the system lets go of when its holder ends, however it ends."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from heatmap.errors import LiqtruthError

TRIES: Final = 5
"""Whoever asks for the holder of a lock holds it for a moment itself (`holder`)."""


@contextmanager
def alone(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file `path` for the block; raises `LiqtruthError` naming the process that holds it already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        if not any(_taken(file, fcntl.LOCK_EX) for _ in range(TRIES)):
            raise LiqtruthError(
                f"{what} runs already on {path.parent} (process {_written(file)}); stop it, or use another --data-dir"
            )
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def holder(path: Path) -> str | None:
    """The process that holds the lock file `path` (`unknown` where it did not say); null where none does."""
    try:
        file = path.open(errors="replace")
    except OSError:
        return None
    with file:
        return None if _taken(file, fcntl.LOCK_SH) else _written(file)


def _taken(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(0.01)
        return False
    return True


def _written(file: IO[str]) -> str:
    file.seek(0)
    said = file.read(20).strip()
    return said if said.isascii() and said.isdigit() else "unknown"


@contextmanager
def waiting(path: Path) -> Iterator[None]:
    """Hold the lock file `path` for the block, after whoever holds it now: for work of moments, so there is no limit.

    The system lets go of it when its holder ends, killed or not. Raises `LiqtruthError` where it cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    except OSError as error:
        raise LiqtruthError(f"cannot make the lock {path}: {error.strerror}") from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
