"""How near a map read from a picture comes to what was drawn: Wasserstein-1 in percent of price, on maps and palettes
that no threshold of the reader was chosen on.

    python benchmarks/bench_pictures.py [--maps 6]

Drawings are those of the tests (candles, grid lines, labels, a colour bar), with seeds of their own. Turbo, plasma,
inferno and cividis are palettes that the reader does not know: with `--bar` they are read, without it they must be
refused. Price lines are told to whole rows of pixels, as people do. A line has the median and the worst of the maps,
the median of the accuracy that the maps themselves state and of how many it holds, and how many were refused.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import ImageDraw

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.telling import command_line
from liqtruth.heatmap.errors import LiqtruthError
from tests.compare.imported import screenshots
from tests.compare.imported.screenshots import Drawn, cropped, labelled, screenshot
from tests.compare.imported.test_pictures import off_pct, read, values

FIRST_SEED: Final = 211
UNKNOWN: Final = {
    "turbo": "30123b 4145ab 4675ed 39a2fc 1bcfd4 24eca6 61fc6c a4fc3b d1e834 f3c63a fe9b2d f36315 d93806 b11901 7a0402",
    "plasma": "0d0887 46039f 7201a8 9c179e bd3786 d8576b ed7953 fb9f3a fdca26 f0f921",
    "inferno": "000004 1b0c41 4a0c6b 781c6d a52c60 cf4446 ed6925 fb9b06 f7d13d fcffa4",
    "cividis": "00224e 123570 3b496c 575d6d 707173 8a8678 a59c74 c3b369 e1cc55 fee838",
}
LIGHT: Final = (255, 255, 255)


@dataclass(frozen=True)
class Case:
    """A kind of picture: its palette, how it is drawn and saved, and whether the colour bar's ends are stated."""

    name: str
    palette: str = "coinglass"
    drawn: dict[str, Any] = field(default_factory=dict)
    edit: Callable[[Drawn], Drawn] = lambda drawn: drawn
    saved: dict[str, Any] = field(default_factory=dict)
    form: str = "png"
    with_bar: bool = False
    page: tuple[int, int, int] | None = None


def bar_right(drawn: Drawn) -> Drawn:
    """The colour bar at the other side."""
    image = drawn.image.copy()
    strip = image.crop((24, 100, 42, 420))
    ImageDraw.Draw(image).rectangle([(10, 80), (60, 440)], fill=screenshots.PAGE["coinglass"])
    image.paste(strip, (image.width - 40, 100))
    return replace(drawn, image=image)


CASES: Final = (
    *(Case(f"{name}, 1280 x 800", name) for name in ("coinglass", "magma", "ours")),
    *(Case(f"{name}, --bar stated", name, with_bar=True) for name in UNKNOWN),
    *(Case(f"{name}, nothing stated", name) for name in UNKNOWN),
    *(Case(f"{w} x {h}", drawn={"size": (w, h)}) for w, h in ((800, 500), (1920, 1080), (2560, 1600))),
    Case("391 levels in 660 rows", drawn={"buckets": 391}),
    Case("cropped to the plot", edit=cropped),
    Case("labels over the last columns", edit=labelled),
    Case("labels, ours", "ours", edit=labelled),
    Case("colour bar at the right", edit=bar_right),
    Case("no colour bar", drawn={"bar": False}),
    Case("light page", page=LIGHT),
    *(Case(f"JPEG of quality {q}", saved={"quality": q}, form="jpg") for q in (60, 75, 85, 95)),
    *(Case(f"WebP of quality {q}", saved={"quality": q}, form="webp") for q in (60, 80)),
    *(
        Case(f"{name}, JPEG of quality 85", name, saved={"quality": 85}, form="jpg")
        for name in ("magma", "ours")
    ),
    *(Case(f"scaled by {scale}", drawn={"scale": scale}) for scale in (0.5, 0.75, 1.5)),
    *(
        Case(f"scaled by {scale}, JPEG of 85", drawn={"scale": scale}, saved={"quality": 85}, form="jpg")
        for scale in (0.5, 0.75, 1.5)
    ),
    Case("800 x 500, JPEG of quality 85", drawn={"size": (800, 500)}, saved={"quality": 85}, form="jpg"),
)


def offs(case: Case, maps: int, folder: Path) -> Iterator[tuple[float, float] | None]:
    """W1 of each map, and what the map states of it; null where it is refused."""
    for seed in range(FIRST_SEED, FIRST_SEED + maps):
        drawn = case.edit(screenshot(case.palette, seed, **case.drawn))
        drawn = replace(drawn, lines=tuple((px, round(row)) for px, row in drawn.lines))
        path = drawn.saved(folder, f"map.{case.form}", **case.saved)
        try:
            found = read(path, drawn, **({"bar": drawn.bar} if case.with_bar else {}))
            yield off_pct(found, drawn), values(found, "picture_accuracy")["w1_pct"]
        except LiqtruthError:
            yield None


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--maps", type=int, default=6)
    asked = parser.parse_args()
    screenshots.STOPS.update(UNKNOWN)
    pages = {**screenshots.PAGE, **dict.fromkeys(UNKNOWN, (24, 26, 32))}
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            screenshots.PAGE.update({**pages, **({} if case.page is None else {case.palette: case.page})})
            found = list(offs(case, asked.maps, Path(folder)))
            read_off = [one for one in found if one is not None]
            figures = ""
            if read_off:
                off, stated = np.array(read_off).T
                holds = int((off <= stated).sum())
                figures = f"median {np.median(off):.3f}  worst {off.max():.3f}  "
                figures += f"stated {np.median(stated):.3f}, holds {holds} of {off.size}"
            line = f"{case.name:<32}{figures:<62}refused {len(found) - len(read_off)} of {len(found)}"
            print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
