"""Scores on realised liquidations as people read them, in a terminal (a table per horizon, the verdict, the notes) and
as a page."""

from __future__ import annotations

from collections.abc import Iterator
from math import exp
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from liqtruth.compare.scoring.realised.job import HorizonScore, RealisedScore, Scored
from liqtruth.compare.scoring.realised.scores import MapScore, SideScore, horizon_name
from liqtruth.compare.scoring.realised.windows import Precision, Windows
from liqtruth.compare.statistics.intervals import Estimate
from liqtruth.heatmap.drawing import page
from liqtruth.heatmap.drawing.theme import FAINT, INK, LONG, MARK, MODELS, SHORT, annotate_empty, themed
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.words.notes import Note, of_codes, texts, without_codes
from liqtruth.heatmap.words.text import usd, utc_text

if TYPE_CHECKING:
    import plotly.graph_objects as go


if TYPE_CHECKING:
    from rich.table import Table


SYNTHETIC_CODES: Final = frozenset({"synthetic_realised"})
UNKNOWN: Final = "not known"
BASELINE_COLORS: Final = {"uniform": FAINT, "tiers": MODELS[1]}
PANEL_PX: Final = 400
LEAST_USD: Final = 1.0
"""Windows below it on either axis are not drawn: a map's tails go down to parts of a cent."""
Spread = tuple[float, float | None, float | None]


def realised_tables(score: RealisedScore) -> Iterator[Table]:
    """One table per horizon: a row per side and map."""
    for horizon in score.horizons:
        yield _table(score, horizon)


def realised_lines(score: RealisedScore) -> Iterator[str]:
    """The verdict, then what must be known to believe it; that data are synthetic before all else."""
    yield from texts(of_codes(score.notes, SYNTHETIC_CODES))
    yield from score.verdict
    yield from (one.verdict for one in score.horizons)
    yield from notes_of(score)


def notes_of(score: RealisedScore) -> Iterator[str]:
    """What must be known to believe it."""
    yield from (f"{horizon_name(one.horizon_s)} is not scored: {one.reason}" for one in score.refused)
    yield (
        f"moments from {utc_text(score.start)} to {utc_text(score.end)}; 95 % intervals from whole days drawn again, "
        f"seed {score.seed}"
    )
    yield from _notes_of_horizons(score)
    yield (
        "top tenth: share of liquidations in the tenth of swept zones (25 bps) where the map is thickest; chance is "
        "10 %; bounds by Wilson, as if liquidations were independent, which those of a cascade are not"
    )
    yield from texts(without_codes(score.notes, SYNTHETIC_CODES))


def estimate_text(estimate: Estimate | None, kind: str = "") -> str:
    """`0.62 (0.45 to 0.77)`; `ratio` as `ratio_text`, `+` with its sign."""
    if estimate is None:
        return UNKNOWN

    def text(value: float) -> str:
        return ratio_text(value) if kind == "ratio" else f"{value:{kind}.2f}"

    if estimate.low is None or estimate.high is None:
        return text(estimate.value)
    return f"{text(estimate.value)} ({text(estimate.low)} to {text(estimate.high)})"


def ratio_text(value: float) -> str:
    """Two significant figures, and no powers of ten: `0.067`, `2.3`, `1,600`."""
    rounded = float(f"{value:.2g}")
    return f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:.2g}"


def precision_text(found: Precision | None) -> str:
    """`14% of 71 (8 to 24%)`."""
    if found is None:
        return UNKNOWN
    return f"{found.share:.0%} of {found.events} ({100 * found.low:.0f} to {found.high:.0%})"


def write_page(scored: Scored, path: Path) -> None:
    """The verdict; of each horizon the windows, partial rank correlations and precision; and what must be known."""
    score = scored.score
    weights = f" ({score.weights})" if score.weights else ""
    page.write_page(
        path,
        f"{score.coin} on {score.venue}: {score.model}{weights} against realised liquidations",
        synthetic=score.synthetic,
        age=page.age_of(score.end, lead="data to"),
        answer=score.verdict,
        sections=[
            page.Section(horizon_name(one.horizon_s), one.verdict, _figures(scored, one))
            for one in score.horizons
        ],
        notes=list(notes_of(score)),
    )


def windows_figure(scored: Scored, horizon: HorizonScore) -> go.Figure:
    """Predicted against realised of every window, by side."""
    import plotly.graph_objects as go

    figure, known, seen = go.Figure(), scored.score.coverage is not None, []
    for side, windows, color in zip(
        ("long", "short"), scored.windows[horizon.horizon_s], (LONG, SHORT), strict=True
    ):
        both = _both(windows, scored.score.model)
        predicted = windows.predicted_usd[scored.score.model][both]
        realised = (windows.realised_usd if known else windows.reported_usd)[both]
        seen += [predicted, realised]
        figure.add_trace(_points(side, color, predicted, realised))
    values = np.concatenate(seen) if np.concatenate(seen).size else np.array([LEAST_USD, 1e6])
    ends = [float(values.min()) / 2, float(values.max()) * 2]
    figure.add_scatter(x=ends, y=ends, mode="lines", name="1:1", line={"color": MARK, "dash": "dot"})
    axis = {"type": "log", "tickprefix": "$", "exponentformat": "SI", "dtick": 1, "tickangle": 0}
    word = "realised (USD)" if known else "realised as reported, coverage unknown (USD)"
    figure.update_xaxes(title_text="predicted (USD)", **axis)
    figure.update_yaxes(title_text=word, **axis)
    return themed(figure, height=PANEL_PX)


def partial_figure(pooled: SideScore) -> go.Figure:
    """Partial rank correlation of every map, both sides together."""
    figure = _bars(pooled, [_spread(one.partial) for one in pooled.maps], "%{x}: %{y:.2f}")
    figure.update_yaxes(range=[-0.5, 1.05], zerolinecolor=FAINT)
    return figure


def precision_figure(pooled: SideScore) -> go.Figure:
    """Share of liquidations in the zones where each map is thickest, beside chance."""
    found = [one.precision for one in pooled.maps]
    bars: list[Spread | None] = [None if one is None else (one.share, one.low, one.high) for one in found]
    figure = _bars(pooled, bars, "%{x}: %{y:.0%}")
    figure.add_hline(y=0.1, line={"color": MARK, "dash": "dot"}, annotation_text="chance 10 %")
    figure.update_yaxes(tickformat=".0%", rangemode="tozero", range=None if any(bars) else [0, 1])
    return figure


def _table(score: RealisedScore, horizon: HorizonScore) -> Table:
    from rich.table import Table

    pooled = horizon.sides[-1]
    again = ", those of windows that overlap in each" if horizon.horizon_s > score.step_s else ""
    title = (
        f"{score.venue} {score.coin}, {horizon_name(horizon.horizon_s)} after each of {score.moments} moments: "
        f"{pooled.events:,} liquidations of {usd(pooled.reported_usd)} reported{again}"
    )
    table = Table(title=title, title_justify="left")
    for name in ("side", "map"):
        table.add_column(name, no_wrap=True)
    for heading in (
        "partial rank",
        "plain",
        "predicted/realised",
        "median",
        "top tenth hit by",
        "skill over it",
    ):
        table.add_column(heading, justify="right")
    for side in horizon.sides:
        for place, one in enumerate(side.maps):
            table.add_row(
                "" if place else side.side, one.name, *_cells(one), end_section=one is side.maps[-1]
            )
    return table


def _cells(one: MapScore) -> tuple[str, ...]:
    median = one.median_log_ratio
    return (
        estimate_text(one.partial),
        UNKNOWN if one.plain is None else f"{one.plain.value:.2f}",
        estimate_text(one.ratio, "ratio"),
        UNKNOWN if median is None else ratio_text(exp(median.value)),
        precision_text(one.precision),
        "" if one.skill is None else estimate_text(one.skill, "+"),
    )


def _notes_of_horizons(score: RealisedScore) -> Iterator[str]:
    """What is lacking with both sides together; what is true of several horizons is noted once."""
    horizons: dict[Note, list[str]] = {}
    for horizon in score.horizons:
        for note in horizon.sides[-1].notes:
            horizons.setdefault(note, []).append(horizon_name(horizon.horizon_s))
    yield from (note.of(", ".join(names)).text for note, names in horizons.items())


def _figures(scored: Scored, horizon: HorizonScore) -> dict[str, tuple[str, go.Figure]]:
    """Predicted against realised, partial rank correlations, precision; each with its title."""
    windows, pooled = scored.windows[horizon.horizon_s], horizon.sides[-1]
    drawn = sum(int(_both(one, scored.score.model).sum()) for one in windows)
    count = sum(one.start_ms.size for one in windows)
    at = horizon.horizon_s
    return {
        f"windows-{at}": (f"{drawn} of {count} windows with both above $1", windows_figure(scored, horizon)),
        f"partial-{at}": ("partial rank correlation", partial_figure(pooled)),
        f"precision-{at}": ("liquidations in the top tenth of zones", precision_figure(pooled)),
    }


def _both(windows: Windows, name: str) -> np.ndarray:
    return np.asarray((windows.predicted_usd[name] > LEAST_USD) & (windows.reported_usd > LEAST_USD))


def _points(side: str, color: str, predicted: FloatArray, realised: FloatArray) -> Any:
    import plotly.graph_objects as go

    return go.Scatter(
        x=predicted,
        y=realised,
        mode="markers",
        name=side,
        marker={"color": color, "size": 6, "opacity": 0.65},
        hovertemplate="predicted %{x:$,.3s}, realised %{y:$,.3s}",
    )


"""A value and its bounds, null where there is no interval."""


def _spread(estimate: Estimate | None) -> Spread | None:
    return None if estimate is None else (estimate.value, estimate.low, estimate.high)


def _bars(pooled: SideScore, bars: list[Spread | None], hover: str) -> go.Figure:
    """A bar per map that has a value; a panel without any is marked."""
    import plotly.graph_objects as go

    drawn = [(one.name, bar) for one, bar in zip(pooled.maps, bars, strict=True) if bar is not None]
    figure = go.Figure()
    figure.add_bar(
        x=[name for name, _ in drawn],
        y=[bar[0] for _, bar in drawn],
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [None if high is None else max(0.0, high - value) for _, (value, _, high) in drawn],
            "arrayminus": [None if low is None else max(0.0, value - low) for _, (value, low, _) in drawn],
            "color": INK,
            "visible": any(low is not None for _, (_, low, _) in drawn),
        },
        marker={"color": [_color(name, pooled.maps[0].name) for name, _ in drawn]},
        hovertemplate=f"{hover}<extra></extra>",
        showlegend=False,
    )
    if not drawn:
        annotate_empty(figure, "not known: too few windows or events")
        figure.update_xaxes(showticklabels=False)
    return themed(figure, height=PANEL_PX)


def _color(name: str, scored: str) -> str:
    return MODELS[0] if name == scored else BASELINE_COLORS.get(name, FAINT)
