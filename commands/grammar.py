"""How a line is taken: options in groups, each given once, help under headings, near misses, one style of refusal."""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import MISSING, fields
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar, Final, Protocol, TypeVar, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.models import OptionInfo

PLAIN: Final = "Options"
"""Heading of options that name none."""
HELP_WIDTH: Final = 100
COIN_LIKE: Final = re.compile(
    r"(?:[a-z]+:)?(?:k?[A-Z0-9]{2,12}|[a-z0-9]{2,5})(?:[-/_:](?:PERP|SWAP|USD[TC]?))*"
)
ALIKE: Final = 0.7
EXTRA: Final = re.compile(r"Got unexpected extra argument\(s\) \((.*?)\)$")
"""How typer says it."""
SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": HELP_WIDTH}

F = TypeVar("F", bound=Callable[..., Any])


class Spread(Protocol):
    """Stands in `Annotated[...]` of a parameter that several options are read into."""

    def parameters(self) -> list[inspect.Parameter]: ...

    def collect(self, given: Mapping[str, Any]) -> Any: ...


class Options:
    """A group of options that several commands share: each annotated field of the dataclass is one.

    Made into a parameter's type by `Annotated[MyOptions, MyOptions.spread()]`; `heading` stands over it in the help.
    """

    heading: ClassVar[str] = PLAIN

    @classmethod
    def spread(cls) -> "OptionFields":
        return OptionFields(cls)


class OptionFields:
    """The fields of an `Options` dataclass as parameters of a command."""

    def __init__(self, group: type[Options]) -> None:
        self.group = group

    def parameters(self) -> list[inspect.Parameter]:
        hints = get_type_hints(self.group, include_extras=True)
        return [
            parameter(field.name, headed(hints[field.name], self.group.heading), field.default)
            for field in fields(self.group)  # type: ignore[arg-type]
        ]

    def collect(self, given: Mapping[str, Any]) -> Any:
        return self.group(**given)


def parameter(name: str, annotation: Any, default: Any = MISSING) -> inspect.Parameter:
    empty = inspect.Parameter.empty if default is MISSING else default
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=empty, annotation=annotation)


def headed(annotation: Any, heading: str) -> Any:
    """The same option under a heading, where it has none of its own."""
    base, *details = get_args(annotation)
    return Annotated[(base, *(_under(one, heading) for one in details))]


def _under(detail: Any, heading: str) -> Any:
    if not isinstance(detail, OptionInfo) or detail.rich_help_panel:
        return detail
    option = copy(detail)
    option.rich_help_panel = heading
    return option


def spread(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` with every parameter that has a `Spread` replaced by the options it is read from."""
    hints = get_type_hints(function, include_extras=True)
    groups: dict[str, tuple[Spread, list[str]]] = {}
    taken: list[inspect.Parameter] = []
    for one in inspect.signature(function).parameters.values():
        found = _spread_of(hints[one.name])
        if found is None:
            taken.append(parameter(one.name, hints[one.name], _default(one)))
            continue
        options = found.parameters()
        groups[one.name] = (found, [option.name for option in options])
        taken += options

    def call(**given: Any) -> Any:
        for name, (group, names) in groups.items():
            given[name] = group.collect({option: given.pop(option) for option in names})
        return function(**given)

    call.__name__, call.__doc__ = function.__name__, function.__doc__
    call.__annotations__ = {one.name: one.annotation for one in taken}
    call.__signature__ = inspect.Signature(taken)  # type: ignore[attr-defined]
    return call


def _default(one: inspect.Parameter) -> Any:
    return MISSING if one.default is inspect.Parameter.empty else one.default


def _spread_of(annotation: Any) -> Spread | None:
    details = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    return next((one for one in details if hasattr(one, "collect")), None)


class App(typer.Typer):
    """A group of commands whose help needs no rich, and whose lines are taken as this module says."""

    def __init__(self, help: str, **more: Any) -> None:
        super().__init__(
            help=help,
            no_args_is_help=True,
            context_settings=SETTINGS,
            rich_markup_mode=None,
            pretty_exceptions_enable=False,
            **{"cls": Group, "add_completion": False, **more},
        )

    def command(self, name: str | None = None, **more: Any) -> Callable[[F], F]:
        add = super().command(name, cls=Command, **more)

        def taken(function: F) -> F:
            add(spread(function))
            return function

        return taken


class _Line:
    """What commands and groups have in common."""

    params: list[Any]

    def get_help_option_names(self, ctx: Any) -> list[str]:
        return sorted(super().get_help_option_names(ctx), key=len)  # type: ignore[misc]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing:
            check_repeats(self, ctx, args)
        return super().parse_args(ctx, args)  # type: ignore[misc,no-any-return]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        sections: dict[str, list[Any]] = {"Arguments": [], PLAIN: []}
        for param in self.get_params(ctx):  # type: ignore[attr-defined]
            if (record := param.get_help_record(ctx)) is not None:
                sections.setdefault(_heading(param), []).append(record)
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


def _heading(param: Any) -> str:
    if param.param_type_name == "argument":
        return "Arguments"
    return getattr(param, "rich_help_panel", None) or PLAIN


class Command(_Line, TyperCommand):
    """A command whose options are given at most once, save those that are lists."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        from liqtruth.commands.output import modern

        if any(param.name == "output" for param in self.params):
            args = modern(args)
        return super().parse_args(ctx, args)


class Group(_Line, TyperGroup):
    """Commands beside each other; a word that is none of them gets the nearest line that would be taken."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        word = args[0]
        if self.get_command(ctx, word) is None and not word.startswith("-") and not ctx.resilient_parsing:
            near = [f"`{' '.join([*line, *rest])}`" for line, rest in near_misses(self, ctx, args)]
            meant = f": did you mean {' or '.join(near)}?" if near else ""
            ctx.fail(f"no command {word!r}{meant}")
        return super().resolve_command(ctx, args)


def check_repeats(command: Any, ctx: Any, args: list[str]) -> None:
    """Raises `UsageError` (exit code 2) for an option that is no list and stands twice in `args`."""
    _, _, given = command.make_parser(ctx).parse_args(args=list(args))
    single = [option for option in given if isinstance(option, TyperOption) and not option.multiple]
    for option in single:
        if single.count(option) > 1 and not option.count:
            raise typer.BadParameter("given twice, and it takes one value: give it once", ctx, option)


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
    return [(path, [*args]) for path in inside[:1] or _one_a_group(of_coins)[:2]]


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


def _one_a_group(paths: Iterable[list[str]]) -> list[list[str]]:
    """The first of each group, those of two words last: `map exact` before `compare`."""
    first = {tuple(path[:2]): path for path in reversed([*paths])}
    return sorted(first.values(), key=len, reverse=True)[::-1]


# -------------------------------------------------------------------------------------- refusals


def refusal(error: Any, arguments: Sequence[str]) -> str:
    """One line for what the parser does not take: what must hold and what came, and where help is."""
    context = getattr(error, "ctx", None)
    said = _said(error, context, arguments)
    return said if context is None or "did you mean" in said else f"{said}; see {context.command_path} --help"


def _said(error: Any, context: Any, arguments: Sequence[str]) -> str:
    kind, param = type(error).__name__, getattr(error, "param", None)
    if kind == "NoSuchOption":
        return _no_option(error, context)
    if kind == "MissingParameter" and param is not None:
        return f"{param.param_type_name} {_named(param)} is missing"
    if kind == "BadParameter" and param is not None:
        return f"{_named(param)} {_must(error, param, arguments)}"
    if kind == "BadOptionUsage":
        return f"{error.option_name} must be followed by a value"
    if extra := EXTRA.match(str(error.message)):
        return f"unexpected argument {extra[1]!r}{_instead(arguments)}"
    return str(error.message).rstrip(".")


def _instead(arguments: Sequence[str]) -> str:
    return ": to write JSON to a file, -o FILE.json" if "--json" in arguments else ""


def _no_option(error: Any, context: Any) -> str:
    flag = error.option_name
    shown = [] if context is None else [
        name for param in context.command.get_params(context) if isinstance(param, TyperOption)
        and not param.hidden for name in param.opts
    ]  # fmt: skip
    if close := get_close_matches(flag, shown, n=2, cutoff=0.6):
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
    """The word that was given for an option, behind it or after `=`."""
    for position, word in enumerate(arguments):
        flag, equals, value = word.partition("=")
        if flag in (param.opts or ()):
            return value if equals else next(iter(arguments[position + 1 : position + 2]), None)
    return None
