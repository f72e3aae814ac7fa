"""Errors of the whole project: one root, so that the command line maps any of them to an exit code.

LiqtruthError                 exit 1: a check failed or data is missing
├── BadInput                  exit 2: a value, file or option that cannot be used
│   ├── heatmap.MapFileError
│   ├── storage.TableRefused
│   ├── indexer.WireError ...
├── MissingData               exit 1: nothing stored answers the question
├── SourceUnreachable         exit 3: a host did not answer, retryable
└── PartlyRead                exit 3: part of what was asked for could not be read, the rest is stored or shown
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar, Final

ERROR_PREFIX: Final = "error: "
LONGEST_PRINTED: Final = 300
LONGEST_LINE: Final = LONGEST_PRINTED - len(ERROR_PREFIX)
"""So that the whole line, prefix included, is no longer than `LONGEST_PRINTED`."""
KEPT_OF_THE_END: Final = 120
UNIT: Final = re.compile(r"(?:[^\s`]|`[^`]*`|`)+")
"""A word, or a command between backticks with what clings to it."""
MOST_KINDS = 64
MOST_SHOWN = 160
ITEMS: Final = "{count:,} {kind} left out, e.g. {first}"
"""A line of a kind that is a plural: `3 lines left out`."""
ROWS: Final = "{count} left out: {kind} (the first: {first})"
"""A line of a kind that is a reason: `3 left out: the price is not a number`."""


def one_line(text: str, most: int = LONGEST_LINE) -> str:
    """`text` on one line of at most `most` printable characters, whatever it holds.

    White space is folded, what does not print is escaped, and a long text loses its middle: it begins with what is
    wrong and ends with the remedy. Words and commands between backticks stay whole, but for those that leave no room.
    """
    if len(text) > 8 * most:  # no work on what is cut anyway
        text = f"{text[: 4 * most]} {text[-4 * most :]}"
    shown = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in " ".join(text.split())
    )
    if len(shown) <= most:
        return shown
    least = min(KEPT_OF_THE_END, most // 2)
    end = _whole_units(shown[::-1], least, most // 2)[::-1] or shown[-least:]
    room = most - len(end) - 3
    begin = _whole_units(shown, room, room)
    return f"{begin if 2 * len(begin) > room else shown[:room]} … {end}"


def _whole_units(text: str, room: int, most: int) -> str:
    """As many units as fit into so many characters from the start; a command may take up to `most`."""
    end = 0
    for unit in UNIT.finditer(text):
        if unit.end() > (most if "`" in unit[0] else room):
            break
        end = unit.end()
    return text[:end]


class LiqtruthError(Exception):
    """Root of all errors that a user can act on; its text is one printable line with the value and the remedy.

    Examples
    --------
    >>> try:
    ...     lake.exact_map("BTV")
    ... except lt.LiqtruthError as error:
    ...     print(error, error.exit_code)
    no coin 'BTV' is stored; did you mean BTC? 2
    """

    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False

    def __str__(self) -> str:
        return one_line(super().__str__())


class BadInput(LiqtruthError):
    """A value, file or option that cannot be used as it is."""

    exit_code = 2


class MissingData(LiqtruthError):
    """Nothing stored answers the question; the message names the command that would fetch or import it."""


class SourceUnreachable(LiqtruthError):
    """A host did not answer, or answered with a fault that a later try may not meet."""

    exit_code = 3
    retryable = True


class PartlyRead(LiqtruthError):
    """Part of what was asked for could not be read; what could be is stored or shown already."""

    exit_code = 3
    retryable = True


class MapFileError(BadInput):
    """A file that is not a heatmap, or one of another schema version."""


@dataclass
class LeftOut:
    """Counts and first examples by kind, in bounded memory; a kind is a few words that hold no value of the input."""

    counts: dict[str, int] = field(default_factory=dict)
    first: dict[str, str] = field(default_factory=dict)

    def note(self, kind: str, what: str, times: int = 1) -> bool:
        """Count it; true where it is the first of its kind, so that it is reported once."""
        if kind not in self.counts and len(self.counts) >= MOST_KINDS:
            kind = "others"
        is_first = kind not in self.counts
        self.counts[kind] = self.counts.get(kind, 0) + times
        if is_first:
            self.first[kind] = one_line(what, MOST_SHOWN)
        return is_first

    def note_all(self, kind: str, whats: Iterable[str]) -> None:
        for what in whats:
            self.note(kind, what)

    def take(self, other: "LeftOut", line: str = ITEMS) -> list[str]:
        """Add what `other` counted; the lines of those of its kinds that are new here."""
        known = set(self.counts)
        for kind, count in other.counts.items():
            self.note(kind, other.first[kind], count)
        return [self._line(kind, line) for kind in self.counts if kind not in known]

    def forget(self, kind: str, times: int) -> None:
        """Take back what is read again."""
        left = self.counts.get(kind, 0) - times
        if left > 0:
            self.counts[kind] = left
        else:
            self.counts.pop(kind, None)
            self.first.pop(kind, None)

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def describe(self, line: str = ITEMS) -> list[str]:
        """A line for each kind, `ITEMS` or `ROWS`."""
        return [self._line(kind, line) for kind in self.counts]

    def _line(self, kind: str, line: str) -> str:
        return line.format(count=self.counts[kind], kind=kind, first=self.first.get(kind, ""))

    def raise_any(self, kept: str) -> None:
        """Raise `PartlyRead` where anything was left out; `kept` states what became of the rest."""
        if self.counts:
            raise PartlyRead(f"{'; '.join(self.describe())}; {kept}")
