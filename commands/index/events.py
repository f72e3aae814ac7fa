"""`liqtruth index`: what happened on Hyperliquid, its liquidations and its prices."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from liqtruth.commands.index.reading import index_app
from liqtruth.commands.line.output import progress, show
from liqtruth.commands.line.targets import JsonOut, Outputs
from liqtruth.commands.line.values import parse_coins, parse_days, parse_url, split_names
from liqtruth.commands.options.reading import Exchange, ExchangeOptions, Log, LogOptions
from liqtruth.commands.options.shared import length_option, opened_store

__all__ = ["index_app"]


@index_app.command("fills")
def index_fills(
    out: JsonOut,
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="node_fills or node_fills_by_block files or folders."),
    ],
) -> None:
    """Read realised liquidations from a node's fills (plain, .gz or .lz4)."""
    from liqtruth.indexer.node.fills import import_fills

    with opened_store() as store:
        report = import_fills(store, paths)
    show(report, out)
    report.left_out.raise_any("the rest is stored")


@index_app.command("liquidations")
def index_liquidations(
    exchange: Exchange,
    out: JsonOut,
    log: Log,
    accounts: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESSES",
            help="Comma separated; default: the exchange's liquidator and what `index find` knows of its vault.",
        ),
    ] = None,
    since: Annotated[
        timedelta, length_option("--since", help="How far back, e.g. 24h; the exchange keeps 10,000 fills.")
    ] = "24h",  # type: ignore[assignment]
    provider: Annotated[
        str | None,
        typer.Option(
            help="Listen to this provider from now on instead: alchemy, goldrush or hydromancer; its key comes from"
            " LIQTRUTH_ALCHEMY_KEY and the like."
        ),
    ] = None,
    provider_url: Annotated[
        str | None,
        typer.Option(
            parser=parse_url,
            metavar="URL",
            help="Another host of the provider's stream: the sandbox.",
            rich_help_panel="Exchange",
        ),
    ] = None,
) -> None:
    """Read realised liquidations that the exchange shows to anyone, or that a provider pushes.

    The exchange shows the fills of who takes positions over: what share of all liquidations that is nobody knows, so
    scores by them need --coverage or rank maps only. A provider states that it pushes every one: it is listened to
    until Ctrl-C or --for, and `feed events --follow` shows what comes.
    """
    import asyncio

    from liqtruth.heatmap.errors import BadInput
    from liqtruth.indexer.discovery.address_lists import check_address
    from liqtruth.indexer.node.public_fills import read_public, takers

    if provider is not None:
        if accounts is not None:
            raise BadInput("a provider pushes everybody's liquidations: give --provider or --accounts")
        return listen_to(provider, provider_url, exchange, log, out)
    with opened_store() as store, progress("reading fills", 1.0) as advance:
        asked = [check_address(one, "--accounts") for one in split_names(accounts or "")] or takers(store)
        report = asyncio.run(
            read_public(store, exchange.url, asked, since, exchange.budget, on_progress=advance)
        )
    show(report, out)
    return report.raise_if_partly()


def listen_to(
    provider: str, url: str | None, exchange: ExchangeOptions, log: LogOptions, out: Outputs
) -> None:
    from liqtruth.indexer.node.fill_streams import stream_named
    from liqtruth.indexer.node.pushed_fills import listen

    stream = stream_named(provider)
    log.begin()
    with opened_store() as store:
        report = listen(store, stream, exchange.url, log.for_s, url)
    show(report, out)
    report.raise_if_partly()


@index_app.command("candles")
def index_candles(
    exchange: Exchange,
    out: JsonOut,
    coins: Annotated[
        str | None, typer.Option(help="Comma separated; default: the 40 largest markets.")
    ] = None,
    days: Annotated[
        Any, typer.Option(parser=parse_days(2, 200), metavar="DAYS", help="How far back: days, or 2w.")
    ] = "30d",
) -> None:
    """Fetch the exchange's hourly candles, which `map joint --move beta` needs."""
    from liqtruth.indexer.maps.candles import fetch_candles

    with opened_store() as store, progress("fetching candles", 1.0) as advance:
        report = fetch_candles(
            store,
            exchange.url,
            parse_coins(coins),
            days,
            weight_per_minute=exchange.budget,
            on_progress=advance,
        )
    show(report, out)
    report.raise_if_partly()
