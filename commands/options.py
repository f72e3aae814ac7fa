"""Options that several commands share, how their values are read, and the store that they open."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from liqtruth.commands.terminal import say

LONGEST_DURATION: Final = timedelta(days=36_525)
"""Any moment that is believed, and this much before or after it, is in the calendar."""

if TYPE_CHECKING:
    from liqtruth.storage.settings import Settings
    from liqtruth.storage.store import Store


def parse_time(text: str) -> datetime:
    """ISO 8601; without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(f"{text!r} is no time; write e.g. 2026-08-21T12:00Z") from error


def parse_at(text: str) -> datetime:
    """As `parse_time`; a map of the future would be the map of now under another name."""
    from liqtruth.storage.clock import AHEAD

    moment = parse_time(text)
    if moment > datetime.now(UTC) + AHEAD:
        raise typer.BadParameter(
            f"{text!r} is in the future: a map is of a moment that was; leave --at out for the latest"
        )
    return moment


def parse_numbers(text: str) -> list[float]:
    """Comma separated positive numbers."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no list of numbers; write e.g. 25,50") from error
    if any(not number > 0 for number in numbers):
        raise typer.BadParameter(f"{text!r}: every number must be positive")
    return numbers


def parse_duration(text: str) -> timedelta:
    """`90s`, `30m`, `4h`, `7d`."""
    units = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
    try:
        length = timedelta(**{units[text[-1]]: float(text[:-1])})
    except (KeyError, ValueError, IndexError, OverflowError) as error:
        raise typer.BadParameter(f"{text!r} is no length of time; write e.g. 90s, 30m, 4h or 7d") from error
    if length <= timedelta(0):
        raise typer.BadParameter(f"{text!r} must be longer than nothing")
    if length > LONGEST_DURATION:
        raise typer.BadParameter(f"{text!r} is longer than a century; write e.g. 90s, 30m, 4h or 7d")
    return length


def parse_shares(text: str) -> tuple[float, float]:
    """`5-100`: a range of percent, as shares."""
    low, dash, high = text.partition("-")
    try:
        shares = float(low) / 100, float(high) / 100
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no range of percent; write e.g. 5-100") from error
    if not (dash and 0 <= shares[0] <= shares[1] <= 1):
        raise typer.BadParameter(f"{text!r} is no range from 0 to 100 percent; write e.g. 5-100")
    return shares


def parse_betas(text: str | None) -> dict[str, float]:
    """`ETH=1.2,SOL=1.5`."""
    try:
        pairs = [pair.split("=") for pair in split_names(text or "")]
        return {coin.strip(): float(beta) for coin, beta in pairs}
    except ValueError as error:
        raise typer.BadParameter(f"--betas {text!r}: write e.g. ETH=1.2,SOL=1.5") from error


def parse_coin(text: str) -> str:
    """Hyperliquid's name of a coin that others call BTC-PERP, btc or BTCUSDT; what it was taken for is told."""
    from liqtruth.storage.files.coin_names import folded

    name = folded(text)
    if name.is_changed:
        say(f"{name.given} is {name.coin}", err=True)
    return name.coin


def split_names(text: str) -> list[str]:
    """Comma separated names."""
    return [name.strip() for name in text.split(",") if name.strip()]


Coin = Annotated[
    str,
    typer.Argument(
        parser=parse_coin,
        metavar="COIN",
        help="Coin as Hyperliquid names it, e.g. BTC or xyz:TSLA; names of other tools are folded.",
        show_default=False,
    ),
]
At = Annotated[
    datetime | None,
    typer.Option(
        parser=parse_at,
        metavar="TIME",
        help="As of this moment (UTC unless it says otherwise); default: latest.",
    ),
]
Start = Annotated[
    Any,
    typer.Option(
        "--from", parser=parse_time, metavar="TIME", help="First moment; default: the first stored."
    ),
]
End = Annotated[
    Any,
    typer.Option("--to", parser=parse_time, metavar="TIME", help="Last moment; default: the last stored."),
]
Step = Annotated[timedelta, typer.Option(parser=parse_duration, metavar="TIME", help="Time between moments.")]
JsonOut = Annotated[
    str | None, typer.Option("--json", metavar="[FILE]", help="Write JSON to FILE, else to stdout.")
]
CsvOut = Annotated[
    str | None, typer.Option("--csv", metavar="[FILE]", help="Write CSV to FILE, else to stdout.")
]
ParquetOut = Annotated[Path | None, typer.Option("--parquet", metavar="FILE", help="Write Parquet.")]
HtmlOut = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a self-contained page.")]
PngOut = Annotated[
    Path | None,
    typer.Option("--png", metavar="FILE", help="Write a picture (needs Chromium: `make packages`)."),
]
Columns = Annotated[
    str | None,
    typer.Option(metavar="OURS=THEIRS,...", help="Map the columns of a table that is not recognised."),
]
Window = Annotated[
    str,
    typer.Option(
        help="How far back entries are modelled: 12h, 24h, 3d, 7d, 30d, 90d, 180d, or other whole days."
    ),
]
BaseUrl = Annotated[
    str | None, typer.Option(metavar="URL", help="Another endpoint: an own node, or the sandbox.")
]


StatsUrl = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Where leaderboard and vaults are; default: the exchange's own host."),
]
Dexes = Annotated[
    str, typer.Option("--dex", help="Perp dexes, comma separated: 'main', builder dexes by name, or 'all'.")
]
WeightPerMinute = Annotated[
    int | None,
    typer.Option(help="Weight budget; 0 lifts it (own node). Default 960 of the exchange's 1200."),
]
Concurrency = Annotated[int, typer.Option(min=1, max=256, help="Requests in flight at most.")]


def dexes_of(text: str) -> Any:
    """`all`, or the names; the main dex is called `main` and has no name of its own."""
    names = split_names(text)
    return "all" if names == ["all"] else ["" if name == "main" else name for name in names] or [""]


def refuse_repeats(app: typer.Typer) -> None:
    """Let every command of `app` refuse an option that takes one value and is given twice: the last would win."""
    if app.registered_callback is not None:
        app.registered_callback.cls = GroupOnceEach
    for command in app.registered_commands:
        command.cls = OnceEach
    for group in app.registered_groups:
        if group.typer_instance is not None:
            refuse_repeats(group.typer_instance)


def check_repeats(command: Any, ctx: Any, args: list[str]) -> None:
    """Raises `UsageError` (exit code 2) for an option that is no list and stands twice in `args`."""
    _, _, given = command.make_parser(ctx).parse_args(args=list(args))
    single = [option for option in given if isinstance(option, TyperOption) and not option.multiple]
    for option in single:
        if single.count(option) > 1 and not option.count:
            raise typer.BadParameter("given twice, and it takes one value: give it once", ctx, option)


class OnceEach(TyperCommand):
    """A command whose options are given at most once, save those that are lists."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        check_repeats(self, ctx, args)
        return super().parse_args(ctx, args)


class GroupOnceEach(TyperGroup):
    """The same for the options that stand before a command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        check_repeats(self, ctx, args)
        return super().parse_args(ctx, args)


@dataclass
class Globals:
    """Options that stand before the command."""

    data_dir: Path | None = None


GLOBALS = Globals()


def settings() -> "Settings":
    from liqtruth.storage.settings import Settings

    return Settings() if GLOBALS.data_dir is None else Settings(data_dir=GLOBALS.data_dir)


def endpoint(base_url: str | None) -> str:
    """The info endpoint to ask: the one given, else the exchange's or what the environment says."""
    return base_url or settings().hyperliquid_url


def weight_budget(given: int | None) -> int:
    """Weight a minute; 0 means no limit."""
    return settings().weight_per_minute if given is None else given


@contextmanager
def opened_store() -> "Iterator[Store]":
    from liqtruth.storage.store import Store

    with Store.open(settings()) as store:
        try:
            yield store
        finally:
            for file in store.lake.replaced:
                say(f"note: {file} was damaged and is replaced by what was brought now", err=True)
