"""Amounts, counts, distances, ages and moments as people write them.

The age of what is shown is computed from the clock at the time of looking and never stored: amber from an hour on, red
from a day on, since a map of yesterday looks like one of now.
"""

from datetime import UTC, datetime
from typing import Final, Literal

Grade = Literal["fresh", "old", "stale"]
OLD_S: Final = 3600.0
STALE_S: Final = 86_400.0
AHEAD_S: Final = 300.0
"""A moment this much ahead of the clock is as doubtful as an old one: one of the two is wrong."""
STYLES: Final[dict[Grade, str]] = {"fresh": "green", "old": "yellow", "stale": "bold red"}
UNITS: Final = ((5400.0, 60.0, "minute"), (129_600.0, 3600.0, "hour"), (float("inf"), 86_400.0, "day"))
"""Up to so many seconds an age is written in this unit."""


def ago(moment: datetime, now: datetime | None = None) -> str:
    """`now`, `12 minutes ago`, `5 hours ago`, `100 days ago`, `20 minutes ahead of the clock`."""
    age_s = _age_s(moment, now)
    size = abs(age_s)
    if size < 60:
        return "now"
    unit_s, name = next((unit_s, name) for until_s, unit_s, name in UNITS if size < until_s)
    count = int(size // unit_s)
    return f"{count} {name}{'' if count == 1 else 's'} {'ago' if age_s > 0 else 'ahead of the clock'}"


def grade(moment: datetime, now: datetime | None = None) -> Grade:
    """`old` above an hour, `stale` above a day."""
    age_s = _age_s(moment, now)
    if age_s > STALE_S:
        return "stale"
    return "old" if age_s > OLD_S or age_s < -AHEAD_S else "fresh"


def stamp(moment: datetime) -> str:
    """`2026-08-21 11:01 UTC`."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def as_of(moment: datetime, now: datetime | None = None) -> str:
    """`as of 2026-08-21 11:01 UTC (100 days ago)`."""
    return f"as of {stamp(moment)} ({ago(moment, now)})"


def _age_s(moment: datetime, now: datetime | None) -> float:
    return ((now or datetime.now(UTC)) - moment).total_seconds()


def usd(amount: float) -> str:
    """`$1.23M`, `-$31.4k`; three significant figures."""
    if amount < 0:
        return f"-{usd(-amount)}"
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(amount) >= size * 0.9995:
            return (
                f"${amount / size:.3g}{unit}" if abs(amount) < 999.5 * size else f"${amount / size:.0f}{unit}"
            )
    return f"${amount:.0f}"


def price(px: float) -> str:
    """Six significant figures, thousands separated."""
    if px >= 999_999.5:
        return f"{px:,.0f}"
    return f"{px:,.6g}" if px >= 1e-3 else f"{px:.10f}".rstrip("0")


def percent(share: float | None, digits: int = 1) -> str:
    """A share as percent; `unknown` for null."""
    return "unknown" if share is None else f"{100 * share:.{digits}f} %"


def age(seconds: float | None) -> str:
    """`42 s`, `12 min`, `3.5 h`, `2.1 d`."""
    if seconds is None:
        return "unknown"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    if seconds < 3570:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 86_220 else f"{seconds / 86_400:.1f} d"


def hours(seconds: float) -> str:
    """`5.5 h`, from three days on `4.0 days`."""
    length_h = seconds / 3600
    return f"{length_h:.1f} h" if length_h < 72 else f"{length_h / 24:.1f} days"


def counted(number: int, noun: str) -> str:
    """`1 reading`, `1,590 readings`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
