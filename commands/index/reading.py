"""`liqtruth index`: read actual Hyperliquid positions."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from liqtruth.commands.line.grammar import App
from liqtruth.commands.line.output import progress, say_lines, show, tell
from liqtruth.commands.line.targets import JsonOut
from liqtruth.commands.line.terminal import say
from liqtruth.commands.line.values import dexes_of, parse_url, split_names
from liqtruth.commands.options.reading import (
    AddressFiles,
    Batch,
    Concurrency,
    Evm,
    Exchange,
    Log,
    Retention,
    StatsUrl,
)
from liqtruth.commands.options.shared import (
    Coin,
    Columns,
    Dexes,
    length_option,
    opened_store,
    settings,
    time_option,
)

index_app = App("Read actual Hyperliquid positions.")


@index_app.command("import")
def index_import(
    out: JsonOut,
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH...",
            help="Answers of accounts (one or many) or position tables, and folders of either.",
        ),
    ],
    meta: Annotated[
        list[Path] | None,
        typer.Option(help="A `meta` or `metaAndAssetCtxs` answer of the same moment; one for each dex."),
    ] = None,
    spot: Annotated[Path | None, typer.Option(help="The account's `spotClearinghouseState` answer.")] = None,
    market: Annotated[
        list[Path] | None,
        typer.Option(help="Table of marks and open interest at the same moments; may be repeated."),
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Whose account the JSON is, which it does not state.")
    ] = None,
    dex: Annotated[str, typer.Option(help="Perp dex, e.g. xyz; default: the main one.")] = "",
    columns: Columns = None,
    as_of: Annotated[
        datetime | None, time_option("--as-of", help="When it was read, if it does not state it.")
    ] = None,
    census: Annotated[
        bool | None,
        typer.Option(
            "--census/--accounts",
            help="The file has all holders of its moments, or some accounts; default: decided by its times.",
        ),
    ] = None,
    keep_contradictions: Annotated[
        bool,
        typer.Option(
            "--keep-contradictions", help="Store rows whose columns contradict each other as they are."
        ),
    ] = False,
) -> None:
    """Read positions from files: answers of accounts or tables that anyone exported."""
    from liqtruth.heatmap.errors import PartlyRead
    from liqtruth.indexer.files.imports import import_paths
    from liqtruth.indexer.files.summary import described, left_out_of
    from liqtruth.storage.files.tabular import parse_columns

    mapping = parse_columns(columns)
    with opened_store() as store, progress("reading and storing files", 1.0) as on_part:
        summaries = import_paths(
            store,
            paths,
            meta=meta or (),
            spot=spot,
            market=market or (),
            address=address,
            dex=dex,
            columns=mapping,
            as_of=as_of,
            census=census,
            keep_contradictions=keep_contradictions,
            on_part=on_part,
        )
    tell(summaries, out, lambda: say_lines(described(summaries)))
    if parts := [one for one in summaries if one.left_out]:
        raise PartlyRead(left_out_of(parts))


@index_app.command("sweep")
def index_sweep(
    exchange: Exchange,
    evm: Evm,
    batch: Batch,
    out: JsonOut,
    addresses: Annotated[
        Path, typer.Option(help="File with one address a line, or a CSV with an address column.")
    ],
    dex: Dexes = "main",
    concurrency: Concurrency = 16,
    dry: Annotated[
        bool, typer.Option("--dry", help="Print accounts, weight and minutes; read no account.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Forget an unfinished sweep of the same list.")
    ] = False,
) -> None:
    """Read every account of a list from the exchange; run again after a kill, it resumes.

    With them the order books of the three coins of most open interest are stored, whose resting depth comparisons show.
    """
    import asyncio

    from liqtruth.indexer.sweep.order_book import LARGEST
    from liqtruth.indexer.sweep.sweep import plan_of, read_addresses, sweep

    listed, dexes, budget = read_addresses(addresses), dexes_of(dex), exchange.budget
    if dry:
        planned = plan_of(
            listed,
            base_url=exchange.url,
            dexes=dexes,
            weight_per_minute=budget,
            timeout_s=settings().request_timeout_s,
            data_dir=settings().data_dir,
            books=LARGEST,
        )
        return show(asyncio.run(planned), out)
    with opened_store() as store, progress("reading accounts", len(listed)) as advance:
        report = asyncio.run(
            sweep(
                store,
                listed,
                base_url=exchange.url,
                dexes=dexes,
                weight_per_minute=budget,
                concurrency=concurrency,
                restart=restart,
                on_progress=advance,
                evm=evm.endpoint(exchange),
                books=LARGEST,
                batch=batch.endpoint,
            )
        )
    show(report, out)
    report.raise_if_partly()


@index_app.command("find")
def index_find(
    exchange: Exchange,
    evm: Evm,
    out: JsonOut,
    sources: Annotated[
        str | None,
        typer.Option(
            help="Comma separated: leaderboard, vaults, sub-accounts, referrals, recent-trades, liquidations, "
            "deposits; default: those that cost little, deposits where HyperEVM is asked."
        ),
    ] = None,
    addresses: Annotated[
        list[Path] | None, typer.Option(help="Also the addresses of this file; may be repeated.")
    ] = None,
    stats_url: StatsUrl = None,
) -> None:
    """Find accounts and write them into the address book; each source with its yield and cost."""
    from liqtruth.indexer.discovery.find import DEFAULT_SOURCES, find, stats_host

    node = evm.endpoint(exchange)
    usual = DEFAULT_SOURCES if node is None else (*DEFAULT_SOURCES, "deposits")
    with opened_store() as store:
        report = find(
            store,
            exchange.url,
            stats_url or stats_host(exchange.base_url),
            split_names(sources) if sources else usual,
            files=addresses or (),
            weight_per_minute=exchange.budget,
            evm=node,
        )
    show(report, out)
    report.raise_if_partly()


@index_app.command("size")
def index_size(
    exchange: Exchange,
    evm: Evm,
    out: JsonOut,
    addresses: Annotated[
        list[Path] | None,
        typer.Option(help="The accounts of this file; may be repeated. Default: all of the address book."),
    ] = None,
    dex: Dexes = "all",
) -> None:
    """Size accounts through HyperEVM: how much each holds in every dex, hundreds of accounts a request."""
    from liqtruth.indexer.discovery.known_accounts import known_addresses
    from liqtruth.indexer.evm.sized import size_through

    endpoint = evm.endpoint(exchange, beside=True)
    assert endpoint is not None
    with opened_store() as store:
        listed = known_addresses(store, addresses)
        with progress("sizing accounts", 1.0) as advance:
            report = size_through(
                store, listed, endpoint, exchange.url, exchange.budget, dexes_of(dex), on_progress=advance
            )
    show(report, out)
    report.raise_if_partly()


@index_app.command("coin")
def index_coin(
    coin: Coin,
    exchange: Exchange,
    evm: Evm,
    batch: Batch,
    out: JsonOut,
    within: Annotated[
        timedelta, length_option("--within", help="Read for at most this long.", heading="Reading")
    ] = "5m",  # type: ignore[assignment]
    coverage: Annotated[
        float,
        typer.Option(
            min=1,
            max=100,
            metavar="PERCENT",
            help="Read until the price of so much of open interest is known on each side.",
            rich_help_panel="Reading",
        ),
    ] = 95,
    addresses: AddressFiles = None,
    stats_url: StatsUrl = None,
    concurrency: Concurrency = 16,
) -> None:
    """Read everyone's position in one coin through HyperEVM; what that cannot price, by the info endpoint.

    Accounts that hold only this coin are solved, and isolated positions. The others are known in size, and their price
    to an interval, until they are read, largest first. `map exact` shows the result.
    """
    import asyncio

    from liqtruth.indexer.sweep.one_coin import read_one_coin

    through = evm.endpoint(exchange, beside=True)
    endpoint = exchange.largest_first(stats_url, concurrency, through, batch.endpoint)
    with opened_store() as store, progress("open interest priced", 1.0) as advance:
        report = asyncio.run(
            read_one_coin(
                store,
                coin,
                endpoint,
                files=addresses or (),
                within_s=within.total_seconds(),
                target=coverage / 100,
                on_change=lambda sight: advance(sight.least() or 0.0),
            )
        )
    show(report, out)
    report.raise_if_partly()


@index_app.command("watch")
def index_watch(
    exchange: Exchange,
    evm: Evm,
    batch: Batch,
    log: Log,
    retention: Retention,
    addresses: Annotated[
        Path | None, typer.Option(help="Accounts to know from the start, one a line; the tape finds more.")
    ] = None,
    dex: Dexes = "all",
    stats_url: StatsUrl = None,
    concurrency: Concurrency = 16,
    metrics_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Serve Prometheus metrics on this loopback port.")
    ] = None,
    book_every: Annotated[
        timedelta, length_option("--book-every", help="How often the whole book is stored.", heading="Run")
    ] = "1h",  # type: ignore[assignment]
) -> None:
    """Keep every account read for days: tape, scheduler, marks, funding. Ctrl-C stores all and ends it."""
    from liqtruth.indexer.discovery.find import stats_host
    from liqtruth.indexer.sweep.sweep import read_addresses
    from liqtruth.indexer.watch.run import WatchPlan, run_watch
    from liqtruth.indexer.watch.watch import Pace

    log.begin()
    plan = WatchPlan(
        base_url=exchange.url,
        dexes=dexes_of(dex),
        stats_url=stats_url or stats_host(exchange.base_url),
        weight_per_minute=exchange.budget,
        concurrency=concurrency,
        metrics_port=metrics_port,
        for_s=log.for_s,
        pace=Pace(book_s=book_every.total_seconds()),
        evm=evm.endpoint(exchange),
        batch=batch.endpoint,
        keep=retention.keep,
    )
    with opened_store() as store:
        run_watch(store, plan, [] if addresses is None else read_addresses(addresses), on_ready=say_metrics)
    say("stored; `liqtruth index status` shows what is known", err=True)


def say_metrics(_watch: Any, port: int | None) -> None:
    if port is not None:
        say(f"metrics: http://127.0.0.1:{port}/metrics", err=True)


@index_app.command("node")
def index_node(
    out: JsonOut,
    state: Annotated[Path, typer.Argument(metavar="STATE.rmp", help="A node's state file (MessagePack).")],
    marks: Annotated[
        Path | None, typer.Option(help="Table of marks of the same moment: ts, coin, mark.")
    ] = None,
    base_url: Annotated[
        str | None,
        typer.Option(
            parser=parse_url,
            metavar="URL",
            help="Ask this endpoint for marks; else oracle prices stand in.",
            rich_help_panel="Exchange",
        ),
    ] = None,
    tolerate: Annotated[
        bool, typer.Option("--tolerate", help="Store a state that contradicts the documented layout.")
    ] = False,
) -> None:
    """Read every account from a node's state file, in bounded memory."""
    from liqtruth.indexer.node.imports import import_state, marks_of_endpoint, marks_of_file

    known = None if marks is None else marks_of_file(marks)
    if known is None and base_url is not None:
        known = marks_of_endpoint(base_url, settings().request_timeout_s, data_dir=settings().data_dir)
    with opened_store() as store, progress("reading the state", 1.0) as advance:
        report = import_state(store, state, known, on_progress=advance, tolerate=tolerate)
    show(report, out)
    report.left_out.raise_any("the rest is stored")
