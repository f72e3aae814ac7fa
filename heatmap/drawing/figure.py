"""Heatmaps as Plotly figures: bars by price, cumulative lines each way, the mark; to a page or a picture."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from liqtruth.heatmap.drawing.captions import (
    age_line,
    bounds_lines,
    data_moment,
    head_lines,
    kind,
    said_beside,
    title,
)
from liqtruth.heatmap.drawing.page import page
from liqtruth.heatmap.drawing.zoom import View, reach_bins, zoomed
from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.moment import COLORS, grade
from liqtruth.heatmap.money import price
from liqtruth.heatmap.writing import write_atomically

if TYPE_CHECKING:
    import plotly.graph_objects as go

LONG: Final = "#2ebd85"
SHORT: Final = "#f6465d"
LONG_LINE: Final = "#a8f0d2"
SHORT_LINE: Final = "#ffc2cb"
"""Lines lie over bars of their own side and must be seen there."""
MARK: Final = "#f0b90b"
INK: Final = "#eaecef"
FAINT: Final = "#848e9c"
PAPER: Final = "#12161c"
GRID: Final = "#232a33"
BARS_EACH_WAY: Final = 60
PAGE_HEIGHT: Final = 700
LINE_LENGTH: Final = 160
"""Characters of a caption that a picture of 1,280 pixels has room for."""


def map_figure(heatmap: Heatmap, *, captioned: bool = True) -> go.Figure:
    """Bars of notional (million USD) by price, with what a move from the mark liquidates on the upper axis.

    `captioned` puts heading, bounds and notes above them; a page says these beside the picture, where they wrap.
    """
    import plotly.graph_objects as go

    view = zoomed(heatmap, BARS_EACH_WAY)
    figure = go.Figure()
    for trace in _bars(heatmap, view, heatmap.grid.mark_px, "x") + _curves(heatmap, view, "x2"):
        figure.add_trace(trace)
    figure.update_layout(
        **(_style(_captions(heatmap), escape(title(heatmap))) if captioned else _style([], None)),
        xaxis=_axis("notional liquidated in the zone (million USD)", side="bottom"),
        xaxis2=_axis(
            "from the mark to here (million USD)", side="top", overlaying="x", showgrid=False, tickmode="auto"
        ),
        yaxis=_axis("price (USD)", range=[view.edges[0], view.edges[-1]], tickformat=",.6~g"),
        height=880,
    )
    _draw_mark(figure, heatmap.mark_px, f"mark {price(heatmap.mark_px)}")
    if view.empty:
        _say_empty(figure, view, heatmap.mark_px)
    return figure


def _captions(heatmap: Heatmap) -> list[str]:
    """Lines under the heading; bounds are what a trader looks for, so they are as bright as the heading."""
    bright = [f'<span style="color:{INK}">{escape(line)}</span>' for line in bounds_lines(heatmap)]
    head, rest = wrapped(head_lines(heatmap)), wrapped(said_beside(heatmap))
    color = COLORS[grade(data_moment(heatmap))]
    aged = f'<span style="color:{color}">when drawn: {escape(age_line(heatmap))}</span>'
    return [aged, *map(escape, head), *bright, *map(escape, rest)]


def side_by_side(left: Heatmap, right: Heatmap) -> go.Figure:
    """Two maps on one axis of distance from each map's own mark; bars as share of the side's mass in view."""
    from plotly.subplots import make_subplots

    reach = max(_reach_log(left), _reach_log(right))
    names = [
        "<br>".join(map(escape, (f"{m.coin} on {m.venue}", kind(m), *((m.filtered_by,) if m.only else ()))))
        for m in (left, right)
    ]
    figure = make_subplots(1, 2, shared_yaxes=True, horizontal_spacing=0.03, subplot_titles=names)
    for column, heatmap in enumerate((left, right), start=1):
        view = zoomed(heatmap, BARS_EACH_WAY, int(np.ceil(reach / heatmap.grid.log_width)))
        for trace in _bars(heatmap, view, 1.0, None):
            trace.showlegend = column == 1
            figure.add_trace(trace, row=1, col=column)
        if view.empty:
            figure.add_annotation(
                text="nothing in this range",
                showarrow=False,
                x=0.5,
                y=0.0,
                xref="x domain",
                row=1,
                col=column,
            )
    bound = 100 * np.expm1(np.array([-reach, reach]))
    figure.update_layout(**_style([], None), height=640)
    figure.update_xaxes(**_axis("share of the side (%)"))
    figure.update_yaxes(**_axis(None))
    figure.update_yaxes(range=list(bound), ticksuffix=" %", tickformat="+~g")
    figure.update_yaxes(title_text="distance from the mark", col=1)
    figure.add_hline(y=0.0, line_color=MARK, line_width=1.5)
    figure.update_annotations(font={"color": INK, "size": 14})
    return figure


def to_html(heatmap: Heatmap) -> str:
    """A page that needs nothing else: plotly.js is inside."""
    figure = map_figure(heatmap, captioned=False)
    figure.update_layout(height=PAGE_HEIGHT, margin={"t": 64, "l": 64, "r": 14, "b": 96}, font_size=12)
    figure.update_layout(xaxis_title_text="liquidated in the zone (million USD)")
    colors = {
        "PAPER": PAPER,
        "INK": INK,
        "FAINT": FAINT,
        "LONG": LONG,
        "SHORT": SHORT,
        "GRID": GRID,
        "MARK": MARK,
    }
    return page(heatmap, figure, colors)


def write_html(heatmap: Heatmap, path: Path) -> None:
    """Write `to_html`, whole or not at all."""
    write_atomically(path, to_html(heatmap))


def write_png(heatmap: Heatmap, path: Path) -> None:
    """Draw with the machine's Chromium; raises `LiqtruthError` with the remedy where there is none."""
    write_figure_png(map_figure(heatmap), path)


def write_figure_png(figure: go.Figure, path: Path) -> None:
    """As `write_png`, of any figure."""
    try:
        import kaleido

        picture = kaleido.calc_fig_sync(
            figure.to_dict(),
            opts={"format": "png", "width": 1280, "height": 880, "scale": 1},
            kopts={"enable_sandbox": False, "timeout": 60},
        )
    except ImportError as error:
        raise LiqtruthError("--png needs the extra `png`: pip install 'liqtruth[png]'") from error
    except Exception as error:
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise LiqtruthError(f"cannot draw {path}: {cause}; is Chromium installed? `make packages`") from error
    write_atomically(path, picture)


def _bars(heatmap: Heatmap, view: View, scale: float, xaxis: str | None) -> list[go.Bar]:
    """One bar trace per side: prices and million USD for `xaxis`, else distance in percent and share in percent."""
    import plotly.graph_objects as go

    traces = []
    distance = 100 * (view.centers / heatmap.mark_px - 1)
    for name, mass, color in (("longs", view.long_usd, LONG), ("shorts", view.short_usd, SHORT)):
        shown = mass > 0
        amount = mass / 1e6 if xaxis else 100 * mass / max(float(mass.sum()), 1e-300)
        y, width = (
            (view.centers, np.diff(view.edges))
            if xaxis
            else (
                distance,
                100 * np.diff(view.edges) / heatmap.mark_px,
            )
        )
        traces.append(
            go.Bar(
                x=amount[shown],
                y=y[shown],
                width=0.9 * width[shown],
                orientation="h",
                name=f"{name} liquidated",
                marker={"color": color, "line": {"width": 0}},
                customdata=_hover_columns(view, mass, distance)[shown],
                hovertemplate=_hover(view),
                **({"xaxis": xaxis} if xaxis else {}),
            )
        )
    return traces


def _hover_columns(view: View, mass: FloatArray, distance: FloatArray) -> Any:
    counts = np.zeros_like(mass) if view.positions is None else view.positions
    return np.column_stack([view.edges[:-1], view.edges[1:], distance, mass / 1e6, counts])


def _hover(view: View) -> str:
    positions = "" if view.positions is None else "<br>%{customdata[4]:,.0f} positions"
    return (
        "%{customdata[0]:,.6~g} to %{customdata[1]:,.6~g}<br>%{customdata[2]:+.1f} % from the mark<br>"
        "%{customdata[3]:,.3f} million USD" + positions
    )


def _curves(heatmap: Heatmap, view: View, xaxis: str) -> list[go.Scatter]:
    import plotly.graph_objects as go

    low, high = np.searchsorted(heatmap.grid.edges, [view.edges[0] * (1 - 1e-9), view.edges[-1] * (1 + 1e-9)])
    edges, curve = heatmap.grid.edges[low:high], heatmap.cumulative()[low:high] / 1e6
    below = edges <= heatmap.mark_px * (1 + 1e-12)
    above = edges >= heatmap.mark_px * (1 - 1e-12)
    return [
        go.Scatter(
            x=curve[part],
            y=edges[part],
            mode="lines",
            name=f"{name}, cumulative",
            line={"color": color, "width": 1.5, "dash": "dot"},
            xaxis=xaxis,
            hovertemplate="from the mark to %{y:,.6~g}: %{x:,.2f} million USD<extra></extra>",
        )
        for name, part, color in (("longs", below, LONG_LINE), ("shorts", above, SHORT_LINE))
    ]


def wrapped(lines: Iterable[str]) -> list[str]:
    """Lines that fit beside each other's width in a picture of usual size."""
    return [part for line in lines for part in wrap(line, LINE_LENGTH, subsequent_indent="  ")]


def _style(lines: list[str], heading: str | None) -> dict[str, Any]:
    subtitle = "<br>".join(lines)
    return {
        "paper_bgcolor": PAPER,
        "plot_bgcolor": PAPER,
        "font": {"color": INK, "family": "Inter, Segoe UI, Helvetica, Arial, sans-serif", "size": 13},
        "title": None
        if heading is None
        else {
            "text": heading,
            "subtitle": {"text": subtitle, "font": {"size": 12, "color": FAINT}},
            "x": 0.01,
            "xanchor": "left",
            "y": 0.985,
            "yanchor": "top",
        },
        "margin": {"t": 150 + 16 * max(len(lines) - 2, 0) if heading else 70, "l": 80, "r": 30, "b": 90},
        "legend": {
            "orientation": "h",
            "y": 0.005,
            "yref": "container",
            "yanchor": "bottom",
            "x": 0,
            "xanchor": "left",
        },
        "barmode": "overlay",
        "bargap": 0,
        "hoverlabel": {"bgcolor": GRID, "font": {"color": INK}},
    }


def _axis(heading: str | None, **more: Any) -> dict[str, Any]:
    return {
        "title": {"text": heading},
        "gridcolor": GRID,
        "zerolinecolor": GRID,
        "rangemode": "tozero",
        "ticks": "outside",
        "tickcolor": GRID,
        **more,
    }


def _draw_mark(figure: go.Figure, mark_px: float, label: str) -> None:
    figure.add_hline(
        y=mark_px,
        line_color=MARK,
        line_width=1.5,
        annotation={"text": label, "font": {"color": MARK}, "bgcolor": PAPER},
        annotation_position="top right",
    )


def _say_empty(figure: go.Figure, view: View, mark_px: float) -> None:
    reach = 100 * (view.edges[-1] / mark_px - 1)
    figure.add_annotation(
        text=f"no liquidation within {reach:.0f} % of the mark",
        showarrow=False,
        x=0.5,
        xref="paper",
        y=0.75,
        yref="paper",
        font={"size": 18, "color": FAINT},
    )


def _reach_log(heatmap: Heatmap) -> float:
    return reach_bins(heatmap) * heatmap.grid.log_width
