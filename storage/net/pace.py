"""A pace that every process of a data directory keeps together: when the next one may go.

Places are reserved on one time line, in a small file: the moment by which all that was reserved is used up. The file
is locked only while it is read and written, and the system lets go of a lock when its holder ends, so a kill leaves at
most the one place that it had reserved. Times are this machine's monotonic clock, which all its processes share; after
a restart, or on another machine, the line begins anew.
"""

import fcntl
import math
import os
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

from liqtruth.heatmap.errors import LiqtruthError

BURST_SHARE: Final = 1 / 40
LATE_SHARE: Final = 1 / 60
"""Who uses a place later than this share of the window after its moment reserves another one."""
LONGEST_LINE_S: Final = 86_400.0
BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
ROW: Final = struct.Struct("<4d32s")


@dataclass
class Line:
    """`busy_until_s`: all places reserved so far are used up; `blocked_until_s`: nobody goes before; `limit`: the
    largest that was asked for within a window before `limit_at_s` or after."""

    busy_until_s: float = 0.0
    blocked_until_s: float = 0.0
    limit: float = 0.0
    limit_at_s: float = 0.0

    def reserve(self, weight: float, limit: float, window_s: float, now_s: float) -> float:
        """Take a place for `weight`; returns the moment at which it may be used.

        A leaky bucket lets through its capacity at once and its rate after that, so a window can see both: they are
        chosen to be the limit together, and so that a place may be used a little late.
        """
        if limit >= self.limit or not 0 <= now_s - self.limit_at_s <= window_s:
            self.limit, self.limit_at_s = limit, now_s
        capacity = self.limit * BURST_SHARE
        per_s = (self.limit - capacity) / (window_s * (1 + LATE_SHARE))
        self.busy_until_s = max(self.busy_until_s, now_s) + weight / per_s
        return max(self.busy_until_s - capacity / per_s, self.blocked_until_s, now_s)

    def hold(self, seconds: float, now_s: float) -> None:
        self.blocked_until_s = max(self.blocked_until_s, now_s + seconds)

    def is_believable(self, now_s: float) -> bool:
        """Whether bytes of a file may be such a line."""
        values = astuple(self)
        return all(math.isfinite(one) and one >= 0 for one in values) and (
            max(self.busy_until_s, self.blocked_until_s, self.limit_at_s) <= now_s + LONGEST_LINE_S
        )


@dataclass
class Pace:
    """A time line of this process alone, or of all that give the same `path`."""

    path: Path | None = None
    clock: Callable[[], float] = time.monotonic
    _own: Line = field(default_factory=Line)

    def reserve(self, weight: float, limit: float, window_s: float) -> float | None:
        """`Line.reserve`; null where another process has the line at this instant: ask again in a moment."""
        with self._line() as line:
            return None if line is None else line.reserve(weight, limit, window_s, self.clock())

    def hold(self, seconds: float) -> None:
        """Let nobody go for so long: at once in this process, and in others unless the file is in use right now."""
        self._own.hold(seconds, self.clock())
        with self._line() as line:
            if line is not None:
                line.hold(seconds, self.clock())

    def blocked_s(self) -> float:
        """How long nobody may go yet."""
        with self._line() as line:
            until_s = max(self._own.blocked_until_s, 0.0 if line is None else line.blocked_until_s)
        return max(until_s - self.clock(), 0.0)

    @contextmanager
    def _line(self) -> Iterator[Line | None]:
        """The line to read and change; null where another process has it."""
        if self.path is None:
            yield self._own
            return
        file = _opened(self.path)
        try:
            line = _read(file, self.clock()) if _locked(file) else None
            before = None if line is None else astuple(line)
            yield line
            if line is not None and astuple(line) != before:
                os.pwrite(file, ROW.pack(*astuple(line), _boot()), 0)
        finally:
            os.close(file)


def _opened(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise LiqtruthError(f"cannot keep the pace in {path}: {error.strerror}") from error


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(file: int, now_s: float) -> Line:
    """The line in the file; a new one where it is of another start of the machine, or damaged."""
    with suppress(struct.error):
        *values, boot = ROW.unpack(os.pread(file, ROW.size, 0))
        line = Line(*values)
        if boot == _boot() and line.is_believable(now_s):
            return line
    return Line()


@cache
def _boot() -> bytes:
    """Which start of the machine this is; 32 bytes."""
    try:
        return BOOT_ID.read_bytes().replace(b"-", b"")[:32].ljust(32, b"\0")
    except OSError:
        return bytes(32)
