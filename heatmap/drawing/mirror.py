"""The truth to the left and another map to the right of one price axis, as an element that a page's script draws.

Bars follow the zoom: the script pools the bins of the part of the axis that is seen, from the mark outward, so that no
bar ever reaches across the mark. Maps of other marks are moved to the truth's by their distances.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np

from liqtruth.heatmap.drawing.view import position_counts
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.text import price

RANGES_PCT: Final = (5, 10, 15, 25)
FIRST_PCT: Final = 15
"""What is seen at first, unless one of the maps has nothing there."""


@dataclass(frozen=True)
class Mirror:
    """The element as markup, and what `mirror.js` reads of it."""

    json: str
    labels: tuple[str, ...]

    def __html__(self) -> str:
        from markupsafe import Markup, escape

        options = "".join(f"<option>{escape(label)}</option>" for label in self.labels)
        ranges = "".join(f'<button data-pct="{pct}">±{pct} %</button>' for pct in RANGES_PCT)
        ranges += '<button data-pct="all">all</button>'
        return Markup(
            '<div class="mirror"><div class="choices">'
            f'<label>beside <select aria-label="map to the right">{options}</select></label>'
            f'<span class="ranges">{ranges}</span>'
            '<span class="units"><button data-unit="share">share</button><button data-unit="usd">USD</button></span>'
            f'</div><div class="drawn"></div><script type="application/json">{self.json}</script></div>'
        )


def mirror(truth: Heatmap, maps: Sequence[Heatmap]) -> Mirror:
    """`maps` can be chosen in turn; the first stands there when the page is opened."""
    content = {
        "mark": truth.mark_px,
        "shown": f"mark {price(truth.mark_px)}",
        "first": FIRST_PCT,
        "truth": _bins(truth),
        "maps": [_bins(one) for one in maps],
    }
    json = msgspec.json.encode(content).decode().replace("<", "\\u003c")
    return Mirror(json, tuple(one.label for one in maps))


def _bins(heatmap: Heatmap) -> dict[str, Any]:
    """Mass per bin from the mark outward, in thousand USD; `width` is a bin's logarithm of price."""
    middle, counts = heatmap.grid.bins_each_way, position_counts(heatmap)
    sides = {"long": heatmap.long_usd[:middle][::-1], "short": heatmap.short_usd[middle:]}
    found: dict[str, Any] = {name: _trimmed(mass / 1e3) for name, mass in sides.items()}
    if counts is not None:
        found["counts"] = {"long": _trimmed(counts[:middle][::-1]), "short": _trimmed(counts[middle:])}
    beyond = {"long": heatmap.beyond_usd.long, "short": heatmap.beyond_usd.short}
    return found | {"label": heatmap.label, "width": heatmap.grid.log_width, "beyond": beyond}


def _trimmed(values: FloatArray) -> list[float]:
    """Four digits each, without the noughts at the end."""
    last = int(np.flatnonzero(values)[-1]) + 1 if values.any() else 0
    return [float(f"{value:.4g}") for value in values[:last]]
