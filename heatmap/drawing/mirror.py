"""One map, or the truth to the left and another map to the right of one price axis, as an element that a page's
script draws.

Bars follow the zoom: the script pools the bins of the part of the axis that is seen, from the mark outward, so that no
bar ever reaches across the mark. Maps of other marks are moved to the truth's by their distances.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np

from liqtruth.heatmap.clusters.distribution import nearest_mass_pct
from liqtruth.heatmap.drawing.view import in_usd, position_counts
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.words.text import price

RANGES_PCT: Final = (5, 10, 15, 25)
FIRST_PCT: Final = 15
"""What is seen at first, unless none of the maps has anything there."""


@dataclass(frozen=True)
class Mirror:
    """The element as markup, and what `mirror.js` reads of it."""

    json: str
    labels: tuple[str, ...]
    in_usd: bool = True

    def __html__(self) -> str:
        from markupsafe import Markup, escape

        options = "".join(f"<option>{escape(label)}</option>" for label in self.labels)
        beside = (
            f'<label>compare with <select aria-label="map to the right">{options}</select></label>'
            if options
            else ""
        )
        ranges = "".join(f'<button data-pct="{pct}">±{pct} %</button>' for pct in RANGES_PCT)
        ranges += '<button data-pct="all">all</button>'
        usd = '<button data-unit="usd">USD</button>' if self.in_usd else ""
        return Markup(
            f'<div class="mirror"><div class="choices">{beside}<span class="ranges">{ranges}</span>'
            f'<span class="units"><button data-unit="share">share</button>{usd}</span></div>'
            f'<div class="drawn"></div><script type="application/json">{self.json}</script></div>'
        )


def mirror(truth: Heatmap, maps: Sequence[Heatmap] = ()) -> Mirror:
    """`maps` can be chosen in turn; the first stands there when the page is opened. Without any the map is alone."""
    content = {
        "mark": truth.mark_px,
        "shown": price(truth.mark_px),
        "first": FIRST_PCT if any(map(_near, (truth, *maps))) else "all",
        "truth": _bins(truth),
        "maps": [_bins(one) for one in maps],
    }
    json = msgspec.json.encode(content).decode().replace("<", "\\u003c")
    return Mirror(json, tuple(one.label for one in maps), in_usd(truth))


def _near(heatmap: Heatmap) -> bool:
    return any(away is not None and away <= FIRST_PCT for away in nearest_mass_pct(heatmap))


def _bins(heatmap: Heatmap) -> dict[str, Any]:
    """Mass per bin from the mark outward, in thousand USD; `width` is a bin's logarithm of price."""
    middle, counts = heatmap.grid.bins_each_way, position_counts(heatmap)
    sides = {"long": heatmap.long_usd[:middle][::-1], "short": heatmap.short_usd[middle:]}
    found: dict[str, Any] = {name: _trimmed(mass / 1e3) for name, mass in sides.items()}
    if counts is not None:
        found["counts"] = {"long": _trimmed(counts[:middle][::-1]), "short": _trimmed(counts[middle:])}
    beyond = {"long": heatmap.beyond_usd.long, "short": heatmap.beyond_usd.short}
    about = {"label": heatmap.label, "usd": in_usd(heatmap), "width": heatmap.grid.log_width}
    return found | about | {"beyond": beyond}


def _trimmed(values: FloatArray) -> list[float]:
    """Four digits each, without the noughts at the end."""
    last = int(np.flatnonzero(values)[-1]) + 1 if values.any() else 0
    return [float(f"{value:.4g}") for value in values[:last]]
