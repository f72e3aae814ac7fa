"""The answer to who leads as people read it: a table for a terminal, a correlogram with its null band on a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from liqtruth.compare.scoring.lead_lag.job import LeadLagReport
from liqtruth.compare.scoring.lead_lag.lead_lag import Lead
from liqtruth.heatmap.drawing import page
from liqtruth.heatmap.drawing.theme import EXACT, FAINT, LONG, MARK, MODELS, SHADE, SHORT, themed
from liqtruth.heatmap.words.notes import texts

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from rich.table import Table

COLORS: Final = {"both": MODELS[0], "long": LONG, "short": SHORT}
HEADS: Final = (
    "side", "steps", "days", "best lag", "partial correlation", "95 % by chance below", "p of the best",
    "the exact map",
)  # fmt: skip
EXPLAINED: Final = (
    "Rank correlation of the notional that price swept on the map with the notional liquidated so many steps later, "
    "given the move of each step and what the day had on average. A bar that leaves the band is more than the same "
    "days shuffled give at that lag; only one above the dashed line is more than they give at any lag. "
    "Right of 0 the map leads."
)
NAMES: Final = {"both": "longs and shorts together", "long": "longs", "short": "shorts"}


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
    relation = same.get(lead.answer, f"{lead.answer} by {abs(lead.best_lag) * step_min:g} min")
    return (
        lead.side,
        f"{lead.steps:,}",
        str(lead.days),
        f"{lead.best_lag:+d}" if lead.best_lag else "0",
        f"{lead.best:.3f}",
        f"{lead.highest_by_chance:.3f}",
        f"{lead.p_value:.3f}",
        relation,
    )


def heading(report: LeadLagReport) -> str:
    """What was compared with what, and when."""
    made = "SYNTHETIC MARKET: " if report.synthetic else ""
    return (
        f"{made}{report.coin}: does Hyperliquid's exact map lead liquidations on {report.venue}? "
        f"{report.start:%Y-%m-%d} to {report.end:%Y-%m-%d}, steps of {report.step_min:g} min"
    )


def correlogram(lead: Lead, step_min: float) -> go.Figure:
    """Partial correlation by lag with the band of shuffled days, plain correlation beside it."""
    import plotly.graph_objects as go

    figure = go.Figure(_traces(lead, step_min))
    if lead.highest_by_chance is not None:
        figure.add_hline(y=lead.highest_by_chance, line={"color": MARK, "width": 1, "dash": "dash"})
    figure.add_vline(x=0, line={"color": FAINT, "width": 1})
    figure.update_xaxes(zeroline=False, title_text="steps after the sweep")
    figure.update_yaxes(zerolinecolor=FAINT, title_text="rank correlation")
    return themed(figure, barmode="overlay", height=400)


def write_page(report: LeadLagReport, path: Path) -> None:
    """The correlogram and the table."""
    page.write_page(
        path,
        f"{report.coin}: does Hyperliquid's exact map lead liquidations on {report.venue}?",
        synthetic=report.synthetic,
        age=page.age_of(report.end, lead="data to"),
        about=[
            f"{report.start:%Y-%m-%d} to {report.end:%Y-%m-%d} UTC, steps of {report.step_min:g} min, "
            f"{report.maps} exact maps swept by the prices of {report.prices_of}"
        ],
        answer=[report.answer],
        sections=[
            page.Section(
                f"Swept on the exact map, liquidated on {report.venue}",
                EXPLAINED,
                {
                    f"lags-{lead.side}": (NAMES[lead.side], correlogram(lead, report.step_min))
                    for lead in report.leads
                },
                page.Table(HEADS, [(lead.side, lead_cells(lead, report.step_min)) for lead in report.leads]),
            )
        ],
        notes=texts(report.notes),
    )


def _traces(lead: Lead, step_min: float) -> list[Any]:
    import plotly.graph_objects as go

    color, lags = COLORS[lead.side], list(lead.lags)
    best = [MARK if lag == lead.best_lag and (lead.p_value or 1) < 0.05 else color for lag in lags]
    minutes = [lag * step_min for lag in lags]
    return [
        go.Scatter(
            x=[*lags, *reversed(lags)],
            y=[*lead.band_high, *reversed(lead.band_low)],
            mode="lines",
            fill="toself",
            fillcolor=SHADE,
            line={"width": 0},
            name="95 % of shuffled days",
            hoverinfo="skip",
        ),
        go.Bar(
            x=lags,
            y=lead.partial,
            width=0.5,
            marker={"color": best},
            name="partial, given the move",
            customdata=minutes,
            hovertemplate="lag %{x} (%{customdata:g} min): %{y:.3f}<extra></extra>",
        ),
        go.Scatter(
            x=lags,
            y=lead.correlation,
            mode="markers",
            marker={"color": EXACT, "size": 6, "symbol": "circle-open"},
            name="plain, the move left in",
            hovertemplate="lag %{x}, plain: %{y:.3f}<extra></extra>",
        ),
        go.Scatter(
            x=[None],
            y=[None],
            mode="lines",
            line={"color": MARK, "width": 1, "dash": "dash"},
            name="95 % of shuffles stay below at every lag",
        ),
    ]
