"""Options that several commands share, and the store that they open."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar

import typer

from liqtruth.commands.grammar import Options
from liqtruth.commands.terminal import say
from liqtruth.commands.values import (
    parse_at,
    parse_choice,
    parse_coin,
    parse_days,
    parse_duration,
    parse_moment,
    parse_time,
)

if TYPE_CHECKING:
    from liqtruth.compare.imported.vendor_map import PictureGiven
    from liqtruth.indexer.evm.sizing import EvmEndpoint
    from liqtruth.indexer.sweep.largest import Endpoint
    from liqtruth.storage.store import Settings, Store
    from liqtruth.storage.upkeep.retention import Keep

T = TypeVar("T")


def time_option(*names: str, help: str, heading: str = "Time") -> Any:
    return typer.Option(*names, parser=parse_time, metavar="TIME", help=help, rich_help_panel=heading)


def moment_option(*names: str, help: str) -> Any:
    """A moment, or a map file of one."""
    return typer.Option(
        *names, parser=parse_moment, metavar="TIME|FILE[#NAME]", help=help, rich_help_panel="Time"
    )


def length_option(*names: str, help: str, heading: str = "Time") -> Any:
    """Any length of time: `90m`, `48h`, `2w`, `1y`."""
    return typer.Option(*names, parser=parse_duration, metavar="LENGTH", help=help, rich_help_panel=heading)


# ------------------------------------------------------------------------------------- one by one

Coin = Annotated[
    str,
    typer.Argument(
        parser=parse_coin,
        metavar="COIN",
        help="Coin as Hyperliquid names it, e.g. BTC or xyz:TSLA; BTC-PERP, btc and BTCUSDT are taken too.",
        show_default=False,
    ),
]
Coins = Annotated[
    list[str],
    typer.Argument(
        parser=parse_coin, metavar="COIN", help="One coin or several, e.g. BTC ETH SOL.",
        show_default=False,
    ),
]  # fmt: skip
At = Annotated[
    datetime | None,
    typer.Option(
        parser=parse_at,
        metavar="TIME",
        help="As of this moment, e.g. 2026-08-21T12:00Z (UTC without a zone); default: the latest.",
        rich_help_panel="Time",
    ),
]
Start = Annotated[Any, time_option("--from", help="First moment; default: the first stored.")]
End = Annotated[Any, time_option("--to", help="Last moment; default: the last stored.")]
Step = Annotated[timedelta, length_option("--step", help="Time between moments.")]
Days = Annotated[
    Any, typer.Option(parser=parse_days(), metavar="DAYS", help="How far back: days, or 2w, 1y.")
]
Clusters = Annotated[
    bool,
    typer.Option(
        "--clusters",
        help="Also longs against shorts within 2, 5 and 10 %, max pain, and the clusters with their distance in ATR, "
        "neighbours and leverages; in JSON as `profile`.",
        rich_help_panel="Output",
    ),
]
Windows = Annotated[
    bool,
    typer.Option(
        "--windows",
        help="Also which windows (24 h, 7 d, 30 d) of each model show a cluster: three more maps of each.",
        rich_help_panel="Model",
    ),
]
WidthBps = Annotated[float, typer.Option(min=0.01, max=2000, help="Width of a price bin in basis points.")]
Window = Annotated[
    str,
    typer.Option(
        metavar="LENGTH",
        help="How far back entries are modelled, e.g. 12h, 30d, 2w, 1y.",
        rich_help_panel="Model",
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help="Leverage model of vintages; default: the shipped population.",
        rich_help_panel="Model",
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of what is drawn at random.")]
Columns = Annotated[
    str | None,
    typer.Option(metavar="OURS=THEIRS,...", help="Map the columns of a table that is not recognised."),
]
Dexes = Annotated[
    str, typer.Option("--dex", help="Perp dexes, comma separated: 'main', builder dexes by name, or 'all'.")
]


Range = Annotated[
    Any,
    typer.Option(
        "--range",
        parser=parse_choice("10", "25", "50"),
        metavar="10|25|50",
        help="Conclude from what lies within so many percent of the mark; scores within the others stand beside it.",
    ),
]


# ------------------------------------------------------------------------------------- groups


@dataclass(frozen=True)
class MapFileOptions(Options):
    """Map files of anyone."""

    heading: ClassVar[str] = "Maps"

    maps: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="FILE[#NAME]",
            help="A map file of anyone, read as by `map import`; may be repeated. #NAME chooses one of several maps.",
        ),
    ] = None
    mark: Annotated[
        float | None,
        typer.Option(help="The price that splits longs and shorts, where --map does not state it."),
    ] = None
    shift: Annotated[
        bool,
        typer.Option("--shift", help="See the levels of --map from the truth's mark instead of their own."),
    ] = False


MapFiles = Annotated[MapFileOptions, MapFileOptions.spread()]


@dataclass(frozen=True)
class PictureOptions(Options):
    """Where things are in a screenshot of a map."""

    heading: ClassVar[str] = "Where a map is a picture"

    price: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PRICE@Y",
            help="A price and the row of pixels, from the top, where its line is; at least two, near both ends.",
        ),
    ] = None
    palette: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Its colours: coinglass (viridis), magma or ours; default: whichever fit."
        ),
    ] = None
    column: Annotated[
        int | None,
        typer.Option(metavar="X", help="The column of pixels to read; default: the last of the plot."),
    ] = None
    bar: Annotated[
        str | None,
        typer.Option(
            metavar="X1,Y1,X2,Y2", help="Ends of its colour bar, from none to the most; default: found."
        ),
    ] = None

    def given(self, maps: Sequence[str]) -> "PictureGiven | None":
        """Null where nothing is stated; refused where none of the files is a picture."""
        from liqtruth.compare.imported.pictures.picture import picture_given
        from liqtruth.compare.imported.read import check_picture

        if not self._any:
            return None
        found = picture_given(self.price or (), self.palette, self.column, self.bar)
        check_picture(maps, found)
        return found

    @property
    def _any(self) -> bool:
        return any(one is not None for one in (self.price, self.palette, self.column, self.bar))


Picture = Annotated[PictureOptions, PictureOptions.spread()]

BaseUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="Another endpoint: an own node, or the sandbox.", rich_help_panel="Exchange"
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

    def largest_first(self, stats_url: str | None, concurrency: int, evm: "EvmEndpoint | None") -> "Endpoint":
        """Where accounts are found and read, largest first."""
        from liqtruth.indexer.discovery.find import stats_host
        from liqtruth.indexer.sweep.largest import Endpoint

        return Endpoint(self.url, stats_url or stats_host(self.base_url), self.budget, concurrency, evm=evm)


@dataclass(frozen=True)
class EvmOptions(Options):
    """Whether accounts are sized through HyperEVM first, and how fast."""

    heading: ClassVar[str] = "HyperEVM"

    evm_url: Annotated[
        str | None,
        typer.Option(
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
        help="Also the accounts of this file; may be repeated.",
        rich_help_panel="Reading",
    ),
]
StatsUrl = Annotated[
    str | None,
    typer.Option(
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


@dataclass(frozen=True)
class SampleOptions(Options):
    """Which moments of exact positions are read for a fit, and where the work is done."""

    heading: ClassVar[str] = "Samples"

    start: Start = None
    end: End = None
    step: Step = "6h"  # type: ignore[assignment]
    least_coverage: Annotated[
        float,
        typer.Option(min=0.01, max=1.0, help="Share of open interest that each side of a sample must cover."),
    ] = 0.6
    aggregates: Annotated[
        str,
        typer.Option(
            metavar="VENUE",
            help="Whose series are read; another venue stands in where Hyperliquid's were not stored.",
        ),
    ] = "hyperliquid"
    workers: Annotated[
        int, typer.Option("--workers", min=1, max=256, help="Processes of this machine that read samples.")
    ] = 1
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Dask scheduler whose workers read samples, e.g. tcp://10.0.0.5:8786."
        ),
    ] = None

    @property
    def wanted(self) -> dict[str, Any]:
        """What a sample must have at least, and whose series are read."""
        from liqtruth.compare.calibration.samples import Limits

        return {"limits": Limits(least_coverage=self.least_coverage), "aggregates": self.aggregates}

    def gathered(self, store: "Store", coins: list[str]) -> Any:
        """Every sample that the lake gives, under a progress bar."""
        from liqtruth.commands.output import progress
        from liqtruth.compare.calibration.lake_samples import gather
        from liqtruth.compare.workers import Workers
        from liqtruth.estimator.model.leverage_model import DEFAULT, leverage_model_named

        with progress("samples", 1.0) as advance:
            return gather(
                store,
                coins,
                leverage_model_named(DEFAULT),
                start=self.start,
                end=self.end,
                step=self.step,
                **self.wanted,
                workers=Workers(self.workers, self.cluster),
                on_progress=advance,
            )


Samples = Annotated[SampleOptions, SampleOptions.spread()]


@dataclass
class Globals:
    """Options that stand before the command."""

    data_dir: str | None = None


GLOBALS = Globals()


def settings() -> "Settings":
    from liqtruth.storage.store import Settings

    return Settings() if GLOBALS.data_dir is None else Settings(data_dir=GLOBALS.data_dir)


@contextmanager
def opened_store() -> "Iterator[Store]":
    from liqtruth.storage.store import Store

    with Store.open(settings()) as store:
        try:
            yield store
        finally:
            for file in store.lake.replaced:
                say(f"note: {file} was damaged and is replaced by what was brought now", err=True)
