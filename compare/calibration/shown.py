"""A fitted distribution of leverage as people read it: a table and lines for a terminal, bars for a page."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from compare.calibration.bands import LABELS, NULL, Band, bands_of_model
from compare.calibration.calibrated import FitRecord, SideRecord
from estimator.leverage import LeverageWeights, bell, tiers
from estimator.leverage_model import DEFAULT, LeverageModel, leverage_model_named
from heatmap.figure import FAINT, GRID, INK, LONG, MARK, PAPER, SHORT, wrapped
from heatmap.files import write_atomically
from heatmap.levels import SIDES

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from rich.table import Table

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
            _bands(model, side, getattr(record, side) if record else None),
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
    for side in SIDES:
        yield from _side_lines(side, getattr(record, side))
    if record.refused:
        yield f"{len(record.refused)} moments have no pair, the last: {record.refused[-1]}"


def distribution_figure(result: Shown) -> go.Figure:
    """Bars per band with intervals, long over short, the baselines as points beside them."""
    from plotly.subplots import make_subplots

    figure = make_subplots(2, 1, shared_xaxes=True, vertical_spacing=0.08, subplot_titles=[*SIDES])
    for row, side in enumerate(result.sides, start=1):
        for trace in _traces(result.name, side, first=row == 1):
            figure.add_trace(trace, row=row, col=1)
    subtitle = "<br>".join(escape(line) for line in wrapped(shown_lines(result)))
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
        margin={"t": 110 + 16 * subtitle.count("<br>"), "l": 80, "r": 30, "b": 60},
        hoverlabel={"bgcolor": GRID, "font": {"color": INK}},
        height=880,
    )
    figure.update_xaxes(gridcolor=GRID, categoryorder="array", categoryarray=[*LABELS, NULL])
    figure.update_yaxes(gridcolor=GRID, rangemode="tozero", title_text="share of open interest (%)")
    return figure


def write_page(result: Shown, path: Path) -> None:
    """A page that needs nothing else, whole or not at all."""
    html: str = distribution_figure(result).to_html(include_plotlyjs=True, config={"displaylogo": False})
    write_atomically(path, html.replace("<body>", f'<body style="margin:0;background:{PAPER}">', 1))


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


def _side_lines(side: str, record: SideRecord) -> Iterator[str]:
    if record.prior_scale < 1:
        yield f"{side}: the prior's shares are scaled by {record.prior_scale:.2f}, to sum to one with the fitted"
    if record.at_most_one:
        yield f"{side}: unbounded, the fit would place more than all open interest; it is held to the whole"


def _traces(name: str, side: Distribution, *, first: bool) -> list[Any]:
    import plotly.graph_objects as go

    labels = [*LABELS, NULL]
    above = [
        100 * max(0.0, (band.share if band.high is None else band.high) - band.share) for band in side.bands
    ]
    below = [
        100 * max(0.0, band.share - (band.share if band.low is None else band.low)) for band in side.bands
    ]
    bars = go.Bar(
        x=labels,
        y=[100 * band.share for band in side.bands],
        name=name,
        marker={"color": LONG if side.side == "long" else SHORT},
        error_y={"type": "data", "symmetric": False, "array": above, "arrayminus": below, "color": MARK},
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
