"""What runs for days: how it is ended, how it logs what it does, and how its loop goes on while a thread works."""

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import structlog

Done = TypeVar("Done")


def stopping(for_s: float | None) -> asyncio.Event:
    """An event that SIGINT, SIGTERM or the end of `for_s` sets; a second signal ends the process as usual."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def end() -> None:
        stop.set()
        for signum in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(signum)

    for signum in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError, RuntimeError):
            loop.add_signal_handler(signum, end)
    if for_s is not None:
        loop.call_later(for_s, stop.set)
    return stop


def log_to_stderr(as_json: bool, quiet: bool = False) -> None:
    """One line per event: for people on a terminal, JSON otherwise or where it is asked for."""
    render = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING if quiet else logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


async def aside(work: Callable[..., Done], *args: Any) -> Done:
    """What `work` gives, done by a thread; whoever is cancelled meanwhile still waits for its end."""
    return await whole(asyncio.to_thread(work, *args))


async def whole(work: Coroutine[Any, Any, Done]) -> Done:
    """What `work` gives; it is brought to its end even where the caller is cancelled meanwhile."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise


async def unless(stop: asyncio.Event, work: Coroutine[Any, Any, Done]) -> Done | None:
    """What `work` gives; null where `stop` is set first, which cancels it."""
    task, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([task, stopping], return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        for one in (task, stopping):
            one.cancel()
        await asyncio.gather(task, stopping, return_exceptions=True)
