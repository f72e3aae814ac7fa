"""`liqtruth index`: what is stored, whether its prices can be trusted, and what may go."""

from typing import Annotated

import typer

from liqtruth.commands.index.events import index_app
from liqtruth.commands.line.output import export_frame, progress, say_lines, show, tell_rows
from liqtruth.commands.line.targets import JsonOut, TableOut
from liqtruth.commands.line.terminal import say
from liqtruth.commands.line.values import dexes_of, parse_address, parse_coin
from liqtruth.commands.options.reading import BaseUrl, ExchangeOptions, Retention
from liqtruth.commands.options.shared import At, Dexes, existing_store, settings


@index_app.command("status")
def index_status(out: JsonOut) -> None:
    """Show accounts, positions, coverage per coin and side, ages, budget use, faults."""
    from liqtruth.indexer.audit.status import status_of

    with existing_store() as store:
        show(status_of(store), out)


@index_app.command("coverage")
def index_coverage(
    out: JsonOut,
    coin: Annotated[
        str | None,
        typer.Argument(
            parser=parse_coin,
            metavar="[COIN]",
            help="Only this coin; default: all, the largest markets first.",
        ),
    ] = None,
) -> None:
    """Show how much of open interest is known, per coin and side: read, solved or only sized, and who brought it."""
    from liqtruth.indexer.audit.coverage import coverage_report

    with existing_store() as store:
        show(coverage_report(store, coin), out)


@index_app.command("reconcile")
def index_reconcile(out: JsonOut, at: At = None) -> None:
    """Solve every position again and list those whose price is not the exchange's, with the reason."""
    from liqtruth.indexer.audit.mismatch_report import mismatch_report

    with existing_store() as store:
        show(mismatch_report(store, at), out)


@index_app.command("verify")
def index_verify(
    out: JsonOut,
    address: Annotated[
        str,
        typer.Argument(
            parser=parse_address, metavar="ADDRESS", help="Account, 0x and 40 hexadecimal digits."
        ),
    ],
    dex: Dexes = "main",
    base_url: BaseUrl = None,
) -> None:
    """Read one account through the official SDK and through our client, side by side."""
    from liqtruth.indexer.audit.verify import verify
    from liqtruth.indexer.info.budget import Budget

    known, url = settings(), ExchangeOptions(base_url).url
    budget = Budget.shared(known.weight_per_minute, url, known.data_dir)
    report = verify(address, url, dexes_of(dex), timeout_s=known.request_timeout_s, budget=budget)
    show(report, out)
    report.raise_if_partly()


@index_app.command("positions")
def index_positions(
    out: TableOut,
    coin: Annotated[
        str | None, typer.Option(parser=parse_coin, metavar="COIN", help="Only this coin.")
    ] = None,
    at: At = None,
) -> None:
    """Export the positions that are known, each with the exchange's and the solved liquidation price."""
    from liqtruth.indexer.margin.checks import positions_table
    from liqtruth.indexer.positions.readings import positions_as_of

    with existing_store() as store:
        frame = positions_as_of(store, at, coin)
    if frame.is_empty() and not out.targets:
        return say("no position is stored of what was asked for; `liqtruth index forget` lists what is")
    return export_frame(frame, out, positions_table)


@index_app.command("compact")
def index_compact(
    out: JsonOut,
    retention: Retention,
    dry: Annotated[bool, typer.Option("--dry", help="Print what would be done; change nothing.")] = False,
) -> None:
    """Put the books of a watch into one file an hour, then a day, and series into one a month.

    Everything reads as before, to the last bit, unless --keep gives up what is old. It can be stopped and run again,
    also beside a watch, which does the same by itself every hour.
    """
    from liqtruth.storage.upkeep.compaction import compact

    keep = retention.keep
    with existing_store() as store, progress("compacting", 1.0) as advance:
        done = compact(store.lake, keep, dry=dry, on_progress=advance)
    show(done, out)
    done.raise_if_partly()


@index_app.command("tidy")
def index_tidy(
    out: JsonOut,
    dry: Annotated[bool, typer.Option("--dry", help="Print what would go; move and remove nothing.")] = False,
) -> None:
    """Set aside files that killed writers left in the data directory; nothing stored is touched.

    They are files that nothing stored points to and that nobody wrote to for an hour. They lie in `set-aside` of the
    data directory for seven days, and are then removed by the next `index tidy`.
    """
    with existing_store() as store:
        show(store.lake.tidy(dry=dry), out)


@index_app.command("forget")
def index_forget(
    out: TableOut,
    readings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[READING...]", help="Ids of readings; without any, all that are stored are listed."
        ),
    ] = None,
    dry: Annotated[bool, typer.Option("--dry", help="Print what would go; remove nothing.")] = False,
) -> None:
    """Remove readings that were stored wrongly, with the marks of their moment; or list what is stored."""
    from liqtruth.storage.forget import forget, stored_readings

    with existing_store() as store:
        listed = forget(store, readings, dry) if readings else stored_readings(store)
    lines = [line for one in listed for line in one.describe()] or ["no reading is stored"]
    tell_rows(listed, out, lambda: say_lines(lines))
