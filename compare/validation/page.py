"""A proof as one self-contained page: the answer in words, errors beside their floor, gains with intervals, bounds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from liqtruth.compare.scoring import pages
from liqtruth.compare.statistics.map_scores import HIGHER_IS_BETTER, SCORES
from liqtruth.compare.validation.backtest import CHANCE
from liqtruth.compare.validation.baselines import FITTED, LAYERS, SHAPE_COPY
from liqtruth.compare.validation.findings import (
    BOTH,
    MAIN_SCORE,
    NAIVE,
    SHAPE_SCORES,
    ScoreFindings,
    SideFindings,
    SplitFindings,
)
from liqtruth.compare.validation.limitations import limitations
from liqtruth.compare.validation.shown import NOISE_FLOOR, heading, layer_lines
from liqtruth.compare.validation.validation import Findings
from liqtruth.compare.validation.verdicts import (
    ABOUT,
    RIVALS,
    SCORE_NAMES,
    answer,
    is_thin,
    proves_little,
    setting_lines,
    skill_line,
    span,
)
from liqtruth.estimator.model.leverage_model import LEVEL
from liqtruth.heatmap.drawing.figure import GRID, INK, MARK, PAPER

if TYPE_CHECKING:
    import plotly.graph_objects as go

COLORS: Final = {"crowd": "#4c9aff", "raw": "#6b7684"}
FLOOR_COLORS: Final = {"crowd": INK, "raw": "#ffd9a0"}
SPLIT_COLORS: Final = ("#4c9aff", "#c77dff", "#ff9f43", "#00c2d1")
DASHES: Final = {"crowd": "solid", "raw": "dot"}
SIDE_NAMES: Final = {
    BOTH: "both sides' maps",
    "long": "longs, below the mark",
    "short": "shorts, above the mark",
}
FARTHEST_GAIN: Final = -150.0
"""Percent at which a loss leaves the picture."""


def write_page(findings: Findings, path: Path) -> None:
    """A page that needs nothing else, whole or not at all."""
    figures = {"errors": errors_figure(findings), "gains": gains_figure(findings)}
    judged = any(split.of(BOTH, layer).bounds for split in findings.splits for layer in LAYERS)
    if judged:
        figures["bounds"] = bounds_figure(findings)
    pages.write_page(
        "proof.html",
        path,
        figures,
        f=findings,
        heading=heading(findings),
        answer=_unbroken(answer(findings)),
        cards=[_card(split) for split in findings.splits],
        told=[
            (skill_line(split), [_unbroken(line) for line in layer_lines(split, findings.least_effective)])
            for split in findings.splits
        ],
        not_shown=[_unbroken(line) for line in limitations(findings)],
        setting=list(setting_lines(findings)),
        judged=judged,
        tables=[
            (split.name, [(name, _rows(side)) for name, side in _sides(split)]) for split in findings.splits
        ],
        contestants=[(name, ABOUT.get(name, "")) for name in (FITTED, *RIVALS)],
    )


def errors_figure(findings: Findings) -> go.Figure:
    """W1 of every contestant per split, crowd beside raw; dashed lines are the noise floors."""
    figure = _panels(findings)
    for row, split in enumerate(findings.splits, start=1):
        for layer in LAYERS:
            score = split.main(layer)
            figure.add_trace(_bars(score, layer, first=row == 1), row=row, col=1)
            if score.floor is not None:
                figure.add_trace(_floor(score.floor, layer, first=row == 1), row=row, col=1)
    _style(figure, 275 * len(findings.splits) + 60)
    figure.update_layout(barmode="group", bargap=0.25)
    figure.update_yaxes(title_text="W1, % of price", rangemode="tozero")
    return figure


def gains_figure(findings: Findings) -> go.Figure:
    """How much nearer the fit is than each rival, with 95 % intervals: left of zero it is further off."""
    figure = _panels(findings)
    for row, split in enumerate(findings.splits, start=1):
        for layer in LAYERS:
            figure.add_trace(_gains(split.main(layer), layer, first=row == 1), row=row, col=1)
        figure.add_vline(x=0, line={"color": MARK, "width": 1.5}, row=row, col=1)
    _style(figure, 290 * len(findings.splits) + 60)
    figure.update_layout(scattermode="group", scattergap=0.55)
    figure.update_yaxes(categoryorder="array", categoryarray=[*reversed(RIVALS)])
    figure.update_xaxes(range=[_least_gain(findings), 105], ticksuffix=" %")
    figure.update_xaxes(title_text="nearer than the rival by, % of its W1", row=len(findings.splits))
    return figure


def bounds_figure(findings: Findings) -> go.Figure:
    """Share of held-out maps within the bounds by distance, against what they promise."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for place, split in enumerate(findings.splits):
        for layer in LAYERS:
            found = split.of(BOTH, layer).bounds
            if found is not None:
                figure.add_trace(
                    go.Scatter(
                        x=found.distance_pct,
                        y=[100 * share for share in found.inside],
                        mode="lines+markers",
                        name=f"{split.name}, {layer}",
                        line={"color": SPLIT_COLORS[place % len(SPLIT_COLORS)], "dash": DASHES[layer]},
                        hovertemplate="within %{x} % of the mark: %{y:.0f} % of maps",
                    )
                )
    figure.add_hline(y=100 * LEVEL, line={"color": MARK, "width": 1.5, "dash": "dash"})
    _style(figure, 400)
    figure.update_xaxes(title_text="distance from the mark", ticksuffix=" %")
    figure.update_yaxes(title_text="maps within the bounds", ticksuffix=" %", range=[0, 104])
    return figure


def _panels(findings: Findings) -> go.Figure:
    """A panel per split, one under the other."""
    from plotly.subplots import make_subplots

    count = len(findings.splits)
    return make_subplots(
        count,
        1,
        vertical_spacing=0.32 / count,
        subplot_titles=[split.name for split in findings.splits],
    )


def _bars(score: ScoreFindings, layer: str, *, first: bool) -> Any:
    import plotly.graph_objects as go

    names = [FITTED, *RIVALS]
    return go.Bar(
        x=names,
        y=[score.means[name] for name in names],
        name=f"{layer} map",
        legendgroup=layer,
        showlegend=first,
        marker={
            "color": COLORS[layer],
            "line": {"color": MARK, "width": [2 if name == FITTED else 0 for name in names]},
            "pattern": {"shape": ["/" if name == CHANCE else "" for name in names], "fgcolor": PAPER},
        },
        hovertemplate="%{x}: %{y:.2f} % of price",
    )


def _floor(floor: float, layer: str, *, first: bool) -> Any:
    import plotly.graph_objects as go

    return go.Scatter(
        x=[FITTED, *RIVALS],
        y=[floor] * (1 + len(RIVALS)),
        mode="lines",
        name=f"{NOISE_FLOOR}, {layer}",
        legendgroup=f"floor {layer}",
        showlegend=first,
        line={"color": FLOOR_COLORS[layer], "dash": "dash" if layer == "crowd" else "dot", "width": 1.8},
        hovertemplate=f"{NOISE_FLOOR}: %{{y:.2f}} % of price",
    )


def _gains(score: ScoreFindings, layer: str, *, first: bool) -> Any:
    import plotly.graph_objects as go

    gains = [gain for gain in score.gains if gain.rival in RIVALS]
    above = [None if gain.high is None else 100 * (gain.high - gain.gain) for gain in gains]
    below = [None if gain.low is None else 100 * (gain.gain - gain.low) for gain in gains]
    return go.Scatter(
        x=[100 * gain.gain for gain in gains],
        y=[gain.rival for gain in gains],
        mode="markers",
        orientation="h",
        name=f"{layer} map",
        offsetgroup=layer,
        legendgroup=layer,
        showlegend=first,
        marker={
            "color": COLORS[layer],
            "size": 9,
            "symbol": ["circle" if gain.low is not None else "circle-open" for gain in gains],
        },
        error_x={"type": "data", "symmetric": False, "array": above, "arrayminus": below, "width": 4},
        text=[span(gain) for gain in gains],
        hovertemplate=f"{layer}, %{{y}}: nearer by %{{text}}<extra></extra>",
    )


def _least_gain(findings: Findings) -> float:
    lows = [
        100 * (gain.gain if gain.low is None else gain.low)
        for split in findings.splits
        for layer in LAYERS
        for gain in split.main(layer).gains
    ]
    return max(FARTHEST_GAIN, min([*lows, 0.0]) - 8)


def _style(figure: go.Figure, height: int) -> None:
    figure.update_layout(
        paper_bgcolor=PAPER,
        plot_bgcolor=PAPER,
        font={"color": INK, "family": "Inter, Segoe UI, Helvetica, Arial, sans-serif", "size": 13},
        margin={"t": 84, "l": 12, "r": 10, "b": 50},
        legend={"orientation": "h", "y": 1.0, "yref": "container", "yanchor": "top", "x": 0},
        hoverlabel={"bgcolor": GRID, "font": {"color": INK}},
        height=height,
    )
    figure.update_xaxes(gridcolor=GRID, zeroline=False, automargin=True)
    figure.update_yaxes(gridcolor=GRID, zeroline=False, automargin=True)


def _card(split: SplitFindings) -> dict[str, Any]:
    """What the head of the page says of one split."""
    score = split.main("crowd")
    grade = {True: ("better", "skill"), False: ("worse", "no skill shown"), None: ("same", "no claim")}
    look, word = grade[None if proves_little(split, "crowd") else split.skill]
    copied, tiers = score.gain(SHAPE_COPY), score.gain(NAIVE)
    return {
        "name": split.name,
        "look": look,
        "word": word,
        "error": score.means[FITTED],
        "over_floor": score.over_floor,
        "copied": None if copied is None else _unbroken(span(copied)),
        "tiers": None if tiers is None else _unbroken(span(tiers)),
        "blocks": split.blocks,
    }


def _sides(split: SplitFindings) -> list[tuple[str, SideFindings]]:
    order = [(side, layer) for side in SIDE_NAMES for layer in LAYERS]
    return [(f"{layer} map, {SIDE_NAMES[side]}", split.of(side, layer)) for side, layer in order]


def _rows(side: SideFindings) -> list[dict[str, Any]]:
    """A row per score: mean of every contestant, graded by whether the fit is better or worse beyond doubt; of shape
    nothing is graded where most maps have too few positions."""
    thin = is_thin(side)
    return [_row(side.of(score), graded=not (thin and score in SHAPE_SCORES)) for score in SCORES]


def _row(score: ScoreFindings, *, graded: bool) -> dict[str, Any]:
    cells = [(_figure(score.score, score.means[FITTED]), "")]
    for name in RIVALS:
        gain = score.gain(name)
        look = "faint"
        if graded and gain is not None and gain.low is not None and gain.high is not None:
            look = _look(gain.low, gain.high)
        cells.append((_figure(score.score, score.means[name]), look))
    return {
        "name": SCORE_NAMES[score.score],
        "higher": score.score in HIGHER_IS_BETTER,
        "main": score.score == MAIN_SCORE,
        "maps": score.maps,
        "left_out": score.left_out,
        "floor": _figure(score.score, score.floor),
        "cells": cells,
    }


def _unbroken(text: str) -> str:
    """Figures stay with their percent sign where a line ends."""
    return text.replace(" %", "\u00a0%")


def _look(low: float, high: float) -> str:
    return "better" if low > 0 else "worse" if high < 0 else "same"


def _figure(score: str, value: float | None) -> str:
    if value is None:
        return "–"
    return (
        f"{100 * value:.0f} %"
        if score == "recall_5"
        else f"{value:.2f}"
        if score == MAIN_SCORE
        else f"{value:.3f}"
    )
