"""What could not be read and was left out so that the rest goes on: counted by kind, the first of each kind named."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from liqtruth.heatmap.errors import PartlyRead, one_line

MOST_KINDS = 64
MOST_SHOWN = 160

ITEMS: Final = "{count:,} {kind} left out, e.g. {first}"
"""A line of a kind that is a plural: `3 lines left out`."""
ROWS: Final = "{count} left out: {kind} (the first: {first})"
"""A line of a kind that is a reason: `3 left out: the price is not a number`."""


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
