"""A screenshot of a heatmap to a map: the last column by its colours, in shares, between price lines that are given.

How much of a map the picture can carry is measured each time: what was read is drawn in the same colours, packed as the
picture is, and read again.
"""

import io
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from liqtruth.compare.errors import VendorMapRefused
from liqtruth.compare.imported.documents import PRICES, Answer
from liqtruth.compare.imported.levels import Levels
from liqtruth.compare.imported.maps_in_file import MapsInFile
from liqtruth.compare.imported.pictures.colour_bar import ColourBar, find_bar, stated_bar
from liqtruth.compare.imported.pictures.column import (
    CLOSE,
    Column,
    PriceAxis,
    Readings,
    axis_through,
    distance_pct,
    last_column,
    plot_of,
    read_column,
    without_gaps,
)
from liqtruth.compare.imported.pictures.palettes import PALETTES, Palette, Pixels, oklab, palette_named
from liqtruth.compare.imported.vendor_map import PictureGiven, VendorMap
from liqtruth.heatmap.notes import Notes, note
from liqtruth.storage.errors import TableRefused
from liqtruth.storage.files.content import DAMAGED, opened

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS: Final = ("PNG", "JPEG", "WEBP")
MOST_BYTES: Final = 32 * 2**20
"""Of a picture's file; a screenshot of the largest screens has 10 million."""
MOST_PIXELS: Final = 20_000_000
"""Of a picture; a screen of 5120 x 2880 has 15 million."""
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
BROKEN: Final = (*DAMAGED, SyntaxError, TypeError, MemoryError, AttributeError)
"""What decoders of pictures raise where a file breaks off or is damaged."""
PRICE_LINE: Final = re.compile(r"\s*([\d.,_]+(?:e[+-]?\d+)?)\s*@\s*(\d+(?:\.\d+)?)\s*", re.IGNORECASE)
SOME: Final = 3
"""Every so many rows and columns decide which palette it is."""
AGREES: Final = 4.0
"""Mean difference of red, green and blue between a colour bar and a palette of a name that are the same."""
SMEARED: Final = 0.02
"""Part of the most below which a row is taken as empty, to measure what packing with loss makes of it."""
OF_SMEARED: Final = 0.95
DRAWN_PX: Final = 48
"""Columns of pixels of the drawing that measures the accuracy."""


@dataclass(frozen=True, eq=False)
class Decoded:
    """Pixels (rows, columns, 3), which of them are not see-through, and how to pack others like them."""

    rgb: Pixels
    solid: npt.NDArray[np.bool_]
    form: str
    packing: dict[str, Any]

    @property
    def lossy(self) -> bool:
        return self.form != "PNG"


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


def is_picture(path: Path) -> bool:
    """Whether a file begins as a PNG, JPEG or WebP does."""
    try:
        with opened(path) as file:
            head = file.read(12)
    except (OSError, ValueError, TableRefused):
        return False
    return head.startswith((b"\x89PNG", b"\xff\xd8\xff")) or (head[:4], head[8:]) == (b"RIFF", b"WEBP")


def read_picture(path: Path, given: PictureGiven | None) -> MapsInFile:
    """The map of a picture, in percent of its sum. Raises `VendorMapRefused` for one that is damaged, too large,
    animated or grey, whose lines are not stated, or whose colours are not those of the palette."""
    answer = Answer(None, str(path))
    if given is None or len(given.prices) < 2:
        raise answer.refuse(
            "a picture must come with two price lines or more: --price 92000@140 --price 78000@690 (price at row of "
            "pixels, from the top)"
        )
    decoded = _decoded(path, answer)
    axis = _axis(given, decoded, answer)
    palette, bar = _palette(given, decoded, axis, answer)
    readings = _between(axis, decoded, palette)
    first, last = _columns(given, decoded, readings, palette, bar, answer)
    _check_colours(readings, last, palette, answer)
    column = read_column(readings, first, last)
    if decoded.lossy:
        column = column.from_floor(_smear(column, palette, decoded))
    _check(column, palette, answer)
    edges = axis.edges()
    amounts = without_gaps(column).amounts
    levels = Levels(
        np.minimum(edges[1:], edges[:-1]), np.maximum(edges[1:], edges[:-1]), 100 * amounts / amounts.sum()
    )
    again = _again(column, palette, decoded)
    notes = _notes(decoded, axis, palette, bar, column, distance_pct(edges, column.amounts, again.amounts))
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


# ----------------------------------------------------------------------------------------- the file


def _decoded(path: Path, answer: Answer) -> Decoded:
    try:
        from PIL import Image
    except ImportError:
        raise answer.refuse(
            "reading a picture needs the extra `picture`: pip install 'liqtruth[picture]'"
        ) from None
    with opened(path) as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise answer.refuse(f"a picture must have at most {MOST_BYTES / 2**20:.0f} MB")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                _check_kind(image, answer)
                image.load()
                return _pixels(image)
    except Image.DecompressionBombError:
        raise answer.refuse(f"a picture must have at most {MOST_PIXELS:,} pixels") from None
    except BROKEN as error:
        cause = next(iter(str(error).splitlines()), type(error).__name__)
        raise answer.refuse(f"the picture must be whole, and cannot be decoded: {cause[:80]}") from None


def _check_kind(image: "Image", answer: Answer) -> None:
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise answer.refuse(f"a picture must have at most {MOST_PIXELS:,} pixels, got {width} x {height}")
    if getattr(image, "is_animated", False):
        raise answer.refuse("a picture must have one frame, got an animation")
    if image.mode not in ("RGB", "RGBA", "P"):
        raise answer.refuse(f"a picture must be in colours of red, green and blue, got mode {image.mode}")


def _pixels(image: "Image") -> Decoded:
    form = str(image.format)
    packing: dict[str, Any] = {"format": form}
    if form == "JPEG":
        from PIL.JpegImagePlugin import get_sampling

        packing |= {"qtables": getattr(image, "quantization", None)}
        if (sampling := get_sampling(image)) >= 0:
            packing |= {"subsampling": sampling}
    seen = np.asarray(_in_srgb(image).convert("RGBA"))
    return Decoded(np.ascontiguousarray(seen[:, :, :3]), seen[:, :, 3] == 255, form, packing)


def _in_srgb(image: "Image") -> "Image":
    """Screens with colours of their own write them down in the picture; one that cannot be read is taken as it is."""
    profile = image.info.get("icc_profile")
    if not profile:
        return image
    from PIL import ImageCms

    mode = "RGB" if image.mode == "RGB" else "RGBA"
    try:
        own, srgb = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image.convert(mode), own, srgb, outputMode=mode)
    except (ImageCms.PyCMSError, *BROKEN):
        return image
    return converted or image


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


def _check(column: Column, palette: Palette, answer: Answer) -> None:
    rows = column.amounts.size
    if column.left_out > MOST_LEFT_OUT * rows:
        raise answer.refuse(
            f"at least {100 * (1 - MOST_LEFT_OUT):.0f} % of the rows between the price lines must have colours of "
            f"{palette.name}, got {100 * (1 - column.left_out / rows):.0f} %: give --palette, --bar or --column"
        )
    if np.nanmax(column.amounts) - np.nanmin(column.amounts) < LEAST_CONTRAST:
        raise answer.refuse(
            f"columns {column.first} to {column.last} must show levels, got one colour from line to line: give --column"
        )


# ------------------------------------------------------------------------------- what it can carry


def _smear(column: Column, palette: Palette, decoded: Decoded) -> float:
    """How much of the most the packing makes of nothing: what lies below cannot be told from none."""
    drawn = column.from_floor(SMEARED)
    nothing = drawn.amounts == 0
    if not nothing.any():
        return column.floor
    return float(np.quantile(np.nan_to_num(_again(drawn, palette, decoded).amounts[nothing]), OF_SMEARED))


def _again(column: Column, palette: Palette, decoded: Decoded) -> Column:
    """The column as it is read from a drawing of it, packed as the picture is."""
    from PIL import Image

    pixels = np.repeat(palette.draw(np.nan_to_num(column.amounts))[:, None], DRAWN_PX, axis=1)
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, **decoded.packing)
    with Image.open(packed) as image:
        drawn = np.asarray(image.convert("RGB"))
    middle = DRAWN_PX // 2
    half = (column.last - column.first) // 2
    readings = Readings.of(palette, drawn, np.ones(drawn.shape[:2], dtype=bool), decoded.lossy)
    return read_column(readings, middle - half, middle + column.last - column.first - half)


def _notes(
    decoded: Decoded, axis: PriceAxis, palette: Palette, bar: ColourBar | None, column: Column, off_pct: float
) -> Notes:
    height, width = decoded.rgb.shape[:2]
    edges = axis.edges()
    steps = np.abs(np.diff(edges)) / edges[1:]
    found = [
        note("picture_read", form=decoded.form, width=width, height=height, first=column.first, last=column.last,
             palette=palette.name, bar=None if bar is None else [bar.x1, bar.y1, bar.x2, bar.y2]),
        note("picture_axis", rows=axis.rows.size, step_px=float(np.median(np.abs(np.diff(edges)))),
             step_pct=100 * float(np.median(steps)), is_log=axis.is_log),
        note("picture_accuracy", w1_pct=off_pct, floor=column.floor),
    ]  # fmt: skip
    if column.behind:
        found.append(note("picture_behind", rows=column.amounts.size, behind=column.behind))
    if column.left_out or column.filled:
        found.append(
            note("picture_left_out", rows=column.amounts.size, left_out=column.left_out, filled=column.filled)
        )
    return tuple(found)
