"""`liqtruth feed`: collect the public aggregates of a venue."""

from pathlib import Path
from typing import Annotated

import typer

from cli_options import BaseUrl, Coin, Columns, JsonOut, opened_store
from cli_output import progress, show, show_summaries

feed_app = typer.Typer(no_args_is_help=True, help="Collect the public aggregates of a venue.")


@feed_app.command("fetch")
def feed_fetch(
    venue: Annotated[str, typer.Argument(help="Exchange, e.g. binance.")],
    coin: Coin,
    days: Annotated[
        int, typer.Option(min=1, help="How far back; venues keep open interest for about 30 days.")
    ] = 30,
    interval: Annotated[str | None, typer.Option(help="Bar length; default 1h, 5m for up to 5 days.")] = None,
    base_url: BaseUrl = None,
    json: JsonOut = None,
) -> None:
    """Fetch candles, open interest, funding and ratios of a venue, from where the last fetch ended."""
    from estimator.feeds import fetch

    with opened_store() as store, progress("fetching series", 1.0) as advance:
        report = fetch(store, venue, coin, days, interval=interval, base_url=base_url, on_progress=advance)
    show(report, json)


@feed_app.command("import")
def feed_import(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="Tables of candles, open interest, funding or ratios."),
    ],
    venue: Annotated[str, typer.Option(help="Exchange that the series are of.")],
    coin: Annotated[str, typer.Option(help="Coin that the series are of.")],
    columns: Columns = None,
    json: JsonOut = None,
) -> None:
    """Read series of a venue from files; what was recognised is printed."""
    from estimator.imports import import_feed
    from storage.tabular import parse_columns

    mapping = parse_columns(columns)
    with opened_store() as store:
        summaries = [import_feed(store, path, venue, coin, mapping) for path in paths]
    show_summaries(summaries, json)
