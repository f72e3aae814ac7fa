"""A divergence as one self-contained page: the answer, the two maps side by side, and everything behind them.

Among it the cumulative share of each side by distance: Wasserstein-1 is the area between lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from liqtruth.compare.conclusion.records import CROWD
from liqtruth.compare.conclusion.sentences import MARKS
from liqtruth.compare.diagnosis.diagnosis import by_maps
from liqtruth.compare.divergence.baselines import LABEL, null_of
from liqtruth.compare.divergence.divergence import Divergence, range_cell, undefined_reasons
from liqtruth.compare.matching.assignment import fates_sentence
from liqtruth.compare.matching.consensus import beside_text, consensus_sentence, outward
from liqtruth.compare.matching.matching import recall_sentence
from liqtruth.compare.statistics.distances import distance_pct, side_curve
from liqtruth.compare.statistics.effective_sample_size import ENOUGH
from liqtruth.compare.statistics.scores import NAMES, SAME_SKILL, Judged
from liqtruth.heatmap.clusters.distribution import profile_of
from liqtruth.heatmap.clusters.facts import surroundings_line
from liqtruth.heatmap.drawing import cluster_rows
from liqtruth.heatmap.drawing.figure import wrapped
from liqtruth.heatmap.drawing.mirror import mirror
from liqtruth.heatmap.drawing.page import map_age, panel, render
from liqtruth.heatmap.drawing.theme import EXACT, FAINT, MARK, MODELS, themed
from liqtruth.heatmap.drawing.view import coverage_line, remainder_line
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.layers import LARGEST_SHARE
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.words.notes import SYNTHETIC_NOTE, Note, texts
from liqtruth.heatmap.words.text import age, percent, price, usd, venue_words
from liqtruth.heatmap.writing import write_atomically

if TYPE_CHECKING:
    import plotly.graph_objects as go


POINTS: Final = 400
CROWD_LINE: Final = "crowd of the truth"


def render_report(
    divergence: Divergence,
    truth: Heatmap,
    models: Sequence[Heatmap],
    now: datetime | None = None,
    crowd: Heatmap | None = None,
) -> str:
    """The maps are those that the divergence was computed from; `crowd` is the truth's where the answer is against it.

    Ages are those at `now`, by default the clock, and computed anew when the page is opened."""
    ages = [map_age(heatmap, now) for heatmap in (truth, *models)]
    label, caveats = divergence.truth.label, texts(divergence.caveats)
    given = divergence.of_first_given
    folded = [
        line for line in (*caveats[1:], divergence.beside, *divergence.of_maps) if line and line != given
    ]
    return render(
        f"{divergence.coin} liquidations: model against {'truth' if divergence.truth.source == 'exact' else label}",
        template="report.html",
        package="liqtruth.compare",
        filters=FILTERS,
        synthetic=divergence.synthetic,
        age=ages[0],
        about=[f"{label}, mark {price(divergence.truth.mark_px)} USD"],
        answer=[line for line in (divergence.headline, given) if line],
        caveat=caveats[0] if caveats else "",
        more=folded,
        truth_cards=[
            *cluster_rows.cluster_cards(truth, profile_of(truth), "truth"),
            cluster_rows.coverage_card(truth, "truth"),
        ],
        notes=texts(divergence.remarks),
        d=divergence,
        mirrored=mirror(truth, models),
        reached=cluster_rows.reach_of(truth),
        curves=panel("curves", curves_figure(truth, models, divergence.range_pct, crowd)),
        captions=[(coverage_line(heatmap), remainder_line(heatmap)) for heatmap in (truth, *models)],
        off=by_maps({result.summary.label: result.diagnosis for result in divergence.models}),
        score_rows=list(zip(*(result.judged for result in divergence.models), strict=True)),
        reasons=undefined_reasons(divergence),
        aged=ages,
        within=divergence.shown_ranges,
        shared=_shared(divergence),
        marks=MARKS,
        speaks=CROWD_LINE if crowd is not None else "truth",
        crowd=next((layer for layer in divergence.layers if layer.layer == CROWD and layer.enough), None),
        names=NAMES,
        enough=f"{ENOUGH:.0f}",
        largest_share=LARGEST_SHARE,
    )


def write_report(
    divergence: Divergence,
    truth: Heatmap,
    models: Sequence[Heatmap],
    path: Path,
    crowd: Heatmap | None = None,
) -> None:
    """Write `render_report`, whole or not at all."""
    write_atomically(path, render_report(divergence, truth, models, crowd=crowd))


def curves_figure(
    truth: Heatmap, models: Sequence[Heatmap], range_pct: float, crowd: Heatmap | None = None
) -> go.Figure:
    """One line per map and side from the mark outward; sides that a map has nothing on are left out. Thick is what maps
    are scored against: the crowd where one is given, else the truth."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for number, (label, heatmap, line) in enumerate(_lines(truth, models, crowd)):
        name = escape(label, quote=False)
        drawn = [(side, _trace(heatmap, side, range_pct)) for side in SIDES]
        present = [(side, trace) for side, trace in drawn if trace is not None]
        for position, (side, (x, y)) in enumerate(present):
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


def curves_picture(
    divergence: Divergence, truth: Heatmap, models: Sequence[Heatmap], crowd: Heatmap | None = None
) -> go.Figure:
    """The curves as a file of their own, under the answer and, of the sandbox's data, with a note that says so."""
    figure = curves_figure(truth, models, divergence.range_pct, crowd)
    marked = [SYNTHETIC_NOTE] if divergence.synthetic else []
    lines = wrapped([divergence.headline, *marked])
    heading = f"{divergence.coin}: model against {divergence.truth.label}"
    return figure.update_layout(
        title={"text": escape(heading), "subtitle": {"text": "<br>".join(map(escape, lines))}},
        margin={"t": 90 + 16 * len(lines)},
    )


def number(value: float | None, digits: int = 2) -> str:
    """A figure, or a dash where it is undefined."""
    return "–" if value is None else f"{value:.{digits}f}"


def figure(value: float | None, score: str) -> str:
    """A score with its unit."""
    if value is None:
        return "–"
    if score == "share_above_error":
        return f"{100 * value:.0f} pp"
    return f"{value:.2f} %" if score == "wasserstein_pct" else f"{value:.3f}"


def signed(skill: float) -> str:
    """A skill in percent, with its sign."""
    return f"{100 * skill:+.0f} %".replace("-", "−")


def grade(row: Judged | float | None) -> str:
    """`better`, `worse`, `same` or `undefined`: the class of a cell; `unranked` where it ranks no model."""
    if isinstance(row, Judged) and not row.ranked:
        return "unranked"
    skill = row.skill if isinstance(row, Judged) else row
    if skill is None:
        return "undefined"
    return "same" if abs(skill) <= SAME_SKILL else "better" if skill > 0 else "worse"


def away(distance_pct: float | None, side: str) -> str:
    """A distance with the sign of its side, or `none`."""
    if distance_pct is None:
        return "none"
    return f"{'−' if side == 'long' else '+'}{distance_pct:.1f} %"


def _shared(divergence: Divergence) -> dict[Note, list[str]]:
    """Assumptions of more than one map, each once, with the maps that make it."""
    summaries = (divergence.truth, *(result.summary for result in divergence.models))
    stated = [(one.label, one.assumptions) for one in summaries]
    stated += [(one.label, one.assumptions) for one in divergence.baselines]
    makers: dict[Note, list[str]] = {}
    for label, assumptions in stated:
        for assumption in dict.fromkeys(assumptions):
            makers.setdefault(assumption, []).append(label)
    return {assumption: labels for assumption, labels in makers.items() if len(labels) > 1}


def _lines(
    truth: Heatmap, models: Sequence[Heatmap], crowd: Heatmap | None
) -> list[tuple[str, Heatmap, dict[str, object]]]:
    lines: list[tuple[str, Heatmap, dict[str, object]]] = [
        (LABEL, null_of(truth), {"color": FAINT, "width": 1.5, "dash": "dot"})
    ]
    for position, model in enumerate(models):
        again, place = divmod(position, len(MODELS))
        lines.append(
            (model.label, model, {"color": MODELS[place], "width": 2, "dash": "dash" if again else "solid"})
        )
    lines.append((f"truth: {truth.label}", truth, {"color": EXACT, "width": 3 if crowd is None else 1}))
    if crowd is not None:
        lines.append((CROWD_LINE, crowd, {"color": EXACT, "width": 3}))
    return lines


def _trace(heatmap: Heatmap, side: str, range_pct: float) -> tuple[list[float], list[float]] | None:
    """Signed distance and share, both in percent."""
    curve = side_curve(heatmap, side, range_pct)
    if curve.empty:
        return None
    at = np.linspace(0.0, curve.at[-1], POINTS)
    sign = -1 if side == "long" else 1
    return (sign * distance_pct(at, side)).round(4).tolist(), (100 * curve.share(at)).round(4).tolist()


FILTERS: Final = {
    "usd": usd, "px": price, "pct": percent, "age": age, "number": number, "figure": figure, "grade": grade,
    "away": away, "signed": signed, "recall": recall_sentence, "fates": fates_sentence,
    "consensus": consensus_sentence, "outward": outward, "beside": beside_text, "surroundings": surroundings_line,
    "venue": venue_words,
    "cell": range_cell,
}  # fmt: skip
