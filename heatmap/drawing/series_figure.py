"""The picture of a `HeatmapSeries`: price by time, colour by notional, the price laid over it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from liqtruth.heatmap.drawing.figure import wrapped
from liqtruth.heatmap.drawing.page import Section, age_of, render
from liqtruth.heatmap.drawing.theme import PRICE, VIRIDIS, annotate_empty, themed
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.series import HeatmapSeries
from liqtruth.heatmap.words.text import as_of, usd
from liqtruth.heatmap.writing import write_atomically

if TYPE_CHECKING:
    import plotly.graph_objects as go

PAGE_HEIGHT: Final = 620
ROWS_SHOWN: Final = 300
SHOWN_SHARE: Final = 0.90
LEAST_REACH: Final = 0.10
DECADES: Final = 3
"""Range of the colour scale: one of notional a thousand times smaller than the largest is the faintest."""
BRIGHTEST: Final = 0.99
"""Share of a modelled series' zones that are not at the bright end: modelled mass is smooth and needs an even scale."""
LEAST_REACH_MODELLED: Final = 0.08
PATH_REACH: Final = 0.6
"""A model's mass lies everywhere: its view reaches this part of the path's own range beyond it."""
NEAR_REACH: Final = 0.25
"""A page opens on prices within this part of where the mark went: on all of them its path is nearly flat."""
MOST_CANDLES: Final = 400
OPENED: Final = (
    f"Prices within {100 * NEAR_REACH:.0f} % of where the mark went; drag to zoom, double click shows all."
)
TIMES: Final = (
    {"dtickrange": [None, 86_399_999], "value": "%H:%M\n%b %d"},
    {"dtickrange": [86_400_000, None], "value": "%b %d\n%Y"},
)
"""Times by the step between them, short enough for a phone; the second line stands where it changes."""


def series_figure(series: HeatmapSeries, *, captioned: bool = True) -> go.Figure:
    """Price by time: colour is notional in a price zone, over it candles or the mark; longs lie below the price.

    Exact positions are few and of very different sizes: their scale is logarithmic. A model's is linear.
    `captioned` puts heading and notes above them; a page has these beside the picture, where they wrap.
    """
    import plotly.graph_objects as go

    edges, longs, shorts = _pooled(series)
    scale = _scale_of(series, longs, shorts)
    figure = go.Figure(_ground(series, edges))
    for name, mass in (("longs", longs), ("shorts", shorts)):
        figure.add_trace(_layer(series, edges, mass, name, scale))
    figure.add_trace(_prices(series))
    lines = wrapped([*_about(series, edges), *_drawn(series)]) if captioned else []
    themed(
        figure,
        title={"text": escape(_title(series)), "subtitle": {"text": "<br>".join(map(escape, lines))}}
        if captioned
        else None,
        margin={"t": 130 + 17 * len(lines) if captioned else 70, "l": 12, "r": 12, "b": 64},
        height=880 if captioned else PAGE_HEIGHT,
        xaxis={
            "title": {"text": "time (UTC)", "standoff": 32}, "rangeslider": {"visible": False}, "nticks": 6,
            "tickangle": 0, "showgrid": False, "tickformatstops": TIMES,
        },
        yaxis={
            "title": {"text": "price (USD)"}, "type": "log",
            "range": list(np.log10(_view(series, edges, near=not captioned))),
            "tickformat": ",.6~g", "showgrid": False,
        },
        coloraxis=_color_axis(scale, f"{_liquidated(series)} per {_zone_pct(edges)} of price"),
        showlegend=False,
    )  # fmt: skip
    if scale.top == 0.0:
        annotate_empty(figure, "no liquidation in view")
    return figure


def to_html(series: HeatmapSeries, now: datetime | None = None) -> str:
    """The page of a series; its age is measured at `now`, by default the clock."""
    return render(
        _title(series),
        synthetic=series.synthetic,
        age=None if series.data_moment is None else age_of(series.data_moment, now),
        about=series.describe()[:1],
        sections=[Section(note=OPENED, figures={"series": series_figure(series, captioned=False)})],
        notes=_about(series, _pooled(series)[0])[1:],
        notes_heading="What it shows",
    )


def _view(series: HeatmapSeries, edges: FloatArray, *, near: bool) -> tuple[float, float]:
    """Lowest and highest price that is shown at first; `near`, only those about where the mark went."""
    marks = series.mark_px[np.isfinite(series.mark_px)]
    if not (near and marks.size):
        return float(edges[0]), float(edges[-1])
    return (
        float(max(edges[0], marks.min() / (1 + NEAR_REACH))),
        float(min(edges[-1], marks.max() * (1 + NEAR_REACH))),
    )


def _title(series: HeatmapSeries) -> str:
    kind = {
        "exact": "exact positions",
        "modelled": f"model {series.model}",
        "imported": f"imported {series.model}",
    }
    return f"{series.coin} on {series.venue}: {kind[series.source].strip()} over time"


def _about(series: HeatmapSeries, edges: FloatArray) -> list[str]:
    return [
        *series.describe(),
        f"colour: {_liquidated(series)} per zone of {_zone_pct(edges)} in price, longs below the price and shorts "
        "above it; a band is the same positions, until they are closed or the price sweeps them",
    ]


def _liquidated(series: HeatmapSeries) -> str:
    return "USD liquidated" if series.in_usd else "liquidated, in the vendor's own unit,"


def _drawn(series: HeatmapSeries) -> list[str]:
    """How old the last moment was when this was drawn."""
    return [f"when drawn: {as_of(series.data_moment)}"] if series.data_moment else []


def write_html(series: HeatmapSeries, path: Path) -> None:
    """Write `to_html`, whole or not at all."""
    write_atomically(path, to_html(series))


def _pooled(series: HeatmapSeries) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Edges and masses of at most `ROWS_SHOWN` price zones, whole bins each, around where the mark went."""
    low, high = _window(series)
    pooled = -(-(high - low) // ROWS_SHOWN)
    rows = min(-(-(high - low) // pooled), series.grid.bins // pooled)
    low = min(low, series.grid.bins - rows * pooled)
    span = slice(low, low + rows * pooled)
    shape = (len(series.times), rows, pooled)
    edges = series.grid.edges[span.start : span.stop + 1 : pooled]
    return (
        edges,
        series.long_usd[:, span].reshape(shape).sum(2),
        series.short_usd[:, span].reshape(shape).sum(2),
    )


def _window(series: HeatmapSeries) -> tuple[int, int]:
    """First and last bin shown, at least ten percent around every mark: most of the mass, of a model what is near."""
    marks = series.mark_px[np.isfinite(series.mark_px)]
    if not marks.size:
        return 0, series.grid.bins
    lowest, highest = marks.min(), marks.max()
    reach = 1 + LEAST_REACH
    if series.source == "modelled":
        reach = max(1 + LEAST_REACH_MODELLED, float((highest / lowest) ** PATH_REACH))
    ends = series.grid.bin_of(np.array([lowest / reach, highest * reach]))
    low, high = (int(np.clip(end, 0, series.grid.bins - 1)) for end in ends)
    if series.source == "modelled":
        return low, high + 1
    longs, shorts = (np.nansum(mass, axis=0) for mass in (series.long_usd, series.short_usd))
    if longs.any():
        low = min(low, int(np.searchsorted(np.cumsum(longs), (1 - SHOWN_SHARE) * longs.sum())))
    if shorts.any():
        high = max(high, int(np.searchsorted(np.cumsum(shorts), SHOWN_SHARE * shorts.sum())))
    return low, min(high, series.grid.bins - 1) + 1


@dataclass(frozen=True)
class _Scale:
    """Colours of both sides: up to `top` USD, in decades below it or evenly from nothing."""

    top: float
    is_log: bool
    in_usd: bool = True

    def of(self, usd_in_zone: FloatArray) -> FloatArray:
        return np.asarray(np.log10(usd_in_zone) if self.is_log else usd_in_zone)

    @property
    def ends(self) -> tuple[float, float]:
        if not self.is_log:
            return 0.0, self.top or 1.0
        highest = float(np.log10(self.top)) if self.top > 0 else 1.0
        return highest - DECADES, highest

    def ticks(self) -> tuple[FloatArray, list[str]]:
        low, high = self.ends
        if not self.is_log:
            steps = np.linspace(low, high, 3)
            return steps, [*map(self._amount, steps[:-1]), f"{self._amount(high)}+"]
        steps = np.arange(np.ceil(low), high + 1e-9)
        return steps, [self._amount(10.0**step) for step in steps]

    def _amount(self, amount: float) -> str:
        return usd(amount) if self.in_usd else usd(amount).removeprefix("$")


def _scale_of(series: HeatmapSeries, longs: FloatArray, shorts: FloatArray) -> _Scale:
    amounts = np.concatenate([longs[longs > 0], shorts[shorts > 0]])
    is_log = series.source != "modelled"
    if not amounts.size:
        return _Scale(0.0, is_log, series.in_usd)
    top = float(amounts.max() if is_log else np.quantile(amounts, BRIGHTEST))
    return _Scale(top, is_log, series.in_usd)


def _prices(series: HeatmapSeries) -> go.Candlestick | go.Scatter:
    """Candles while they are wide enough to distinguish, else the mark."""
    import plotly.graph_objects as go

    times = list(series.times)
    if series.candles is not None and len(times) <= MOST_CANDLES:
        return go.Candlestick(
            x=times, open=series.candles.open, high=series.candles.high, low=series.candles.low,
            close=series.mark_px, name="price",
            increasing={"line": {"color": PRICE, "width": 1}, "fillcolor": PRICE},
            decreasing={"line": {"color": PRICE, "width": 1}, "fillcolor": VIRIDIS[0]},
        )  # fmt: skip
    return go.Scatter(
        x=times, y=series.mark_px, mode="lines", name="mark",
        line={"color": PRICE, "width": 2, "shape": "hv"},
        hovertemplate="mark %{y:,.6~g}<extra></extra>",
    )  # fmt: skip


def _zone_pct(edges: FloatArray) -> str:
    return f"{100 * (edges[1] / edges[0] - 1):.2g} %"


def _color_axis(scale: _Scale, title: str) -> dict[str, Any]:
    """Both sides' scale, and its bar above the picture, where it takes no width from a phone."""
    ticks, labels = scale.ticks()
    return {
        "colorscale": [[at, color] for at, color in zip(np.linspace(0, 1, len(VIRIDIS)), VIRIDIS, strict=True)],
        "cmin": scale.ends[0], "cmax": scale.ends[1],
        "colorbar": {
            "title": {"text": title, "side": "top", "font": {"size": 13}},
            "tickangle": 0, "tickvals": ticks, "ticktext": labels, "orientation": "h", "x": 0.5, "xanchor": "center",
            "y": 1.01, "yanchor": "bottom", "len": 0.88, "thickness": 10, "ticklabeloverflow": "allow",
            "outlinewidth": 0,
        },
    }  # fmt: skip


def _ground(series: HeatmapSeries, edges: FloatArray) -> go.Heatmap:
    """The colour of nothing behind every moment that is known; the others stay empty."""
    import plotly.graph_objects as go

    known = np.isfinite(series.long_usd).any(axis=1) | np.isfinite(series.short_usd).any(axis=1)
    return go.Heatmap(
        x=list(series.times), y=edges[[0, -1]], z=np.where(known, 0.0, np.nan)[None, :].astype(np.float32),
        colorscale=[[0, VIRIDIS[0]], [1, VIRIDIS[0]]], showscale=False, hoverinfo="skip", name="known",
    )  # fmt: skip


def _layer(
    series: HeatmapSeries, edges: FloatArray, mass: FloatArray, name: str, scale: _Scale
) -> go.Heatmap:
    """One side as a layer: empty zones are see-through. Single precision: the page is a third as large."""
    import plotly.graph_objects as go

    shown = np.where(mass > 0, mass, np.nan).T
    form = "$,.0f" if scale.in_usd else ",.3~s"
    amount = f"%{{customdata:{form}}}" if scale.is_log else f"%{{z:{form}}}"
    return go.Heatmap(
        x=list(series.times),
        y=edges,
        z=scale.of(shown).astype(np.float32),
        customdata=shown.astype(np.float32) if scale.is_log else None,
        coloraxis="coloraxis",
        name=f"{name} liquidated",
        hoverongaps=False,
        hovertemplate="around %{y:,.6~g}<br>%{x|%Y-%m-%d %H:%M} UTC<br>" + amount,
    )
