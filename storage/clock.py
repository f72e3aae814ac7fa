"""Which times are believed: none before there were such markets, and none of the future.

A single row of the year 2286 would be the latest of all until then, so it is refused where it enters.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

EARLIEST: Final = datetime(2020, 1, 1, tzinfo=UTC)
AHEAD: Final = timedelta(minutes=5)
"""How far a time may be ahead of the clock that it is compared with: clocks differ, and candles end in the future."""
CLOCK_AHEAD: Final = timedelta(days=1)
"""How far an exchange's own clock may be ahead of this machine's and still be taken for the exchange's clock."""


def is_timely(moment: datetime, now: datetime | None = None) -> bool:
    """Whether `moment` may be true by the clock `now` (default: this machine's)."""
    return EARLIEST <= moment <= (now or datetime.now(UTC)) + AHEAD


def is_timely_ms(ms: float, now_s: float | None = None) -> bool:
    """The same for epoch milliseconds; false for what no calendar knows."""
    latest_s = (datetime.now(UTC).timestamp() if now_s is None else now_s) + AHEAD.total_seconds()
    return EARLIEST.timestamp() <= ms / 1000 <= latest_s


def wanted(now: datetime | None = None) -> str:
    """What an error text states was expected."""
    return f"a time from {EARLIEST:%Y} to now ({(now or datetime.now(UTC)):%Y-%m-%dT%H:%MZ})"
