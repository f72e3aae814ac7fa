"""The picture of the README, from the data that `liqtruth demo` left: a naive map, the truth and a calibrated map.

`make picture` writes it. The truth is the crowd's, which alone rests on enough positions for a claim about shape.
"""

import json
from datetime import timedelta
from pathlib import Path
from typing import Final

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

import liqtruth as lt
from liqtruth.compare.statistics.distances import RANGE_PCT
from liqtruth.heatmap.drawing.figure import write_figure_png
from liqtruth.heatmap.drawing.theme import LIGHT, LONG, MARK, SHORT, themed

TARGET: Final = Path(__file__).parent / "images" / "maps.png"
WIDTH, HEIGHT = 780, 660
"""Pixels; twice as wide as a phone, on which letters are then half as high."""
BAR_PCT: Final = 3
REACH_PCT: Final = [-45, 60]
"""What is drawn, from the mark."""
NAIVE, CALIBRATED = "hyperliquid:tiers", "hyperliquid:calibrated"


def drawn(data_dir: Path, coin: str = "BTC") -> go.Figure:
    """The three maps beside one another, each with its mean distance from the truth, over about what is drawn."""
    with lt.open(data_dir) as lake:
        found = lake.compare(
            coin, models=[NAIVE, CALIBRATED], window=timedelta(days=30), within_pct=RANGE_PCT
        )
        crowd = lake.exact_map(coin, layer="crowd")
    naive, calibrated = found.model_maps
    layer = next(one for one in found.divergence.layers if one.layer == "crowd")
    off = [f"off by {score.scores.wasserstein_pct:.1f} %" for score in layer.models]
    titles = [f"<b>naive</b><br>{off[0]}", "<b>the truth</b><br>(exact)", f"<b>calibrated</b><br>{off[1]}"]
    figure = make_subplots(1, 3, shared_yaxes=True, horizontal_spacing=0.06, subplot_titles=titles)
    for column, heatmap in enumerate((naive, crowd, calibrated), start=1):
        for bars in bars_of(heatmap):
            figure.add_trace(bars.update(showlegend=column == 1), row=1, col=column)
    themed(figure, barmode="overlay")
    figure.update_annotations(font={"size": 24}, yanchor="bottom")
    marked = ", SYNTHETIC market" if found.divergence.synthetic else ""
    heading = f"{coin} liquidations{marked}; off: within {RANGE_PCT:g} % of the mark"
    figure.update_layout(
        title={"text": heading, "font": {"size": 22}, "x": 0.5, "xanchor": "center"},
        margin={"t": 140, "b": 120, "l": 104, "r": 16}, font={"size": 22},
        legend={"font": {"size": 22}, "y": 0.005, "yref": "container", "yanchor": "bottom"},
    )  # fmt: skip
    figure.update_xaxes(
        title={"text": "% of the side", "font": {"size": 20}}, tickfont_size=20, nticks=4, matches="x"
    )
    figure.update_yaxes(tickfont_size=20, range=REACH_PCT, ticksuffix=" %", tickformat="+~g")
    figure.update_yaxes(title={"text": "distance from the mark", "font": {"size": 22}}, col=1)
    figure.add_hline(y=0.0, line_color=MARK, line_width=1.5)
    return figure


def bars_of(heatmap: lt.Heatmap) -> list[go.Bar]:
    """A bar per side and zone of `BAR_PCT`, in percent of the side's mass in view."""
    edges = np.arange(REACH_PCT[0], REACH_PCT[1] + BAR_PCT, BAR_PCT)
    away = 100 * (heatmap.grid.centers / heatmap.mark_px - 1)
    sides = (("longs liquidated", heatmap.long_usd, LONG), ("shorts liquidated", heatmap.short_usd, SHORT))
    bars = []
    for name, mass, color in sides:
        zones = np.histogram(away, edges, weights=mass)[0]
        shown = zones > 0
        bars.append(
            go.Bar(
                x=100 * zones[shown] / zones.sum(), y=(edges[:-1] + BAR_PCT / 2)[shown], width=0.9 * BAR_PCT,
                name=name, orientation="h", marker={"color": color, "line": {"width": 0}},
            )
        )  # fmt: skip
    return bars


def in_light(figure: go.Figure) -> go.Figure:
    """The figure in the colours of a page that is read in light."""
    text = figure.to_json()
    for dark, light in LIGHT.items():
        text = text.replace(dark, light)
    return go.Figure(json.loads(text))


def main() -> None:
    TARGET.parent.mkdir(exist_ok=True)
    figure = in_light(drawn(Path("demo") / "data"))
    write_figure_png(figure, TARGET, width=WIDTH, height=HEIGHT, scale=2)


if __name__ == "__main__":
    main()
