"""One process at a time: a lock that the system lets go of when its holder ends, however it ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from heatmap.errors import LiqtruthError


@contextmanager
def alone(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file `path` for the block; raises `LiqtruthError` naming the process that holds it already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise LiqtruthError(
                f"{what} runs already on {path.parent} (process {holder}); stop it, or use another --data-dir"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


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
