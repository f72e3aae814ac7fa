"""Single options that several commands share, and the store that they open.

Groups of options: `reading` (hosts), `maps` (maps and their files), `samples` (fits)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from liqtruth.commands.line.terminal import say
from liqtruth.commands.line.values import (
    parse_choice,
    parse_coin,
    parse_days,
    parse_duration,
    parse_moment,
    parse_past,
    parse_time,
)

if TYPE_CHECKING:
    from liqtruth.storage.store import Settings, Store

T = TypeVar("T")


def time_option(*names: str, help: str, heading: str = "Time", ahead: bool = False) -> Any:
    """A moment that was; `ahead` takes one of the future too."""
    return typer.Option(
        *names, parser=parse_time if ahead else parse_past, metavar="TIME", help=help, rich_help_panel=heading
    )


def moment_option(*names: str, help: str) -> Any:
    """A moment, or a map file of one."""
    return typer.Option(
        *names, parser=parse_moment, metavar="TIME|FILE[#NAME]", help=help, rich_help_panel="Time"
    )


def length_option(*names: str, help: str, heading: str = "Time") -> Any:
    """Any length of time: `90m`, `48h`, `2w`, `1y`."""
    return typer.Option(*names, parser=parse_duration, metavar="LENGTH", help=help, rich_help_panel=heading)


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
        parser=parse_past,
        metavar="TIME",
        help="As of this moment, e.g. 2026-08-21T12:00Z (UTC without a zone); default: the latest.",
        rich_help_panel="Time",
    ),
]
Start = Annotated[Any, time_option("--from", help="First moment; default: the first stored.")]
End = Annotated[Any, time_option("--to", help="Last moment; default: the last stored.", ahead=True)]
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


@dataclass
class Globals:
    """Options that stand before the command."""

    data_dir: str | None = None
    database_url: str | None = None


GLOBALS = Globals()


def settings() -> "Settings":
    from liqtruth.storage.store import Settings

    return Settings(**{name: value for name, value in vars(GLOBALS).items() if value is not None})


@contextmanager
def opened_store() -> "Iterator[Store]":
    """Of a command that brings something: made where it is missing."""
    from liqtruth.storage.store import Store

    with Store.open(settings()) as store:
        try:
            yield store
        finally:
            for file in store.lake.replaced:
                say(f"note: {file} was damaged and is replaced by what was brought now", err=True)


def existing_store() -> "Store":
    """Of a command that works on what is stored; raises `NothingStored` where nothing is."""
    from liqtruth.storage.store import Store

    return Store.existing(settings())


@contextmanager
def any_store() -> "Iterator[Store]":
    """Of a command that files may be enough for; raises `NothingStored` where they were not and nothing is."""
    from liqtruth.heatmap.errors import MissingData
    from liqtruth.storage.store import Store, refuse_nothing

    known = settings()
    with Store.any(known) as store:
        try:
            yield store
        except MissingData:
            refuse_nothing(known)
            raise
