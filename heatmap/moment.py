"""How old what is shown is: a moment held against the clock at the time of looking, never stored.

Amber from an hour on, red from a day on: a map of yesterday looks like one of now.
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
"""Up to so many seconds an age is told in this unit."""


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
