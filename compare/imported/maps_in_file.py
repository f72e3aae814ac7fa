"""`MapsInFile`: the maps that one file holds, by name, each made when it is asked for."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from liqtruth.compare.errors import VendorMapRefused
from liqtruth.compare.imported.documents import Answer
from liqtruth.compare.imported.levels import Levels
from liqtruth.compare.imported.totals import too_small, totals_among
from liqtruth.compare.imported.vendor_map import WHOLE, Columns, VendorMap
from liqtruth.heatmap.grid import FloatArray, IntArray
from liqtruth.heatmap.words.notes import Notes, note

SHOWN: Final = 8
"""So many names an error or a note spells out."""
LONGEST_STEP: Final = timedelta(days=7)
"""Between columns of a map over time."""
LEAST_LATE: Final = timedelta(hours=1)
"""So long after its last column, or two columns, a map may have been updated."""


@dataclass(frozen=True, eq=False)
class MapsInFile:
    """`default` is the name of the map that is taken where none is asked for; null where one must be. `over_time` are
    all columns of a map over time."""

    vendor: str
    layout: str
    makers: Mapping[str, Callable[[], VendorMap]]
    default: str | None
    over_time: Callable[[], tuple[VendorMap, Columns]] | None = None
    by_coin: bool = False
    """Whether the names are coins, so that a coin chooses the map."""

    @classmethod
    def of_one(cls, found: VendorMap) -> "MapsInFile":
        return cls(found.vendor, found.layout, {found.name: lambda: found}, found.name)

    @classmethod
    def with_sum(
        cls, parts: Mapping[str, VendorMap], venue: str | None = None, notes: Notes = ()
    ) -> "MapsInFile":
        """The sum of all parts, then each of them; a single part is the whole. A part that is called a total is left
        out. Raises `VendorMapRefused` where it is less than what it sums."""
        kept, left_out = _without_totals(parts)
        if len(kept) == 1:
            only = next(iter(kept.values()))
            return cls.of_one(replace(only, notes=(*only.notes, *notes, *left_out)))
        whole = summed(kept, venue, (*notes, *left_out))
        makers = {one.name: (lambda one=one: one) for one in (whole, *kept.values())}
        return cls(whole.vendor, whole.layout, makers, whole.name)

    @classmethod
    def by_leverage(cls, whole: VendorMap) -> "MapsInFile":
        """The whole, and the part of each of its leverages."""
        if len(whole.leverages) < 2:
            return cls.of_one(whole)
        makers = {whole.name: lambda: whole}
        for tier in whole.leverages:
            makers[f"x{tier:g}"] = lambda tier=tier: _only_leverage(whole, tier)  # type: ignore[misc]
        return cls(whole.vendor, whole.layout, makers, whole.name)

    def noted(self, notes: Notes) -> "MapsInFile":
        """The same with notes on each map."""
        if not notes:
            return self
        makers = {name: (lambda make=make: _noted(make(), notes)) for name, make in self.makers.items()}
        return replace(self, makers=makers)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.makers)

    def named(self, name: str | None, place: str, coin: str | None = None) -> VendorMap:
        """The map of that name, in any case; by default the one that the file is about. Raises `VendorMapRefused`."""
        wanted = name or (coin if self.by_coin else None) or self.default
        if wanted is None:
            which = "a coin with --coin" if self.by_coin else "one with --name"
            raise VendorMapRefused(
                f"{place}: holds {len(self.makers)} maps ({listed(self.names)}): choose {which}"
            )
        spelled = {one.casefold(): one for one in self.names}
        if wanted.casefold() not in spelled:
            raise VendorMapRefused(f"{place}: no map {wanted!r}; the file holds {listed(self.names)}")
        found = self.makers[spelled[wanted.casefold()]]()
        if len(self.makers) == 1 or self.by_coin or self.over_time is not None:
            return found
        about = note("map_of_file", name=found.name, count=len(self.makers), names=listed(self.names))
        return replace(found, notes=(*found.notes, about))


def listed(names: Sequence[str]) -> str:
    """All of a few names, the ends of many."""
    if len(names) <= SHOWN:
        return ", ".join(names)
    return f"{', '.join(names[: SHOWN - 2])}, ... {names[-1]}"


def summed(parts: Mapping[str, VendorMap], venue: str | None = None, notes: Notes = ()) -> VendorMap:
    """All levels of maps of one file; it covers what any of them does. Maps of several venues are named in a note."""
    maps = list(parts.values())
    levels = [one.levels for one in maps]
    known = all(one.leverage is not None for one in levels)
    joined = Levels(
        np.concatenate([one.low_px for one in levels]),
        np.concatenate([one.high_px for one in levels]),
        np.concatenate([one.amount for one in levels]),
        np.concatenate([one.sides for one in levels]),
        np.concatenate([np.asarray(one.leverage) for one in levels]) if known else None,
    )
    covers = (min(one.covers[0] for one in maps), max(one.covers[1] for one in maps))
    names = tuple(one.venue for one in maps if one.venue)
    added = (note("sum_of_venues", names=names),) if venue == WHOLE and len(names) == len(maps) > 1 else ()
    return replace(
        maps[0],
        levels=joined,
        covers=covers,
        name=WHOLE,
        part="",
        venue=venue or maps[0].venue,
        leverages=tuple(sorted({tier for one in maps for tier in one.leverages})),
        notes=(*_in_all(one.notes for one in maps), *added, *notes),
    )


def _without_totals(parts: Mapping[str, VendorMap]) -> tuple[Mapping[str, VendorMap], Notes]:
    """The parts that are no sums of the others, and what is to be stated of those that are."""
    totals = totals_among(parts)
    kept = {name: one for name, one in parts.items() if name not in totals}
    sums = [float(one.levels.amount.sum()) for one in kept.values()]
    for name in totals:
        total = float(parts[name].levels.amount.sum())
        if too_small(total, sums):
            raise parts[name].answer.refuse(
                f"{name} must be the sum of the others, {sum(sums):,.6g}, got {total:,.6g}: rename or remove it"
            )
    return kept, (note("totals_left_out", names=totals),) if totals else ()


def _noted(found: VendorMap, notes: Notes) -> VendorMap:
    return replace(found, notes=(*found.notes, *notes))


def _in_all(notes: Iterable[Notes]) -> Notes:
    return tuple(dict.fromkeys(one for some in notes for one in some))


def _only_leverage(whole: VendorMap, tier: float) -> VendorMap:
    assert whole.levels.leverage is not None
    name, levels = f"x{tier:g}", whole.levels.at(whole.levels.leverage == tier)
    return replace(whole, levels=levels, name=name, part=name, leverages=(tier,))


@dataclass(frozen=True, eq=False)
class OverTime:
    """Cells of a map over time: `about` has everything but the moment; `times` and `close_px` may be unknown, and
    `updated` is the moment of the last column."""

    about: VendorMap
    level: IntArray
    column: IntArray
    amount: FloatArray
    times: Sequence[datetime]
    close_px: FloatArray | None
    updated: datetime | None = None
    names: Sequence[str] = field(default_factory=tuple)

    @property
    def answer(self) -> Answer:
        return self.about.answer

    def maps(self) -> MapsInFile:
        """Every column that has an amount, by its time; the last by default. Raises where there is none."""
        filled = np.unique(self.column[self.amount > 0]).tolist()
        if not filled:
            raise self.answer.empty()
        self._check_cells()
        if self.times and any(a >= b for a, b in zip(self.times, self.times[1:], strict=False)):
            raise self.answer.refuse("times of the columns must ascend")
        self._check_updated()
        makers = {self._name(at): (lambda at=at: self._map(at, filled)) for at in filled}
        series = self._series if self.times and self.close_px is not None else None
        return MapsInFile(self.about.vendor, self.about.layout, makers, self._name(filled[-1]), series)

    def _check_cells(self) -> None:
        """Raises where a cell is there twice: which of its amounts counts would not be known."""
        at = self.column * self.about.levels.low_px.size + self.level
        order = np.argsort(at, kind="stable")
        twice = np.flatnonzero(np.diff(at[order]) == 0)
        if twice.size:
            first, second = np.sort(order[twice[0] : twice[0] + 2])
            raise self.answer.refuse(
                f"each price must be there once in each column, got {self.about.levels.low_px[self.level[first]]:g} "
                f"in cells {first + 1} and {second + 1}"
            )

    def _check_updated(self) -> None:
        """Raises where the last column is not of the moment of updating: whose map it is would not be known."""
        if self.updated is None or not self.times:
            return
        last = self.times[-1]
        step = last - self.times[-2] if len(self.times) > 1 else LONGEST_STEP
        if not last - step <= self.updated <= last + max(2 * step, LEAST_LATE):
            raise self.answer.refuse(
                f"the time of update must be that of the last column, {last:%Y-%m-%d %H:%M} UTC, "
                f"got {self.updated:%Y-%m-%d %H:%M}"
            )

    def _name(self, column: int) -> str:
        return f"{self.times[column]:%Y-%m-%dT%H:%M:%SZ}" if self.times else f"column {column}"

    def _map(self, column: int, filled: Sequence[int]) -> VendorMap:
        last = column == filled[-1]
        cells = self.column == column
        level, axis = self.level[cells], self.about.levels
        at = self.times[column] if self.times else None
        newest = last and (not self.times or column == len(self.times) - 1)
        moment = self.updated if newest and self.updated is not None else at
        place = note(
            "column_of_file", name=self._name(column), place=filled.index(column) + 1, count=len(filled)
        )
        return replace(
            self.about,
            levels=Levels(axis.low_px[level], axis.high_px[level], self.amount[cells]),
            name=self._name(column),
            as_of=moment,
            mark_px=float(self.close_px[column]) if self.close_px is not None else self.about.mark_px,
            notes=(*self.about.notes, place) if len(filled) > 1 else self.about.notes,
        )

    def _series(self) -> tuple[VendorMap, Columns]:
        assert self.close_px is not None
        axis = self.about.levels
        return self.about, Columns(
            self.level, self.column, self.amount, axis.low_px, axis.high_px, self.times, self.close_px
        )
