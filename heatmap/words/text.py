"""Amounts, moments and lengths of time as people write and read them, and which moments are believed.

The age of what is shown is computed from the clock at the time of looking and never stored: amber from an hour on, bold
from a day on, since a map of yesterday looks like one of now.

A moment is believed when it is neither before there were such markets nor in the future. A single row of the year 2286
would be the latest of all until then, so it is refused where it enters.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from liqtruth.heatmap.errors import BadInput

Grade = Literal["fresh", "old", "stale"]
OLD_S: Final = 3600.0
STALE_S: Final = 86_400.0
STYLES: Final[dict[Grade, str]] = {"fresh": "", "old": "yellow", "stale": "bold yellow"}
SIDE_STYLES: Final = {"long": "green", "short": "red"}
"""In a terminal; nothing else is green or red."""
VENUE_WORDS: Final = {"unknown": "a venue that is not stated", "all": "all venues"}
"""Of what is no venue's name; others are their own words."""
UNITS: Final = ((5400.0, 60.0, "minute"), (129_600.0, 3600.0, "hour"), (float("inf"), 86_400.0, "day"))
"""Up to so many seconds an age is written in this unit."""

EARLIEST: Final = datetime(2020, 1, 1, tzinfo=UTC)
AHEAD: Final = timedelta(minutes=5)
"""How far a time may be ahead of the clock that it is compared with: clocks differ, and candles end in the future. What
is further ahead is as doubtful as an old time: one of the two is wrong."""
CLOCK_AHEAD: Final = timedelta(days=1)
"""How far an exchange's own clock may be ahead of this machine's and still be taken for the exchange's clock."""

DURATION_EXAMPLES: Final = "90s, 30m, 4h, 7d, 2w or 1y"
LONGEST_DURATION: Final = timedelta(days=36_525)
"""Any moment that is believed, and this much before or after it, is in the calendar."""
UNIT_S: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0, "y": 365 * 86_400.0}
PART: Final = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*([smhdwy])\s*", re.IGNORECASE)


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


def venue_words(venue: str) -> str:
    """A venue as a sentence names it."""
    return VENUE_WORDS.get(venue, venue)


def price(px: float) -> str:
    """Six significant figures, thousands separated."""
    if px >= 999_999.5:
        return f"{px:,.0f}"
    return f"{px:,.6g}" if px >= 1e-3 else f"{px:.10f}".rstrip("0")


def by_side(shares: tuple[float, float]) -> str:
    """One share where both sides have the same, else one for each."""
    long, short = (f"{share:.1%}" for share in shares)
    return long if long == short else f"{long} of long and {short} of short"


def percent(share: float | None, digits: int = 1) -> str:
    """A share as percent; `unknown` for null."""
    return "unknown" if share is None else f"{100 * share:z.{digits}f} %"


def counted(number: int, noun: str) -> str:
    """`1 reading`, `1,590 readings`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


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
    """`old` above an hour or ahead of the clock, `stale` above a day."""
    age_s = _age_s(moment, now)
    if age_s > STALE_S:
        return "stale"
    return "old" if age_s > OLD_S or age_s < -AHEAD.total_seconds() else "fresh"


def stamp(moment: datetime) -> str:
    """`2026-08-21 11:01 UTC`."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def as_of(moment: datetime, now: datetime | None = None) -> str:
    """`as of 2026-08-21 11:01 UTC (100 days ago)`."""
    return f"as of {stamp(moment)} ({ago(moment, now)})"


def _age_s(moment: datetime, now: datetime | None) -> float:
    return ((now or datetime.now(UTC)) - moment).total_seconds()


def utc_text(moment: datetime) -> str:
    """`2026-08-01T10:00Z`."""
    return f"{moment:%Y-%m-%dT%H:%MZ}"


def utc_text_ms(epoch_ms: float) -> str:
    return utc_text(of_ms(int(epoch_ms)))


def of_ms(epoch_ms: int) -> datetime:
    """The moment of epoch milliseconds, without the rounding of floats."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=epoch_ms)


def age(seconds: float | None) -> str:
    """`42 s`, `12 min`, `3.5 h`, `2.1 d`."""
    if seconds is None:
        return "unknown"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    if seconds < 3570:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 86_220 else f"{seconds / 86_400:.1f} d"


def hours(length: timedelta | float) -> str:
    """A timedelta or seconds: `5.5 h`, from three days on `4.0 days`."""
    seconds = length.total_seconds() if isinstance(length, timedelta) else length
    length_h = seconds / 3600
    return f"{length_h:.1f} h" if length_h < 72 else f"{length_h / 24:.1f} days"


def parse_duration(text: str) -> timedelta:
    """`90m`, `48h`, `1y`, or several parts as `1d12h`; raises `BadInput` for another text, zero and above a century."""
    given = text.strip()
    parts = PART.findall(given)
    if not parts or PART.sub("", given):
        raise BadInput(f"must be a length of time such as {DURATION_EXAMPLES}, got {text!r}")
    seconds = sum(float(count) * UNIT_S[unit.lower()] for count, unit in parts)
    if not 0 < seconds <= LONGEST_DURATION.total_seconds():
        raise BadInput(f"must be longer than zero and at most a century, got {text!r}")
    return timedelta(seconds=seconds)


def format_duration(length: timedelta) -> str:
    """The shortest way to write it that `parse_duration` reads: `90m`, `2d`, `1y`."""
    seconds = length.total_seconds()
    unit = next((unit for unit in "ydhm" if seconds % UNIT_S[unit] == 0), "s")
    return f"{seconds / UNIT_S[unit]:.15g}{unit}"


def is_timely(moment: datetime) -> bool:
    """Whether `moment` may be true by this machine's clock."""
    return EARLIEST <= moment <= datetime.now(UTC) + AHEAD


def is_timely_ms(ms: float, now_s: float | None = None) -> bool:
    """The same for epoch milliseconds; false for what no calendar knows."""
    latest_s = (datetime.now(UTC).timestamp() if now_s is None else now_s) + AHEAD.total_seconds()
    return EARLIEST.timestamp() <= ms / 1000 <= latest_s


def expected_time(now: datetime | None = None) -> str:
    """What an error text states was expected."""
    return f"a time from {EARLIEST:%Y} to now ({(now or datetime.now(UTC)):%Y-%m-%dT%H:%MZ})"


def moment_of(at: datetime | str) -> datetime:
    """A moment of the past, from ISO 8601 or a datetime; without a zone it is UTC. Raises `BadInput` for another."""
    try:
        moment = datetime.fromisoformat(at) if isinstance(at, str) else at
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadInput(f"at must be a time such as 2026-08-21T12:00Z, got {at!r}") from error
    if moment > datetime.now(UTC) + AHEAD:
        raise BadInput(f"at must be in the past, got {at!r}")
    return moment
