"""How a line is taken: options in groups, each given once, and help under headings in one order."""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import MISSING, fields
from typing import Annotated, Any, ClassVar, Final, Protocol, TypeVar, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.models import OptionInfo

from liqtruth.commands.line.plain_values import read_plainly
from liqtruth.commands.line.refusals import near_misses

ARGUMENTS: Final = "Arguments"
PLAIN: Final = "Options"
"""Heading of options that name none."""
FIRST: Final = (ARGUMENTS, PLAIN)
LAST: Final = ("Model", "Time", "Exchange", "Run", "Output")
"""Headings of the help in the order of every command."""
HELP_WIDTH: Final = 100
WHOLE: Final = 1_000
"""More characters than any first sentence of a command has."""
TYPES: Final = {
    "path": "PATH",
    "int": "N",
    "int range": "N",
    "float": "NUMBER",
    "float range": "NUMBER",
    "str": "TEXT",
    "list[str]": "TEXT",
    "list[path]": "PATH",
}
"""What the help calls a value whose option names none."""
TYPED: Final = re.compile(r" <(.+?)>$")
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
    """A group of commands whose help needs no rich, and whose lines are read as this module does."""

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
        read_plainly(self.get_params(ctx))  # type: ignore[attr-defined]
        return super().parse_args(ctx, args)  # type: ignore[misc,no-any-return]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        for heading, params in under_headings(self.get_params(ctx)).items():  # type: ignore[attr-defined]
            records = [(param, param.get_help_record(ctx)) for param in params]
            with formatter.section(heading):
                formatter.write_dl(
                    [(_in_words(record[0], param), record[1]) for param, record in records if record]
                )


def under_headings(params: Iterable[Any]) -> dict[str, list[Any]]:
    """What the help shows, by heading: arguments, options of no group, a command's own groups, the shared ones."""
    found: dict[str, list[Any]] = {}
    for param in params:
        if not param.hidden:
            found.setdefault(_heading(param), []).append(param)
    return {heading: found[heading] for heading in sorted(found, key=_place)}


def _place(heading: str) -> int:
    """Groups that only one command has stand between the first and the last."""
    return FIRST.index(heading) if heading in FIRST else len(FIRST) + 1 + (
        LAST.index(heading) if heading in LAST else -1
    )  # fmt: skip


def _in_words(name: str, param: Any) -> str:
    """The name of an option with `PATH` or `N` in place of typer's `<path>` or `<int range>`; an argument alone."""
    if param.param_type_name == "argument":
        return TYPED.sub("", name)
    return TYPED.sub(lambda found: f" {TYPES.get(found[1], found[1].upper())}", name)


def _heading(param: Any) -> str:
    if param.param_type_name == "argument":
        return ARGUMENTS
    return getattr(param, "rich_help_panel", None) or PLAIN


class Command(_Line, TyperCommand):
    """A command whose options are given at most once, save those that are lists."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        from liqtruth.commands.line.targets import modern

        if any(param.name == "output" for param in self.params):
            args = modern(args)
        return super().parse_args(ctx, args)


class Group(_Line, TyperGroup):
    """Commands beside each other; a word that is none of them gets the nearest line that would be taken."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The first sentence of each command, whole."""
        shown = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, one.get_short_help_str(WHOLE)) for name, one in shown if one and not one.hidden]
            )

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
