"""The last column of a heatmap in a picture: its price axis, where its plot ends, and the amount of each row.

A row is read from several pixels beside one another, so that a candle, a grid line or the line of the price is seen
past. A pixel that lies close to the palette goes before one that is only near it, and one that lies in the last columns
before one to the left of them. A row without any is filled from its neighbours where it is one of few, else left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from liqtruth.compare.imported.pictures.even_levels import EvenLevels, even_levels
from liqtruth.compare.imported.pictures.palettes import Palette, Pixels
from liqtruth.heatmap.grid import FloatArray, IntArray

NEAR: Final = 0.06
"""Distance in Oklab within which a colour may be one of the palette at all."""
CLOSE: Final = {False: 0.02, True: 0.05}
"""Distance within which it is one, in a picture that is packed without and with loss: what lies between is a mixture or
something that is drawn over the plot."""
SURE: Final = {False: 0.008, True: 0.02}
"""Distance from which a candle is suspected, and columns further left are looked at."""
LEAST_OF_COLUMN: Final = 0.5
"""Part of a column of pixels that must have colours of the palette, for it to be one of the plot."""
GAP: Final = 3
"""So many pixels a line over the plot is wide."""
NARROWEST: Final = 12
"""Pixels across a plot."""
SHARE_OF_TYPICAL: Final = 0.2
"""What a column must hold of what the middle one does; emptier ones at the right are the plot's margin."""
WIDER: Final = 8
"""So many times the last columns are looked at where those show nothing."""
LABEL: Final = 320
"""Pixels to the left of the last columns that a label over them may be wide."""
OF_NOISE: Final = 3.0
"""Amounts below so many times the noise of a row are none."""
MIXED: Final = 0.15
"""How far a mixture of two colours may be from the straight line between them, in lengths of it."""
LOOKED_AT: Final = 700
"""Columns of pixels up to the last one, by whose steps the height of levels is found."""
MOST_OFF_PX: Final = 3.0
"""Pixels that a price line may lie off the axis through all of them."""


@dataclass(frozen=True)
class PriceAxis:
    """Prices by row of pixels: `intercept + slope * row`, or its exponential. `top` and `bottom` are the rows of the
    outermost price lines, whose middles they lie on."""

    intercept: float
    slope: float
    is_log: bool
    top: int
    bottom: int

    def price(self, row: FloatArray | float) -> FloatArray:
        at = self.intercept + self.slope * np.asarray(row, dtype=np.float64)
        return np.exp(at) if self.is_log else at

    @property
    def rows(self) -> IntArray:
        return np.arange(self.top, self.bottom + 1)

    def edges(self) -> FloatArray:
        """Prices between the rows, one more than there are rows."""
        return self.at(np.arange(self.rows.size + 1.0))

    def at(self, ends: FloatArray) -> FloatArray:
        """Prices of places in rows from the first one's upper edge."""
        return self.price(self.top - 0.5 + ends)


def axis_through(lines: Sequence[tuple[float, float]]) -> PriceAxis | str:
    """The axis through lines of price and row, or what is wrong with them: linear through two, through more linear or
    logarithmic, whichever they fit better."""
    px, row = np.array(sorted(lines, key=lambda line: line[1]), dtype=np.float64).T
    order = np.diff(px)
    if not ((np.diff(row) >= 1).all() and ((order > 0).all() or (order < 0).all())):
        return "--price must name rows that differ, with prices that rise or fall from row to row"
    if len(lines) == 2 and px[0] < px[1]:
        return (
            f"--price must have the higher price at the upper row, got {px[0]:g} above {px[1]:g}: are they swapped? A "
            "third line shows that prices fall upwards"
        )
    found = []
    for is_log in (False, True) if len(lines) > 2 else (False,):
        value = np.log(px) if is_log else px
        slope, intercept = np.polyfit(row, value, 1)
        off = float(np.abs((intercept + slope * row - value) / slope).max())
        found.append((off, PriceAxis(float(intercept), float(slope), is_log, round(row[0]), round(row[-1]))))
    off, axis = min(found, key=lambda one: one[0])
    if off > MOST_OFF_PX:
        return f"--price must name lines of one axis, got one {off:.0f} pixels off the axis through all"
    return axis


@dataclass(frozen=True, eq=False)
class Readings:
    """Pixels between the price lines (rows, columns, 3), amount and distance to the palette of each; the distance is
    infinite where a pixel is see-through. `lossy` where the picture is packed with loss."""

    rgb: Pixels
    amounts: FloatArray
    distance: FloatArray
    lossy: bool

    @classmethod
    def of(cls, palette: Palette, rgb: Pixels, solid: npt.NDArray[np.bool_], lossy: bool) -> "Readings":
        amounts, distance = palette.read(rgb, lossy)
        return cls(rgb, amounts, np.where(solid, distance, np.inf), lossy)

    @property
    def near(self) -> FloatArray:
        """Amounts, NaN where a pixel has no colour of the palette."""
        return np.where(self.distance <= NEAR, self.amounts, np.nan)

    @property
    def close(self) -> float:
        return CLOSE[self.lossy]


@dataclass(frozen=True, eq=False)
class Column:
    """Amounts by row, or by level where levels are of one height, NaN where one is left out; columns of pixels that
    they are from; rows that were filled from their neighbours; below which amount nothing can be told from noise; rows
    that are read left of a label, and rows that are left out."""

    amounts: FloatArray
    first: int
    last: int
    filled: int
    floor: float
    behind: int = 0
    left_out: int = 0
    levels: EvenLevels | None = None
    of_rows: FloatArray | None = None
    """Of levels, the amounts as they are read row by row."""

    @property
    def ends(self) -> FloatArray:
        """Where each row or level begins and ends, in rows from the first one's upper edge."""
        return np.arange(self.amounts.size + 1.0) if self.levels is None else self.levels.ends

    @property
    def mass(self) -> FloatArray:
        """Of each row or level; what is left out counts as none."""
        return np.nan_to_num(self.amounts) * np.diff(self.ends)

    def from_floor(self, floor: float) -> "Column":
        """With a floor that is not below this; less counts as none."""
        most = max(floor, self.floor)
        return replace(self, amounts=np.where(self.amounts < most, 0.0, self.amounts), floor=most)


def plot_of(readings: Readings, bar: tuple[int, int] | None = None) -> tuple[int, int] | None:
    """First and last column of pixels of the plot: the widest stretch of columns that have colours of the palette."""
    within = (readings.distance <= SURE[readings.lossy]).mean(axis=0) >= LEAST_OF_COLUMN
    if bar is not None:
        within[max(bar[0] - GAP, 0) : bar[1] + GAP + 1] = False
    return _widest(within, max(GAP, within.size // 300))


def _widest(within: npt.NDArray[np.bool_], gap: int) -> tuple[int, int] | None:
    """First and last place of the widest stretch that is broken by at most `gap` places at once."""
    at = np.flatnonzero(within)
    if not at.size:
        return None
    parts = np.split(at, np.flatnonzero(np.diff(at) > gap + 1) + 1)
    first, last = max(((int(part[0]), int(part[-1])) for part in parts), key=lambda ends: ends[1] - ends[0])
    return (first, last) if last - first >= NARROWEST else None


def last_column(readings: Readings, plot: tuple[int, int]) -> tuple[int, int]:
    """First and last column of pixels to read, a little inside the last that shows anything."""
    first, last = plot
    part = slice(first, last + 1)
    fits = readings.distance[:, part] <= SURE[readings.lossy]
    held = np.where(fits, readings.amounts[:, part], 0.0).mean(axis=0)
    filled = held > SHARE_OF_TYPICAL * np.median(held[held >= held.max() / 10])
    shown = _widest(filled, max(GAP, (last - first) // 50))
    end = last if shown is None else first + shown[1]
    across = int(np.clip((last - first + 1) // 200, GAP, 15))
    end = max(end - max(1, across // 3), first)
    return max(end - across + 1, first), end


def read_column(readings: Readings, first: int, last: int) -> Column:
    """The amount of each row, as the middle one of its pixels."""
    across = last - first + 1
    wide = max(0, last + 1 - WIDER * across)
    amounts = np.full(readings.amounts.shape[0], np.nan)
    for most in (SURE[readings.lossy], readings.close):
        for start in (first, wide):
            found = _middle(readings, slice(start, last + 1), most, (across + 1) // 2)
            amounts = np.where(np.isnan(amounts), found, amounts)
    beside = readings.amounts[:, first : last + 1]
    noise = np.median(np.abs(beside - np.median(beside, axis=1, keepdims=True)), axis=1)
    floor = OF_NOISE * 1.4826 * float(np.median(noise))
    amounts = np.where(amounts < floor, 0.0, amounts)
    bridged = _filled(amounts, np.median(readings.rgb[:, first : last + 1], axis=1))
    whole = np.where(np.isnan(bridged), _behind(readings, np.isnan(bridged), first, across), bridged)
    whole = np.where(whole < floor, 0.0, whole)
    filled, behind = (
        int((np.isnan(before) & ~np.isnan(after)).sum())
        for before, after in ((amounts, bridged), (bridged, whole))
    )
    return Column(whole, first, last, filled, floor, behind, int(np.isnan(whole).sum()))


def on_levels(column: Column, levels: EvenLevels, readings: Readings, palette: Palette) -> Column:
    """The amounts of levels, from the colours that their rows have in common."""
    rows, known = row_colours(column, readings, palette)
    colours = levels.colours(rows, known)
    held = np.isfinite(colours[:, 0])
    seen = np.rint(np.nan_to_num(colours)).astype(np.uint8)
    amounts, _ = palette.read(seen[:, None], readings.lossy)
    amounts = np.where(held, amounts[:, 0], np.nan)
    amounts = np.where(amounts < column.floor, 0.0, amounts)
    return replace(column, amounts=amounts, levels=levels, of_rows=column.amounts)


def levels_of(column: Column, readings: Readings, palette: Palette, axis: PriceAxis) -> EvenLevels | None:
    """Levels that are of one height on the axis, else by the logarithm of the price."""
    plot = slice(max(0, column.last + 1 - LOOKED_AT), column.last + 1)
    fits = readings.distance[:, plot] <= readings.close
    rows, known = row_colours(column, readings, palette)
    edges = axis.edges()
    for across in (np.arange(edges.size, dtype=np.float64), np.log(edges)):
        found = even_levels(readings.rgb[:, plot], fits, across, rows, known, readings.lossy)
        if found is not None:
            return found
    return None


def row_colours(
    column: Column, readings: Readings, palette: Palette
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """The colour (rows, 3) of each row of a column by rows, and which are known: the middle one of its pixels that are
    of the palette, or where they are few that of its amount."""
    part = slice(column.first, column.last + 1)
    fits = readings.distance[:, part] <= readings.close
    enough = 2 * fits.sum(axis=1) > fits.shape[1]
    drawn = palette.draw(np.nan_to_num(column.amounts)).astype(np.float64)
    drawn[enough] = np.nanmedian(np.where(fits[enough, :, None], readings.rgb[enough, part], np.nan), axis=1)
    return drawn, np.isfinite(column.amounts)


def _behind(readings: Readings, rows: npt.NDArray[np.bool_], first: int, across: int) -> FloatArray:
    """Of the rows, what stands to the left of what is drawn over them: the nearest pixels that surely are of the
    palette, as many as are read of other rows."""
    start = max(0, first - LABEL)
    found = np.full(rows.size, np.nan)
    for row in np.flatnonzero(rows):
        sure = np.flatnonzero(readings.distance[row, start:first] <= SURE[readings.lossy])[-across:]
        if sure.size == across:
            found[row] = np.median(readings.amounts[row, start + sure])
    return found


def _middle(readings: Readings, part: slice, most: float, least: int) -> FloatArray:
    """Median amount of the pixels of each row that lie within `most` of the palette; NaN for fewer than `least`."""
    fits = readings.distance[:, part] <= most
    rows = fits.sum(axis=1) >= least
    amounts = np.full(rows.size, np.nan)
    amounts[rows] = np.nanmedian(np.where(fits[rows], readings.amounts[:, part][rows], np.nan), axis=1)
    return amounts


def _filled(amounts: FloatArray, rgb: FloatArray) -> FloatArray:
    """With gaps of few rows bridged: a row whose colour is a mixture of those above and below, as where one level ends
    and the next begins, holds the same mixture of their amounts, else what lies evenly between them."""
    known = np.flatnonzero(np.isfinite(amounts))
    if known.size < 2:
        return amounts
    rows = np.arange(amounts.size)
    at = np.clip(np.searchsorted(known, rows), 1, known.size - 1)
    above, below = known[at - 1], known[at]
    bridged = np.isnan(amounts) & (above < rows) & (rows < below)
    bridged &= below - above - 1 <= max(GAP, amounts.size // 200)
    step = rgb[below] - rgb[above]
    length = np.maximum((step**2).sum(axis=1), 1e-9)
    part = np.clip(((rgb - rgb[above]) * step).sum(axis=1) / length, 0, 1)
    off = np.linalg.norm(rgb - rgb[above] - part[:, None] * step, axis=1)
    mixed = (length > 1) & (off <= MIXED * np.sqrt(length))
    part = np.where(mixed, part, (rows - above) / (below - above))
    between = amounts[above] + part * (amounts[below] - amounts[above])
    return np.where(bridged, between, amounts)


def distance_pct(edges: FloatArray, one: FloatArray, other: FloatArray) -> float:
    """Wasserstein distance of two masses between the same edges, in percent of the middle price."""
    shares = [part / max(float(part.sum()), 1e-300) for part in (one, other)]
    apart = np.abs(np.cumsum(shares[0]) - np.cumsum(shares[1]))[:-1]
    middles = (edges[1:] + edges[:-1]) / 2
    return float(100 * (apart * np.abs(np.diff(middles))).sum() / np.median(middles))
