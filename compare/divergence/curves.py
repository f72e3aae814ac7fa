"""The picture of a divergence: cumulative share of each side by distance; Wasserstein-1 is the area between lines."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Final

import numpy as np

from liqtruth.compare.divergence.no_information import LABEL, null_of
from liqtruth.compare.statistics.distances import distance_pct, side_curve
from liqtruth.heatmap.drawing.figure import FAINT, GRID, INK, MARK, PAPER
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.levels import SIDES

if TYPE_CHECKING:
    import plotly.graph_objects as go

MODEL_COLORS: Final = ("#4c9aff", "#c77dff", "#ff9f43", "#00c2d1", "#ff6fb5")
POINTS: Final = 400


def curves_figure(truth: Heatmap, models: Sequence[Heatmap], range_pct: float) -> go.Figure:
    """One line per map and side from the mark outward; sides that a map does not hold are left out."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for number, (label, heatmap, line) in enumerate(_lines(truth, models)):
        name = escape(label, quote=False)
        drawn = [(side, _trace(heatmap, side, range_pct)) for side in SIDES]
        held = [(side, trace) for side, trace in drawn if trace is not None]
        for position, (side, (x, y)) in enumerate(held):
            figure.add_trace(
                go.Scatter(
                    x=x,
                    y=y,
                    mode="lines",
                    name=name,
                    legendgroup=str(number),
                    showlegend=position == 0,
                    line=line,
                    hovertemplate=f"{name}: %{{y:.0f}} % of its {side}s within %{{x:+.1f}} %<extra></extra>",
                )
            )
    figure.update_layout(**_layout(range_pct))
    figure.add_vline(x=0, line_color=MARK, line_width=1.5)
    return figure


def _lines(truth: Heatmap, models: Sequence[Heatmap]) -> list[tuple[str, Heatmap, dict[str, object]]]:
    lines: list[tuple[str, Heatmap, dict[str, object]]] = [
        (LABEL, null_of(truth), {"color": FAINT, "width": 1.5, "dash": "dot"})
    ]
    for position, model in enumerate(models):
        color = MODEL_COLORS[position % len(MODEL_COLORS)]
        lines.append((model.label, model, {"color": color, "width": 2}))
    return [*lines, (f"truth: {truth.label}", truth, {"color": INK, "width": 3})]


def _trace(heatmap: Heatmap, side: str, range_pct: float) -> tuple[list[float], list[float]] | None:
    """Signed distance and share, both in percent."""
    curve = side_curve(heatmap, side, range_pct)
    if curve.empty:
        return None
    at = np.linspace(0.0, curve.at[-1], POINTS)
    sign = -1 if side == "long" else 1
    return (sign * distance_pct(at, side)).round(4).tolist(), (100 * curve.share(at)).round(4).tolist()


def _layout(range_pct: float) -> dict[str, object]:
    def axis(title: str, **more: object) -> dict[str, object]:
        return {
            "title": {"text": title},
            "gridcolor": GRID,
            "zeroline": False,
            "ticks": "outside",
            "ticklen": 8,
            "tickcolor": GRID,
            "ticksuffix": " %",
            **more,
        }

    step = 10.0 if range_pct > 20 else 2.0 if range_pct > 5 else 0.5
    ticks = np.arange(-np.floor(range_pct / step), np.floor(range_pct / step) + 1) * step
    return {
        "paper_bgcolor": PAPER,
        "plot_bgcolor": PAPER,
        "font": {"color": INK, "family": "Inter, Segoe UI, Helvetica, Arial, sans-serif", "size": 13},
        "height": 430,
        "margin": {"t": 10, "l": 60, "r": 20, "b": 90},
        "legend": {"orientation": "h", "y": -0.22, "x": 0, "xanchor": "left", "yanchor": "top"},
        "hoverlabel": {"bgcolor": GRID, "font": {"color": INK}},
        "xaxis": axis(
            "move from the mark",
            range=[-range_pct, range_pct],
            tickformat="+~g",
            tickangle=0,
            tickvals=[float(at) for at in ticks if at],
        ),
        "yaxis": axis("of the side liquidated", range=[0, 103]),
    }
