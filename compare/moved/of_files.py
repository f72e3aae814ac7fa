"""Two moments of a map from files: a file each, or two columns of one heatmap over time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np

from liqtruth.compare.imported.named_files import names_file, parted
from liqtruth.compare.imported.overlap import Reach, cut
from liqtruth.compare.imported.read import given_of, open_maps, read_map
from liqtruth.compare.moved.followed import Between
from liqtruth.compare.moved.job import Prices, report
from liqtruth.compare.moved.moved import Moved
from liqtruth.compare.moved.placed import follow_places
from liqtruth.heatmap import files
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.words.notes import Notes, note, of_codes
from liqtruth.heatmap.words.text import utc_text
from liqtruth.storage.store import Store

ABOUT_AMOUNTS: Final = frozenset(
    {"unit_unknown", "unit_percent", "side_contradicted", "moment_of_file", "moment_by_age"}
)
"""Codes of notes of the maps that hold for what became of them too."""


@dataclass(frozen=True)
class MovedFiles:
    """`before` and `after` are `FILE` or `FILE#NAME`; without `before` it is the first column of the same heatmap.
    `marks_px` are the prices that split sides, of the earlier and the later, where the files state none."""

    coin: str
    before: str | None
    after: str
    marks_px: Sequence[float] = ()


def are_files(start: str | datetime | None, end: str | datetime | None) -> bool:
    """Whether the moments are map files; raises `BadInput` where one is a file and the other a moment."""
    named = [isinstance(one, str) and names_file(one) for one in (start, end)]
    if named[1] and (named[0] or start is None):
        return True
    if any(named):
        raise BadInput(
            f"--from and --to must both be map files, or both moments, got {start} and {end or 'the latest'}"
        )
    return False


def moved_files(store: Store, plan: MovedFiles) -> Moved:
    """Follow the clusters of two maps by place, on the prices that both cover.

    Raises `BadInput` for maps of different makers or units, or in the wrong order, and what `read_map` does.
    """
    if len(plan.marks_px) > 2:
        raise BadInput(f"--mark must be one price, or one of each map, got {len(plan.marks_px)}")
    marks: list[float | None] = [*plan.marks_px] if plan.marks_px else [None]
    before = _read(plan.before or _first_column(plan), plan.coin, marks[0])
    after = _read(plan.after, plan.coin, marks[-1])
    _check_pair(before, after)
    before, after, about = _on_common_prices(before, after)
    prices = Prices.stored(store.view(), before, after)
    found = follow_places(before, after, Between(*prices.range()))
    stated = of_codes((*before.coverage.notes, *after.coverage.notes), ABOUT_AMOUNTS)
    notes = (note("moved_by_place"), *about, *dict.fromkeys(stated))
    return report(before, after, prices, "place", found, notes)


def _read(file: str, coin: str, mark_px: float | None) -> Heatmap:
    return read_map(file, coin=coin, mark=None if files.is_own(parted(file)[0]) else mark_px)


def _first_column(plan: MovedFiles) -> str:
    """The earliest map of a heatmap over time."""
    path, _ = parted(plan.after)
    if not files.is_own(path):
        names = list(open_maps(path, given_of(plan.coin)))
        if len(names) > 1 and names[0][:1].isdigit() and names[0][-1:] == "Z":
            return f"{path}#{names[0]}"
    raise BadInput(f"--from must be a map file too: {path} holds no earlier moment")


def _check_pair(before: Heatmap, after: Heatmap) -> None:
    """Amounts of two makers are in different units: what went from one to the other would be made up."""
    pairs = [(one.coin, one.label, _maker(one)) for one in (before, after)]
    if pairs[0] != pairs[1]:
        got = " and ".join(f"{one.coin} {one.label}" for one in (before, after))
        raise BadInput(f"--from and --to must be one map at two moments, got {got}")
    if before.as_of >= after.as_of:
        raise BadInput(
            f"--from must be the earlier map, got {utc_text(before.as_of)} and {utc_text(after.as_of)}; `liqtruth map "
            "import FILE --as-of TIME -o OUT.json` gives a map its moment"
        )


def _maker(one: Heatmap) -> tuple[str, str, str] | None:
    return None if one.origin is None else (one.origin.vendor, one.origin.layout, one.origin.unit)


def _on_common_prices(before: Heatmap, after: Heatmap) -> tuple[Heatmap, Heatmap, Notes]:
    """Both cut to the prices that both cover: what only one of them covers was neither born nor closed."""
    ends = [one.covers for one in (before, after) if one.covers is not None]
    if not ends:
        return before, after, ()
    low_px, high_px = max(low for low, _ in ends), min(high for _, high in ends)
    if low_px >= high_px:
        raise BadInput("the maps must have prices in common, got none that both cover")
    cuts = [cut(one, _reach(one.mark_px, low_px, high_px)) for one in (before, after)]
    narrower = any(new is not old for new, old in zip(cuts, (before, after), strict=True))
    about = (note("moved_common_prices", low_px=low_px, high_px=high_px),) if narrower else ()
    return cuts[0], cuts[1], about


def _reach(mark_px: float, low_px: float, high_px: float) -> Reach:
    return Reach(max(float(np.log(mark_px / low_px)), 0.0), max(float(np.log(high_px / mark_px)), 0.0))
