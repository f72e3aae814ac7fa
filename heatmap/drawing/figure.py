"""Heatmaps as Plotly figures: bars by price, cumulative lines each way, the mark; to a page or a picture."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from html import escape
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from liqtruth.heatmap.clusters.distribution import MapProfile, profile_of
from liqtruth.heatmap.clusters.facts import MapFacts
from liqtruth.heatmap.drawing import cluster_rows
from liqtruth.heatmap.drawing.mirror import mirror
from liqtruth.heatmap.drawing.page import Section, Table, map_age, render
from liqtruth.heatmap.drawing.theme import (
    AGE_COLORS,
    INK,
    LONG,
    LONG_LINE,
    MARK,
    PAPER,
    SHORT,
    SHORT_LINE,
    annotate_empty,
    themed,
)
from liqtruth.heatmap.drawing.view import (
    CUMULATIVE,
    View,
    age_line,
    axis_unit,
    bounds_lines,
    data_moment,
    head_lines,
    moves_rows,
    per_bin,
    side_notes,
    title,
    zoomed,
)
from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.words.notes import texts
from liqtruth.heatmap.words.text import grade, price
from liqtruth.heatmap.writing import write_atomically

if TYPE_CHECKING:
    import plotly.graph_objects as go

BARS_EACH_WAY: Final = 60
LINE_LENGTH: Final = 160
"""Characters of a caption that a picture of 1,280 pixels has room for."""
LEGEND_BELOW: Final = {"y": 0.005, "yref": "container", "yanchor": "bottom"}


def map_figure(heatmap: Heatmap) -> go.Figure:
    """Bars of notional (million USD) by price, with what a move from the mark liquidates on the upper axis; heading,
    bounds and notes above them."""
    import plotly.graph_objects as go

    view, unit = zoomed(heatmap, BARS_EACH_WAY), axis_unit(heatmap)[1]
    figure = go.Figure()
    for trace in _bars(heatmap, view) + _curves(heatmap, view, "x2"):
        figure.add_trace(trace)
    lines = _captions(heatmap)
    themed(
        figure,
        title=_heading(title(heatmap), lines),
        margin={"t": 150 + 16 * max(len(lines) - 2, 0), "b": 96},
        legend=LEGEND_BELOW,
        barmode="overlay",
        xaxis={"title": {"text": f"{per_bin(view)} ({unit})"}, "rangemode": "tozero"},
        xaxis2={
            "title": {"text": f"{CUMULATIVE} ({unit})"}, "rangemode": "tozero", "side": "top",
            "overlaying": "x", "showgrid": False, "tickmode": "auto",
        },
        yaxis={
            "title": {"text": "price (USD)"}, "range": [view.edges[0], view.edges[-1]], "tickformat": ",.6~g",
        },
        height=880,
    )  # fmt: skip
    _draw_mark(figure, heatmap.mark_px, f"mark {price(heatmap.mark_px)}")
    if view.empty:
        reach = 100 * (view.edges[-1] / heatmap.mark_px - 1)
        annotate_empty(figure, f"no liquidation within {reach:.0f} % of the mark")
    return figure


def _captions(heatmap: Heatmap) -> list[str]:
    """Lines under the heading; bounds are what a trader looks for, so they are as bright as the heading."""
    bright = [f'<span style="color:{INK}">{escape(line)}</span>' for line in bounds_lines(heatmap)]
    head, rest = wrapped(head_lines(heatmap)), wrapped(side_notes(heatmap, zoomed(heatmap, BARS_EACH_WAY)))
    color = AGE_COLORS[grade(data_moment(heatmap))]
    aged = f'<span style="color:{color}">when drawn: {escape(age_line(heatmap))}</span>'
    return [aged, *map(escape, head), *bright, *map(escape, rest)]


def to_html(
    heatmap: Heatmap,
    now: datetime | None = None,
    profile: MapProfile | None = None,
    facts: MapFacts | None = None,
) -> str:
    """The map's page: its age, coverage and nearest clusters, the picture, what moves liquidate, and its notes.

    Its age is measured at `now`, by default the clock. `profile` lists its clusters, with `facts` what else is known
    of them.
    """
    heads, rows = moves_rows(heatmap)
    moves = Table(heads, [(move.side, cells) for move, cells in rows])
    moved = [Section(table=moves)] if rows else []
    drawn = mirror(heatmap)
    listed = () if profile is None else cluster_rows.sections(heatmap, profile, facts)
    return render(
        title(heatmap),
        synthetic=heatmap.synthetic,
        age=map_age(heatmap, now),
        about=head_lines(heatmap),
        cards=cluster_rows.cluster_cards(heatmap, profile or profile_of(heatmap)),
        mirrored=drawn,
        sections=[Section(mirrored=drawn), *moved, *listed],
        notes=(*side_notes(heatmap), *texts(heatmap.assumptions)),
        notes_heading="What is not drawn, and what it rests on",
    )


def write_html(
    heatmap: Heatmap, path: Path, profile: MapProfile | None = None, facts: MapFacts | None = None
) -> None:
    """Write `to_html`, whole or not at all."""
    write_atomically(path, to_html(heatmap, profile=profile, facts=facts))


def write_png(heatmap: Heatmap, path: Path) -> None:
    """Draw with the machine's Chromium; raises `LiqtruthError` with the remedy where there is none."""
    write_figure_png(map_figure(heatmap), path)


def write_figure_png(
    figure: go.Figure, path: Path, *, width: int = 1280, height: int = 880, scale: float = 1
) -> None:
    """As `write_png`, of any figure; `width` and `height` in pixels, each drawn `scale` times as fine."""
    try:
        import kaleido

        picture = kaleido.calc_fig_sync(
            figure.to_dict(),
            opts={"format": "png", "width": width, "height": height, "scale": scale},
            kopts={"enable_sandbox": False, "timeout": 60},
        )
    except ImportError as error:
        raise LiqtruthError("--png needs the extra `png`: pip install 'liqtruth[png]'") from error
    except Exception as error:
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise LiqtruthError(f"cannot draw {path}: {cause}; is Chromium installed? `make packages`") from error
    write_atomically(path, picture)


def _bars(heatmap: Heatmap, view: View) -> list[go.Bar]:
    """One bar trace per side: amounts by price, as a rule in million USD."""
    import plotly.graph_objects as go

    traces, (size, unit) = [], axis_unit(heatmap)
    distance = 100 * (view.centers / heatmap.mark_px - 1)
    for name, mass, color in (("longs", view.long_usd, LONG), ("shorts", view.short_usd, SHORT)):
        shown = mass > 0
        traces.append(
            go.Bar(
                x=mass[shown] / size,
                y=view.centers[shown],
                width=0.9 * np.diff(view.edges)[shown],
                orientation="h",
                name=f"{name} liquidated",
                marker={"color": color, "line": {"width": 0}},
                customdata=_hover_columns(view, mass / size, distance)[shown],
                hovertemplate=_hover(view, unit),
                xaxis="x",
            )
        )
    return traces


def _hover_columns(view: View, mass: FloatArray, distance: FloatArray) -> Any:
    counts = np.zeros_like(mass) if view.positions is None else view.positions
    return np.column_stack([view.edges[:-1], view.edges[1:], distance, mass, counts])


def _hover(view: View, unit: str) -> str:
    positions = "" if view.positions is None else "<br>%{customdata[4]:,.0f} positions"
    return (
        "%{customdata[0]:,.6~g} to %{customdata[1]:,.6~g}<br>%{customdata[2]:+.1f} % from the mark<br>"
        f"%{{customdata[3]:,.3f}} {unit}{positions}"
    )


def _curves(heatmap: Heatmap, view: View, xaxis: str) -> list[go.Scatter]:
    import plotly.graph_objects as go

    low, high = np.searchsorted(heatmap.grid.edges, [view.edges[0] * (1 - 1e-9), view.edges[-1] * (1 + 1e-9)])
    size, unit = axis_unit(heatmap)
    edges, curve = heatmap.grid.edges[low:high], heatmap.cumulative()[low:high] / size
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
            hovertemplate=f"from the mark to %{{y:,.6~g}}: %{{x:,.2f}} {unit}<extra></extra>",
        )
        for name, part, color in (("longs", below, LONG_LINE), ("shorts", above, SHORT_LINE))
    ]


def wrapped(lines: Iterable[str]) -> list[str]:
    """Lines that fit beside each other's width in a picture of usual size."""
    return [part for line in lines for part in wrap(line, LINE_LENGTH, subsequent_indent="  ")]


def _heading(text: str, lines: list[str]) -> dict[str, Any]:
    return {"text": escape(text), "subtitle": {"text": "<br>".join(lines)}}


def _draw_mark(figure: go.Figure, mark_px: float, label: str) -> None:
    figure.add_hline(
        y=mark_px,
        line_color=MARK,
        line_width=1.5,
        annotation={"text": label, "font": {"color": MARK}, "bgcolor": PAPER},
        annotation_position="top right",
    )
