"""Which times are believed: none before there were such markets, and none of the future.

A single row of the year 2286 would be the latest of all until then, so it is refused where it enters.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from liqtruth.heatmap.errors import BadInput

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


def moment_of(at: datetime | str) -> datetime:
    """A moment that was, from ISO 8601 or a datetime; without a zone it is UTC. Raises `BadInput` for another."""
    try:
        moment = datetime.fromisoformat(at) if isinstance(at, str) else at
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadInput(f"at must be a time such as 2026-08-21T12:00Z, got {at!r}") from error
    if moment > datetime.now(UTC) + AHEAD:
        raise BadInput(f"at must be a moment that was, got {at!r}, which is in the future")
    return moment
