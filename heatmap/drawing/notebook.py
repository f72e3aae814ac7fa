"""How maps show themselves in a notebook: what they are, how old, what they have seen, and a small picture.

Markup alone, without script: a cell stays small, and shows the same where a notebook is only read.
"""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

import numpy as np

from liqtruth.heatmap.drawing.theme import AGE_COLORS, LONG, MARK, SHORT
from liqtruth.heatmap.drawing.view import View, age_line, data_moment, head_lines, title, zoomed
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.series import HeatmapSeries
from liqtruth.heatmap.words.notes import SYNTHETIC_NOTE
from liqtruth.heatmap.words.text import as_of, grade, price, usd

BARS_EACH_WAY: Final = 40
WIDTH, HEIGHT, LABELS = 640, 150, 18
"""Of the picture and of the line of prices below it, pixels."""


def map_html(heatmap: Heatmap) -> str:
    """Title, age, coverage, and notional by price: longs to the left of the mark, shorts to its right."""
    view = zoomed(heatmap, BARS_EACH_WAY)
    color = AGE_COLORS[grade(data_moment(heatmap))]
    parts = [_heading(title(heatmap)), _line(age_line(heatmap), color), *map(_line, head_lines(heatmap))]
    return card([*parts, _line("no liquidation in view") if view.empty else _picture(view, heatmap.mark_px)])


def series_html(series: HeatmapSeries) -> str:
    """Title, age, and how many moments are known."""
    heading = _heading(f"{series.coin} on {series.venue}: {series.model or series.source} over time")
    taken, badge = series.data_moment, SYNTHETIC_NOTE if series.synthetic else ""
    aged = (
        []
        if taken is None
        else [_line(", ".join(filter(None, (as_of(taken), badge))), AGE_COLORS[grade(taken)])]
    )
    return card([heading, *aged, *map(_line, series.describe()), _line("draw it with .plot()")])


def table_html(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of text, the first column to the left and the others to the right."""

    def row(cells: Sequence[str], tag: str) -> str:
        marked = (
            f'<{tag} style="text-align:{"right" if at else "left"};padding:1px 8px">{escape(cell)}</{tag}>'
            for at, cell in enumerate(cells)
        )
        return f"<tr>{''.join(marked)}</tr>"

    return f"<table>{row(heads, 'th')}{''.join(row(cells, 'td') for cells in rows)}</table>"


def card(parts: Iterable[str]) -> str:
    """What one object shows, in the font and colours of the notebook."""
    return f'<div style="font-family:sans-serif;font-size:13px;line-height:1.4">{"".join(parts)}</div>'


def _heading(text: str) -> str:
    return f"<b>{escape(text)}</b>"


def _line(text: str, color: str = "inherit") -> str:
    return f'<div style="color:{color}">{escape(text)}</div>'


def _picture(view: View, mark_px: float) -> str:
    """Bars over price; the highest is as high as the picture."""
    mass = view.long_usd + view.short_usd
    step = WIDTH / mass.size
    heights = np.maximum(HEIGHT * mass / mass.max(), (mass > 0) * 1.0)
    bars = "".join(
        f'<rect x="{at * step:.1f}" y="{HEIGHT - height:.1f}" width="{0.85 * step:.1f}" height="{height:.1f}" '
        f'fill="{LONG if at < mass.size // 2 else SHORT}"><title>{price(low)} to {price(high)}: {usd(amount)}'
        "</title></rect>"
        for at, (height, low, high, amount) in enumerate(
            zip(heights, view.edges[:-1], view.edges[1:], mass, strict=True)
        )
        if height
    )
    ends = ((0, "start", view.edges[0]), (WIDTH // 2, "middle", mark_px), (WIDTH, "end", view.edges[-1]))
    labels = "".join(
        f'<text x="{x}" y="{HEIGHT + LABELS - 4}" text-anchor="{anchor}" font-size="11" fill="currentColor">'
        f"{'mark ' if anchor == 'middle' else ''}{price(px)}</text>"
        for x, anchor, px in ends
    )
    mark = f'<line x1="{WIDTH / 2}" x2="{WIDTH / 2}" y1="0" y2="{HEIGHT}" stroke="{MARK}"/>'
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT + LABELS}" width="{WIDTH}" style="max-width:100%" role="img" '
        f'xmlns="http://www.w3.org/2000/svg">{bars}{mark}{labels}</svg>'
    )
