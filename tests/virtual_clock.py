"""A clock that stands still while anyone computes: minutes by limits and delays alone, on a machine that is shared.

Client and server run in one loop, in one thread. As long as a socket has something to read or a callback is due, time
does not pass; when everybody waits, it moves on to the next moment that somebody waits for. What the limits, the
server's delay and the client's own pauses take is counted as on a clock, and processor time not at all: it is measured
beside it.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")
ARRIVES_S: Final = 0.0005
"""What was written to a socket of this machine can be read so much later."""


class _Selector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """Never waits for a moment: it moves the clock there."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0) or super().select(ARRIVES_S)
        if not ready and timeout is not None:
            self.now_s += max(timeout, 0.0)
        return ready or ([] if timeout is not None else super().select(None))


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now_s


def run(work: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` on such a clock, which begins at zero."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
