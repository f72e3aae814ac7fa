"""The command line: parse, call one function of a package, render. Packages are imported inside the commands, and a
module of `commands/` when a line names its command, so that `liqtruth --help` loads none of them."""

import errno
import gc
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from importlib import import_module
from typing import Annotated, Any, Final, NoReturn

import typer
from typer.exceptions import TyperException

from liqtruth.commands.line.grammar import App, Group
from liqtruth.commands.line.refusals import refusal
from liqtruth.commands.line.terminal import degrade_streams, mend_streams, say, say_error

UNUSABLE = (errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EINVAL)
"""Errors of the system for a path that cannot be right."""

INTERRUPTED: Final = 130
"""What Ctrl-C gives, which typer returns instead of raising it."""
MADE_BETWEEN: Final = 50_000
"""Objects made before garbage is looked for: loading modules makes hundreds of thousands, none of them garbage, and
looking through them at every 700 takes a tenth of a second."""

COMMANDS: Final = {
    "check": (
        "check.check",
        "Check maps against the chain: read the largest accounts, model the venues, compare, answer.",
    ),
    "index": ("index.index_app", "Read actual Hyperliquid positions."),
    "feed": ("feed.feed_app", "Collect the public aggregates of a venue."),
    "map": ("map.map_app", "Draw or export one heatmap."),
    "compare": (
        "compare.compare",
        "Compare modelled heatmaps with the truth: where they diverge, and by how much.",
    ),
    "report": (
        "report.report",
        "Compare what is stored of each coin, and keep a page, a JSON and a CSV of it beside earlier ones.",
    ),
    "calibrate": (
        "old_spellings.calibrate_app",
        "Fit the leverage model on Hyperliquid's exact positions.",
    ),
    "validate": ("validate.validate_app", "Judge a calibrated model on maps that its fit has not seen."),
    "transfer": (
        "transfer.transfer",
        "Calibrate a fitted leverage model to another venue by its liquidations.",
    ),
    "score": ("score.score_app", "Score maps on what came after them, and keep a ledger."),
    "doctor": (
        "doctor.doctor",
        "Look at every claim about the exchange that the program builds on and nobody has verified.",
    ),
    "sandbox": ("sandbox.sandbox_app", "Serve a synthetic exchange whose truth is known."),
    "demo": ("demo.demo", "Run the whole job on a synthetic exchange."),
}
"""In the order in which one comes to need them: where in `commands/` each stands, and its line of the help."""


class Loading(MutableMapping[str, Any]):
    """The commands by name, each imported when it is asked for."""

    def __init__(self, others: Mapping[str, Any]) -> None:
        self.loaded = {**others}

    def __getitem__(self, name: str) -> Any:
        if name not in self.loaded:
            module, attribute = COMMANDS[name][0].rsplit(".", 1)
            self.loaded[name] = built(name, getattr(import_module(f"liqtruth.commands.{module}"), attribute))
        return self.loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self.loaded[name] = command

    def __delitem__(self, name: str) -> None:
        raise TypeError("commands are not removed")

    def __iter__(self) -> Iterator[str]:
        return iter({**COMMANDS, **self.loaded})

    def __len__(self) -> int:
        return len({**COMMANDS, **self.loaded})


def built(name: str, found: Any) -> Any:
    """A group, or the command of a function, under its name."""
    if not isinstance(found, App):
        alone = App("")
        alone.command(name)(found)
        return typer.main.get_command(alone)
    command = typer.main.get_group(found)
    command.name = name
    return command


class Root(Group):
    """`liqtruth` itself, whose help needs none of its commands."""

    def __init__(self, commands: Mapping[str, Any], **more: Any) -> None:
        super().__init__(**more)
        self.commands = Loading(commands)

    def list_commands(self, ctx: Any) -> list[str]:
        return [*self.commands]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


app = App(
    "How far is a modelled liquidation heatmap from the truth on chain?",
    name="liqtruth",
    cls=Root,
    add_completion=True,
)


@app.callback(invoke_without_command=True)
def root(
    data_dir: Annotated[
        str | None,
        typer.Option(
            envvar="LIQTRUTH_DATA_DIR",
            help="Where everything is stored, a folder or s3://bucket/prefix; default: the user's data directory.",
        ),
    ] = None,
    database_url: Annotated[
        str | None,
        typer.Option(
            envvar="LIQTRUTH_DATABASE_URL",
            show_default=False,
            metavar="URL",
            help="The tables' database, postgresql://user@host/name, needed where --data-dir is s3://; default: a file "
            "in the data directory. A password is better kept in the variable: other users see what is typed.",
        ),
    ] = None,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if show_version:
        from importlib.metadata import version

        say(f"liqtruth {version('liqtruth')}")
        raise typer.Exit
    from liqtruth.commands.options.shared import GLOBALS

    GLOBALS.data_dir, GLOBALS.database_url = data_dir, database_url


def main() -> NoReturn:
    """Run the app; an error that a user can act on is one line on stderr and its exit code."""
    if not os.environ.get("PYTHONWARNINGS"):
        warnings.simplefilter("ignore")  # warnings of libraries are for programmers
    gc.set_threshold(MADE_BETWEEN)
    mend_streams()
    degrade_streams()
    sys.exit(_exit_code(sys.argv[1:]))


def _exit_code(arguments: Sequence[str]) -> int:
    from liqtruth.heatmap.errors import LiqtruthError

    try:
        code = app(args=arguments, standalone_mode=False) or 0
        sys.stdout.flush()  # a full disk behind it shows here, not when the interpreter ends
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        return code
    except (KeyboardInterrupt, typer.Abort):
        say("interrupted; what was stored stays", err=True)
        return INTERRUPTED
    except BrokenPipeError:  # whoever read the output has enough
        _give_stdout_up()
        return 1
    except TyperException as error:
        return _refused(error, arguments)
    except LiqtruthError as error:
        say_error(error)
        return error.exit_code
    except OSError as error:  # a path that no system call takes, a disk that fails
        _give_stdout_up()
        place = f"{error.filename}: " if error.filename else ""
        say_error(f"{place}{error.strerror or error}")
        return 2 if error.errno in UNUSABLE else 1


def _give_stdout_up() -> None:
    """Where it takes nothing any more, let the interpreter flush another one at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123


def _refused(error: Any, arguments: Sequence[str]) -> int:
    """A line that the parser does not take; a group without a command shows its help."""
    message = error.format_message()
    if message.startswith("Usage:"):
        typer.echo(message, err=True)
    else:
        say_error(refusal(error, arguments))
    return int(error.exit_code)


if __name__ == "__main__":
    main()
