"""A validation as one self-contained page: the answer, errors beside their floor, gains with intervals, bounds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from liqtruth.compare.statistics.map_scores import HIGHER_IS_BETTER
from liqtruth.compare.validation.backtest import CHANCE
from liqtruth.compare.validation.baselines import FITTED, LAYERS
from liqtruth.compare.validation.findings import (
    BOTH,
    MAIN_SCORE,
    NAIVE,
    SHAPE_SCORES,
    BoundsFindings,
    ScoreFindings,
    SideFindings,
    SplitFindings,
)
from liqtruth.compare.validation.shown import NOISE_FLOOR, layer_lines, limitations
from liqtruth.compare.validation.validation import Findings
from liqtruth.compare.validation.verdicts import (
    ABOUT,
    RIVALS,
    SCORE_NAMES,
    answer,
    is_thin,
    proves_little,
    rival_name,
    setting_lines,
    skill_line,
    span,
)
from liqtruth.estimator.model.baselines import CLIMATOLOGY
from liqtruth.estimator.model.leverage_model import LEVEL
from liqtruth.heatmap.drawing import page
from liqtruth.heatmap.drawing.theme import HATCHED, INK, MARK, MODELS, MUTED, themed

if TYPE_CHECKING:
    import plotly.graph_objects as go

COLORS: Final = {"crowd": MODELS[0], "raw": MUTED}
FLOOR_COLORS: Final = {"crowd": INK, "raw": MODELS[2]}
DASHES: Final = {"crowd": "solid", "raw": "dot"}
SIDE_NAMES: Final = {
    BOTH: "both sides' maps",
    "long": "longs, below the mark",
    "short": "shorts, above the mark",
}
FARTHEST_GAIN: Final = -150.0
"""Percent at which a loss leaves the picture."""


def write_page(findings: Findings, path: Path) -> None:
    """Errors and gains per split, bounds where they were judged, and all scores."""
    judged = any(split.of(BOTH, layer).bounds for split in findings.splits for layer in LAYERS)
    page.write_page(
        path,
        "Does the fitted map beat what knows less?",
        template="validation.html",
        package="liqtruth.compare",
        synthetic=findings.synthetic,
        age=page.age_of(findings.end, lead="data to"),
        about=[
            f"{findings.pairs} pairs of {', '.join(findings.coins)}, {findings.start:%Y-%m-%d} to "
            f"{findings.end:%Y-%m-%d} UTC; exact positions of Hyperliquid against maps drawn from its public "
            "aggregates by fits that had not seen them"
        ],
        answer=[_unbroken(answer(findings))],
        f=findings,
        errors=[page.panel(f"errors-{at}", errors_figure(one), one.name) for at, one in _numbered(findings)],
        gains=[page.panel(f"gains-{at}", gains_figure(one), one.name) for at, one in _numbered(findings)],
        bounds=page.panel("bounds", bounds_figure(findings)) if judged else None,
        cards=[_card(split) for split in findings.splits],
        findings=[
            (skill_line(split), [_unbroken(line) for line in layer_lines(split, findings.least_effective)])
            for split in findings.splits
        ],
        not_shown=[_unbroken(line) for line in limitations(findings)],
        setting=list(setting_lines(findings)),
        tables=[
            (split.name, [(name, _rows(side)) for name, side in _sides(split)]) for split in findings.splits
        ],
        compared=[(name, ABOUT.get(name, "")) for name in (FITTED, *RIVALS)],
    )


def _numbered(findings: Findings) -> Iterable[tuple[int, SplitFindings]]:
    return enumerate(findings.splits)


def errors_figure(split: SplitFindings) -> go.Figure:
    """W1 of every contestant, crowd beside raw; dashed lines are the noise floors."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for layer in LAYERS:
        score = split.main(layer)
        figure.add_trace(_bars(score, layer))
        if score.floor is not None:
            figure.add_trace(_floor(score.floor, layer))
    figure.update_yaxes(title_text="W1, % of price", rangemode="tozero")
    return themed(figure, barmode="group", bargap=0.25, height=380)


def gains_figure(split: SplitFindings) -> go.Figure:
    """How much nearer the fit is than each rival, with 95 % intervals: left of zero it is further off."""
    import plotly.graph_objects as go

    figure = go.Figure([_gains(split.main(layer), layer) for layer in LAYERS])
    figure.add_vline(x=0, line={"color": MARK, "width": 1.5})
    figure.update_yaxes(categoryorder="array", categoryarray=[*reversed(RIVALS)])
    figure.update_xaxes(
        range=[_least_gain(split), 105], ticksuffix=" %", zeroline=False,
        title_text="nearer than the rival by, % of its W1",
    )  # fmt: skip
    return themed(figure, scattermode="group", scattergap=0.55, height=380)


def bounds_figure(findings: Findings) -> go.Figure:
    """Share of maps left out of the fit within the bounds by distance, against what they promise."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for place, split in enumerate(findings.splits):
        for layer in LAYERS:
            found = split.of(BOTH, layer).bounds
            if found is not None:
                figure.add_trace(
                    go.Scatter(
                        x=found.distance_pct,
                        y=[None if share is None else 100 * share for share in found.inside],
                        mode="lines+markers",
                        name=f"{split.name}, {layer}",
                        line={"color": MODELS[place % len(MODELS)], "dash": DASHES[layer]},
                        error_y=_bars_of(found),
                        hovertemplate="within %{x} % of the mark: %{y:.0f} % of maps",
                    )
                )
    figure.add_hline(y=100 * LEVEL, line={"color": MARK, "width": 1.5, "dash": "dash"})
    themed(figure, height=420)
    figure.update_xaxes(title_text="distance from the mark", ticksuffix=" %")
    figure.update_yaxes(title_text="maps within the bounds", ticksuffix=" %", range=[0, 104])
    return figure


def _bars_of(found: BoundsFindings) -> dict[str, Any]:
    """95 % intervals of the shares by distance, in percent; none where there is none."""
    rows = (
        [
            (0.0, 0.0) if share is None or ends is None else (share - ends[0], ends[1] - share)
            for share, ends in zip(found.inside, found.ends, strict=True)
        ]
        if found.ends
        else []
    )
    below, above = ([100 * row[side] for row in rows] for side in (0, 1))
    return {"array": above, "arrayminus": below, "thickness": 1, "width": 3, "visible": bool(rows)}


def _bars(score: ScoreFindings, layer: str) -> Any:
    import plotly.graph_objects as go

    names = [FITTED, *RIVALS]
    return go.Bar(
        x=names,
        y=[score.means[name] for name in names],
        name=f"{layer} map",
        marker={
            "color": COLORS[layer],
            "line": {"color": MARK, "width": [2 if name == FITTED else 0 for name in names]},
            "pattern": {"shape": ["/" if name == CHANCE else "" for name in names], **HATCHED},
        },
        hovertemplate="%{x}: %{y:.2f} % of price",
    )


def _floor(floor: float, layer: str) -> Any:
    import plotly.graph_objects as go

    return go.Scatter(
        x=[FITTED, *RIVALS],
        y=[floor] * (1 + len(RIVALS)),
        mode="lines",
        name=f"{NOISE_FLOOR}, {layer}",
        line={"color": FLOOR_COLORS[layer], "dash": "dash" if layer == "crowd" else "dot", "width": 1.8},
        hovertemplate=f"{NOISE_FLOOR}: %{{y:.2f}} % of price",
    )


def _gains(score: ScoreFindings, layer: str) -> Any:
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
        marker={
            "color": COLORS[layer],
            "size": 9,
            "symbol": ["circle" if gain.low is not None else "circle-open" for gain in gains],
        },
        error_x={"type": "data", "symmetric": False, "array": above, "arrayminus": below, "width": 4},
        text=[span(gain) for gain in gains],
        hovertemplate=f"{layer}, %{{y}}: nearer by %{{text}}<extra></extra>",
    )


def _least_gain(split: SplitFindings) -> float:
    gains = [gain for layer in LAYERS for gain in split.main(layer).gains]
    lows = [100 * (gain.gain if gain.low is None else gain.low) for gain in gains]
    return max(FARTHEST_GAIN, min([*lows, 0.0]) - 8)


def _card(split: SplitFindings) -> page.Card:
    """What the head of the page shows of one split."""
    score = split.main("crowd")
    grade = {True: ("better", "skill"), False: ("worse", "no skill shown"), None: ("same", "no claim")}
    look, word = grade[None if proves_little(split, "crowd") else split.skill]
    return page.Card(f"{split.name}, crowd's map", word, "; ".join(_beside(split, score)), look)


def _beside(split: SplitFindings, score: ScoreFindings) -> Iterator[str]:
    """Error, noise floor and gains of a split, as far as they are known."""
    error, copied, tiers = score.means[FITTED], score.gain(CLIMATOLOGY), score.gain(NAIVE)
    if error is None:
        yield "no map passes the gate"
    else:
        over = "" if score.over_floor is None else f", {score.over_floor:.1f} times the noise floor"
        yield f"off by {error:.2f} % of price{over}"
    if tiers is not None:
        yield f"gain over {rival_name(split, NAIVE)} {_unbroken(span(tiers))}"
    if copied is not None:
        yield f"gain over climatology {_unbroken(span(copied))}"


def _sides(split: SplitFindings) -> list[tuple[str, SideFindings]]:
    order = [(side, layer) for side in SIDE_NAMES for layer in LAYERS]
    return [(f"{layer} map, {SIDE_NAMES[side]}", split.of(side, layer)) for side, layer in order]


def _rows(side: SideFindings) -> list[dict[str, Any]]:
    """A row per score: mean of every contestant, graded by whether the fit is better or worse beyond doubt; of shape
    nothing is graded where most maps have too few positions."""
    thin = is_thin(side)
    return [_row(score, graded=not (thin and score.score in SHAPE_SCORES)) for score in side.scores]


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
