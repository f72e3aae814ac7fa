"""Scores on realised liquidations as a page: predicted against realised, rank skill and precision beside baselines."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from liqtruth.compare.scoring.realised.score import HorizonScore, RealisedScore, Scored
from liqtruth.compare.scoring.realised.scores import SideScore
from liqtruth.compare.scoring.realised.shown import realised_lines
from liqtruth.compare.scoring.realised.verdict import horizon_name
from liqtruth.compare.scoring.realised.windows import Windows
from liqtruth.compare.statistics.intervals import Estimate
from liqtruth.heatmap.drawing.figure import FAINT, GRID, INK, LONG, MARK, PAPER, SHORT, wrapped
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.synthetic import SYNTHETIC
from liqtruth.heatmap.writing import write_atomically

if TYPE_CHECKING:
    import plotly.graph_objects as go

SCORED_COLOR: Final = "#5fa8d3"
BASELINE_COLORS: Final = {"uniform": FAINT, "tiers": "#b48ead"}
ROW_PX: Final = 430
GAP_PX: Final = 95
LEAST_USD: Final = 1.0
"""Windows below it on either axis are not drawn: a map's tails go down to parts of a cent."""


def write_page(scored: Scored, path: Path) -> None:
    """A page that needs nothing else, whole or not at all."""
    html: str = realised_figure(scored).to_html(include_plotlyjs=True, config={"displaylogo": False})
    write_atomically(path, html.replace("<body>", f'<body style="margin:0;background:{PAPER}">', 1))


def realised_figure(scored: Scored) -> go.Figure:
    """A row per horizon: predicted against realised, partial rank correlations, precision."""
    from plotly.subplots import make_subplots

    score = scored.score
    rows = len(score.horizons)
    figure = make_subplots(
        rows,
        3,
        column_widths=[0.42, 0.29, 0.29],
        horizontal_spacing=0.08,
        vertical_spacing=GAP_PX / (ROW_PX * rows),
        subplot_titles=[title for one in score.horizons for title in _titles(scored, one)],
    )
    for row, horizon in enumerate(score.horizons, start=1):
        _draw_windows(figure, row, scored, horizon)
        _draw_partial(figure, row, horizon.sides[-1])
        _draw_precision(figure, row, horizon.sides[-1])
    _style(figure, score, rows)
    return figure


def _titles(scored: Scored, horizon: HorizonScore) -> tuple[str, str, str]:
    drawn, count = (
        sum(int(_both(windows, scored.score.model).sum()) for windows in scored.windows[horizon.horizon_s]),
        sum(windows.start_ms.size for windows in scored.windows[horizon.horizon_s]),
    )
    name = horizon_name(horizon.horizon_s)
    return (
        f"{name}: {drawn} of {count} windows with both above $1",
        f"{name}: partial rank correlation",
        f"{name}: liquidations in the top tenth of zones",
    )


def _both(windows: Windows, name: str) -> np.ndarray:
    return np.asarray((windows.predicted_usd[name] > LEAST_USD) & (windows.told_usd > LEAST_USD))


def _draw_windows(figure: go.Figure, row: int, scored: Scored, horizon: HorizonScore) -> None:
    import plotly.graph_objects as go

    known, seen = scored.score.coverage is not None, []
    for side, windows, color in zip(
        ("long", "short"), scored.windows[horizon.horizon_s], (LONG, SHORT), strict=True
    ):
        both = _both(windows, scored.score.model)
        predicted = windows.predicted_usd[scored.score.model][both]
        realised = (windows.realised_usd if known else windows.told_usd)[both]
        seen += [predicted, realised]
        figure.add_trace(_points(side, color, predicted, realised, row == 1), row=row, col=1)
    values = np.concatenate(seen) if np.concatenate(seen).size else np.array([LEAST_USD, 1e6])
    ends = [float(values.min()) / 2, float(values.max()) * 2]
    line = go.Scatter(
        x=ends,
        y=ends,
        mode="lines",
        name="1:1",
        line={"color": MARK, "dash": "dot"},
        showlegend=row == 1,
    )
    figure.add_trace(line, row=row, col=1)
    axis = {"type": "log", "tickprefix": "$", "exponentformat": "SI", "dtick": 1, "tickangle": 0}
    word = "realised (USD)" if known else "realised as told, coverage unknown (USD)"
    figure.update_xaxes(title_text="predicted (USD)", **axis, row=row, col=1)
    figure.update_yaxes(title_text=word, **axis, row=row, col=1)


def _points(side: str, color: str, predicted: FloatArray, realised: FloatArray, first: bool) -> Any:
    import plotly.graph_objects as go

    return go.Scatter(
        x=predicted,
        y=realised,
        mode="markers",
        name=side,
        marker={"color": color, "size": 6, "opacity": 0.65},
        hovertemplate="predicted %{x:$,.3s}, realised %{y:$,.3s}",
        showlegend=first,
    )


def _draw_partial(figure: go.Figure, row: int, pooled: SideScore) -> None:
    bars = [_spread(one.partial) for one in pooled.maps]
    figure.add_trace(_bars(pooled, bars, "%{x}: %{y:.2f}"), row=row, col=2)
    figure.update_yaxes(range=[-0.5, 1.05], zerolinecolor=FAINT, row=row, col=2)
    _say_unknown(figure, row, 2, bars)


def _draw_precision(figure: go.Figure, row: int, pooled: SideScore) -> None:
    found = [one.precision for one in pooled.maps]
    bars: list[Spread | None] = [None if one is None else (one.share, one.low, one.high) for one in found]
    figure.add_trace(_bars(pooled, bars, "%{x}: %{y:.0%}"), row=row, col=3)
    figure.add_hline(
        y=0.1, line={"color": MARK, "dash": "dot"}, annotation_text="chance 10 %", row=row, col=3
    )
    figure.update_yaxes(
        tickformat=".0%", rangemode="tozero", range=None if any(bars) else [0, 1], row=row, col=3
    )
    _say_unknown(figure, row, 3, bars)


Spread = tuple[float, float | None, float | None]
"""A value and its bounds, null where there is no interval."""


def _spread(estimate: Estimate | None) -> Spread | None:
    return None if estimate is None else (estimate.value, estimate.low, estimate.high)


def _bars(pooled: SideScore, bars: list[Spread | None], hover: str) -> Any:
    import plotly.graph_objects as go

    drawn = [(one.name, bar) for one, bar in zip(pooled.maps, bars, strict=True) if bar is not None]
    return go.Bar(
        x=[name for name, _ in drawn],
        y=[bar[0] for _, bar in drawn],
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [None if high is None else max(0.0, high - value) for _, (value, _, high) in drawn],
            "arrayminus": [None if low is None else max(0.0, value - low) for _, (value, low, _) in drawn],
            "color": INK,
            "visible": any(low is not None for _, (_, low, _) in drawn),
        },
        marker={"color": [_color(name, pooled.maps[0].name) for name, _ in drawn]},
        hovertemplate=f"{hover}<extra></extra>",
        showlegend=False,
    )


def _color(name: str, scored: str) -> str:
    return SCORED_COLOR if name == scored else BASELINE_COLORS.get(name, FAINT)


def _say_unknown(figure: go.Figure, row: int, column: int, bars: list[Spread | None]) -> None:
    if not any(bars):
        figure.add_annotation(
            text="not known: too few windows or events",
            x=0.5,
            y=0.5,
            xref="x domain",
            yref="y domain",
            showarrow=False,
            font={"color": FAINT},
            row=row,
            col=column,
        )
        figure.update_xaxes(showticklabels=False, row=row, col=column)


def _style(figure: go.Figure, score: RealisedScore, rows: int) -> None:
    lines = [_colored(line, score) for line in wrapped(realised_lines(score))]
    subtitle = "<br>".join(lines)
    weights = f" ({score.weights})" if score.weights else ""
    heading = f"{score.coin} on {score.venue}: {score.model}{weights} against realised liquidations"
    top = 90 + 16 * len(lines)
    figure.update_layout(
        paper_bgcolor=PAPER,
        plot_bgcolor=PAPER,
        font={"color": INK, "family": "Inter, Segoe UI, Helvetica, Arial, sans-serif", "size": 13},
        title={
            "text": escape(heading),
            "subtitle": {"text": subtitle, "font": {"size": 12, "color": FAINT}},
            "x": 0.01,
            "y": 1.0,
            "yref": "container",
            "yanchor": "top",
            "pad": {"t": 16},
        },
        margin={"t": top, "l": 80, "r": 30, "b": 60},
        hoverlabel={"bgcolor": GRID, "font": {"color": INK}},
        legend={"orientation": "h", "x": 0.0, "y": -40 / (ROW_PX * rows), "yanchor": "top"},
        height=top + 60 + ROW_PX * rows,
    )
    figure.update_annotations(font_size=13)
    figure.update_xaxes(gridcolor=GRID)
    figure.update_yaxes(gridcolor=GRID)


def _colored(line: str, score: RealisedScore) -> str:
    """The verdict stands out from the notes, and that data are synthetic from both."""
    if line.startswith(SYNTHETIC):
        return f'<span style="color:{MARK}">{escape(line)}</span>'
    return f'<span style="color:{INK}">{escape(line)}</span>' if line in score.verdict else escape(line)
