"""`liqtruth feed`: collect the public aggregates of a venue."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from liqtruth.commands.line.grammar import App
from liqtruth.commands.line.output import deliver, json_of, say_lines, show, show_summaries, tell, tell_rows
from liqtruth.commands.line.targets import JsonOut, TableOut
from liqtruth.commands.line.terminal import print_view, say, say_error, text_console
from liqtruth.commands.line.values import parse_coin, parse_coins, split_names
from liqtruth.commands.options.reading import BaseUrl, Log
from liqtruth.commands.options.shared import Coin, Columns, Days, existing_store, length_option, opened_store
from liqtruth.heatmap.writing import harmless

if TYPE_CHECKING:
    from liqtruth.compare.observed.recent import Recent

TABLE_WIDTH = 120
"""Columns that the tables need; into a pipe they are as wide, so that nothing is cut."""

FOLLOW_S = 2.0

feed_app = App("Collect the public aggregates of a venue.")


def _events_view(found: "Recent", most: int) -> Any:
    from rich.console import Group

    from liqtruth.compare.observed.recent import recent_view

    return Group(recent_view(found, most), "", *found.describe())


def _follow(view: Callable[[], Any]) -> None:
    """Draw the view again and again, until Ctrl-C."""
    import time

    from rich.live import Live

    with Live(view(), console=text_console(), refresh_per_second=1) as live:
        try:
            while True:
                time.sleep(FOLLOW_S)
                live.update(view())
        except KeyboardInterrupt:
            return


@contextmanager
def _bar_per_venue(names: Sequence[str]) -> Iterator[Callable[[str, float], None]]:
    """On stderr; gives a function that takes a venue and how much of it is done."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    console = text_console(err=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks = {name: bar.add_task(name, total=1.0) for name in names}
        yield lambda venue, share: bar.update(tasks[venue], completed=share)


@feed_app.command("fetch")
def feed_fetch(
    venue: Annotated[str, typer.Argument(help="Exchanges, e.g. binance or binance,bybit,okx, or 'all'.")],
    coin: Coin,
    out: JsonOut,
    days: Days = "30d",
    interval: Annotated[
        str | None,
        typer.Option(metavar="LENGTH", help="Bar length, 1m to 1d; default 1h, 5m for up to 5 days."),
    ] = None,
    base_url: BaseUrl = None,
) -> None:
    """Fetch all series that venues give, several venues at once, from where the last fetch ended.

    A venue that fails stops no other: the rest is stored and shown, its reason printed, and the exit code is 3 (2 for
    a coin that a venue named by you does not list; with 'all' that is only printed). Run again to go on.
    """
    from liqtruth.estimator.feeds.fetch import fetch_all
    from liqtruth.estimator.venues.table import venues_named

    venues = venues_named(venue)
    with opened_store() as store, _bar_per_venue([chosen.name for chosen in venues]) as advance:
        summary = fetch_all(
            store,
            venues,
            coin,
            days,
            interval=interval,
            base_url=base_url,
            on_progress=advance,
            unlisted_fails=venue.strip() != "all",
        )
    show(summary, out)
    for failure in summary.failures:
        say_error(failure)
    if summary.exit_code:
        raise typer.Exit(summary.exit_code)


@feed_app.command("venues")
def feed_venues(out: JsonOut) -> None:
    """Show what each venue gives, how far back, what share of liquidations it reports, and why it lacks the rest."""
    from liqtruth.estimator.venues.table import capabilities, venue_table, venue_words

    venues = capabilities()

    def shown() -> None:
        print_view(venue_table(venues), TABLE_WIDTH)
        for line in venue_words(venues):
            print_view(line)

    tell(venues, out, shown)


@feed_app.command("import")
def feed_import(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH...",
            help="Tables of candles, open interest, funding, ratios, liquidations or tiers.",
        ),
    ],
    venue: Annotated[str, typer.Option(help="Exchange that the series are of.")],
    coin: Annotated[
        str, typer.Option(parser=parse_coin, metavar="COIN", help="Coin that the series are of.")
    ],
    out: JsonOut,
    columns: Columns = None,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Let rows replace many stored ones that differ from them."),
    ] = False,
) -> None:
    """Read series of a venue from files; what was recognised is printed.

    A file that is refused stops no other: the rest is stored and shown, and the exit code is 3 (2 where none was read).
    """
    from liqtruth.estimator.feeds.imports import import_feed
    from liqtruth.heatmap.errors import PartlyRead
    from liqtruth.storage.errors import TableRefused
    from liqtruth.storage.files.tabular import parse_columns

    mapping, summaries = parse_columns(columns), []
    refused: list[TableRefused] = []
    with opened_store() as store:
        for path in paths:
            try:
                summaries.append(import_feed(store, path, venue, coin, mapping, replace))
            except TableRefused as error:
                refused.append(error)
    if refused and not summaries:
        for fault in refused[:-1]:
            say_error(fault)
        raise refused[-1]
    show_summaries(summaries, out)
    for fault in refused:
        say_error(fault)
    if refused:
        raise PartlyRead(f"{len(refused)} of {len(paths)} files could not be read; the others are stored")


@feed_app.command("watch")
def feed_watch(
    venues: Annotated[str, typer.Argument(help="Exchanges, e.g. binance,bybit,okx,hyperliquid, or 'all'.")],
    coins: Annotated[str, typer.Argument(help="Coins, e.g. BTC or BTC,ETH,SOL.")],
    out: JsonOut,
    log: Log,
    every: Annotated[
        timedelta, length_option("--every", help="How often open interest is asked for.", heading="Run")
    ] = "5m",  # type: ignore[assignment]
    base_url: BaseUrl = None,
) -> None:
    """Collect open interest, candles and liquidations from now on, also where a venue keeps no history.

    A venue that fails stops no other and is asked again; Ctrl-C stores what was collected and ends it; run again to go
    on. The exit code is 3 where a part of what was asked for could not be read.
    """
    from liqtruth.estimator.feeds.watch import FeedWatchPlan, watch_feeds
    from liqtruth.estimator.venues.table import venues_named

    log.begin()
    plan = FeedWatchPlan(
        venues=venues_named(venues),
        coins=tuple(parse_coins(coins)),
        every_s=every.total_seconds(),
        for_s=log.for_s,
        base_url=base_url,
    )
    with opened_store() as store:
        report = watch_feeds(store, plan)
    show(report, out)
    raise typer.Exit(report.exit_code)


@feed_app.command("events")
def feed_events(
    out: TableOut,
    coins: Annotated[
        str | None, typer.Argument(help="Coins, e.g. BTC or BTC,ETH; default: all stored.")
    ] = None,
    venue: Annotated[
        str | None, typer.Option(help="Exchanges, e.g. binance,hyperliquid; default: all stored.")
    ] = None,
    since: Annotated[timedelta, length_option("--since", help="How far back, e.g. 1h.")] = "1h",  # type: ignore[assignment]
    most: Annotated[int, typer.Option(min=1, max=1000, help="How many liquidations are shown.")] = 20,
    follow: Annotated[
        bool, typer.Option("--follow", help="Look again every two seconds, until Ctrl-C.")
    ] = False,
) -> None:
    """Show the newest realised liquidations that are stored, with sums by minute and side.

    `feed watch` records those of venues, `index liquidations` and `index fills` Hyperliquid's.
    """
    from liqtruth.compare.observed.recent import recent, recent_view
    from liqtruth.storage.places.parquet import write_parquet

    wanted = parse_coins(coins) if coins else []
    venues = split_names(venue or "")
    with existing_store() as store:
        if follow:
            return _follow(lambda: _events_view(recent(store, wanted, venues, since), most))
        found = recent(store, wanted, venues, since)

    def shown() -> None:
        if found.events.is_empty():
            say(
                "no liquidation is stored of that time: `liqtruth feed watch`, `index liquidations` bring them"
            )
        else:
            print_view(recent_view(found, most), TABLE_WIDTH)
        say_lines(found.describe())

    deliver(
        out,
        {"json": lambda: json_of(found), "csv": lambda: harmless(found.events).write_csv()},
        {"parquet": lambda path: write_parquet(found.events, path)},
    )
    if not out.to_stdout:
        shown()
    return None


@feed_app.command("status")
def feed_status_command(out: TableOut) -> None:
    """Show what is stored of every venue and coin: rows, span, age, gaps, source, and what the checks found."""
    from liqtruth.estimator.feeds.status import feed_status, status_table

    with existing_store() as store:
        status = feed_status(store.view())

    def shown() -> None:
        if not status.series:
            return say("nothing is stored yet: `liqtruth feed fetch` or `liqtruth feed import` brings series")
        print_view(status_table(status), TABLE_WIDTH)
        return say_lines(status.describe())

    tell_rows(status.series, out, shown)
    status.raise_if_partly()
