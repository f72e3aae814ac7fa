"""The answer to who leads as people read it: a table for a terminal, a correlogram with its null band on a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from liqtruth.compare.scoring import pages
from liqtruth.compare.scoring.lead_lag.job import LeadLagReport
from liqtruth.compare.scoring.lead_lag.lead_lag import Lead
from liqtruth.heatmap.drawing.figure import FAINT, GRID, INK, LONG, MARK, PAPER, SHORT

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from rich.table import Table

COLORS: Final = {"both": "#5fa8d3", "long": LONG, "short": SHORT}
NAMES: Final = {"both": "longs and shorts together", "long": "longs", "short": "shorts"}
BAND: Final = "rgba(132,142,156,0.28)"


def leads_table(report: LeadLagReport) -> Table:
    """One row per side."""
    from rich.table import Table

    table = Table(title=heading(report), title_justify="left")
    for name in (
        "side",
        "steps",
        "days",
        "best lag",
        "partial",
        "95 % by chance below",
        "p",
        "the exact map",
    ):
        table.add_column(name, justify="left" if name in ("side", "the exact map") else "right")
    for lead in report.leads:
        table.add_row(*lead_cells(lead, report.step_min))
    return table


def lead_cells(lead: Lead, step_min: float) -> tuple[str, ...]:
    """As in `leads_table`."""
    if lead.best_lag is None or lead.best is None or lead.p_value is None or lead.highest_by_chance is None:
        return lead.side, f"{lead.steps:,}", str(lead.days), *("-",) * 4, f"not known: {lead.why}"
    same = {"neither": "neither leads nor lags", "same step": "goes with them in the same step"}
    said = same.get(lead.answer, f"{lead.answer} by {abs(lead.best_lag) * step_min:g} min")
    return (
        lead.side,
        f"{lead.steps:,}",
        str(lead.days),
        f"{lead.best_lag:+d}" if lead.best_lag else "0",
        f"{lead.best:.3f}",
        f"{lead.highest_by_chance:.3f}",
        f"{lead.p_value:.3f}",
        said,
    )


def heading(report: LeadLagReport) -> str:
    """What was held against what, and when."""
    made = "SYNTHETIC MARKET: " if report.synthetic else ""
    return (
        f"{made}{report.coin}: does Hyperliquid's exact map lead liquidations on {report.venue}? "
        f"{report.start:%Y-%m-%d} to {report.end:%Y-%m-%d}, steps of {report.step_min:g} min"
    )


def correlogram(report: LeadLagReport) -> go.Figure:
    """Partial correlation by lag with the band of shuffled days, plain correlation beside it; a panel per side."""
    from plotly.subplots import make_subplots

    figure = make_subplots(
        len(report.leads), 1, shared_xaxes=True, vertical_spacing=0.07,
        subplot_titles=[NAMES[lead.side] for lead in report.leads],
    )  # fmt: skip
    for row, lead in enumerate(report.leads, start=1):
        for trace in _traces(lead, report.step_min, first=row == 1):
            figure.add_trace(trace, row=row, col=1)
        if lead.highest_by_chance is not None:
            figure.add_hline(
                y=lead.highest_by_chance, line={"color": MARK, "width": 1, "dash": "dash"}, row=row, col=1
            )
        figure.add_vline(x=0, line={"color": FAINT, "width": 1}, row=row, col=1)
    figure.update_layout(
        paper_bgcolor=PAPER,
        plot_bgcolor=PAPER,
        font={"color": INK, "family": "Inter, Segoe UI, Helvetica, Arial, sans-serif", "size": 13},
        margin={"t": 40, "l": 70, "r": 10, "b": 110},
        legend={"orientation": "h", "y": 0, "yref": "container", "yanchor": "bottom", "x": 0},
        hoverlabel={"bgcolor": GRID, "font": {"color": INK}},
        barmode="overlay",
        height=260 * len(report.leads) + 90,
    )
    figure.update_xaxes(gridcolor=GRID, zeroline=False)
    figure.update_yaxes(gridcolor=GRID, zerolinecolor=FAINT, title_text="rank correlation")
    figure.update_xaxes(
        title_text="steps after the sweep: right of 0 the map leads",
        row=len(report.leads),
        col=1,
    )
    return figure


def write_page(report: LeadLagReport, path: Path) -> None:
    """A page that needs nothing else."""
    pages.write_page(
        "leads.html",
        path,
        {"correlogram": correlogram(report)},
        r=report,
        heading=f"{report.coin}: does Hyperliquid's exact map lead liquidations on {report.venue}?",
        rows=[(lead.side, lead_cells(lead, report.step_min)) for lead in report.leads],
    )


def _traces(lead: Lead, step_min: float, *, first: bool) -> list[Any]:
    import plotly.graph_objects as go

    color, lags = COLORS[lead.side], list(lead.lags)
    best = [MARK if lag == lead.best_lag and (lead.p_value or 1) < 0.05 else color for lag in lags]
    minutes = [lag * step_min for lag in lags]
    return [
        go.Scatter(
            x=[*lags, *reversed(lags)],
            y=[*lead.band_high, *reversed(lead.band_low)],
            fill="toself",
            fillcolor=BAND,
            line={"width": 0},
            name="95 % of shuffled days",
            hoverinfo="skip",
            showlegend=first,
        ),
        go.Bar(
            x=lags,
            y=lead.partial,
            width=0.5,
            marker={"color": best},
            name="partial, given the move",
            customdata=minutes,
            hovertemplate="lag %{x} (%{customdata:g} min): %{y:.3f}<extra></extra>",
            showlegend=first,
        ),
        go.Scatter(
            x=lags,
            y=lead.correlation,
            mode="markers",
            marker={"color": INK, "size": 6, "symbol": "circle-open"},
            name="plain, the move left in",
            hovertemplate="lag %{x}, plain: %{y:.3f}<extra></extra>",
            showlegend=first,
        ),
        go.Scatter(
            x=[None],
            y=[None],
            mode="lines",
            line={"color": MARK, "width": 1, "dash": "dash"},
            name="95 % of shuffles stay below at every lag",
            showlegend=first,
        ),
    ]
