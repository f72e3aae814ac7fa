"""Screenshots of a map that a test knows, drawn as vendors draw them: cells over time, candles, lines, a colour bar.

Nothing here uses the reader: colours come from the stops below, and a picture is put together pixel by pixel.
"""

import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")
ImageDraw = pytest.importorskip("PIL.ImageDraw")

STOPS = {
    "coinglass": "440154 482475 414487 355f8d 2a788e 21918c 22a884 44bf70 7ad151 bddf26 fde725",
    "magma": "000004 140e36 3b0f70 641a80 8c2981 b73779 de4968 f7705c fe9f6d fecf92 fcfdbf",
}
OWN = {"long": ((0.0, 0.04), (0.45, 0.38), (0.8, 1.0)), "short": ((0.0, 0.04), (0.45, 0.38), (0.8, 1.0))}
OWN_COLOURS = {"long": (46, 189, 133), "short": (246, 70, 93)}
PAPER = (18, 22, 28)
PAGE = {"coinglass": (11, 14, 17), "magma": (24, 26, 32), "ours": PAPER}
CANDLES = {"ours": ((245, 247, 250), (170, 178, 189))}
GREEN_AND_RED = ((14, 203, 129), (246, 70, 93))
MARK = 85_000.0


@dataclass(frozen=True)
class Drawn:
    """A picture, where things are in it in pixels, and the amounts of its last column by bucket of price."""

    image: Any
    lines: tuple[tuple[float, float], ...]
    bar: tuple[int, int, int, int]
    edges: np.ndarray
    amounts: np.ndarray
    right: int

    @property
    def picture(self) -> dict[str, Any]:
        return {"prices": dict(self.lines)}

    def saved(self, folder: Path, name: str = "heatmap.png", **options: Any) -> Path:
        path = folder / name
        self.image.save(path, **options)
        return path

    def packed(self, form: str = "PNG", **options: Any) -> bytes:
        content = io.BytesIO()
        self.image.save(content, format=form, **options)
        return content.getvalue()


def colours(palette: str, amounts: np.ndarray, short: np.ndarray) -> np.ndarray:
    """Pixels of amounts from 0 to 1; `short` is which of them are of shorts."""
    if palette != "ours":
        stops = np.array([[int(one[at : at + 2], 16) for at in (0, 2, 4)] for one in STOPS[palette].split()])
        at = np.linspace(0, 1, len(stops))
        return np.stack([np.interp(amounts, at, part) for part in stops.T], axis=-1)
    found = np.empty((*amounts.shape, 3))
    for side, which in (("long", ~short), ("short", short)):
        full = np.array(OWN_COLOURS[side], dtype=float)
        share = np.interp(amounts, *zip(*OWN[side], strict=True))[..., None]
        white = np.clip((amounts - 0.8) / 0.2, 0, 1)[..., None] * 0.5
        seen = np.array(PAPER) * (1 - share) + share * (full + white * (255 - full))
        found[which] = seen[which]
    found[amounts == 0] = PAPER
    return found


def levels(seed: int, buckets: int) -> np.ndarray:
    """Amounts of buckets from the lowest price: clusters on both sides, a few high ones, and many with nothing."""
    rng = np.random.default_rng(seed)
    at = np.arange(buckets)
    found = np.zeros(buckets)
    for centre in rng.uniform(0.05, 0.95, 9) * buckets:
        found += rng.lognormal(0, 0.8) * np.exp(-(((at - centre) / rng.uniform(0.6, 4)) ** 2))
    found *= rng.lognormal(0, 0.4, buckets)
    found[found < 0.01 * found.max()] = 0.0
    return found / found.max()


def screenshot(
    palette: str = "coinglass",
    seed: int = 1,
    *,
    size: tuple[int, int] = (1280, 800),
    low: float = 72_000.0,
    high: float = 98_000.0,
    buckets: int = 165,
    log: bool = False,
    down: bool = False,
    margin: int = 0,
    bar: bool = True,
    scale: float = 1.0,
    clutter: bool = True,
    amounts: np.ndarray | None = None,
) -> Drawn:
    """`down` has prices falling upwards; `margin` is empty plot right of the last column; `scale` resizes it all."""
    rng = np.random.default_rng(seed)
    width, height = size
    left, right, top, bottom = 110, width - 100, 50, height - 90
    last = right - margin
    amounts = levels(seed, buckets) if amounts is None else amounts
    edges = np.geomspace(low, high, buckets + 1) if log else np.linspace(low, high, buckets + 1)
    value = np.log(edges) if log else edges

    def row_of(px: float) -> float:
        share = ((np.log(px) if log else px) - value[0]) / (value[-1] - value[0])
        return (top + share * (bottom - top) if down else bottom - share * (bottom - top)) - 0.5

    price_at = np.interp(
        np.arange(top, bottom) + 0.5,
        *((top, bottom), (value[0], value[-1]) if down else (value[-1], value[0])),
    )
    bucket = np.clip(np.searchsorted(value, price_at) - 1, 0, buckets - 1)
    moments = 240
    mark = MARK * np.exp(np.cumsum(rng.normal(0, 0.0012, moments))[::-1] - 0.0)
    mark *= MARK / mark[-1]
    born = rng.integers(0, moments * 3 // 4, buckets)
    grid = np.where(np.arange(moments) >= born[:, None], amounts[:, None], 0.0)
    grid[:, :-1] *= rng.uniform(0.85, 1.0, (buckets, moments - 1))
    at = np.minimum((np.arange(left, last) - left) * moments // (last - left), moments - 1)
    shown = grid[bucket][:, at]
    if margin:
        shown = np.concatenate([shown, np.zeros((shown.shape[0], margin))], axis=1)
    middle = (edges[1:] + edges[:-1]) / 2
    short = np.broadcast_to((middle > MARK)[bucket][:, None], shown.shape)

    pixels = np.empty((height, width, 3))
    pixels[:] = PAGE[palette]
    pixels[top:bottom, left:right] = colours(palette, shown, short)
    if bar:
        ramp = np.linspace(1, 0, 320)[:, None].repeat(18, axis=1)
        pixels[100:420, 24:42] = colours(palette, ramp, np.zeros(ramp.shape, dtype=bool))
    image = Image.fromarray(np.rint(pixels).astype(np.uint8))
    if clutter:
        _draw_over(image, palette, (left, last, top, bottom), mark, row_of, rng)
    lines = [(round(px), row_of(px)) for px in np.linspace(low, high, 9)[[0, -1]] * [1.0005, 0.9995]]
    if log or down:
        lines.append((MARK, row_of(MARK)))
    if scale != 1:
        image = image.resize((round(width * scale), round(height * scale)), Image.Resampling.BICUBIC)
        lines = [(px, (row + 0.5) * scale - 0.5) for px, row in lines]
    ends = (33, 419, 33, 100)
    return Drawn(image, tuple(lines), ends, edges, amounts, round((last - 1) * scale))


def labelled(drawn: Drawn) -> Drawn:
    """With labels of levels drawn over the last columns."""
    image = drawn.image.copy()
    draw = ImageDraw.Draw(image)
    for row in range(120, image.height - 120, 90):
        draw.rectangle([(image.width - 230, row), (image.width - 104, row + 16)], fill=(30, 34, 42))
        draw.text((image.width - 226, row + 3), "LIQ 12.3M @ 81,000", fill=(240, 240, 240))
    return replace(drawn, image=image)


def cropped(drawn: Drawn) -> Drawn:
    """Little but the plot: no colour bar, no labels of axes."""
    left, top, right, bottom = 100, 30, drawn.image.width - 90, drawn.image.height - 80
    lines = tuple((px, row - top) for px, row in drawn.lines)
    return replace(
        drawn, image=drawn.image.crop((left, top, right, bottom)), lines=lines, right=drawn.right - left
    )


def _draw_over(
    image: Any, palette: str, plot: tuple[int, int, int, int], mark: Any, row_of: Any, rng: Any
) -> None:
    """Candles, grid lines, the line of the price, labels of both axes and a title."""
    left, right, top, bottom = plot
    draw = ImageDraw.Draw(image, "RGBA")
    for px in range(74_000, 98_000, 2_000):
        row = round(row_of(px))
        draw.line([(left, row), (image.width - 100, row)], fill=(255, 255, 255, 40))
        draw.text((image.width - 90, row - 5), f"{px:,}", fill=(170, 176, 186))
    for x in range(left + 80, right, 160):
        draw.line([(x, top), (x, bottom)], fill=(255, 255, 255, 40))
        draw.text((x - 15, bottom + 8), "12:00", fill=(170, 176, 186))
    up, down = CANDLES.get(palette, GREEN_AND_RED)
    step = (right - left) / mark.size
    for place, close in enumerate(mark):
        before = mark[place - 1] if place else close
        x, wick = left + place * step, abs(rng.normal(0, 0.0012))
        color = up if close >= before else down
        body = sorted([row_of(before), row_of(close)])
        ends = sorted([row_of(max(before, close) * (1 + wick)), row_of(min(before, close) * (1 - wick))])
        draw.line([(x + step / 2, ends[0]), (x + step / 2, ends[1])], fill=color)
        draw.rectangle([(x + 1, body[0]), (max(x + step - 1.5, x + 1), body[1] + 1)], fill=color)
    row = round(row_of(MARK))
    for x in range(left, right, 8):
        draw.line([(x, row), (x + 4, row)], fill=(255, 255, 255))
    draw.rectangle([(image.width - 98, row - 8), (image.width - 40, row + 8)], fill=(60, 66, 76))
    draw.text((image.width - 92, row - 5), "85,000.0", fill=(255, 255, 255))
    draw.text((left, 15), f"BTC liquidation heatmap ({palette})", fill=(234, 236, 239))
    draw.text((12, 82), "125.3M", fill=(170, 176, 186))
