"""Options of whoever reads hosts: which endpoint, how fast, for how long, and what of it is kept."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from liqtruth.commands.line.grammar import Options
from liqtruth.commands.line.values import parse_url
from liqtruth.commands.options.shared import length_option, settings

if TYPE_CHECKING:
    from liqtruth.indexer.evm.sizing import EvmEndpoint
    from liqtruth.indexer.info.batch_doors import BatchEndpoint
    from liqtruth.indexer.sweep.largest import Endpoint
    from liqtruth.storage.upkeep.retention import Keep

BaseUrl = Annotated[
    str | None,
    typer.Option(
        parser=parse_url,
        metavar="URL",
        help="Another endpoint: an own node, or the sandbox.",
        rich_help_panel="Exchange",
    ),
]


@dataclass(frozen=True)
class ExchangeOptions(Options):
    """Which endpoint is asked, and how fast."""

    heading: ClassVar[str] = "Exchange"

    base_url: BaseUrl = None
    weight_per_minute: Annotated[
        int | None,
        typer.Option(help="Weight budget; 0 lifts it (own node). Default 960 of the exchange's 1200."),
    ] = None

    @property
    def url(self) -> str:
        """The info endpoint to ask: the one given, else the environment's or the exchange's."""
        return self.base_url or settings().hyperliquid_url

    @property
    def budget(self) -> int:
        """Weight a minute; 0 means no limit."""
        return settings().weight_per_minute if self.weight_per_minute is None else self.weight_per_minute

    def largest_first(
        self,
        stats_url: str | None,
        concurrency: int,
        evm: "EvmEndpoint | None",
        batch: "BatchEndpoint | None",
    ) -> "Endpoint":
        """Where accounts are found and read, largest first."""
        from liqtruth.indexer.discovery.find import stats_host
        from liqtruth.indexer.sweep.largest import Endpoint

        stats = stats_url or stats_host(self.base_url)
        return Endpoint(self.url, stats, self.budget, concurrency, evm=evm, batch=batch)


@dataclass(frozen=True)
class EvmOptions(Options):
    """Whether accounts are sized through HyperEVM first, and how fast."""

    heading: ClassVar[str] = "HyperEVM"

    evm_url: Annotated[
        str | None,
        typer.Option(
            parser=parse_url,
            metavar="URL",
            help="JSON-RPC of HyperEVM, by which accounts are sized; default: the public node, unless"
            " --base-url is given.",
        ),
    ] = None
    evm_requests_per_minute: Annotated[
        int, typer.Option(min=0, help="Requests a minute; 0 lifts the limit (own node).")
    ] = 100

    def endpoint(self, exchange: ExchangeOptions, beside: bool = False) -> "EvmEndpoint | None":
        """Null where neither it nor the exchange itself is asked; `beside` takes `/evm` of any other endpoint."""
        from liqtruth.indexer.evm.client import MAINNET_URL
        from liqtruth.indexer.evm.sizing import EvmEndpoint
        from liqtruth.storage.store import HYPERLIQUID_URL

        own = MAINNET_URL if exchange.url == HYPERLIQUID_URL else None
        url = self.evm_url or own or (f"{exchange.url.rstrip('/')}/evm" if beside else None)
        return None if url is None else EvmEndpoint(url, self.evm_requests_per_minute)


Evm = Annotated[EvmOptions, EvmOptions.spread()]


@dataclass(frozen=True)
class BatchOptions(Options):
    """Whether a provider is asked for many accounts at once, and how often."""

    heading: ClassVar[str] = "Batches"

    batch_url: Annotated[
        str | None,
        typer.Option(
            parser=parse_url,
            metavar="URL",
            help="A provider that answers for up to 1,000 accounts a request; its key comes from LIQTRUTH_BATCH_KEY and"
            " goes into a header, or where the URL has {key}. Default: the exchange's own, where it answers that.",
        ),
    ] = None
    batch_requests_per_minute: Annotated[
        int, typer.Option(min=0, help="Requests a minute to it; 0 lifts the limit.")
    ] = 60

    @property
    def endpoint(self) -> "BatchEndpoint | None":
        """Null where no provider is asked."""
        from liqtruth.indexer.info.batch_doors import endpoint_of

        if self.batch_url is None:
            return None
        return endpoint_of(self.batch_url, settings().batch_key, self.batch_requests_per_minute)


Batch = Annotated[BatchOptions, BatchOptions.spread()]


@dataclass(frozen=True)
class RetentionOptions(Options):
    """How long what is stored is kept."""

    heading: ClassVar[str] = "Retention"

    keep_for: Annotated[
        timedelta | None,
        length_option(
            "--keep",
            help="Keep all books and marks of so long, e.g. 30d, before that one an hour; default: keep all.",
            heading="Retention",
        ),
    ] = None
    keep_hourly: Annotated[
        timedelta | None,
        length_option(
            "--keep-hourly",
            help="Keep one an hour for so long, e.g. 1y, before that one a day; default: for ever.",
            heading="Retention",
        ),
    ] = None

    @property
    def keep(self) -> "Keep":
        """Raises `BadInput` where the hours are not kept for longer than everything."""
        from liqtruth.storage.upkeep.retention import Keep

        return Keep(self.keep_for, self.keep_hourly)


Retention = Annotated[RetentionOptions, RetentionOptions.spread()]

AddressFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--addresses",
        metavar="FILE",
        help="Also the accounts of this file; may be repeated.",
        rich_help_panel="Reading",
    ),
]
StatsUrl = Annotated[
    str | None,
    typer.Option(
        parser=parse_url,
        metavar="URL",
        help="Where leaderboard and vaults are; default: the exchange's own host.",
        rich_help_panel="Exchange",
    ),
]
Concurrency = Annotated[
    int, typer.Option(min=1, max=256, help="Requests in flight at most.", rich_help_panel="Exchange")
]
Exchange = Annotated[ExchangeOptions, ExchangeOptions.spread()]


@dataclass(frozen=True)
class LogOptions(Options):
    """How long a watch runs, and what it logs."""

    heading: ClassVar[str] = "Run"

    length: Annotated[
        timedelta | None, length_option("--for", help="End after this long, e.g. 8h.", heading="Run")
    ] = None
    log_json: Annotated[bool, typer.Option("--log-json", help="Log JSON lines.")] = False
    quiet: Annotated[bool, typer.Option("--quiet", help="Log warnings and errors only.")] = False

    @property
    def for_s(self) -> float | None:
        return None if self.length is None else self.length.total_seconds()

    def begin(self) -> None:
        from liqtruth.storage.net.long_runs import log_to_stderr

        log_to_stderr(self.log_json, self.quiet)


Log = Annotated[LogOptions, LogOptions.spread()]
