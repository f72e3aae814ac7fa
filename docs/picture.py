"""The picture of the README, from the data that `liqtruth demo` left: a naive map, the truth and a calibrated map.

`make picture` writes it. The truth is the crowd's, which alone rests on enough positions for a claim about shape.
"""

import json
from datetime import timedelta
from pathlib import Path
from typing import Final

import plotly.graph_objects as go

import liqtruth as lt
from liqtruth.heatmap.drawing.figure import side_by_side, write_figure_png
from liqtruth.heatmap.drawing.theme import LIGHT

TARGET: Final = Path(__file__).parent / "images" / "maps.png"
WIDTH, HEIGHT = 780, 660
"""Pixels; twice as wide as a phone, on which letters are then half as high."""
BARS: Final = 24
REACH_PCT: Final = [-45, 60]
"""What is drawn, from the mark."""
NAIVE, CALIBRATED = "hyperliquid:tiers", "hyperliquid:calibrated"


def drawn(data_dir: Path, coin: str = "BTC") -> go.Figure:
    """The three maps beside one another, each with its mean distance from the truth."""
    with lt.open(data_dir) as lake:
        found = lake.compare(coin, models=[NAIVE, CALIBRATED], window=timedelta(days=30))
        crowd = lake.exact_map(coin, layer="crowd")
    naive, calibrated = found.model_maps
    layer = next(one for one in found.divergence.layers if one.layer == "crowd")
    off = [f"off by {score.scores.wasserstein_pct:.1f} %" for score in layer.models]
    figure = side_by_side(naive, crowd, calibrated, bars_each_way=BARS)
    titles = [f"<b>naive</b><br>{off[0]}", "<b>the truth</b><br>(exact)", f"<b>calibrated</b><br>{off[1]}"]
    for annotation, title in zip(figure.layout.annotations, titles, strict=False):
        annotation.update(text=title, font={"size": 24}, yanchor="bottom")
    marked = ", SYNTHETIC market" if found.divergence.synthetic else ""
    figure.update_layout(
        title={"text": f"{coin} liquidations{marked}", "font": {"size": 26}, "x": 0.5, "xanchor": "center"},
        margin={"t": 140, "b": 120, "l": 104, "r": 16}, font={"size": 22},
        legend={"font": {"size": 22}},
    )  # fmt: skip
    figure.update_xaxes(title_font_size=20, tickfont_size=20, nticks=4, matches="x")
    figure.update_yaxes(title_font_size=22, tickfont_size=20, range=REACH_PCT)
    return figure


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
