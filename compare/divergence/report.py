"""A divergence as one self-contained page: the answer, the two maps side by side, and everything behind them."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from liqtruth.compare.conclusion import CROWD, MARKS
from liqtruth.compare.divergence.curves import curves_figure
from liqtruth.compare.divergence.divergence import Divergence, undefined_reasons
from liqtruth.compare.divergence.matching import recall_sentence
from liqtruth.compare.statistics.effective_sample_size import ENOUGH
from liqtruth.compare.statistics.skill import NAMES, SAME_SKILL, Judged
from liqtruth.heatmap.drawing.captions import coverage_line, remainder_line
from liqtruth.heatmap.drawing.figure import side_by_side
from liqtruth.heatmap.drawing.page import aged
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.layers import LARGEST_SHARE
from liqtruth.heatmap.moment import COLORS, SCRIPT
from liqtruth.heatmap.money import age, percent, price, usd
from liqtruth.heatmap.writing import write_atomically


def render_report(
    divergence: Divergence, truth: Heatmap, models: Sequence[Heatmap], now: datetime | None = None
) -> str:
    """HTML with plotly.js inside; needs no network. The maps are those that the divergence was computed from.

    Ages are told against `now`, by default the clock, and anew when the page is opened."""
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    pictures = [_fragment(_beside(truth, model), f"maps-{position}") for position, model in enumerate(models)]
    curves = _fragment(curves_figure(truth, models, divergence.range_pct), "curves")
    captions = [(coverage_line(heatmap), remainder_line(heatmap)) for heatmap in (truth, *models)]
    page: str = (
        _environment()
        .get_template("report.html")
        .render(
            d=divergence,
            pictures=pictures,
            curves=curves,
            captions=captions,
            score_rows=list(zip(*(result.judged for result in divergence.models), strict=True)),
            reasons=undefined_reasons(divergence),
            plotlyjs=get_plotlyjs(),
            aged=[Markup(aged(heatmap, now)) for heatmap in (truth, *models)],
            age_script=SCRIPT,
            age_colors=COLORS,
            marks=MARKS,
            crowd=next((layer for layer in divergence.layers if layer.layer == CROWD and layer.enough), None),
        )
    )
    return page


def write_report(divergence: Divergence, truth: Heatmap, models: Sequence[Heatmap], path: Path) -> None:
    """Write `render_report`, whole or not at all."""
    write_atomically(path, render_report(divergence, truth, models))


def _beside(truth: Heatmap, model: Heatmap) -> Any:
    """Both maps, with axis titles short enough for a phone."""
    figure = side_by_side(truth, model)
    figure.update_xaxes(title_text="% of the side")
    return figure


def _fragment(figure: Any, name: str) -> str:
    """A figure's `div`; its name is given, since Plotly's own would be random and the page must be reproducible."""
    html: str = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        div_id=name,
        config={"displaylogo": False, "responsive": True, "displayModeBar": False},
    )
    return html


def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("liqtruth.compare"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        usd=usd,
        px=price,
        pct=percent,
        age=age,
        number=number,
        figure=figure,
        grade=grade,
        away=away,
        signed=signed,
        recall=recall_sentence,
    )
    environment.globals.update(names=NAMES, enough=f"{ENOUGH:.0f}", largest_share=LARGEST_SHARE)
    return environment


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
