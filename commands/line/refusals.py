"""What a line that is not taken gets: the nearest lines that would be, or one line on what must hold and what came."""

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Any, Final

from typer.core import TyperOption

COIN_LIKE: Final = re.compile(
    r"(?:[a-z]+:)?(?:k?[A-Z0-9]{2,12}|[a-z0-9]{2,5})(?:[-/_:](?:PERP|SWAP|USD[TC]?))*"
)
ALIKE: Final = 0.7
EXTRA: Final = re.compile(r"Got unexpected extra argument\(s\) \((.*?)\)$")
"""Typer's message."""


# --------------------------------------------------------------------------------------- near misses


def near_misses(group: Any, ctx: Any, args: Sequence[str]) -> list[tuple[list[str], list[str]]]:
    """Lines that would be taken in place of `args`, as the words of a command and the rest; at most two."""
    here, word, rest = ctx.command_path.split(), args[0], [*args[1:]]
    names = [name for name, command in group.commands.items() if not command.hidden]
    if close := get_close_matches(word.lower(), names, n=2, cutoff=ALIKE):
        return [([*here, name], rest) for name in close]
    root = ctx.find_root()
    leaves = [*_leaves(root.command, [root.info_name])]
    if named := [(path, rest) for path, _ in leaves if path[-1] == word.lower()]:
        return named[:2]
    if flags := [flag for param in group.params for flag in (*param.opts, "--help") if flag == f"--{word}"]:
        return [([*here, flags[0]], [])]
    if not COIN_LIKE.fullmatch(word):
        return []
    of_coins = [path for path, command in leaves if _takes_coin(command)]
    inside = [path for path in of_coins if path[: len(here)] == here and len(here) > 1]
    return [(path, [*args]) for path in inside[:1] or _shortest_first(of_coins)]


def _leaves(command: Any, path: list[str]) -> Iterator[tuple[list[str], Any]]:
    """Every command that is shown, with the words that call it."""
    children = getattr(command, "commands", None)
    if children is None:
        yield path, command
        return
    for name, child in children.items():
        if not child.hidden:
            yield from _leaves(child, [*path, name])


def _takes_coin(command: Any) -> bool:
    return any(param.name in ("coin", "coins") for param in command.params[:1])


def _shortest_first(paths: Iterable[list[str]]) -> list[list[str]]:
    """The first of one word, then the first of a group: `check` and `index coin`."""
    first = {len(path): path for path in reversed([*paths])}
    return [first[length] for length in sorted(first)]


# -------------------------------------------------------------------------------------- refusals


def refusal(error: Any, arguments: Sequence[str]) -> str:
    """One line for what the parser does not take: what must hold and what came, and where help is."""
    context = getattr(error, "ctx", None)
    text = _reason(error, context, arguments)
    return text if context is None or "did you mean" in text else f"{text}; see {context.command_path} --help"


def _reason(error: Any, context: Any, arguments: Sequence[str]) -> str:
    kind, param = type(error).__name__, getattr(error, "param", None)
    if kind == "NoSuchOption":
        return _no_option(error, context)
    if kind == "MissingParameter" and param is not None:
        return f"{param.param_type_name} {_named(param)} is missing{_order(context)}"
    if kind == "BadParameter" and param is not None:
        return f"{_named(param)} {_must(error, param, arguments)}"
    if kind == "BadOptionUsage":
        return f"{error.option_name} must be followed by {_takes(error, arguments)}"
    if extra := EXTRA.match(str(error.message)):
        return f"unexpected argument {extra[1]!r}{_instead(arguments)}"
    return str(error.message).rstrip(".")


def _order(context: Any) -> str:
    """The arguments in their order, where there are several: one that was given may stand for another."""
    taken = [] if context is None else context.command.get_params(context)
    names = [_named(param) for param in taken if param.param_type_name == "argument"]
    return f": `{context.command_path} {' '.join(names)}`" if len(names) > 1 else ""


def _takes(error: Any, arguments: Sequence[str]) -> str:
    if "2 arguments" not in str(error.message):
        return "a value"
    given = (
        [*arguments[arguments.index(error.option_name) + 1 :], ""][0]
        if error.option_name in arguments
        else ""
    )
    return f"two values with a space between{f', got {given!r}' if given else ''}"


def _instead(arguments: Sequence[str]) -> str:
    return ": to write JSON to a file, -o FILE.json" if "--json" in arguments else ""


def _no_option(error: Any, context: Any) -> str:
    flag = error.option_name
    shown = [] if context is None else [
        name for param in context.command.get_params(context) if isinstance(param, TyperOption)
        and not param.hidden for name in param.opts
    ]  # fmt: skip
    if close := get_close_matches(flag, shown, n=2, cutoff=0.7):
        return f"no option {flag}: did you mean {' or '.join(close)}?"
    root = None if context is None else context.find_root()
    if root is not None and any(flag in param.opts for param in root.command.params):
        after = context.command_path.removeprefix(f"{root.info_name} ")
        return f"{flag} must stand before the command: `{root.info_name} {flag} … {after} …`"
    return f"no option {flag}"


def _named(param: Any) -> str:
    return str(param.opts[0] if param.param_type_name == "option" else param.metavar or param.name.upper())


def _must(error: Any, param: Any, arguments: Sequence[str]) -> str:
    """Our own words as they are; for numbers and choices those of the parser in the same style."""
    message, number = str(error.message).rstrip("."), param.type_descriptor.annotation
    if message.startswith("given twice"):
        return f"is {message}"
    if message.startswith("must "):
        return message
    given = _given(param, arguments)
    came = "" if given is None else f", got {given!r}"
    if param.nargs == 2:
        return f"must be two numbers{came}"
    if number in (int, float):
        kind = "a whole number" if number is int else "a number"
        return f"must be {kind}{_range(param.min, param.max)}{came}"
    return f"cannot be used: {message}{came if given is not None and given not in message else ''}"


def _range(least: float | None, most: float | None) -> str:
    if least is None and most is None:
        return ""
    if most is None:
        return f" of at least {least:g}"
    return f" of at most {most:g}" if least is None else f" from {least:g} to {most:g}"


def _given(param: Any, arguments: Sequence[str]) -> str | None:
    """What was given for an option, behind it or after `=`."""
    for position, word in enumerate(arguments):
        flag, equals, value = word.partition("=")
        if flag in (param.opts or ()):
            values = [value] if equals else arguments[position + 1 : position + 1 + param.nargs]
            return " ".join(values) or None
    return None
