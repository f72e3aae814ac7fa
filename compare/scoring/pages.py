"""Pages of scores: one template each, its figures as fragments, plotly.js and the report's style inside."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liqtruth.heatmap.writing import write_atomically

if TYPE_CHECKING:
    import plotly.graph_objects as go


def write_page(template: str, path: Path, figures: Mapping[str, go.Figure], **context: Any) -> None:
    """Fill a template of `compare/templates` and write it, whole or not at all; each figure is a variable by its name.

    The same input gives the same bytes: the names of the figures are those of their elements.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=PackageLoader("liqtruth.compare"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    drawn = {name: _fragment(figure, name) for name, figure in figures.items()}
    filled = environment.get_template(template).render(plotlyjs=get_plotlyjs(), **drawn, **context)
    write_atomically(path, filled)


def _fragment(figure: go.Figure, name: str) -> str:
    html: str = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        div_id=name,
        config={"displaylogo": False, "responsive": True, "displayModeBar": False},
    )
    return html
