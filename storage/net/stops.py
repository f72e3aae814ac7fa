"""How a signal ends what gives the answer so far: the first SIGINT or SIGTERM asks for it, the second ends as ever."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Whether a stop was asked for; work looks at `is_set` between its steps."""

    def __init__(self) -> None:
        self.is_set = False
        self._called: list[Callable[[], None]] = []

    def set(self) -> None:
        self.is_set = True
        for call in list(self._called):
            call()

    @contextmanager
    def calling(self, what: Callable[[], None]) -> Iterator[None]:
        """Meanwhile `what` is called in the running loop when it is set, and at once where it is already."""
        loop = asyncio.get_running_loop()

        def call() -> None:
            loop.call_soon_threadsafe(what)

        if self.is_set:
            what()
        self._called.append(call)
        try:
            yield
        finally:
            self._called.remove(call)


@contextmanager
def on_signal() -> Iterator[Stop]:
    """A stop that the first SIGINT or SIGTERM sets; it is for the main thread, elsewhere nothing sets it."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {signum: signal.getsignal(signum) for signum in SIGNALS}

    def restored() -> None:
        for signum, handler in before.items():
            signal.signal(signum, handler)

    def first(signum: int, frame: FrameType | None) -> None:
        restored()
        stop.set()

    for signum in SIGNALS:
        signal.signal(signum, first)
    try:
        yield stop
    finally:
        restored()
