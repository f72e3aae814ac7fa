"""Lengths of time as people write them: one reader for every window, horizon, age and step."""

import re
from datetime import timedelta
from typing import Final

from liqtruth.heatmap.errors import BadInput

EXAMPLES: Final = "90s, 30m, 4h, 7d, 2w or 1y"
LONGEST: Final = timedelta(days=36_525)
"""Any moment that is believed, and this much before or after it, is in the calendar."""
SECONDS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0, "y": 365 * 86_400.0}
PART: Final = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*([smhdwy])\s*", re.IGNORECASE)


def parse_duration(text: str) -> timedelta:
    """`90m`, `48h`, `1y`, or several parts as `1d12h`; raises `BadInput` for what is none, zero or above a century."""
    given = text.strip()
    parts = PART.findall(given)
    if not parts or PART.sub("", given):
        raise BadInput(f"must be a length of time such as {EXAMPLES}, got {text!r}")
    seconds = sum(float(count) * SECONDS[unit.lower()] for count, unit in parts)
    if not 0 < seconds <= LONGEST.total_seconds():
        raise BadInput(f"must be longer than nothing and at most a century, got {text!r}")
    return timedelta(seconds=seconds)


def format_duration(length: timedelta) -> str:
    """The shortest way to write it that `parse_duration` reads: `90m`, `2d`, `1y`."""
    seconds = length.total_seconds()
    unit = next((unit for unit in "ydhm" if seconds % SECONDS[unit] == 0), "s")
    return f"{seconds / SECONDS[unit]:.15g}{unit}"
