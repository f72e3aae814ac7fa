"""`liqtruth score`: maps scored on the liquidations that came after them, and the ledger of forecasts."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from liqtruth.commands.line.grammar import App
from liqtruth.commands.line.output import progress, say_lines, show, tell, tell_rows
from liqtruth.commands.line.targets import JsonOut, Outputs, PageOut, TableOut
from liqtruth.commands.line.terminal import print_view
from liqtruth.commands.line.values import parse_share
from liqtruth.commands.options.shared import (
    At,
    Coin,
    End,
    Seed,
    Start,
    Step,
    Weights,
    existing_store,
    length_option,
    time_option,
)

TABLE_WIDTH = 140
"""Columns that the tables need."""
VISITS_WIDTH = 125

score_app = App("Score maps on what came after them, and keep a ledger.")
VenueOf = Annotated[
    str, typer.Option(metavar="NAME", help="Exchange whose market is mapped.", rich_help_panel="Model")
]
ModelOf = Annotated[
    str,
    typer.Option(
        help="Any model of `liqtruth map model`; on hyperliquid also exact.", rich_help_panel="Model"
    ),
]


@score_app.command("realised")
def score_realised(
    coin: Coin,
    out: PageOut,
    venue: VenueOf = "bybit",
    model: ModelOf = "vintages",
    weights: Weights = None,
    start: Annotated[
        Any, time_option("--from", help="First moment; default: 30 days before the last.")
    ] = None,
    end: Annotated[Any, time_option("--to", help="Last moment; default: the last bar.", ahead=True)] = None,
    step: Step = "1h",  # type: ignore[assignment]
    coverage: Annotated[
        float | None,
        typer.Option(
            parser=parse_share,
            metavar="SHARE",
            help="Share of all liquidations that the venue's feed reports, where the venue does not state it.",
        ),
    ] = None,
    seed: Seed = 0,
) -> None:
    """Score a map over time on the stored liquidations of the 15 min, 1 h and 2 h after each moment.

    Predicted is what the map has in the range that the price swept, realised what was liquidated in it. The rank
    correlation is taken with the size of the move removed, and stands beside those of a map that knows only distance
    (uniform) and of equal tiers.
    """
    from liqtruth.compare.scoring.realised.job import score_realised as scored_on
    from liqtruth.compare.scoring.realised.shown import realised_lines, realised_tables, write_page

    with existing_store() as store, progress("maps and windows", 1.0) as advance:
        result = scored_on(
            store,
            coin,
            venue,
            model,
            weights=weights,
            start=start,
            end=end,
            step=step,
            coverage=coverage,
            seed=seed,
            on_progress=advance,
        )
    score = result.score
    tell(
        score,
        out,
        lambda: _print(realised_tables(score), realised_lines(score)),
        lambda _, path: write_page(result, path),
    )


@score_app.command("visits")
def score_visits(
    coin: Coin,
    out: PageOut,
    venue: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Exchange whose maps and prices are scored; default: binance.",
            rich_help_panel="Model",
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            help="Any model of `liqtruth map model`; or exact: Hyperliquid's stored exact maps.",
            rich_help_panel="Model",
        ),
    ] = "vintages",
    weights: Weights = None,
    start: Start = None,
    end: End = None,
    step: Step = "6h",  # type: ignore[assignment]
    top: Annotated[int, typer.Option(min=1, max=50, help="Heaviest zones per side that count as major.")] = 5,
    within_pct: Annotated[
        float, typer.Option(help="Zones further from the mark than this many percent do not count.")
    ] = 50.0,
    tolerance_pct: Annotated[
        float, typer.Option(help="A zone is visited when price comes within this many percent of its peak.")
    ] = 0.25,
    seed: Seed = 0,
) -> None:
    """Test whether major zones are visited more often than their distance explains, and whether clusters align.

    Zones are split by distance in ATR, by stacking and by how many windows (24 h, 7 d, 30 d) show them, and the claims
    that are made of such maps are answered beside chance. Those on alignment need exact maps of Hyperliquid.
    """
    from liqtruth.compare.scoring.visits.job import VisitPlan, visits_stored
    from liqtruth.compare.scoring.visits.shown import visits_view, write_page

    plan = VisitPlan(coin, venue, model, weights, start, end, step, top, within_pct, tolerance_pct, seed)
    with existing_store() as store, progress("exact maps", 1.0) as advance:
        report = visits_stored(store, plan, advance)
    _tell(report, out, visits_view, write_page)


@score_app.command("leads")
def score_leads(
    coin: Coin,
    out: PageOut,
    venue: Annotated[
        str, typer.Option(metavar="NAME", help="Exchange whose realised liquidations may follow.")
    ] = "binance",
    start: Start = None,
    end: End = None,
    step: Annotated[timedelta, length_option("--step", help="Length of a step.")] = "15m",  # type: ignore[assignment]
    max_lag: Annotated[int, typer.Option(min=1, help="Steps that either may lead by.")] = 12,
    shuffles: Annotated[int, typer.Option(min=200, help="Shuffles of days for the null.")] = 400,
    seed: Seed = 0,
) -> None:
    """Test whether what price sweeps on Hyperliquid's exact map leads the liquidations of an exchange.

    Needs exact maps, prices and observed liquidations of the same time, on at least 6 days.
    """
    from liqtruth.compare.scoring.lead_lag.job import LeadLagPlan, lead_lag_stored
    from liqtruth.compare.scoring.lead_lag.shown import leads_table, write_page

    plan = LeadLagPlan(coin, venue, start, end, step, max_lag, shuffles, seed)
    with existing_store() as store, progress("exact maps", 1.0) as advance:
        report = lead_lag_stored(store, plan, advance)
    _tell(report, out, leads_table, write_page)


def _tell(
    report: Any, out: Outputs, view: Callable[[Any], Any], write_page: Callable[[Any, Path], None]
) -> None:
    tell(report, out, lambda: _print([view(report)], report.describe(), VISITS_WIDTH), write_page)


@score_app.command("forecast")
def score_forecast(
    coin: Coin,
    out: JsonOut,
    venue: VenueOf = "bybit",
    model: Annotated[
        str,
        typer.Option(
            help="Any model of `liqtruth map model`; on hyperliquid also exact.", rich_help_panel="Model"
        ),
    ] = "vintages",
    weights: Weights = None,
    horizon: Annotated[
        timedelta, length_option("--horizon", help="How far ahead the forecast reaches.")
    ] = "1h",  # type: ignore[assignment]
    replay: Annotated[
        bool,
        typer.Option("--replay", help="Store a map of the past; it stays marked as a replay for good."),
    ] = False,
    at: At = None,
) -> None:
    """Store the current map in the ledger, before its outcome can be known.

    The map may be at most ten minutes old, and at most a quarter of the horizon. Nothing that is stored is ever
    changed; a second forecast of the same moment, model and horizon is not added.
    """
    from liqtruth.compare.scoring.forecasting import ForecastPlan, make_forecast

    plan = ForecastPlan(coin, venue, model, weights, horizon, at, replay)
    with existing_store() as store:
        show(make_forecast(store, plan), out)


@score_app.command("settle")
def score_settle(out: JsonOut) -> None:
    """Score the forecasts whose horizon is over and whose prices and liquidations are stored, each exactly once.

    The content of a forecast is checked against its hash first; one that was changed is refused with exit code 1.
    """
    from liqtruth.compare.scoring.ledger.settle import settle

    with existing_store() as store, progress("forecasts", 1.0) as advance:
        report = settle(store, on_progress=advance)
    show(report, out)
    raise typer.Exit(report.exit_code)


@score_app.command("list")
def score_list(
    out: TableOut,
    model: Annotated[str | None, typer.Option(help="Only this model.")] = None,
    venue: Annotated[str | None, typer.Option(metavar="NAME", help="Only this exchange.")] = None,
) -> None:
    """List the ledger by model, market and horizon: forecasts, scores so far, and why a model is flagged."""
    from liqtruth.compare.scoring.ledger.leaderboard import leaderboard, ledger_lines, ledger_table

    with existing_store() as store:
        rows = leaderboard(store, model, None if venue is None else [venue])
    tell_rows(rows, out, lambda: _print([ledger_table(rows)] if rows else [], ledger_lines(rows)))


def _print(tables: Iterable[Any], lines: Iterable[str], width: int = TABLE_WIDTH) -> None:
    for table in tables:
        print_view(table, width)
    say_lines(lines)
