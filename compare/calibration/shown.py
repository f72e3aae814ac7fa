"""A fitted distribution of leverage as people read it: a table and lines for a terminal, bars for a page."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from liqtruth.compare.calibration.bands import LABELS, NULL, Band, bands_of_model
from liqtruth.compare.calibration.record import FitRecord, SideRecord
from liqtruth.compare.statistics.effective_sample_size import ENOUGH
from liqtruth.estimator.model.leverage import LeverageWeights, bell, tiers
from liqtruth.estimator.model.leverage_model import DEFAULT, LeverageModel, leverage_model_named
from liqtruth.heatmap.drawing.figure import FAINT, GRID, INK, LONG, MARK, PAPER, SHORT, wrapped
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.writing import write_atomically

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from rich.table import Table

STANDS: Final = "{}s that stand within 30 % of price"
BASELINES: Final = ("tiers", "bell", DEFAULT)
COLORS: Final = {"tiers": FAINT, "bell": "#b48ead", DEFAULT: "#5fa8d3"}


class Distribution(msgspec.Struct, frozen=True):
    """One side: the model's bands, and the same bands of what it stands beside."""

    side: str
    bands: tuple[Band, ...]
    beside: dict[str, tuple[float, ...]]


class Shown(msgspec.Struct, frozen=True):
    """A leverage model by band, long then short, with the record of its fit where there is one."""

    name: str
    kind: str
    hash: str
    note: str
    sides: tuple[Distribution, ...]
    record: FitRecord | None


def shown(model: LeverageModel, record: FitRecord | None) -> Shown:
    """Intervals come from the record; a model without one has none."""
    others: dict[str, LeverageModel | LeverageWeights] = {
        "tiers": tiers(),
        "bell": bell(),
        DEFAULT: leverage_model_named(DEFAULT),
    }
    sides = tuple(
        Distribution(
            side,
            _bands(model, side, record.of(side) if record else None),
            {name: bands_of_model(other, side) for name, other in others.items()},
        )
        for side in SIDES
    )
    return Shown(model.name, model.kind, model.hash, model.note, sides, record)


def shown_table(result: Shown) -> Table:
    """One row per band: share and 80 % interval of each side, beside the baselines."""
    from rich.table import Table

    table = Table(title=f"Share of open interest by effective leverage: {result.name}", title_justify="left")
    table.add_column("leverage")
    for heading in ("long", "80 %", "short", "80 %", *BASELINES):
        table.add_column(heading, justify="right", no_wrap=True)
    long, short = result.sides
    for place, label in enumerate((*LABELS, NULL)):
        cells = [cell for side in (long, short) for cell in _cells(side.bands[place])]
        beside = [f"{100 * long.beside[name][place]:.1f} %" for name in BASELINES]
        table.add_row(label, *cells, *beside)
    return table


def shown_lines(result: Shown) -> Iterator[str]:
    """What the table has no room for."""
    yield result.note
    record = result.record
    if record is None:
        yield "no record of a fit: no intervals are known"
        return
    if any(band.from_prior > 0 for side in result.sides for band in side.bands):
        yield "*: in whole or part the prior's share, which the data cannot tell"
    yield "what was not fitted and null: only their sum is known, how it divides is the prior's"
    for drawn in result.sides:
        told = [f"{band.band} {band.told:.0%}" for band in drawn.bands if band.told is not None]
        yield f"{drawn.side}: of a change in a band the fit would follow {', '.join(told)}; noise is in the intervals"
    if record.draws:
        yield f"intervals: {record.draws} draws of {record.blocks} blocks (coin and day), seed {record.seed}"
    else:
        yield f"no intervals: {record.blocks} block of coin and day, at least 2 are needed"
    yield from _choices(record)
    for side in SIDES:
        yield from _side_lines(side, record.of(side))
    if record.refused:
        yield f"{len(record.refused)} moments have no pair, the last: {record.refused[-1]}"


def distribution_figure(result: Shown) -> go.Figure:
    """Per side: bars of the births' shares with intervals beside the baselines; and what stands, drawn and measured."""
    from plotly.subplots import make_subplots

    figure = make_subplots(
        2,
        2,
        horizontal_spacing=0.09,
        vertical_spacing=0.16,
        subplot_titles=[title for side in SIDES for title in (f"{side}s as they open", STANDS.format(side))],
    )
    for row, side in enumerate(result.sides, start=1):
        for trace in _traces(result.name, side, first=row == 1):
            figure.add_trace(trace, row=row, col=1)
        for trace in _standing_traces(result, side.side, first=row == 1):
            figure.add_trace(trace, row=row, col=2)
    subtitle = "<br>".join(escape(line) for line in wrapped([result.note]))
    top = 120 + 16 * subtitle.count("<br>")
    figure.update_layout(
        paper_bgcolor=PAPER,
        plot_bgcolor=PAPER,
        font={"color": INK, "family": "Inter, Segoe UI, Helvetica, Arial, sans-serif", "size": 13},
        title={
            "text": f"Effective leverage of open interest: {escape(result.name)}",
            "subtitle": {"text": subtitle, "font": {"size": 12, "color": FAINT}},
            "x": 0.01,
            "y": 0.985,
            "yanchor": "top",
        },
        margin={"t": top, "l": 70, "r": 30, "b": 80},
        legend={"orientation": "h", "y": -0.09, "x": 0},
        hoverlabel={"bgcolor": GRID, "font": {"color": INK}},
        height=top + 720,
    )
    figure.update_xaxes(gridcolor=GRID)
    for row in (1, 2):
        figure.update_xaxes(categoryorder="array", categoryarray=[*LABELS, NULL], row=row, col=1)
    figure.update_yaxes(gridcolor=GRID, rangemode="tozero", title_text="% of open interest")
    return figure


def write_page(result: Shown, path: Path) -> None:
    """A page that needs nothing else, whole or not at all: the picture, and below it what it rests on."""
    html: str = distribution_figure(result).to_html(
        include_plotlyjs=True, config={"displaylogo": False, "displayModeBar": False, "responsive": True}
    )
    said = "".join(f"<li>{escape(line)}</li>" for line in list(shown_lines(result))[1:])
    style = (
        f"margin:0;background:{PAPER};color:{FAINT};font:13px/1.5 Inter,Segoe UI,Helvetica,Arial,sans-serif"
    )
    below = f'<ul style="max-width:110ch;margin:0;padding:0 2em 2em 3em">{said}</ul></body>'
    page = html.replace("<body>", f'<body style="{style}">', 1)
    write_atomically(path, below.join(page.rsplit("</body>", 1)))


def _standing_traces(result: Shown, side: str, *, first: bool) -> list[Any]:
    """What stands within reach, as the fit draws it with its 95 % interval and as positions measure it."""
    import plotly.graph_objects as go

    if result.record is None:
        return []
    rows = result.record.of(side).standing
    bars = go.Bar(
        x=[row.band for row in rows],
        y=[100 * row.drawn for row in rows],
        name="drawn by the fit (95 %)",
        marker={"color": "#4c9aff"},
        error_y=_ends([(row.drawn, row.low, row.high) for row in rows]),
        hovertemplate="%{x}: %{y:.1f} %",
        showlegend=first,
    )
    if any(row.measured is None for row in rows):
        return [bars]
    points = go.Scatter(
        x=[row.band for row in rows],
        y=[100 * (row.measured or 0.0) for row in rows],
        mode="markers",
        name="measured on positions",
        marker={"color": INK, "size": 11, "symbol": "x"},
        hovertemplate="%{x}: %{y:.1f} %",
        showlegend=first,
    )
    return [bars, points]


def _ends(rows: list[tuple[float, float | None, float | None]]) -> dict[str, Any] | None:
    """Error bars in percent; none at all where no interval is known."""
    if all(low is None or high is None for _, low, high in rows):
        return None
    above = [None if high is None else 100 * max(0.0, high - share) for share, _, high in rows]
    below = [None if low is None else 100 * max(0.0, share - low) for share, low, _ in rows]
    return {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "color": MARK}


def _bands(model: LeverageModel, side: str, record: SideRecord | None) -> tuple[Band, ...]:
    if record is not None:
        return record.bands
    labelled = zip((*LABELS, NULL), bands_of_model(model, side), strict=True)
    return tuple(Band(label, share, None, None, 0.0) for label, share in labelled)


def _cells(band: Band) -> tuple[str, str]:
    star = "*" if band.from_prior > 0 else ""
    if band.low is None or band.high is None:
        return f"{100 * band.share:.1f} %{star}", "not known"
    return f"{100 * band.share:.1f} %{star}", f"{100 * band.low:.1f} to {100 * band.high:.1f}"


def _choices(record: FitRecord) -> Iterator[str]:
    """What the data chose, and by how much."""
    chosen = record.choices
    if chosen.coordinates:
        each = ", ".join(f"{row.coordinate} {row.left_out_pct:.2f} %" for row in chosen.coordinates)
        yield f"coordinate by coins left out, distance of the crowd's map: {each}; taken: {chosen.coordinate}"
    if chosen.deviations:
        best = min(chosen.deviations, key=lambda row: row.own_pct)
        taken = "taken" if chosen.ridge is not None else "not taken"
        yield (
            f"coins' own shares on days not seen: {best.own_pct:.2f} % against {best.pooled_pct:.2f} % pooled, {taken}"
        )
    sizes = chosen.sizes
    if sizes.by_size_pct is not None:
        yield (
            f"leverage by size of position on coins left out: {sizes.by_size_pct:.2f} % against "
            f"{sizes.pooled_pct:.2f} % pooled"
        )
    if min(record.coverage) < 0.95:
        long, short = record.coverage
        yield (
            f"{long:.0%} of longs and {short:.0%} of shorts were seen: intervals hold what the rest may be, "
            "if it is like any one size class"
        )
    if not record.passes:
        yield (
            f"{record.effective_positions:.0f} effective positions a side (median), "
            f"{ENOUGH:.0f} are needed before a shape means much: "
            "read these shares as an exercise"
        )
    yield from record.notes


def _side_lines(side: str, record: SideRecord) -> Iterator[str]:
    outside = [row.band for row in record.standing if row.inside is False and (row.measured or 0.0) > 0.005]
    if outside:
        yield f"{side}: of what stands, {', '.join(outside)} is measured outside of what the fit draws"
    if record.entries is not None:
        yield (
            f"{side}: entry prices of the fitted mix of turnover lie {record.entries.mixed_pct:.2f} % of price from "
            f"the exact ones; of single classes the one at {record.entries.nearest_rate} times activity is nearest"
        )
    if record.prior_scale < 1:
        yield f"{side}: the prior's shares are scaled by {record.prior_scale:.2f}, to sum to one with the fitted"
    if record.at_most_one:
        yield f"{side}: unbounded, the fit would place more than all open interest; it is held to the whole"


def _traces(name: str, side: Distribution, *, first: bool) -> list[Any]:
    import plotly.graph_objects as go

    labels = [*LABELS, NULL]
    bars = go.Bar(
        x=labels,
        y=[100 * band.share for band in side.bands],
        name=name,
        marker={"color": LONG if side.side == "long" else SHORT},
        error_y=_ends([(band.share, band.low, band.high) for band in side.bands]),
        hovertemplate="%{x}: %{y:.1f} %",
        showlegend=first,
    )
    points = [
        go.Scatter(
            x=labels,
            y=[100 * share for share in shares],
            mode="markers",
            name=other,
            marker={"color": COLORS[other], "size": 10, "symbol": "diamond"},
            hovertemplate="%{x}: %{y:.1f} %",
            showlegend=first,
        )
        for other, shares in side.beside.items()
    ]
    return [bars, *points]
