"""The shell of every page: title, synthetic badge, age, the answer, sections of figures and tables, notes.

A page needs nothing else: plotly.js and the style are inside, and nothing is loaded from anywhere. It is read in the
dark or light of its reader, and computes its age whenever it is opened. The same input gives the same bytes.
"""

from __future__ import annotations

import gzip
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from liqtruth.heatmap.drawing import theme
from liqtruth.heatmap.drawing.mirror import Mirror
from liqtruth.heatmap.drawing.plotly_js import drawing_script
from liqtruth.heatmap.drawing.view import data_moment
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.words.text import ago, grade, stamp
from liqtruth.heatmap.writing import write_atomically

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from jinja2 import Environment
    from markupsafe import Markup

SYNTHETIC_BADGE: Final = "SYNTHETIC MARKET: from the sandbox, not from an exchange"
FIGURE_PX: Final = 450
ENDS: Final = re.compile(r"\(?\d[\d.,]*-\d[\d.,]*\)?")
"""`(10.4-19.5)`, `74,183.6-75,757.1`."""
PACKED: Final = 4
"""Level of gzip from which on a page gets smaller by 4 % for twice the time."""


@dataclass(frozen=True)
class Table:
    """Rows of text with the class of their first cell (`long`, `short` or none); a rule stands where it changes."""

    heads: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]


@dataclass(frozen=True)
class Card:
    """A figure that belongs to the answer, under its name; `look` is the class of its value."""

    label: str
    value: str
    note: str = ""
    look: str = ""


@dataclass(frozen=True)
class Section:
    """A heading, what must be known to read on, a map on its price axis (which `render` must be given too), a table,
    and figures by their ids, with a title where they have one: side by side where there is room for it, below one
    another on a phone. The table is folded away under `folded`."""

    heading: str = ""
    note: str = ""
    figures: Mapping[str, go.Figure | tuple[str, go.Figure]] = field(default_factory=dict)
    table: Table | None = None
    folded: str = ""
    mirrored: Mirror | None = None

    @property
    def panels(self) -> list[Panel]:
        return [
            panel(name, one[1], one[0]) if isinstance(one, tuple) else panel(name, one)
            for name, one in self.figures.items()
        ]


@dataclass(frozen=True)
class Panel:
    """A figure as markup; the script of the page draws it."""

    name: str
    title: str
    height: int
    json: str

    def __html__(self) -> str:
        return (
            f'<div class="figure" id="{self.name}" style="height:{self.height}px">'
            f'<script type="application/json">{self.json}</script></div>'
        )


def panel(name: str, figure: go.Figure, title: str = "") -> Panel:
    """`name` is the id of its element."""
    from plotly.io.json import to_json_plotly

    config = {"displaylogo": False, "displayModeBar": False}
    json = to_json_plotly({**figure.to_dict(), "config": config}, engine="json")
    return Panel(name, title, int(figure.layout.height or FIGURE_PX), json)


def render(
    title: str,
    *,
    template: str = "page.html",
    package: str | None = None,
    synthetic: bool = False,
    age: Markup | None = None,
    about: Iterable[str] = (),
    answer: Iterable[str] = (),
    caveat: str = "",
    more: Iterable[str] = (),
    cards: Iterable[Card] = (),
    sections: Iterable[Section] = (),
    notes: Iterable[str] = (),
    notes_heading: str = "Before you believe it",
    filters: Mapping[str, Any] | None = None,
    mirrored: Mirror | None = None,
    **context: Any,
) -> str:
    """Fill the shell, or a `template` of another `package` that extends it; `context` is what that asks for beside.

    The answer stands above all else; `more` of it is folded where a window is narrow. A note that already stands above
    is not repeated."""
    environment = _environment(package)
    about, answer, more = list(about), list(answer), list(more)
    said = {*about, *answer, *more, caveat}
    environment.filters.update(filters or {})
    filled: str = environment.get_template(template).render(
        title=title, synthetic=synthetic, synthetic_words=SYNTHETIC_BADGE, age=age, about=about,
        answer=answer, caveat=caveat, more=more, cards=list(cards), sections=list(sections),
        notes=[note for note in dict.fromkeys(notes) if note not in said],
        notes_heading=notes_heading, plotlyjs=_packed_plotly(), variables=theme.VARIABLES, light=theme.LIGHT,
        font=theme.FONT, mirrored=mirrored, **context,
    )  # fmt: skip
    return filled


@cache
def _packed_plotly() -> str:
    """The part of plotly.js that we draw with, as a page has it: unpacked by the browser."""
    return b64encode(gzip.compress(drawing_script().encode(), PACKED, mtime=0)).decode()


def write_page(path: Path, title: str, **parts: Any) -> None:
    """Write `render`, whole or not at all."""
    write_atomically(path, render(title, **parts))


def age_of(moment: datetime, now: datetime | None = None, *, lead: str = "as of") -> Markup:
    """`as of 2026-08-21 11:01 UTC (100 days ago)` in the colour of its age."""
    from markupsafe import Markup

    return Markup(
        '<span class="age {}">{} <time class="as-of" datetime="{}">{}</time> <span>({})</span></span>'
    ).format(
        grade(moment, now), lead, f"{moment.astimezone(UTC):%FT%TZ}", stamp(moment), ago(moment, now)
    )  # fmt: skip


def map_age(heatmap: Heatmap, now: datetime | None = None) -> Markup:
    """A map's moment and age, and those of the series that it rests on where they end before."""
    from markupsafe import Markup

    taken, at = data_moment(heatmap), age_of(heatmap.as_of, now)
    if taken == heatmap.as_of:
        return at
    return Markup("{}, {}").format(at, age_of(taken, now, lead="of series to"))


def whole(line: str) -> str:
    """A line in which figures stay with their percent sign where it breaks."""
    return line.replace(" %", "\N{NO-BREAK SPACE}%")


def unbroken(cell: str) -> Markup:
    """A cell in which figures stay with their percent sign, and ends of an interval together, where lines break; in
    markup, whose links have hyphens of their own, only the former."""
    from markupsafe import Markup, escape

    text = escape(cell)
    if not isinstance(cell, Markup):
        text = Markup(ENDS.sub(r'<span class="ends">\g<0></span>', str(text)))  # escaped above
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


def _environment(package: str | None) -> Environment:
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    packages = [*([package] if package else []), "liqtruth.heatmap.drawing"]
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in packages]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["unbroken"] = unbroken
    environment.filters["whole"] = whole
    return environment
