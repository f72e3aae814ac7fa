"""What runs for days: how it is ended, and how it tells what it does."""

import asyncio
import logging
import signal
import sys
from contextlib import suppress

import structlog


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
