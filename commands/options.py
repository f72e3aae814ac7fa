"""Options that several commands share, how their values are read, and the store that they open."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar

import typer

from liqtruth.commands.grammar import Options
from liqtruth.commands.terminal import say

if TYPE_CHECKING:
    from liqtruth.storage.store import Settings, Store

T = TypeVar("T")


# ----------------------------------------------------------------------------------- values as text


def refusing(parse: Callable[[str], T]) -> Callable[[str], T]:
    """`parse` whose `BadInput` and `ValueError` are said of the option that the text came from."""

    @wraps(parse)
    def parsed(text: str) -> T:
        from liqtruth.heatmap.errors import BadInput

        try:
            return parse(text)
        except (BadInput, ValueError, OverflowError) as error:
            raise typer.BadParameter(str(error)) from error

    return parsed


@refusing
def parse_time(text: str) -> datetime:
    """ISO 8601; without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"must be a time such as 2026-08-21T12:00Z, got {text!r}") from error


def parse_at(text: str) -> datetime:
    """As `parse_time`; a map of the future would be the map of now under another name."""
    from liqtruth.heatmap.text import AHEAD

    moment = parse_time(text)
    if moment > datetime.now(UTC) + AHEAD:
        raise typer.BadParameter(f"must be a moment that was, got {text!r}, which is in the future; leave it out for "
                                 "the latest")  # fmt: skip
    return moment


@refusing
def parse_numbers(text: str) -> list[float]:
    """Comma separated positive numbers."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or any(not number > 0 for number in numbers):
        raise ValueError(f"must be positive numbers such as 25,50, got {text!r}")
    return numbers


@refusing
def parse_duration(text: str) -> timedelta:
    """`90m`, `48h`, `2w`, `1y`."""
    from liqtruth.heatmap.text import parse_duration as parse

    return parse(text)


def parse_days(least: int = 1, most: int = 36_500) -> Callable[[str], int]:
    """Reads a number of days, or any length of time, rounded up to whole days."""

    @refusing
    def parsed(text: str) -> int:
        from liqtruth.heatmap.errors import BadInput
        from liqtruth.heatmap.text import parse_duration as parse

        try:
            days = -(-parse(f"{text}d" if text.isdecimal() else text) // timedelta(days=1))
        except BadInput:
            days = 0
        if not least <= days <= most:
            raise ValueError(
                f"must be days or a length of time such as 2w, from {least} to {most} days, got {text!r}"
            )
        return days

    return parsed


@refusing
def parse_shares(text: str) -> tuple[float, float]:
    """`5-100`: a range of percent, as shares."""
    low, dash, high = text.partition("-")
    wanted = f"must be a range of percent such as 5-100, got {text!r}"
    try:
        shares = float(low) / 100, float(high) / 100
    except ValueError:
        raise ValueError(wanted) from None
    if not (dash and 0 <= shares[0] <= shares[1] <= 1):
        raise ValueError(wanted)
    return shares


def parse_betas(text: str | None) -> dict[str, float]:
    """`ETH=1.2,SOL=1.5`."""
    try:
        pairs = [pair.split("=") for pair in split_names(text or "")]
        return {coin.strip(): float(beta) for coin, beta in pairs}
    except ValueError as error:
        raise typer.BadParameter(f"--betas must be written as ETH=1.2,SOL=1.5, got {text!r}") from error


@refusing
def parse_coin(text: str) -> str:
    """Hyperliquid's name of a coin that others call BTC-PERP, btc or BTCUSDT; what it was taken for is told."""
    from liqtruth.storage.files.coin_names import folded

    name = folded(text)
    if name.is_changed:
        say(f"{name.given} is {name.coin}", err=True)
    return name.coin


def parse_coins(text: str | None) -> list[str]:
    """Comma separated coins, each as `parse_coin`."""
    return [parse_coin(name) for name in split_names(text or "")]


def split_names(text: str) -> list[str]:
    """Comma separated names."""
    return [name.strip() for name in text.split(",") if name.strip()]


def time_option(*names: str, help: str, heading: str = "Time") -> Any:
    return typer.Option(*names, parser=parse_time, metavar="TIME", help=help, rich_help_panel=heading)


def length_option(*names: str, help: str, heading: str = "Time") -> Any:
    """Any length of time: `90m`, `48h`, `2w`, `1y`."""
    return typer.Option(*names, parser=parse_duration, metavar="LENGTH", help=help, rich_help_panel=heading)


# ------------------------------------------------------------------------------------- one by one

Coin = Annotated[
    str,
    typer.Argument(
        parser=parse_coin,
        metavar="COIN",
        help="Coin as Hyperliquid names it, e.g. BTC or xyz:TSLA; names of other tools are folded.",
        show_default=False,
    ),
]
Coins = Annotated[
    list[str],
    typer.Argument(
        parser=parse_coin, metavar="COIN", help="Coins that are taken together, e.g. BTC ETH SOL.",
        show_default=False,
    ),
]  # fmt: skip
At = Annotated[
    datetime | None,
    typer.Option(
        parser=parse_at,
        metavar="TIME",
        help="As of this moment (UTC unless it says otherwise); default: latest.",
        rich_help_panel="Time",
    ),
]
Start = Annotated[Any, time_option("--from", help="First moment; default: the first stored.")]
End = Annotated[Any, time_option("--to", help="Last moment; default: the last stored.")]
Step = Annotated[timedelta, length_option("--step", help="Time between moments.")]
Days = Annotated[
    Any, typer.Option(parser=parse_days(), metavar="DAYS", help="How far back: days, or 2w, 1y.")
]
WidthBps = Annotated[float, typer.Option(help="Width of a price bin in basis points.")]
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
        help="Leverage model of vintages; default: the shipped prior.",
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


# ------------------------------------------------------------------------------------- groups

BaseUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="Another endpoint: an own node, or the sandbox.", rich_help_panel="Exchange"
    ),
]


@dataclass(frozen=True)
class ExchangeOptions(Options):
    """Where and how fast an endpoint is asked."""

    heading: ClassVar[str] = "Exchange"

    base_url: BaseUrl = None
    weight_per_minute: Annotated[
        int | None,
        typer.Option(help="Weight budget; 0 lifts it (own node). Default 960 of the exchange's 1200."),
    ] = None

    @property
    def url(self) -> str:
        """The info endpoint to ask: the one given, else the exchange's or what the environment says."""
        return self.base_url or settings().hyperliquid_url

    @property
    def budget(self) -> int:
        """Weight a minute; 0 means no limit."""
        return settings().weight_per_minute if self.weight_per_minute is None else self.weight_per_minute


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

    length: Annotated[timedelta | None, length_option("--for", help="End after this long, e.g. 8h.")] = None
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
        typer.Option(min=0.01, max=1.0, help="Share of open interest that each side of a pair must cover."),
    ] = 0.6
    aggregates: Annotated[
        str,
        typer.Option(
            metavar="VENUE",
            help="Whose series are read; another venue stands in where Hyperliquid's were not kept.",
        ),
    ] = "hyperliquid"
    workers: Annotated[
        int, typer.Option("--workers", min=1, max=256, help="Processes of this machine that read pairs.")
    ] = 1
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Dask scheduler whose workers read pairs, e.g. tcp://10.0.0.5:8786."
        ),
    ] = None

    def gathered(self, store: "Store", coins: list[str]) -> Any:
        """Every pair that the lake gives, under a progress bar."""
        from liqtruth.commands.output import progress
        from liqtruth.compare.calibration.lake_samples import gather
        from liqtruth.compare.calibration.samples import Limits
        from liqtruth.compare.workers import Workers
        from liqtruth.estimator.model.leverage_model import leverage_model_named

        with progress("pairs", 1.0) as advance:
            return gather(
                store,
                coins,
                leverage_model_named(),
                start=self.start,
                end=self.end,
                step=self.step,
                limits=Limits(least_coverage=self.least_coverage),
                aggregates=self.aggregates,
                workers=Workers(self.workers, self.cluster),
                on_progress=advance,
            )


Samples = Annotated[SampleOptions, SampleOptions.spread()]


def dexes_of(text: str) -> Any:
    """`all`, or the names; the main dex is called `main` and has no name of its own."""
    names = split_names(text)
    return "all" if names == ["all"] else ["" if name == "main" else name for name in names] or [""]


@dataclass
class Globals:
    """Options that stand before the command."""

    data_dir: Path | None = None


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
