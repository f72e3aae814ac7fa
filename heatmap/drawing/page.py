"""A map as a page that needs nothing else: what it is, what moves liquidate, the picture, and what is said of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING, Final

from liqtruth.heatmap.bounds import MapBounds, Move, moves
from liqtruth.heatmap.drawing.captions import beside_age, data_moment, head_lines, said_beside, title
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.moment import COLORS, SCRIPT, as_of_html
from liqtruth.heatmap.money import percent, usd
from liqtruth.heatmap.notes import of_codes, texts
from liqtruth.heatmap.synthetic import SYNTHETIC_NOTES

if TYPE_CHECKING:
    import plotly.graph_objects as go

STYLE: Final = """
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; font: 14px/1.45 Inter, "Segoe UI", Helvetica, Arial, sans-serif; }
main { max-width: 1280px; margin: 0 auto; padding: 14px 16px 30px; }
h1 { font-size: 19px; line-height: 1.3; margin: 0 0 4px; }
p { margin: 0 0 4px; }
ul { margin: 8px 0 0; padding-left: 18px; font-size: 13px; }
.faint, ul { color: FAINT; }
.long { color: LONG; }
.short { color: SHORT; }
.synthetic { display: inline-block; background: MARK; color: #000; font-weight: 600; padding: 1px 8px; }
table { border-collapse: collapse; margin: 8px 0 4px; font-variant-numeric: tabular-nums; }
th, td { padding: 2px 0 2px 26px; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { padding-left: 0; text-align: left; }
th { font-weight: 500; color: FAINT; border-bottom: 1px solid GRID; }
tr.turn td { border-top: 1px solid GRID; }
@media (max-width: 640px) {
  main { padding: 10px 8px 24px; }
  h1 { font-size: 16px; }
  table { width: 100%; font-size: 12px; }
  th, td { padding: 3px 0 3px 6px; }
  th { white-space: normal; }
}
"""


def page(heatmap: Heatmap, figure: go.Figure, colors: dict[str, str], now: datetime | None = None) -> str:
    """The page around a picture of the map that carries no captions; `colors` by their names in `STYLE`, and PAPER.

    Its age is told against `now`, by default the clock, and anew when it is opened."""
    style = STYLE + "".join(f".{name} {{ color: {color}; }}\n" for name, color in COLORS.items())
    for name, color in colors.items():
        style = style.replace(name, color)
    picture = figure.to_html(
        full_html=False,
        include_plotlyjs=True,
        div_id="map",
        config={"displaylogo": False, "responsive": True, "displayModeBar": False},
    )
    head = "".join(f'<p class="faint">{escape(line)}</p>' for line in head_lines(heatmap))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title(heatmap))}</title><style>{style}</style></head>\n"
        f'<body style="background:{colors["PAPER"]};color:{colors["INK"]}"><main>\n'
        f"<h1>{escape(title(heatmap))}</h1>\n<p>{aged(heatmap, now)}</p>{head}\n"
        f"{_synthetic(heatmap)}{'' if heatmap.bounds is None else _bounds(heatmap.bounds)}{picture}\n"
        f"{_listed(_said(heatmap))}</main>{SCRIPT}</body></html>\n"
    )


def aged(heatmap: Heatmap, now: datetime | None = None) -> str:
    """The map's moment and age as markup, and those of the series that it rests on where they end before."""
    taken, beside = data_moment(heatmap), ", ".join(beside_age(heatmap))
    if taken == heatmap.as_of:
        return as_of_html(taken, now, beside)
    return f"{as_of_html(heatmap.as_of, now)}, {as_of_html(taken, now, beside, lead='of series to')}"


def _said(heatmap: Heatmap) -> Iterable[str]:
    """Everything there is to say, once."""
    return dict.fromkeys((*said_beside(heatmap), *texts(heatmap.assumptions)))


def _synthetic(heatmap: Heatmap) -> str:
    said = texts(of_codes(heatmap.coverage.notes, SYNTHETIC_NOTES))
    return f'<p><span class="synthetic">{escape(said[0])}</span></p>\n' if said else ""


def _bounds(bounds: MapBounds) -> str:
    shown = moves(bounds)
    rows = [_row(move, turn=at > 0 and move.side != shown[at - 1].side) for at, move in enumerate(shown)]
    level = percent(bounds.level, 0).replace(" ", "&nbsp;")
    heads = ("a move of", "likely liquidates", f"{level} range", "of it whales", "drawn")
    return f"<table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>{''.join(rows)}</table>\n"


def _row(move: Move, *, turn: bool) -> str:
    cells = (
        f'<span class="{move.side}">{move.move_pct:+g} %</span>',
        usd(move.likely_usd),
        f"{usd(move.low_usd)} to {usd(move.high_usd)}",
        f"{usd(move.whales_low_usd)} to {usd(move.whales_high_usd)}",
        usd(move.modelled_usd),
    )
    row = '<tr class="turn">' if turn else "<tr>"
    return f"{row}{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _listed(lines: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"
