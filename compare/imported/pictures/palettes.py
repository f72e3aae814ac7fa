"""Colours that stand for amounts: named palettes, a palette read off a colour bar, and the amount of a colour.

Colours are compared in Oklab (Ottosson 2020, https://bottosson.github.io/posts/oklab/), where equal distances look
equally far apart: the amount of a pixel is that of the nearest colour along the palette, and the distance to it is how
doubtful the pixel is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from liqtruth.heatmap.drawing.theme import LONG, PAPER, SHORT, VIRIDIS
from liqtruth.heatmap.grid import FloatArray, IntArray

Pixels = npt.NDArray[np.uint8]
"""Red, green and blue along the last axis."""

POINTS: Final = 1024
"""So many colours a strand of a palette is made of."""
MANY: Final = 200_000
"""Pixels of which a table of all colours tells which are alike."""
HUE: Final = {False: np.array([1.0, 1.0, 1.0]), True: np.array([1.0, 0.4, 0.4])}
"""Weight of lightness and both axes of hue; where pictures are packed with loss, hue is smeared over several pixels."""
FROM_LINEAR: Final = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
TO_LAB: Final = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
GLOW: Final = 0.003
"""Light added to all, without which two blacks that nobody can tell apart would lie far from one another."""
MAGMA: Final = (
    "#000004", "#140e36", "#3b0f70", "#641a80", "#8c2981", "#b73779", "#de4968", "#f7705c", "#fe9f6d", "#fecf92",
    "#fcfdbf",
)  # fmt: skip


def oklab(rgb: npt.ArrayLike) -> FloatArray:
    """Lightness and two axes of hue, of red, green and blue from 0 to 255."""
    part = np.asarray(rgb, dtype=np.float64) / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    linear = GLOW + (1 - GLOW) * linear
    found: FloatArray = np.cbrt(linear @ FROM_LINEAR.T) @ TO_LAB.T
    return found


@dataclass(frozen=True, eq=False)
class Palette:
    """`rgb` (points, 3) from 0 to 255 and the amount of each point, from 0 for none to 1 for the most."""

    name: str
    rgb: FloatArray
    amounts: FloatArray
    on_page: bool = False
    """Whether what holds nothing has the colour of the page."""

    @classmethod
    def of_stops(cls, name: str, strands: Iterable[Mapping[float, Any]]) -> "Palette":
        """Of colours (red, green, blue) by amount, each strand straight from stop to stop."""
        at = np.linspace(0, 1, POINTS)
        rgb = [
            np.stack([np.interp(at, [*stops], part) for part in np.array([*stops.values()]).T], axis=1)
            for stops in strands
        ]
        return cls(name, np.concatenate(rgb), np.tile(at, len(rgb)))

    @classmethod
    def of_bar(cls, rgb: Pixels, name: str = "colour bar") -> "Palette":
        """Of the pixels (n, 3) along a colour bar, from none to the most."""
        return cls.of_stops(name, [dict(zip(np.linspace(0, 1, len(rgb)).tolist(), rgb, strict=True))])

    @cached_property
    def _lab(self) -> FloatArray:
        return oklab(self.rgb)

    @cached_property
    def _trees(self) -> dict[bool, Any]:
        from scipy.spatial import cKDTree

        return {blurred: cKDTree(self._lab * HUE[blurred]) for blurred in HUE}

    @property
    def length(self) -> float:
        """From the first colour of a strand to its last, along it."""
        steps = np.diff(oklab(self.rgb[:POINTS]), axis=0)
        return float(np.linalg.norm(steps, axis=1).sum())

    def read(self, pixels: Pixels, blurred: bool = False) -> tuple[FloatArray, FloatArray]:
        """Amount and distance to the palette of each pixel; `blurred` where hues are less sharp than lightness."""
        packed = pixels.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], dtype=np.uint32)
        colours, which = _told_apart(packed.ravel())
        parts = np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=1)
        lab = oklab(parts)
        _, nearest = self._trees[blurred].query(lab * HUE[blurred])
        distance = np.linalg.norm(lab - self._lab[nearest], axis=1)
        which = which.reshape(packed.shape)
        return self.amounts[nearest][which], distance[which]

    def draw(self, amounts: FloatArray) -> Pixels:
        """The pixels of amounts from 0 to 1, in the first strand."""
        at: IntArray = np.rint(np.clip(amounts, 0, 1) * (POINTS - 1)).astype(np.int64)
        return np.rint(self.rgb[at]).astype(np.uint8)


def _told_apart(packed: npt.NDArray[np.uint32]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.integer]]:
    """The different colours, ascending, and the place of each pixel's; of many pixels by a table of all colours, which
    is faster than to sort them."""
    if packed.size < MANY:
        return np.unique(packed, return_inverse=True)
    there = np.zeros(1 << 24, dtype=bool)
    there[packed] = True
    colours = np.flatnonzero(there).astype(np.uint32)
    places = np.empty(there.size, dtype=np.int32)
    places[colours] = np.arange(colours.size, dtype=np.int32)
    return colours, places[packed]


def _hex(color: str) -> list[float]:
    return [int(color[at : at + 2], 16) for at in (1, 3, 5)]


def _even(colors: Iterable[str]) -> dict[float, list[float]]:
    rgb = [_hex(one) for one in colors]
    return dict(zip(np.linspace(0, 1, len(rgb)).tolist(), rgb, strict=True))


def _own(side: str) -> dict[float, Any]:
    """The colours of a side in pictures that this program drew before it took viridis, as seen over the paper."""
    paper, color = np.array(_hex(PAPER)), np.array(_hex(side))
    seen = {at: paper + share * (color - paper) for at, share in ((0.0, 0.04), (0.45, 0.38), (0.8, 1.0))}
    return {**seen, 1.0: color + 0.5 * (255 - color)}


PALETTES: Final[Mapping[str, tuple[Mapping[float, Any], ...]]] = {
    "coinglass": (_even(VIRIDIS),),
    "magma": (_even(MAGMA),),
    "ours": (_own(LONG), _own(SHORT), {0.0: _hex(PAPER), 1.0: _hex(PAPER)}),
}
"""Strands of each: Coinglass draws viridis, as this program does; `ours` had a colour for each side, and paper where
nothing is."""
ALIASES: Final = {"viridis": "coinglass"}


def palette_named(name: str) -> Palette | None:
    """Null where there is none of that name."""
    known = ALIASES.get(name.casefold(), name.casefold())
    if known not in PALETTES:
        return None
    found = Palette.of_stops(known, PALETTES[known])
    # Paper is nothing at every point of its strand.
    empty = (found.rgb == np.array(_hex(PAPER))).all(axis=1)
    return Palette(known, found.rgb, np.where(empty, 0.0, found.amounts), bool(empty.any()))
