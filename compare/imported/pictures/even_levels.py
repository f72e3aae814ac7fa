"""Levels of one height in a picture, found by where rows of pixels differ, and what each of them holds.

Vendors draw levels that are evenly spaced, in price or its logarithm. Where the steps from row to row, over all moments
of the plot, lie at a regular distance, that distance and its phase are known far better than to one row, by a Fourier
sum over the steps. Rows are mixtures of the levels that they are of; mixtures of colours are linear, and least squares
takes them apart. So a level that is two or three rows high is no longer read as one too high or too low, and what
packing with loss does to single rows is averaged over those of a level.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from liqtruth.compare.imported.pictures.palettes import Pixels
from liqtruth.heatmap.grid import FloatArray

Known = npt.NDArray[np.bool_]
SHORTEST: Final = {False: 1.6, True: 1.9}
"""Rows of a level, of pictures packed without and with loss. The steps of levels of less than two rows are those of
higher ones too, and both are tried."""
TALLEST: Final = 16.0
LEAST_LEVELS: Final = 12
ABOVE_OTHERS: Final = 4.0
"""So many times the Fourier sum of a distance must stand above the middle of all distances."""
TRIED: Final = 4
FINEST: Final = 8
"""Distances are tried so many to the resolution that the number of rows gives."""
FAINT: Final = 3.0
"""Steps of luminance, of 255, that packing makes of nothing."""
LUMA: Final = np.array([0.299, 0.587, 0.114])
"""ITU-R BT.601, as JPEG has it."""
WIDTHS: Final = (1e-6, 1.0, 2.0, 3.0)
"""Rows over which a row of pixels may be mixed: taken at its middle, drawn with smooth edges, made smaller or larger"""
MOST_OFF: Final = {False: 0.1, True: 0.45}
"""Part of the squared differences between rows that levels may leave unexplained; wrong ones leave nearly all."""
BESIDE: Final = 6
"""Sums so many resolutions beside a high one are its own, where few clusters make most steps."""
FINER: Final = {False: 0.3, True: 1.0}
"""What finer levels may leave of what coarser ones do, to go before them."""
ALIKE: Final = 0.02
"""Rows that are not mixed go before mixed ones that leave hardly less."""
SHIFTS: Final = (0.0, -0.04, 0.04, -0.08, 0.08)
"""Of the phase: a little of it decides of which level a row that is not mixed is."""
LEAST_PART: Final = 0.05
"""Rows of a level at the ends of what is read; less is none."""
RIDGE: Final = 1e-3


@dataclass(frozen=True, eq=False)
class EvenLevels:
    """`ends` are where levels begin and end, in rows from the first one's upper edge (levels + 1); `parts` (rows,
    levels) how much of each row is of each level; `off` what part of the squared differences of rows they leave."""

    ends: FloatArray
    parts: FloatArray
    off: float = np.inf

    @property
    def is_crisp(self) -> bool:
        """Whether each row is of one level."""
        return bool((self.parts.max(axis=1) == 1).all())

    @property
    def is_whole(self) -> bool:
        """Whether rows are as the levels make them, and nothing blurred them."""
        return self.is_crisp and self.off <= ALIKE

    def colours(self, rows: FloatArray, known: Known) -> FloatArray:
        """Those (levels, 3) of the levels, from those (rows, 3) of rows; NaN where no known row is of a level."""
        parts = self.parts[known]
        found = np.linalg.solve(parts.T @ parts + RIDGE * np.eye(parts.shape[1]), parts.T @ rows[known])
        held = parts.sum(axis=0) >= self.parts.sum(axis=0) / 3
        return np.where(held[:, None], np.clip(found, 0, 255), np.nan)

    def unexplained(self, rows: FloatArray, known: Known) -> float:
        """Part of the squared differences of luminance between rows that the levels do not make."""
        both = known[1:] & known[:-1]
        drawn = self.parts @ np.nan_to_num(self.colours(rows, known))
        seen, off = (float((np.diff(of @ LUMA)[both] ** 2).sum()) for of in (rows, rows - drawn))
        return off / max(seen, 1e-300)


def even_levels(
    plot: Pixels, fits: Known, across: FloatArray, rows: FloatArray, known: Known, lossy: bool
) -> EvenLevels | None:
    """The levels of a plot's pixels (rows, columns, 3), `fits` where these are of the palette; null where steps lie at
    no regular distance, or levels there do not explain the colours `rows` (rows, 3) where these are `known`.
    `across` (rows + 1) are the edges of rows on an axis on which levels are even."""
    steps = _steps(plot, fits)
    for per in _regular(steps, across):
        least = np.inf
        for one in _alike(per, across):
            if one < SHORTEST[lossy] * _span(across)[1]:
                continue
            levels = _best(one, _phase(one, steps, across), across, rows, known)
            crisp = one >= 2 * _span(across)[1] or levels.is_crisp
            if crisp and levels.off <= MOST_OFF[lossy] and levels.off < FINER[lossy] * least:
                return levels
            least = min(least, levels.off)
    return None


def _best(per: float, phase: float, across: FloatArray, rows: FloatArray, known: Known) -> EvenLevels:
    """The levels of a distance that leave the least unexplained."""
    tried = [_levels(per, phase + shift, across, WIDTHS[0]) for shift in SHIFTS]
    tried += [_levels(per, phase, across, width) for width in WIDTHS[1:]]
    off = np.array([levels.unexplained(rows, known) for levels in tried])
    crisp = off[: len(SHIFTS)]
    best = int((crisp if crisp.min() <= off.min() + ALIKE else off).argmin())
    return replace(tried[best], off=float(off[best]))


def _levels(per: float, phase: float, across: FloatArray, width: float) -> EvenLevels:
    ends = _ends(per, phase, across)
    return EvenLevels(ends, _parts(ends, across.size - 1, width))


def _steps(plot: Pixels, fits: Known) -> FloatArray:
    """How much rows differ from the next, over all columns in which both are of the palette, less what is usual."""
    both = fits[1:] & fits[:-1]
    steps = np.where(both, np.maximum(np.abs(np.diff(plot @ LUMA, axis=0)) - FAINT, 0), 0).sum(axis=1)
    found = np.sqrt(steps / np.maximum(both.sum(axis=1), 1))
    less: FloatArray = found - found.mean()
    return less


def _regular(steps: FloatArray, across: FloatArray) -> Iterator[float]:
    """Distances on the axis at which steps may lie, those of the highest Fourier sums first."""
    span, per_row = _span(across)
    waves = (
        np.arange(max(LEAST_LEVELS, span / per_row / TALLEST), 0.5 * span / per_row + 1e-9, 1 / FINEST) / span
    )
    heights = np.abs(_sums(waves, steps, across))
    enough = ABOVE_OTHERS * float(np.median(heights))
    for _ in range(TRIED):
        best = int(heights.argmax())
        if heights[best] < enough:
            return
        near = waves[best] + np.linspace(-1, 1, 65) / (FINEST * span)
        yield 1 / float(near[np.abs(_sums(near, steps, across)).argmax()])
        heights[max(0, best - BESIDE * FINEST) : best + BESIDE * FINEST] = 0


def _alike(per: float, across: FloatArray) -> tuple[float, ...]:
    """Distances whose steps may look as those of one, the longest first: what it is an overtone of, and a shorter one
    of less than two rows."""
    _, per_row = _span(across)
    return 3 * per, 2 * per, per, 1 / (1 / per_row - 1 / per)


def _sums(waves: FloatArray, steps: FloatArray, across: FloatArray) -> npt.NDArray[np.complex128]:
    turns = np.outer(waves, across[1:-1] - across[0])
    return np.asarray(np.exp(-2j * np.pi * turns) @ steps, dtype=np.complex128)


def _phase(per: float, steps: FloatArray, across: FloatArray) -> float:
    """Where steps lie, in distances."""
    return -float(np.angle(_sums(np.array([1 / per]), steps, across)[0])) / (2 * np.pi)


def _span(across: FloatArray) -> tuple[float, float]:
    """Of all rows, and of one."""
    span = abs(float(across[-1] - across[0]))
    return span, span / (across.size - 1)


def _ends(per: float, phase: float, across: FloatArray) -> FloatArray:
    """Ends of levels in rows, from the first row's upper edge to the last one's lower."""
    at = across - across[0]
    up = np.sign(at[-1])
    first, last = sorted((0.0, float(at[-1]) / per))
    places = up * per * (np.arange(np.floor(first - phase) - 1, np.ceil(last - phase) + 2) + phase)
    rows = np.arange(at.size, dtype=np.float64)
    inner = np.sort(np.interp(places, up * at, rows, left=0.0, right=rows[-1]))
    inner = inner[(inner > LEAST_PART) & (inner < rows[-1] - LEAST_PART)]
    return np.concatenate([[0.0], inner, [rows[-1]]])


def _parts(ends: FloatArray, rows: int, width: float) -> FloatArray:
    """How much of each row, looked at over `width` rows, is of each level."""
    middle = np.arange(rows)[:, None] + 0.5
    low, high = np.maximum(middle - width / 2, 0.0), np.minimum(middle + width / 2, rows)
    parts = np.clip(np.minimum(high, ends[1:]) - np.maximum(low, ends[:-1]), 0.0, None)
    found: FloatArray = parts / parts.sum(axis=1, keepdims=True)
    return found
