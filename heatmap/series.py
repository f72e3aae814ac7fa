"""`HeatmapSeries`: maps of one coin stacked over time on one price grid, and the picture of them, time by price."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from heatmap.errors import BadInput
from heatmap.figure import FAINT, GRID, INK, LONG, MARK, PAPER, SHORT
from heatmap.files import write_atomically
from heatmap.grid import FloatArray, PriceGrid
from heatmap.heatmap import Coverage, Sides, Source
from heatmap.levels import SIDE
from heatmap.money import age, percent, usd

if TYPE_CHECKING:
    import plotly.graph_objects as go

ROWS_SHOWN: Final = 240
SHOWN_SHARE: Final = 0.90
LEAST_REACH: Final = 0.10
DECADES: Final = 3
"""Range of the colour scale: one of notional a thousand times smaller than the largest is the faintest."""


@dataclass(frozen=True, eq=False)
class HeatmapSeries:
    """Maps at ascending moments; USD at each moment's mark. A moment of which nothing is known is NaN throughout.

    Attributes
    ----------
    long_usd, short_usd : arrays of shape (times, grid.bins)
        As in `Heatmap`, but on one grid for all moments: the mark moves through it.
    mark_px : array of shape (times,)
    beyond_usd, never_usd : Sides per time, zero where nothing is known
    coverage : Coverage per time, null where nothing is known; `oldest_age_s` counts back from that moment
    """

    coin: str
    venue: str
    source: Source
    times: tuple[datetime, ...]
    grid: PriceGrid
    long_usd: FloatArray
    short_usd: FloatArray
    mark_px: FloatArray
    beyond_usd: tuple[Sides, ...]
    never_usd: tuple[Sides, ...]
    coverage: tuple[Coverage | None, ...]
    assumptions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = (len(self.times), self.grid.bins)
        for name in ("long_usd", "short_usd"):
            if getattr(self, name).shape != shape:
                raise BadInput(f"{name} has shape {getattr(self, name).shape}; times and bins are {shape}")
        for name in ("mark_px", "beyond_usd", "never_usd", "coverage"):
            if len(getattr(self, name)) != len(self.times):
                raise BadInput(f"{name} has {len(getattr(self, name))} entries for {len(self.times)} times")
        if any(moment.tzinfo is None for moment in self.times):
            raise BadInput("a moment of the series has no time zone")
        if any(a >= b for a, b in zip(self.times, self.times[1:], strict=False)):
            raise BadInput("the moments of the series do not ascend")

    @property
    def known(self) -> FloatArray:
        """1 where something is known of the moment, else 0."""
        return np.array([float(held is not None) for held in self.coverage])

    def frame(self) -> pl.DataFrame:
        """Long form: `time`, `mark_px`, `side`, `low_px`, `high_px`, `notional_usd`; empty bins are left out."""
        parts = []
        for side, mass in (("long", self.long_usd), ("short", self.short_usd)):
            row, bin_ = np.nonzero(np.nan_to_num(mass))
            parts.append(
                pl.DataFrame(
                    {
                        "time": pl.Series([self.times[at] for at in row], dtype=pl.Datetime("ms", "UTC")),
                        "mark_px": self.mark_px[row],
                        "side": pl.repeat(side, row.size, dtype=SIDE, eager=True),
                        "low_px": self.grid.edges[bin_],
                        "high_px": self.grid.edges[bin_ + 1],
                        "notional_usd": mass[row, bin_],
                    }
                )
            )
        return pl.concat(parts).sort("time", "low_px")

    def describe(self) -> list[str]:
        """How many moments, over which span, how much of open interest and how old."""
        held = [held for held in self.coverage if held is not None]
        shares = [held.share for held in held if held.share is not None]
        ages = [held.oldest_age_s for held in held if held.oldest_age_s is not None]
        span = (
            f"{self.times[0]:%Y-%m-%d %H:%M} to {self.times[-1]:%Y-%m-%d %H:%M} UTC"
            if self.times
            else "no time"
        )
        lines = [f"{len(held)} of {len(self.times)} moments known, {span}"]
        if shares:
            low, high = min(map(min, shares)), max(map(max, shares))
            lines.append(f"covers {percent(low)} to {percent(high)} of open interest")
        if ages:
            lines.append(f"oldest position read up to {age(max(ages))} before its moment")
        notes = dict.fromkeys(note for one in held for note in one.notes if note.startswith("synthetic"))
        lines += list(notes)
        return lines


def series_figure(series: HeatmapSeries) -> go.Figure:
    """Price by time: colour is notional in a price zone (longs green, shorts red, logarithmic), the mark a line."""
    import plotly.graph_objects as go

    edges, longs, shorts = _pooled(series)
    figure = go.Figure()
    top = max(
        (float(mass.max(initial=0.0)) for mass in (np.nan_to_num(longs), np.nan_to_num(shorts))), default=0.0
    )
    for name, mass, color, place in (("longs", longs, LONG, 1.02), ("shorts", shorts, SHORT, 1.12)):
        figure.add_trace(_layer(series, edges, mass, name, color, place, top))
    figure.add_trace(
        go.Scatter(
            x=list(series.times), y=series.mark_px, mode="lines", name="mark",
            line={"color": MARK, "width": 2, "shape": "hv"},
            hovertemplate="mark %{y:,.6~g}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_layout(**_style(series, edges))
    if top == 0.0:
        figure.add_annotation(
            text="no liquidation in view", showarrow=False, x=0.5, y=0.75, xref="paper", yref="paper",
            font={"size": 18, "color": FAINT},
        )  # fmt: skip
    return figure


def to_html(series: HeatmapSeries) -> str:
    """A page that needs nothing else: plotly.js is inside."""
    html: str = series_figure(series).to_html(
        include_plotlyjs=True, full_html=True, config={"displaylogo": False, "responsive": True}
    )
    return html.replace("<body>", f'<body style="margin:0;background:{PAPER}">', 1)


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
    """First and last bin of what holds most of the mass, at least ten percent around every mark."""
    marks = series.mark_px[np.isfinite(series.mark_px)]
    if not marks.size:
        return 0, series.grid.bins
    reach = 1 + LEAST_REACH
    ends = series.grid.bin_of(np.array([marks.min() / reach, marks.max() * reach]))
    low, high = (int(np.clip(end, 0, series.grid.bins - 1)) for end in ends)
    longs, shorts = (np.nansum(mass, axis=0) for mass in (series.long_usd, series.short_usd))
    if longs.any():
        low = min(low, int(np.searchsorted(np.cumsum(longs), (1 - SHOWN_SHARE) * longs.sum())))
    if shorts.any():
        high = max(high, int(np.searchsorted(np.cumsum(shorts), SHOWN_SHARE * shorts.sum())))
    return low, min(high, series.grid.bins - 1) + 1


def _layer(
    series: HeatmapSeries,
    edges: FloatArray,
    mass: FloatArray,
    name: str,
    color: str,
    place: float,
    top: float,
) -> go.Heatmap:
    """One side as a layer: empty zones are see-through, the colour is the logarithm of notional."""
    import plotly.graph_objects as go

    shown = np.where(mass > 0, mass, np.nan).T
    highest = np.log10(top) if top > 0 else 1.0
    ticks = np.arange(np.ceil(highest - DECADES), highest + 1e-9)
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    return go.Heatmap(
        x=list(series.times),
        y=edges,
        z=np.log10(shown),
        customdata=np.dstack(
            [shown, *(np.broadcast_to(edge[:, None], shown.shape) for edge in (edges[:-1], edges[1:]))]
        ),
        zmin=highest - DECADES,
        zmax=highest,
        colorscale=[[0, f"rgba({red},{green},{blue},0.12)"], [1, f"rgba({red},{green},{blue},1)"]],
        colorbar={
            "title": {"text": f"{name} (USD)"},
            "tickvals": ticks,
            "ticktext": [usd(10.0**tick) for tick in ticks],
            "x": place,
            "thickness": 12,
        },
        name=f"{name} liquidated",
        hoverongaps=False,
        hovertemplate="%{customdata[1]:,.6~g} to %{customdata[2]:,.6~g}<br>%{x|%Y-%m-%d %H:%M} UTC<br>"
        "%{customdata[0]:$,.0f}",
    )


def _style(series: HeatmapSeries, edges: FloatArray) -> dict[str, Any]:
    axis = {"gridcolor": GRID, "zerolinecolor": GRID, "ticks": "outside", "tickcolor": GRID}
    kind = "exact positions" if series.source == "exact" else series.source
    lines = [
        *series.describe(),
        "a longer bar of colour is the same positions, until they are closed or liquidated",
    ]
    return {
        "paper_bgcolor": PAPER,
        "plot_bgcolor": PAPER,
        "font": {"color": INK, "family": "Inter, Segoe UI, Helvetica, Arial, sans-serif", "size": 13},
        "title": {
            "text": escape(f"{series.coin} on {series.venue}: {kind} over time"),
            "subtitle": {"text": "<br>".join(map(escape, lines)), "font": {"size": 12, "color": FAINT}},
            "x": 0.01,
            "xanchor": "left",
            "y": 0.985,
            "yanchor": "top",
        },
        "margin": {"t": 70 + 17 * len(lines), "l": 80, "r": 30, "b": 60},
        "height": 880,
        "xaxis": {"title": {"text": "time (UTC)"}, **axis},
        "yaxis": {
            "title": {"text": "price (USD)"},
            "type": "log",
            "range": list(np.log10([edges[0], edges[-1]])),
            "tickformat": ",.6~g",
            **axis,
        },
        "hoverlabel": {"bgcolor": GRID, "font": {"color": INK}},
        "showlegend": False,
    }
