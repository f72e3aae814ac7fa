"""The theme of every picture and page: what each colour stands for, in dark and in light, and the Plotly template.

Figures are made in the dark colours; a page that is read in light swaps each for its counterpart in `LIGHT`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from liqtruth.heatmap.words.text import Grade

if TYPE_CHECKING:
    import plotly.graph_objects as go

PAPER: Final = "#12161c"
CARD: Final = "#181e26"
GRID: Final = "#2a323d"
INK: Final = "#eaecef"
FAINT: Final = "#9aa4b2"
LONG: Final = "#2ebd85"
SHORT: Final = "#f6465d"
LONG_LINE: Final = "#a8f0d2"
SHORT_LINE: Final = "#ffc2cb"
"""Lines lie over bars of their own side and must be seen there."""
MARK: Final = "#f0b90b"
EXACT: Final = INK
"""Of exact maps, and of what was measured."""
MODELS: Final = ("#4c9aff", "#c77dff", "#ff9f43", "#00c2d1", "#ff6fb5")
MUTED: Final = "#6b7684"
"""Of what a result stands beside: baselines, what was to be expected."""
EDGE: Final = "#3d4856"
"""Where a table goes on beyond its box."""
SHADE: Final = "rgba(132,142,156,0.28)"
HATCHED: Final = {"fgcolor": PAPER, "size": 6, "fillmode": "overlay"}
"""The pattern of bars that have no interval, or that are not the thing itself."""
VIRIDIS: Final = (
    "#440154", "#482475", "#414487", "#355f8d", "#2a788e", "#21918c", "#22a884", "#44bf70", "#7ad151", "#bddf26",
    "#fde725",
)  # fmt: skip
"""What traders know price by time in: amounts from nothing to the most, in dark and in light alike."""
PRICE: Final = "#ffffff"
"""Of the price over `VIRIDIS`."""
SIDE_COLORS: Final = {"long": LONG, "short": SHORT}
AGE_COLORS: Final[dict[Grade, str]] = {"fresh": FAINT, "old": MARK, "stale": MARK}
"""Green and red are the sides' alone."""
FONT: Final = "Inter, Segoe UI, Helvetica, Arial, sans-serif"

LIGHT: Final = {
    PAPER: "#ffffff",
    CARD: "#f3f5f8",
    GRID: "#d9dfe6",
    INK: "#1b222c",
    FAINT: "#586474",
    LONG: "#0b9a68",
    SHORT: "#d92b45",
    LONG_LINE: "#04452e",
    SHORT_LINE: "#6d0c1b",
    MARK: "#a86a00",
    MODELS[0]: "#1f6fe0",
    MODELS[1]: "#8f3fd1",
    MODELS[2]: "#c96a00",
    MODELS[3]: "#008a96",
    MODELS[4]: "#cc2f80",
    MUTED: "#97a1ae",
    EDGE: "#b9c2cd",
}
VARIABLES: Final = {
    "paper": PAPER, "card": CARD, "line": GRID, "ink": INK, "faint": FAINT, "long": LONG, "short": SHORT, "mark": MARK,
    "accent": MODELS[0], "edge": EDGE,
}  # fmt: skip
"""Colours by their names in the style sheet."""


def template() -> dict[str, Any]:
    """What figures share; a legend stands above the plot, where it pushes the margin instead of covering data."""
    axis = {
        "gridcolor": GRID, "zerolinecolor": GRID, "ticks": "outside", "tickcolor": GRID, "automargin": True,
        "title": {"standoff": 10, "font": {"size": 13, "color": FAINT}},
    }  # fmt: skip
    return {
        "layout": {
            "paper_bgcolor": PAPER,
            "plot_bgcolor": PAPER,
            "font": {"color": INK, "family": FONT, "size": 13},
            "title": {
                "x": 0.01, "xanchor": "left", "y": 0.985, "yanchor": "top",
                "subtitle": {"font": {"size": 12, "color": FAINT}},
            },
            "margin": {"t": 24, "l": 12, "r": 12, "b": 40},
            "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.01, "yanchor": "bottom"},
            "hoverlabel": {"bgcolor": GRID, "font": {"color": INK}},
            "colorway": list(MODELS),
            "xaxis": axis,
            "yaxis": axis,
        }
    }  # fmt: skip


def themed(figure: go.Figure, **layout: Any) -> go.Figure:
    """The figure with the theme, and with what is its own."""
    figure.layout.template = template()  # an update would be laid over Plotly's own
    return figure.update_layout(**layout)


def annotate_empty(figure: go.Figure, text: str) -> None:
    """What stands in a plot that has nothing to draw."""
    figure.add_annotation(
        text=text, showarrow=False, x=0.5, y=0.75, xref="x domain", yref="y domain", font={"size": 16, "color": FAINT},
    )  # fmt: skip
