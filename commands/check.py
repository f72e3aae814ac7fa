"""`liqtruth check`: from nothing to the answer how far a map is from the chain."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Final

import typer

from liqtruth.commands.line.grammar import Options
from liqtruth.commands.line.output import deliver
from liqtruth.commands.line.targets import Outputs, PageOut, Target
from liqtruth.commands.line.terminal import print_view, say, text_console
from liqtruth.commands.line.values import parse_url, split_names
from liqtruth.commands.options.maps import MapFiles, Picture
from liqtruth.commands.options.reading import (
    AddressFiles,
    Batch,
    BatchOptions,
    Concurrency,
    Evm,
    EvmOptions,
    Exchange,
    ExchangeOptions,
    StatsUrl,
)
from liqtruth.commands.options.shared import Coins, Days, Range, existing_store, length_option, opened_store

if TYPE_CHECKING:
    from liqtruth.compare.check import Checked, CheckPlan
    from liqtruth.compare.gather import Watching
    from liqtruth.estimator.feeds.fetch import FetchReport
    from liqtruth.indexer.discovery.find import Discovery
    from liqtruth.indexer.sweep.report import Sight
    from liqtruth.storage.net.stops import Stop
    from liqtruth.storage.store import Store

PAGE: Final = "check.html"
STEP_S: Final = 10.0
"""Between lines of progress where no bar can be drawn."""


@dataclass(frozen=True)
class HowFarOptions(Options):
    """What is modelled, and how much is read of the chain before the answer."""

    heading: ClassVar[str] = "Reading"

    venue: Annotated[
        str,
        typer.Option(
            metavar="VENUE,...",
            help="Venues whose map is modelled; none: only --map.",
            rich_help_panel="Maps",
        ),
    ] = "binance,bybit,okx"
    within: Annotated[
        timedelta, length_option("--within", help="Read for at most this long.", heading="Reading")
    ] = "3m"  # type: ignore[assignment]
    coverage: Annotated[
        float,
        typer.Option(
            min=1,
            max=100,
            metavar="PERCENT",
            help="Read until so much of open interest is seen on each side.",
        ),
    ] = 95
    addresses: AddressFiles = None
    offline: Annotated[bool, typer.Option("--offline", help="Read no host: only what is stored.")] = False

    @property
    def venues(self) -> list[str]:
        return [] if self.venue == "none" else split_names(self.venue)


@dataclass(frozen=True)
class HostOptions(Options):
    """Who is asked beside the exchange, and how."""

    heading: ClassVar[str] = "Exchange"

    stats_url: StatsUrl = None
    venue_url: Annotated[
        str | None,
        typer.Option(parser=parse_url, metavar="URL", help="One endpoint for all venues: the sandbox."),
    ] = None
    concurrency: Concurrency = 16


def check(
    coins: Coins,
    exchange: Exchange,
    evm: Evm,
    batch: Batch,
    out: PageOut,
    given: MapFiles,
    picture: Picture,
    reading: Annotated[HowFarOptions, HowFarOptions.spread()],
    hosts: Annotated[HostOptions, HostOptions.spread()],
    days: Days = "30d",
    within_pct: Range = "25",
) -> None:
    """Check maps against the chain: read the largest accounts, model the venues, compare, answer.

    Ends at --coverage, at --within or at Ctrl-C (or SIGTERM), always with the answer so far; stopped before all was
    read or modelled, or where a map could not be compared, its exit code is 3; a second Ctrl-C ends it without an
    answer (130). What it read stays: the next check of the same hour takes seconds.
    """
    from liqtruth.compare.check import CheckPlan
    from liqtruth.heatmap.errors import BadInput, PartlyRead
    from liqtruth.storage.net.stops import on_signal

    plan = CheckPlan(
        coins=tuple(dict.fromkeys(coins)),
        maps=given.maps or (),
        venues=reading.venues,
        within_s=reading.within.total_seconds(),
        coverage=reading.coverage / 100,
        days=days,
        venue_url=hosts.venue_url,
        addresses=reading.addresses or (),
        mark_px=given.mark,
        shift=given.shift,
        picture=picture.given(given.maps or ()),
        within_pct=float(within_pct),
    )
    if not (plan.maps or plan.venues):
        raise BadInput("there must be a map to check: give --map FILE, or a --venue to model")
    with on_signal() as stop:
        with existing_store() if reading.offline else opened_store() as store:
            asked = (exchange, hosts, evm, batch)
            failed = [] if reading.offline else read_first(store, plan, stop, *asked)
            checked, lacking = check_coins(store, plan, stop, failed)
        answer(checked, out)
    if lacking:
        raise PartlyRead(f"not all could be read: {first_of(lacking)}")


def check_coins(
    store: "Store", plan: "CheckPlan", stop: "Stop", failed: "Sequence[str]"
) -> "tuple[list[Checked], list[str]]":
    """The coins that could be compared, and everything that could not be read or compared, beginning with what
    `failed` before. Raises where there is no coin."""
    from liqtruth.compare.check import check_coin, left_out_of_all
    from liqtruth.heatmap.errors import MissingData, SourceUnreachable
    from liqtruth.indexer.errors import UnknownCoin

    checked: list[Checked] = []
    missing: list[MissingData | UnknownCoin] = []
    for coin in plan.coins:
        try:
            checked.append(check_coin(store, plan, coin, stop))
        except (MissingData, UnknownCoin) as error:
            missing.append(error)
    if not checked and not failed:
        raise missing[0]
    lacking = [*failed, *map(str, missing)]
    if not checked:
        raise SourceUnreachable(first_of(lacking))
    unmade = (f"stopped before {', '.join(one.unmade)} of {one.coin}" for one in checked if one.unmade)
    return checked, [*lacking, *unmade, *left_out_of_all(checked)]


def read_first(
    store: "Store",
    plan: "CheckPlan",
    stop: "Stop",
    exchange: ExchangeOptions,
    hosts: HostOptions,
    evm: EvmOptions,
    batch: BatchOptions,
) -> list[str]:
    """Read what the plan needs, and say what came; why something did not."""
    from liqtruth.compare.gather import gather

    endpoint = exchange.largest_first(
        hosts.stats_url, hosts.concurrency, evm.endpoint(exchange), batch.endpoint
    )
    with watched() as watching:
        gathered = gather(store, plan, endpoint, watching, stop)
    for line in gathered.describe():
        say(line, err=True)
    return gathered.failed


def first_of(reasons: "Sequence[str]") -> str:
    """The first reason, for the line that ends the command; the others stand above it, each whole and once."""
    first, *others = dict.fromkeys(reasons)
    for reason in others:
        say(reason, err=True)
    return first


def answer(checked: "Sequence[Checked]", out: Outputs) -> None:
    """The answers on the screen unless JSON goes there, and a page for each coin."""
    from liqtruth.compare.comparison.report import write_report
    from liqtruth.compare.comparison.terminal import answer_view

    if not out.to_stdout:
        for one in checked:
            print_view(answer_view(one.comparison.divergence))
    targets = out.targets or (Target("html", PAGE),)
    for one in checked:
        found = one.comparison
        write = partial(
            write_report, found.divergence, found.truth_map, found.model_maps, crowd=found.crowd_map
        )
        pages = tuple(_of_coin(target, one.coin, len(checked)) for target in targets if target.form == "html")
        deliver(Outputs(pages), {}, {"html": write})
    deliver(
        Outputs(tuple(one for one in targets if one.form == "json")), {"json": lambda: _json(checked)}, {}
    )


def _of_coin(target: Target, coin: str, coins: int) -> Target:
    """`check.html`, or `check-BTC.html` where each of several coins has a page."""
    path = Path(target.place)
    named = path.with_stem(f"{path.stem}-{coin.replace(':', '_')}") if coins > 1 else path
    return Target(target.form, str(named))


def _json(checked: "Sequence[Checked]") -> str:
    """As `compare` gives it; of several coins a list."""
    from liqtruth.compare.divergence.as_json import to_json

    texts = [to_json(one.comparison.divergence) for one in checked]
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


@contextmanager
def watched() -> "Iterator[Watching]":
    """Shows on stderr whom it found, how much is seen so far, and which series came."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from liqtruth.compare.gather import Watching

    console = text_console(err=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )  # the text of a coin fits 80
    shown_s = time.monotonic()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("looking for accounts", total=1.0)

        def on_read(sight: "Sight") -> None:
            nonlocal shown_s
            bar.update(task, description=seen(sight), completed=sight.least() or 0.0)
            if not console.is_terminal and time.monotonic() - shown_s >= STEP_S:
                shown_s = time.monotonic()
                say(seen(sight), err=True)

        def on_found(discovery: "Discovery", accounts: int) -> None:
            for found, new in zip(discovery.found, discovery.new, strict=True):
                bar.console.print(found.describe(new))

        yield Watching(on_found, on_read, lambda report: bar.console.print(series_line(report)))


def series_line(report: "FetchReport") -> str:
    """What came of one market; why something did not is stated once, at the end."""
    from liqtruth.heatmap.words.text import counted

    came = ", ".join(f"{series.dataset} {series.new_rows:,}" for series in report.series)
    wrong = f"; {counted(len(report.failed), 'failure')}" if report.failed else ""
    return f"{report.venue} {report.coin}: {came or 'nothing'}{wrong or '; '.join(['', *report.remarks])}"


def seen(sight: "Sight") -> str:
    """How far the reading is: an unseen rest of 20 % can change any share of its side by 20 points at most."""
    from liqtruth.heatmap.words.text import counted

    parts = []
    for coin in sight.coins:
        share = sight.share(coin)
        if share is None:
            parts.append(f"{coin}: open interest not known")
            continue
        rest = share.map(lambda one: 100 * max(0.0, 1 - one))
        parts.append(
            f"{coin}: longs {100 * share.long:.0f} %, shorts {100 * share.short:.0f} % of OI, "
            f"±{rest.long:.0f}/{rest.short:.0f} points"
        )
    return f"{counted(sight.accounts, 'account')}; " + "; ".join(parts)
