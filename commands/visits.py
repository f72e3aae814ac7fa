"""`liqtruth score visits` and `score leads`: what price did after the maps, and whether exact ones tell it early."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from liqtruth.commands.options import Coin, End, HtmlOut, JsonOut, Start, opened_store, parse_duration
from liqtruth.commands.output import progress, write_json
from liqtruth.commands.score import score_app
from liqtruth.commands.terminal import print_view, say

TABLE_WIDTH = 125
"""Columns that the tables need."""

Seed = Annotated[int, typer.Option(min=0, help="Seed of what is drawn at random.")]


@score_app.command("visits")
def score_visits(
    coin: Coin,
    venue: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Exchange whose maps and prices are scored; default: binance."),
    ] = None,
    model: Annotated[
        str,
        typer.Option(help="vintages, calibrated, tiers or bell; or exact: Hyperliquid's stored exact maps."),
    ] = "vintages",
    weights: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="Leverage model of vintages; default: the shipped prior."),
    ] = None,
    start: Start = None,
    end: End = None,
    step: Annotated[
        timedelta, typer.Option(parser=parse_duration, metavar="TIME", help="Time between maps.")
    ] = "6h",  # type: ignore[assignment]
    top: Annotated[int, typer.Option(min=1, max=50, help="Heaviest zones per side that count as major.")] = 5,
    within_pct: Annotated[
        float, typer.Option(help="Zones further from the mark than this many percent do not count.")
    ] = 50.0,
    tolerance_pct: Annotated[
        float, typer.Option(help="A zone is visited when price comes within this many percent of its peak.")
    ] = 0.25,
    seed: Seed = 0,
    json: JsonOut = None,
    html: HtmlOut = None,
) -> None:
    """Whether major zones are visited more often than their distance explains, and whether clusters align.

    Where exact maps of Hyperliquid are stored beside the modelled ones, the three claims that are made of such maps
    are answered: how many hotspots are visited, how many clusters align, how far they deviate.
    """
    from liqtruth.compare.scoring.visits.job import VisitPlan, visits_stored
    from liqtruth.compare.scoring.visits.shown import visits_view, write_page

    plan = VisitPlan(coin, venue, model, weights, start, end, step, top, within_pct, tolerance_pct, seed)
    with opened_store() as store, progress("exact maps", 1.0) as advance:
        report = visits_stored(store, plan, advance)
    _tell(report, visits_view, write_page, json, html)


def _tell(report: Any, view: Any, write_page: Any, json: str | None, html: Path | None) -> None:
    """The page and the JSON where asked for; else tables and lines."""
    if html is not None:
        write_page(report, html)
        say(f"wrote {html}", err=True)
    if json is not None:
        return write_json(report, json)

    print_view(view(report), TABLE_WIDTH)
    for line in report.describe():
        say(line)
    return None


@score_app.command("leads")
def score_leads(
    coin: Coin,
    venue: Annotated[
        str, typer.Option(metavar="NAME", help="Exchange whose realised liquidations are told early, or not.")
    ] = "binance",
    start: Start = None,
    end: End = None,
    step: Annotated[
        timedelta, typer.Option(parser=parse_duration, metavar="TIME", help="Length of a step.")
    ] = "15m",  # type: ignore[assignment]
    max_lag: Annotated[int, typer.Option(min=1, help="Steps that either may lead by.")] = 12,
    shuffles: Annotated[int, typer.Option(min=200, help="Shuffles of days for the null.")] = 400,
    seed: Seed = 0,
    json: JsonOut = None,
    html: HtmlOut = None,
) -> None:
    """Whether what price sweeps on Hyperliquid's exact map leads the liquidations of an exchange.

    Needs exact maps, prices and listened-to liquidations of the same time, on at least 6 days.
    """
    from liqtruth.compare.scoring.lead_lag.job import LeadLagPlan, lead_lag_stored
    from liqtruth.compare.scoring.lead_lag.shown import leads_table, write_page

    plan = LeadLagPlan(coin, venue, start, end, step, max_lag, shuffles, seed)
    with opened_store() as store, progress("exact maps", 1.0) as advance:
        report = lead_lag_stored(store, plan, advance)
    _tell(report, leads_table, write_page, json, html)
