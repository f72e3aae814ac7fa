"""One process at a time: a lock that the system lets go of when its holder ends, however it ends.

A lock file holds nothing but the holder's process id, so only an ordinary file is taken for one: a link would lead the
id into whatever it points to.
"""

import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from liqtruth.heatmap.errors import LiqtruthError

OTHER: Final = "use another --data-dir"
TRIES: Final = 5
"""Whoever asks for the holder of a lock holds it for a moment itself (`holder`)."""


@contextmanager
def alone(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file `path` for the block; raises `LiqtruthError` naming the process that holds it already."""
    with _opened(path, os.O_RDWR) as file:
        try:
            taken = any(_taken(file, fcntl.LOCK_EX) for _ in range(TRIES))
        except OSError as error:
            raise _cannot(path, error) from error
        if not taken:
            raise LiqtruthError(
                f"{what} runs already on {path.parent} (process {_written(file)}); stop it, or {OTHER}"
            )
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def holder(path: Path) -> str | None:
    """The process that holds the lock file `path` (`unknown` where it did not write its id); null where none does."""
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
    written = file.read(20).strip()
    return written if written.isascii() and written.isdigit() else "unknown"


@contextmanager
def waiting(path: Path) -> Iterator[None]:
    """Hold the lock file `path` for the block, after whoever holds it now: for work of moments, so there is no limit.

    The system lets go of it when its holder ends, killed or not. Raises `LiqtruthError` where it cannot be made.
    """
    with _opened(path, os.O_RDONLY) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            raise _cannot(path, error) from error
        yield


def _opened(path: Path, how: int) -> IO[str]:
    """The lock file, made where it is missing, at its beginning."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, how | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise _cannot(path, error) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise LiqtruthError(f"the lock {path} must be an ordinary file; remove it, or {OTHER}")
    return os.fdopen(descriptor, "r" if how == os.O_RDONLY else "r+", errors="replace")


def _cannot(path: Path, error: OSError) -> LiqtruthError:
    if os.path.islink(path):  # noqa: PTH114  (false where one may not look)
        return LiqtruthError(f"the lock {path} is a symbolic link; remove it, or {OTHER}")
    if isinstance(error, PermissionError) and os.path.exists(path):  # noqa: PTH110
        return LiqtruthError(
            f"cannot take the lock {path}: it is another user's, who alone writes here; {OTHER}"
        )
    return LiqtruthError(f"cannot make the lock {path}: {error.strerror}; {OTHER}")
