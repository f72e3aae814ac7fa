"""The colour bar of a picture: found where colours run evenly through a whole palette, or where the user states it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from liqtruth.compare.imported.pictures.palettes import Palette, Pixels
from liqtruth.heatmap.grid import FloatArray

SHORTEST: Final = 40
"""Pixels along a bar that is found; shorter ones show too few colours."""
NARROWEST: Final = 5
"""Pixels across it."""
WHOLE: Final = 0.85
"""Part of the palette that a bar must show."""
UNEVEN: Final = 0.12
"""How far an amount along a bar may be from the straight line between its ends."""
STEP: Final = 2
"""Every so many columns are searched."""
LEAST_COLOURS: Final = 0.2
"""Length of a palette in Oklab; from black to white is 1."""
LEAST_STATED: Final = 16
"""Pixels along a bar that the user states."""


@dataclass(frozen=True)
class ColourBar:
    """In pixels, from its end of none (`x1`, `y1`) to that of the most, `across` pixels wide."""

    x1: int
    y1: int
    x2: int
    y2: int
    across: int = 1

    @property
    def columns(self) -> tuple[int, int]:
        """First and last column of pixels that it takes up."""
        half = self.across // 2 if self.x1 == self.x2 else 0
        return min(self.x1, self.x2) - half, max(self.x1, self.x2) + half

    def pixels(self, rgb: Pixels) -> Pixels:
        """One pixel after the other from none to the most, the middle one of those across. The very ends may be mixed
        with what is beside them, and are drawn on from the pixels before."""
        count = max(abs(self.x2 - self.x1), abs(self.y2 - self.y1)) + 1
        x = np.rint(np.linspace(self.x1, self.x2, count)).astype(np.int64)
        y = np.rint(np.linspace(self.y1, self.y2, count)).astype(np.int64)
        half = max(0, self.across // 2 - 1)
        beside = np.arange(-half, half + 1)
        if self.x1 == self.x2:
            found = rgb[y[:, None], np.clip(x[:, None] + beside, 0, rgb.shape[1] - 1)]
        else:
            found = rgb[np.clip(y[:, None] + beside, 0, rgb.shape[0] - 1), x[:, None]]
        along = np.median(found, axis=1)
        along[0], along[-1] = along[1] - (along[4] - along[1]) / 3, along[-2] + (along[-2] - along[-5]) / 3
        ends: Pixels = np.clip(np.rint(along), 0, 255).astype(np.uint8)
        return ends


def find_bar(amounts: FloatArray) -> ColourBar | None:
    """The longest bar in a picture's amounts (rows, columns), NaN where a pixel has no colour of the palette."""
    found = [
        *(ColourBar(at, start, at, end, across) for at, start, end, across in _bars(amounts)),
        *(ColourBar(start, at, end, at, across) for at, start, end, across in _bars(amounts.T)),
    ]
    return max(found, key=lambda one: abs(one.x2 - one.x1) + abs(one.y2 - one.y1), default=None)


def _bars(amounts: FloatArray) -> Iterator[tuple[int, int, int, int]]:
    """Of bars along the columns: middle column, row of none, row of the most, columns across."""
    filled = np.nan_to_num(amounts[:, ::STEP], nan=0.5)
    enough = (np.isfinite(amounts[:, ::STEP]).sum(axis=0) >= SHORTEST) & (
        filled.max(axis=0) - filled.min(axis=0) >= WHOLE
    )
    group: list[tuple[int, int, int]] = []
    for at in [*(np.flatnonzero(enough) * STEP).tolist(), -1]:
        run = None if at < 0 else _even_run(amounts[:, at])
        alike = (
            run is not None
            and group
            and at == group[-1][0] + STEP
            and max(abs(run[0] - group[-1][1]), abs(run[1] - group[-1][2])) <= STEP
        )
        if group and not alike:
            across = group[-1][0] - group[0][0] + 1
            if NARROWEST <= across <= abs(group[0][2] - group[0][1]) / 2:
                middle = group[len(group) // 2]
                yield middle[0], middle[1], middle[2], across
            group = []
        if run is not None:
            group.append((at, *run))


def _even_run(amounts: FloatArray) -> tuple[int, int] | None:
    """Rows of none and of the most of the longest stretch that runs evenly through the palette."""
    broken = ~np.isfinite(amounts[1:]) | ~np.isfinite(amounts[:-1])
    broken |= np.abs(np.nan_to_num(amounts[1:]) - np.nan_to_num(amounts[:-1])) > UNEVEN
    ends = [0, *(np.flatnonzero(broken) + 1).tolist(), amounts.size]
    best: tuple[int, int] | None = None
    for start, stop in pairwise(ends):
        if stop - start < SHORTEST or (best is not None and stop - start <= abs(best[1] - best[0])):
            continue
        run = amounts[start:stop]
        even = np.abs(run - np.linspace(run[0], run[-1], run.size)).max() <= UNEVEN
        if even and abs(run[-1] - run[0]) >= WHOLE:
            best = (start, stop - 1) if run[-1] > run[0] else (stop - 1, start)
    return best


def stated_bar(corners: Sequence[int], rgb: Pixels) -> ColourBar | str:
    """The bar between the ends that the user states, or what is wrong with them."""
    height, width = rgb.shape[:2]
    bar = ColourBar(*corners)
    if not all(0 <= x < width for x in (bar.x1, bar.x2)) or not all(
        0 <= y < height for y in (bar.y1, bar.y2)
    ):
        return (
            f"--bar must lie in the picture of {width} x {height} pixels, got {','.join(map(str, corners))}"
        )
    length = max(abs(bar.x2 - bar.x1), abs(bar.y2 - bar.y1)) + 1
    if length < LEAST_STATED:
        return f"--bar must be at least {LEAST_STATED} pixels long, got {length}"
    if Palette.of_bar(bar.pixels(rgb)).length < LEAST_COLOURS:
        return f"--bar must run from none to the most, got one colour at {','.join(map(str, corners))}"
    return bar
