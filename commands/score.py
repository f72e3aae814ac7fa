"""`liqtruth score`: how maps did against the liquidations that came after them, and the ledger of forecasts."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated, Any

import typer

from liqtruth.commands.options import At, Coin, HtmlOut, JsonOut, opened_store, parse_duration, parse_time
from liqtruth.commands.output import progress, show, write_json
from liqtruth.commands.terminal import print_view, say

TABLE_WIDTH = 140
"""Columns that the tables need."""

score_app = typer.Typer(
    no_args_is_help=True,
    help="Score maps on the liquidations that followed, and keep a ledger of forecasts.",
)
VenueOf = Annotated[str, typer.Option(metavar="NAME", help="Exchange whose market is mapped.")]
ModelOf = Annotated[
    str,
    typer.Option(help="vintages, calibrated, tiers, bell, uniform; on hyperliquid also exact."),
]
WeightsOf = Annotated[
    str | None,
    typer.Option(metavar="NAME|FILE", help="Leverage model of vintages; default: the shipped prior."),
]


@score_app.command("realised")
def score_realised(
    coin: Coin,
    venue: VenueOf = "bybit",
    model: ModelOf = "vintages",
    weights: WeightsOf = None,
    start: Annotated[
        Any,
        typer.Option(
            "--from",
            parser=parse_time,
            metavar="TIME",
            help="First moment; default: 30 days before the last.",
        ),
    ] = None,
    end: Annotated[
        Any,
        typer.Option("--to", parser=parse_time, metavar="TIME", help="Last moment; default: the last bar."),
    ] = None,
    step: Annotated[
        timedelta, typer.Option(parser=parse_duration, metavar="TIME", help="Time between moments.")
    ] = "1h",  # type: ignore[assignment]
    coverage: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Share of all liquidations that the venue's feed tells, where it does not say.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the intervals.")] = 0,
    json: JsonOut = None,
    html: HtmlOut = None,
) -> None:
    """Hold a map over time against the stored liquidations of the 15 min, 1 h and 2 h after each moment.

    Predicted is what the map has in the range that the price swept, realised what was liquidated in it. The rank
    correlation is taken with the size of the move removed, and stands beside those of a map that knows only distance
    (uniform) and of equal tiers.
    """
    from liqtruth.compare.scoring.realised.page import write_page
    from liqtruth.compare.scoring.realised.score import score_realised as scored_on

    with opened_store() as store, progress("maps and windows", 1.0) as advance:
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
    if html is not None:
        write_page(result, html)
        say(f"wrote {html}", err=True)
    if json is not None:
        return write_json(result.score, json)
    return _tell(result.score)


@score_app.command("forecast")
def score_forecast(
    coin: Coin,
    venue: VenueOf = "bybit",
    model: Annotated[
        str, typer.Option(help="Any model of `liqtruth map model`; on hyperliquid also exact.")
    ] = "vintages",
    weights: WeightsOf = None,
    horizon: Annotated[
        timedelta, typer.Option(parser=parse_duration, metavar="TIME", help="How far ahead it speaks.")
    ] = "1h",  # type: ignore[assignment]
    replay: Annotated[
        bool,
        typer.Option("--replay", help="Store a map of the past; it stays marked as a replay for good."),
    ] = False,
    at: At = None,
    json: JsonOut = None,
) -> None:
    """Keep the map of now in the ledger, before what it speaks of can be seen.

    The map may be at most ten minutes old, and at most a quarter of the horizon. Nothing that is stored is ever
    changed; a second forecast of the same moment, model and horizon is not added.
    """
    from liqtruth.compare.scoring.forecasting import ForecastPlan, make_forecast

    plan = ForecastPlan(coin, venue, model, weights, horizon, at, replay)
    with opened_store() as store:
        show(make_forecast(store, plan), json)


@score_app.command("settle")
def score_settle(json: JsonOut = None) -> None:
    """Score the forecasts whose horizon is over and whose prices and liquidations are stored, each exactly once.

    The content of a forecast is held against its hash first; one that was changed is refused, and the exit code is 1.
    """
    from liqtruth.compare.scoring.ledger.settle import settle

    with opened_store() as store, progress("forecasts", 1.0) as advance:
        report = settle(store, on_progress=advance)
    show(report, json)
    raise typer.Exit(report.exit_code)


@score_app.command("list")
def score_list(
    model: Annotated[str | None, typer.Option(help="Only this model.")] = None,
    venue: Annotated[str | None, typer.Option(metavar="NAME", help="Only this exchange.")] = None,
    json: JsonOut = None,
) -> None:
    """The ledger by model, market and horizon: forecasts, scores so far, and what is held against a model."""
    from liqtruth.compare.scoring.ledger.leaderboard import leaderboard

    with opened_store() as store:
        rows = leaderboard(store, model, None if venue is None else [venue])
    if json is not None:
        return write_json(rows, json)
    from liqtruth.compare.scoring.ledger.shown import ledger_lines, ledger_table

    return _print([ledger_table(rows)] if rows else [], ledger_lines(rows))


def _tell(score: Any) -> None:
    """The tables and their lines."""
    from liqtruth.compare.scoring.realised.shown import realised_lines, realised_tables

    _print(realised_tables(score), realised_lines(score))


def _print(tables: Iterable[Any], lines: Iterable[str]) -> None:
    for table in tables:
        print_view(table, TABLE_WIDTH)
    for line in lines:
        say(line)
