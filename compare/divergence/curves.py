"""The picture of a divergence: cumulative share of each side by distance; Wasserstein-1 is the area between lines."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Final

import numpy as np

from liqtruth.compare.divergence.divergence import Divergence
from liqtruth.compare.divergence.no_information import LABEL, null_of
from liqtruth.compare.statistics.distances import distance_pct, side_curve
from liqtruth.heatmap.drawing.figure import wrapped
from liqtruth.heatmap.drawing.theme import EXACT, FAINT, MARK, MODELS, themed
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.synthetic import SYNTHETIC_NOTE

if TYPE_CHECKING:
    import plotly.graph_objects as go

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
    step = 10.0 if range_pct > 20 else 2.0 if range_pct > 5 else 0.5
    ticks = np.arange(-np.floor(range_pct / step), np.floor(range_pct / step) + 1) * step
    themed(figure, height=450)
    figure.update_xaxes(
        title_text="move from the mark (%)", range=[-range_pct, range_pct], tickformat="+~g",
        tickangle=0, tickvals=[float(at) for at in ticks if at], zeroline=False,
    )  # fmt: skip
    figure.update_yaxes(title_text="of the side liquidated", range=[0, 103], ticksuffix=" %", zeroline=False)
    figure.add_vline(x=0, line_color=MARK, line_width=1.5)
    return figure


def curves_picture(divergence: Divergence, truth: Heatmap, models: Sequence[Heatmap]) -> go.Figure:
    """The same as a file of its own, under the answer and, of the sandbox's data, with a note that says so."""
    figure = curves_figure(truth, models, divergence.range_pct)
    marked = [SYNTHETIC_NOTE] if divergence.synthetic else []
    lines = wrapped([divergence.verdict, *marked])
    heading = f"{divergence.coin}: model against {divergence.truth.label}"
    return figure.update_layout(
        title={"text": escape(heading), "subtitle": {"text": "<br>".join(map(escape, lines))}},
        margin={"t": 130 + 16 * len(lines)},
    )


def _lines(truth: Heatmap, models: Sequence[Heatmap]) -> list[tuple[str, Heatmap, dict[str, object]]]:
    lines: list[tuple[str, Heatmap, dict[str, object]]] = [
        (LABEL, null_of(truth), {"color": FAINT, "width": 1.5, "dash": "dot"})
    ]
    for position, model in enumerate(models):
        again, place = divmod(position, len(MODELS))
        lines.append(
            (model.label, model, {"color": MODELS[place], "width": 2, "dash": "dash" if again else "solid"})
        )
    return [*lines, (f"truth: {truth.label}", truth, {"color": EXACT, "width": 3})]


def _trace(heatmap: Heatmap, side: str, range_pct: float) -> tuple[list[float], list[float]] | None:
    """Signed distance and share, both in percent."""
    curve = side_curve(heatmap, side, range_pct)
    if curve.empty:
        return None
    at = np.linspace(0.0, curve.at[-1], POINTS)
    sign = -1 if side == "long" else 1
    return (sign * distance_pct(at, side)).round(4).tolist(), (100 * curve.share(at)).round(4).tolist()
