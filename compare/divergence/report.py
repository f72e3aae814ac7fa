"""A divergence as one self-contained page: the answer, the two maps side by side, and everything behind them."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from liqtruth.compare.conclusion import CROWD, MARKS
from liqtruth.compare.divergence.curves import curves_figure
from liqtruth.compare.divergence.divergence import Divergence, undefined_reasons
from liqtruth.compare.divergence.matching import recall_sentence
from liqtruth.compare.statistics.effective_sample_size import ENOUGH
from liqtruth.compare.statistics.skill import NAMES, SAME_SKILL, Judged
from liqtruth.heatmap.drawing.mirror import mirror
from liqtruth.heatmap.drawing.page import map_age, panel, render
from liqtruth.heatmap.drawing.view import coverage_line, remainder_line
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.layers import LARGEST_SHARE
from liqtruth.heatmap.text import age, percent, price, usd
from liqtruth.heatmap.writing import write_atomically


def render_report(
    divergence: Divergence, truth: Heatmap, models: Sequence[Heatmap], now: datetime | None = None
) -> str:
    """The maps are those that the divergence was computed from.

    Ages are told against `now`, by default the clock, and anew when the page is opened."""
    ages = [map_age(heatmap, now) for heatmap in (truth, *models)]
    label = divergence.truth.label
    return render(
        f"{divergence.coin} liquidations: model against {'truth' if divergence.truth.source == 'exact' else label}",
        template="report.html",
        package="liqtruth.compare",
        filters=FILTERS,
        synthetic=divergence.synthetic,
        age=ages[0],
        about=[f"{label}, mark {price(divergence.truth.mark_px)} USD"],
        answer=[divergence.verdict],
        caveat=divergence.caveat,
        notes=divergence.remarks,
        d=divergence,
        mirrored=mirror(truth, models),
        curves=panel("curves", curves_figure(truth, models, divergence.range_pct)),
        captions=[(coverage_line(heatmap), remainder_line(heatmap)) for heatmap in (truth, *models)],
        score_rows=list(zip(*(result.judged for result in divergence.models), strict=True)),
        reasons=undefined_reasons(divergence),
        aged=ages,
        marks=MARKS,
        crowd=next((layer for layer in divergence.layers if layer.layer == CROWD and layer.enough), None),
        names=NAMES,
        enough=f"{ENOUGH:.0f}",
        largest_share=LARGEST_SHARE,
    )


def write_report(divergence: Divergence, truth: Heatmap, models: Sequence[Heatmap], path: Path) -> None:
    """Write `render_report`, whole or not at all."""
    write_atomically(path, render_report(divergence, truth, models))


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


FILTERS: Final = {
    "usd": usd, "px": price, "pct": percent, "age": age, "number": number, "figure": figure, "grade": grade,
    "away": away, "signed": signed, "recall": recall_sentence,
}  # fmt: skip
