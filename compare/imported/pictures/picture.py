"""A screenshot of a heatmap to a map: the last column by its colours, in shares, between price lines that are given.

How much of a map the picture can carry is measured each time (`accuracy`).
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from liqtruth.compare.errors import VendorMapRefused
from liqtruth.compare.imported.documents import PRICES, Answer
from liqtruth.compare.imported.levels import Levels
from liqtruth.compare.imported.maps_in_file import MapsInFile
from liqtruth.compare.imported.pictures.accuracy import Accuracy, accuracy_of, smear
from liqtruth.compare.imported.pictures.colour_bar import ColourBar, find_bar, stated_bar
from liqtruth.compare.imported.pictures.column import (
    CLOSE,
    Column,
    PriceAxis,
    Readings,
    axis_through,
    last_column,
    levels_of,
    on_levels,
    plot_of,
    read_column,
)
from liqtruth.compare.imported.pictures.decoding import Decoded, decoded_of
from liqtruth.compare.imported.pictures.palettes import PALETTES, Palette, oklab, palette_named
from liqtruth.compare.imported.vendor_map import PictureGiven, VendorMap
from liqtruth.heatmap.words.notes import Notes, note

if TYPE_CHECKING:
    pass

LEAST_ROWS: Final = 20
"""Between the outermost price lines."""
MOST_LEFT_OUT: Final = 0.25
"""Part of the rows that may have no colour of the palette."""
LOOKED_AT: Final = 300
"""Columns of pixels up to the last one, by whose colours the palette is checked."""
GREY: Final = 0.05
"""Chroma in Oklab below which a colour is that of a page, a label or a line."""
LEAST_OF_PALETTE: Final = 0.8
"""Part of the other pixels that must have its colours; of the right palette it is 0.9 and more under candles, lines and
labels (`benchmarks/bench_pictures.py`), of one that is alike at most 0.73."""
LEAST_CONTRAST: Final = 0.05
"""Between the most and the least of a column; a flat one shows no levels."""
PRICE_LINE: Final = re.compile(r"\s*([\d.,_]+(?:e[+-]?\d+)?)\s*@\s*(\d+(?:\.\d+)?)\s*", re.IGNORECASE)
SOME: Final = 3
"""Every so many rows and columns decide which palette it is."""
AGREES: Final = 4.0
"""Mean difference of red, green and blue between a colour bar and a palette of a name that are the same."""


def picture_given(
    prices: Iterable[str], palette: str | None = None, column: int | None = None, bar: str | None = None
) -> PictureGiven | None:
    """What is typed of a picture: `PRICE@Y` of lines, `X1,Y1,X2,Y2` of the colour bar; null where nothing is.

    Raises `VendorMapRefused`.
    """
    lines = tuple(_line(one) for one in prices)
    if not (lines or palette or bar or column is not None):
        return None
    corners = None
    if bar is not None:
        parts = re.fullmatch(r"\s*(\d{1,6})\s*,\s*(\d{1,6})\s*,\s*(\d{1,6})\s*,\s*(\d{1,6})\s*", bar)
        if parts is None:
            raise VendorMapRefused(f"--bar must be X1,Y1,X2,Y2 in pixels, got {bar[:40]!r}")
        corners = tuple(int(part) for part in parts.groups())
    return PictureGiven(lines, palette, column, corners)  # type: ignore[arg-type]


def _line(word: str) -> tuple[float, float]:
    found = PRICE_LINE.fullmatch(word)
    try:
        if found is None:
            raise ValueError
        px, row = float(found[1].replace(",", "").replace("_", "")), float(found[2])
    except ValueError:
        raise VendorMapRefused(
            f"a price line must be PRICE@Y, e.g. 92000@140, got {word[:40]!r}: --price"
        ) from None
    return px, row


def read_picture(path: Path, given: PictureGiven | None) -> MapsInFile:
    """The map of a picture, in percent of its sum. Raises `VendorMapRefused` for one that is damaged, too large,
    animated or grey, whose lines are not stated, or whose colours are not those of the palette."""
    answer = Answer(None, str(path))
    if given is None or len(given.prices) < 2:
        raise answer.refuse(
            "a picture must come with two price lines or more: --price 92000@140 --price 78000@690 (price at row of "
            "pixels, from the top)"
        )
    decoded = decoded_of(path, answer)
    axis = _axis(given, decoded, answer)
    palette, bar = _palette(given, decoded, axis, answer)
    readings = _between(axis, decoded, palette)
    first, last = _columns(given, decoded, readings, palette, bar, answer)
    _check_colours(readings, last, palette, answer)
    column = read_column(readings, first, last)
    _check(column, axis, palette, answer)
    even = levels_of(column, readings, palette, axis)
    if even is not None:
        column = on_levels(column, even, readings, palette)
    if decoded.lossy:
        column = column.from_floor(smear(column, palette, decoded, axis))
    edges, mass = axis.at(column.ends), column.mass
    levels = Levels(
        np.minimum(edges[1:], edges[:-1]), np.maximum(edges[1:], edges[:-1]), 100 * mass / mass.sum()
    )
    notes = _notes(decoded, axis, palette, bar, column, accuracy_of(column, readings, palette, decoded, axis))
    return MapsInFile.of_one(
        VendorMap(
            answer,
            "picture",
            f"{decoded.form} in colours of {palette.name}",
            levels,
            (float(edges.min()), float(edges.max())),
            unit="percent",
            notes=notes,
        )
    )


# ----------------------------------------------------------------------------- where what is in it


def _axis(given: PictureGiven, decoded: Decoded, answer: Answer) -> PriceAxis:
    height = decoded.rgb.shape[0]
    for px, row in given.prices:
        if not (PRICES[0] < px <= PRICES[1]):
            raise answer.refuse(f"a price line must have a price above zero, got {px:g}: --price")
        if not 0 <= row <= height - 1:
            raise answer.refuse(f"a price line must be at a row from 0 to {height - 1}, got {row:g}: --price")
    axis = axis_through(given.prices)
    if isinstance(axis, str):
        raise answer.refuse(axis)
    if axis.rows.size < LEAST_ROWS:
        raise answer.refuse(
            f"price lines must be at least {LEAST_ROWS} pixels apart, got {axis.rows.size - 1}: --price"
        )
    if not (axis.edges() > 0).all():
        raise answer.refuse("prices must be above zero at all rows between the price lines: --price")
    return axis


def _between(axis: PriceAxis, decoded: Decoded, palette: Palette) -> Readings:
    rows = slice(axis.top, axis.bottom + 1)
    return Readings.of(palette, decoded.rgb[rows], decoded.solid[rows], decoded.lossy)


def _palette(
    given: PictureGiven, decoded: Decoded, axis: PriceAxis, answer: Answer
) -> tuple[Palette, ColourBar | None]:
    """The colours of the bar where it is stated, or found and other than those of the name, else those."""
    if given.bar is not None:
        bar = stated_bar(given.bar, decoded.rgb)
        if isinstance(bar, str):
            raise answer.refuse(bar)
        return Palette.of_bar(bar.pixels(decoded.rgb)), bar
    named = [palette_named(name) for name in ([given.palette] if given.palette else PALETTES)]
    known = [one for one in named if one is not None]
    if not known:
        raise answer.refuse(
            f"--palette must be one of {', '.join(PALETTES)}, or the colour bar be given with --bar: got "
            f"{(given.palette or '')[:40]!r}"
        )
    best = max(known, key=lambda one: _fit(one, decoded, axis)) if len(known) > 1 else known[0]
    if best.on_page:  # has a colour bar for each side
        return best, None
    found = find_bar(Readings.of(best, decoded.rgb, decoded.solid, decoded.lossy).near)
    if found is None:
        return best, None
    seen = found.pixels(decoded.rgb)
    agrees = np.abs(best.draw(np.linspace(0, 1, len(seen))).astype(float) - seen).mean() <= AGREES
    return best if agrees else Palette.of_bar(seen, f"the colour bar ({best.name})"), found


def _fit(palette: Palette, decoded: Decoded, axis: PriceAxis) -> float:
    """How much of the picture is near to a palette; what the page may show as well does not count."""
    some = (slice(axis.top, axis.bottom + 1, SOME), slice(None, None, SOME))
    readings = Readings.of(palette, decoded.rgb[some], decoded.solid[some], decoded.lossy)
    fits = np.maximum(CLOSE[False] - readings.distance, 0)
    return float(fits[readings.amounts > 0].sum() if palette.on_page else fits.sum())


def _columns(
    given: PictureGiven,
    decoded: Decoded,
    readings: Readings,
    palette: Palette,
    bar: ColourBar | None,
    answer: Answer,
) -> tuple[int, int]:
    """First and last column of pixels to read."""
    if given.column is not None:
        width = decoded.rgb.shape[1]
        if not 0 <= given.column < width:
            raise answer.refuse(f"--column must be from 0 to {width - 1}, got {given.column}")
        return max(given.column - 2, 0), given.column
    plot = plot_of(readings, None if bar is None else bar.columns)
    if plot is None:
        raise answer.refuse(
            f"the plot must have colours of {palette.name}, and none was found between the price lines: give "
            f"--palette ({', '.join(PALETTES)}), --bar or --column"
        )
    return last_column(readings, plot)


def _check_colours(readings: Readings, last: int, palette: Palette, answer: Answer) -> None:
    """A palette that is only like the picture's gives amounts that look sound and are not."""
    seen = slice(max(last - LOOKED_AT + 1, 0), last + 1)
    lab = oklab(readings.rgb[::SOME, seen])
    colourful = np.hypot(lab[..., 1], lab[..., 2]) > GREY
    if not colourful.any():
        return
    share = float((readings.distance[::SOME, seen][colourful] <= readings.close).mean())
    if share < LEAST_OF_PALETTE:
        raise answer.refuse(
            f"the plot must have the colours of {palette.name}, got {100 * share:.0f} % of its pixels in them: give "
            f"--palette ({', '.join(PALETTES)}) or the ends of its colour bar with --bar"
        )


def _check(column: Column, axis: PriceAxis, palette: Palette, answer: Answer) -> None:
    rows = axis.rows.size
    if column.left_out > MOST_LEFT_OUT * rows:
        raise answer.refuse(
            f"at least {100 * (1 - MOST_LEFT_OUT):.0f} % of the rows between the price lines must have colours of "
            f"{palette.name}, got {100 * (1 - column.left_out / rows):.0f} %: give --palette, --bar or --column"
        )
    if np.nanmax(column.amounts) - np.nanmin(column.amounts) < LEAST_CONTRAST:
        raise answer.refuse(
            f"columns {column.first} to {column.last} must show levels, got one colour from line to line: give --column"
        )


def _notes(
    decoded: Decoded,
    axis: PriceAxis,
    palette: Palette,
    bar: ColourBar | None,
    column: Column,
    accuracy: Accuracy,
) -> Notes:
    height, width = decoded.rgb.shape[:2]
    edges = axis.edges()
    steps = np.abs(np.diff(edges)) / edges[1:]
    found = [
        note("picture_read", form=decoded.form, width=width, height=height, first=column.first, last=column.last,
             palette=palette.name, bar=None if bar is None else [bar.x1, bar.y1, bar.x2, bar.y2]),
        note("picture_axis", rows=axis.rows.size, step_px=float(np.median(np.abs(np.diff(edges)))),
             step_pct=100 * float(np.median(steps)), is_log=axis.is_log),
        note("picture_accuracy", w1_pct=accuracy.w1_pct, rows_pct=accuracy.rows_pct,
             packing_pct=accuracy.packing_pct, faint_pct=accuracy.faint_pct, floor=column.floor),
    ]  # fmt: skip
    if column.levels is not None:
        heights = np.diff(column.ends)
        found.append(note("picture_levels", count=heights.size, rows=float(np.median(heights))))
    if column.behind:
        found.append(note("picture_behind", rows=axis.rows.size, behind=column.behind))
    if column.left_out or column.filled:
        found.append(
            note("picture_left_out", rows=axis.rows.size, left_out=column.left_out, filled=column.filled)
        )
    return tuple(found)
