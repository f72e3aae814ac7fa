"""How the values of options and arguments are read; a refusal states what must hold and what came."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import wraps
from math import inf
from typing import Any, Final, TypeVar

import typer

from liqtruth.commands.line.terminal import say

T = TypeVar("T")
ADDRESS: Final = re.compile("0[xX][0-9a-fA-F]{40}")


def refusing(parse: Callable[[str], T]) -> Callable[[str], T]:
    """`parse` whose `BadInput` and `ValueError` name the option that the text came from."""

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


def parse_moment(text: str) -> datetime | str:
    """As `parse_past`, but for what names a map file."""
    from liqtruth.compare.imported.named_files import names_file

    try:
        parse_time(text)
    except typer.BadParameter:
        if names_file(text):
            return text
    return parse_past(text)


def parse_past(text: str) -> datetime:
    """As `parse_time`; nothing is known of the future, and a map of it would be that of now under another name."""
    from liqtruth.heatmap.words.text import AHEAD, utc_text

    moment, now = parse_time(text), datetime.now(UTC)
    if moment > now + AHEAD:
        raise typer.BadParameter(
            f"must be a moment that was, got {text!r}, which is in the future: it is {utc_text(now)}"
        )
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
    from liqtruth.heatmap.words.text import parse_duration as parse

    return parse(text)


def parse_days(least: int = 1, most: int = 36_500) -> Callable[[str], int]:
    """Reads a number of days, or any length of time, rounded up to whole days."""

    @refusing
    def parsed(text: str) -> int:
        from liqtruth.heatmap.errors import BadInput
        from liqtruth.heatmap.words.text import parse_duration as parse

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


@refusing
def parse_share(text: str) -> float:
    """A part of a whole, above 0 and at most 1."""
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise ValueError(f"must be a share above 0 and at most 1, such as 0.3, got {text!r}")
    return share


def parse_choice(*names: str) -> Callable[[str], str]:
    """Reads one of a few names."""

    @refusing
    def parsed(text: str) -> str:
        if text not in names:
            raise ValueError(f"must be {' or '.join(names)}, got {text!r}")
        return text

    return parsed


def check_range(low_high: tuple[float, float]) -> tuple[float, float]:
    """The range of prices as it came; raises `BadParameter` where the first is not the lower, or one is negative."""
    low, high = low_high
    if not 0 <= low < high < inf:
        raise typer.BadParameter(
            f"must be a lower price and a higher one, neither negative, got {low:g} {high:g}"
        )
    return low_high


def parse_betas(text: str | None) -> dict[str, float]:
    """`ETH=1.2,SOL=1.5`."""
    try:
        pairs = [pair.split("=") for pair in split_names(text or "")]
        return {coin.strip(): float(beta) for coin, beta in pairs}
    except ValueError as error:
        raise typer.BadParameter(f"--betas must be written as ETH=1.2,SOL=1.5, got {text!r}") from error


@refusing
def parse_coin(text: str) -> str:
    """Hyperliquid's name of a coin that others call BTC-PERP, btc or BTCUSDT; a changed name is printed."""
    from liqtruth.storage.files.coin_names import folded

    name = folded(text)
    if name.is_changed:
        say(f"{name.given} is {name.coin}", err=True)
    return name.coin


@refusing
def parse_address(text: str) -> str:
    """An account's address as it came."""
    if not ADDRESS.fullmatch(text.strip()):
        raise ValueError(f"must be 0x and 40 hexadecimal digits, got {text!r}")
    return text


@refusing
def parse_url(text: str) -> str:
    """An http(s) address as it came; what is none is not shown, since it may hold a key."""
    from liqtruth.heatmap.errors import BadInput
    from liqtruth.storage.net.answers import shown_url

    try:
        shown_url(text)
    except BadInput as error:
        raise ValueError("must be an address such as http://127.0.0.1:3001: " + str(error)) from None
    return text


def parse_coins(text: str | None) -> list[str]:
    """Comma separated coins, each as `parse_coin`."""
    return [parse_coin(name) for name in split_names(text or "")]


def split_names(text: str) -> list[str]:
    """Comma separated names."""
    return [name.strip() for name in text.split(",") if name.strip()]


def dexes_of(text: str) -> Any:
    """`all`, or the names; the main dex is called `main` and has no name of its own."""
    names = split_names(text)
    return "all" if names == ["all"] else ["" if name == "main" else name for name in names] or [""]
