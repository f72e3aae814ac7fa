"""A pace that every process of a data directory keeps together: who may go now, and when to ask again.

A server counts what arrives in a rolling window, and nobody here knows when a request arrives: some time between its
place being taken and its answer, which on a busy machine may be seconds. So a place is in use from the moment it is
taken until a window after the answer; while less than the limit is in use, no window of the server's sees more than
the limit, whatever the delays: of all that arrive in one, the request whose place was taken last counted every other.
Beside that a leaky bucket spreads requests over the window.

The line is a small file: weight in use by the moment at which it is given back, in slots. It is locked only while it is
read and written, and the system lets go of a lock when its holder ends. What is never answered, by a kill or a timeout,
is given back two windows after it was taken. Times are this machine's monotonic clock, which all its processes share;
after a restart, or on another machine, the line begins anew.
"""

import fcntl
import os
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.heatmap.grid import FloatArray

BURST_SHARE: Final = 1 / 10
"""What may go at once of a window's limit after a pause: so much waiting for answers is made up for."""
SLOTS_PER_WINDOW: Final = 240
SLOTS: Final = 512
"""Two windows, and some room."""
ASK_AGAIN_SHARE: Final = 1 / 60
"""Of the window: places in use may be given back sooner than they must be, so nobody waits longer without asking."""
SOON_S: Final = 0.002
LONGEST_LINE_S: Final = 86_400.0
BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
MOMENTS: Final = ("next_s", "blocked_until_s", "limit", "limit_at_s", "seen_s")
ROW: Final = struct.Struct(f"<{len(MOMENTS) + SLOTS}d32s")


class Place(NamedTuple):
    """`weight` that is in use; `slot` is when it is given back unless an answer comes before."""

    weight: float
    slot: int


@dataclass(eq=False)
class Line:
    """`next_s`: when the bucket lets the next one through; `blocked_until_s`: nobody goes before; `limit`: the largest
    that was asked for within a window before `limit_at_s` or after; `in_use`: weight by the slot after which it is
    free, as far as `seen_s`."""

    next_s: float = 0.0
    blocked_until_s: float = 0.0
    limit: float = 0.0
    limit_at_s: float = 0.0
    seen_s: float = 0.0
    in_use: FloatArray = field(default_factory=lambda: np.zeros(SLOTS))

    def take(self, weight: float, limit: float, window_s: float, now_s: float) -> Place | float:
        """A place for `weight`, or after how many seconds to ask again."""
        slot = self._pass_to(now_s, window_s)
        if limit >= self.limit or not 0 <= now_s - self.limit_at_s <= window_s:
            self.limit, self.limit_at_s = limit, now_s
        wait_s = max(self.next_s, self.blocked_until_s) - now_s
        if wait_s > 0:
            return wait_s
        too_much = min(float(self.in_use.sum()), float(self.in_use.sum()) + weight - self.limit)
        if too_much > 0:
            freed_s = self._freed_at_s(too_much, slot, window_s)
            self.next_s = min(max(freed_s, now_s), now_s + ASK_AGAIN_SHARE * window_s)
            return self.next_s - now_s
        self.next_s = max(self.next_s, now_s - BURST_SHARE * window_s) + weight * window_s / self.limit
        return self._kept(weight, slot + 2 * SLOTS_PER_WINDOW)

    def answered(self, place: Place, window_s: float, now_s: float) -> None:
        """The answer came: the place is free a window from now."""
        slot = self._pass_to(now_s, window_s)
        if place.slot >= slot:
            self.in_use[place.slot % SLOTS] = max(self.in_use[place.slot % SLOTS] - place.weight, 0.0)
            self._kept(place.weight, slot + SLOTS_PER_WINDOW)

    def hold(self, seconds: float, now_s: float) -> None:
        self.blocked_until_s = max(self.blocked_until_s, now_s + seconds)

    def _kept(self, weight: float, slot: int) -> Place:
        self.in_use[slot % SLOTS] += weight
        return Place(weight, slot)

    def _pass_to(self, now_s: float, window_s: float) -> int:
        """The slot of this moment; what was to be given back before it is free."""
        slot = int(now_s * SLOTS_PER_WINDOW / window_s)
        over = min(slot - int(self.seen_s * SLOTS_PER_WINDOW / window_s), SLOTS)
        self.in_use[np.arange(slot - over, slot) % SLOTS] = 0.0
        self.seen_s = now_s
        return slot

    def _freed_at_s(self, weight: float, slot: int, window_s: float) -> float:
        """When so much is given back, at the latest."""
        freed = np.cumsum(np.roll(self.in_use, -slot % SLOTS))
        return (slot + int(np.searchsorted(freed, weight)) + 1) * window_s / SLOTS_PER_WINDOW

    def packed(self, boot: bytes) -> bytes:
        return ROW.pack(*(getattr(self, name) for name in MOMENTS), *self.in_use.tolist(), boot)

    def is_believable(self, now_s: float) -> bool:
        """Whether bytes of a file may be such a line."""
        moments = np.array([getattr(self, name) for name in MOMENTS])
        values = np.concatenate([moments, self.in_use])
        latest_s = max(self.next_s, self.blocked_until_s, self.limit_at_s)
        return (
            bool(np.isfinite(values).all() and (values >= 0).all())
            and latest_s <= now_s + LONGEST_LINE_S
            and self.seen_s <= now_s
        )


@dataclass
class Pace:
    """A time line of this process alone, or of all that give the same `path`."""

    path: Path | None = None
    clock: Callable[[], float] = time.monotonic
    _own: Line = field(default_factory=Line)

    def take(self, weight: float, limit: float, window_s: float) -> Place | float:
        """`Line.take`; where another process has the line at this instant: ask again in a moment."""
        with self._line() as line:
            return SOON_S if line is None else line.take(weight, limit, window_s, self.clock())

    def answered(self, place: Place, window_s: float) -> bool:
        """`Line.answered`; false where another process has the line at this instant."""
        with self._line() as line:
            if line is not None:
                line.answered(place, window_s, self.clock())
            return line is not None

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
            before = b"" if line is None else line.packed(_boot())
            yield line
            if line is not None and (after := line.packed(_boot())) != before:
                os.pwrite(file, after, 0)
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
        moments = dict(zip(MOMENTS, values[: len(MOMENTS)], strict=True))
        line = Line(**moments, in_use=np.array(values[len(MOMENTS) :]))
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
