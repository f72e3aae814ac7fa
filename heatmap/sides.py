"""A long and a short of anything: `BySide` is the pair itself, `TwoSided` what carries one among other facts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class BySide(NamedTuple, Generic[T]):
    """Iterates, zips and unpacks in the order of `heatmap.levels.SIDES`; a file holds it as an array of two."""

    long: T
    short: T

    def of(self, side: str) -> T:
        return _of(side, self.long, self.short)

    def map(self, change: Callable[[T], R]) -> BySide[R]:
        return BySide(change(self.long), change(self.short))

    @classmethod
    def each(cls, make: Callable[[str], R]) -> BySide[R]:
        """What `make` gives for the name of each side."""
        return BySide(make("long"), make("short"))


class TwoSided(Generic[T]):
    """Base of records with the fields `long` and `short` (which they declare themselves) and others."""

    __slots__ = ()
    long: T
    short: T

    @property
    def sides(self) -> BySide[T]:
        return BySide(self.long, self.short)

    def of(self, side: str) -> T:
        return _of(side, self.long, self.short)


def _of(side: str, long: T, short: T) -> T:
    if side == "long":
        return long
    if side == "short":
        return short
    raise KeyError(side)
