"""Moments and lengths of time as text."""

from datetime import UTC, datetime, timedelta

from liqtruth.heatmap import text


def utc_text(moment: datetime) -> str:
    """`2026-08-01T10:00Z`."""
    return f"{moment:%Y-%m-%dT%H:%MZ}"


def utc_text_ms(epoch_ms: float) -> str:
    return utc_text(of_ms(int(epoch_ms)))


def of_ms(epoch_ms: int) -> datetime:
    """The moment of epoch milliseconds, without the rounding of floats."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=epoch_ms)


def hours(length: timedelta) -> str:
    """`5.5 h`, from three days on `4.0 days`."""
    return text.hours(length.total_seconds())
