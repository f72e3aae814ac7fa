"""Ages of positions as people write them: `<4h`, `4-24h`, `90m-2d`, `>7d`, or `fresh` and `stale`, parted at a day."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Final

from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.words.text import parse_duration

NAMED: Final = {"fresh": "<24h", "stale": ">24h"}
OFFERED: Final = ("<4h", "4-24h", "1-7d", ">7d", *NAMED, "any other such as <90m, 4h-2d or >36h")
"""For messages."""
UNIT: Final = re.compile(r"[a-z]\s*$", re.IGNORECASE)


@dataclass(frozen=True)
class AgeRange:
    """From `youngest` up to, but not including, `oldest`; without it however old. `name` is how it was written."""

    youngest: timedelta
    oldest: timedelta | None
    name: str


def age_range(name: str) -> AgeRange | None:
    """One age, null for what is none. The first of two lengths may leave the unit to the second: `4-24h`."""
    given = name.strip()
    text = NAMED.get(given, given)
    try:
        if text.startswith("<"):
            return AgeRange(timedelta(0), parse_duration(text[1:]), given)
        if text.startswith(">"):
            return AgeRange(parse_duration(text[1:]), None, given)
        first, _, last = text.partition("-")
        unit = UNIT.search(last)
        if unit is None:
            return None
        youngest = parse_duration(first if UNIT.search(first) else first + unit.group())
        oldest = parse_duration(last)
    except BadInput:
        return None
    return AgeRange(youngest, oldest, given) if youngest < oldest else None


def in_order(ages: Sequence[AgeRange]) -> tuple[AgeRange, ...]:
    """Youngest first; raises `BadInput` for ages that overlap."""
    found = sorted(ages, key=lambda one: one.youngest)
    for one, later in pairwise(found):
        if one.oldest is None or one.oldest > later.youngest:
            names = ",".join(one.name for one in ages)
            raise BadInput(f"ages {names!r} overlap: take fresh or stale alone, or the bands once each")
    return tuple(found)
