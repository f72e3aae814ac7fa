"""The command line: parse, call one function of a package, render. Packages are imported inside the commands, so
that `liqtruth --help` loads none of them."""

import errno
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.exceptions import TyperException

from liqtruth.commands.calibrate import calibrate_app
from liqtruth.commands.check import check
from liqtruth.commands.compare import compare
from liqtruth.commands.demo import demo
from liqtruth.commands.feed import feed_app
from liqtruth.commands.grammar import App, Group, refusal
from liqtruth.commands.index import index_app
from liqtruth.commands.map import map_app
from liqtruth.commands.old_spellings import add_old_spellings
from liqtruth.commands.options import GLOBALS
from liqtruth.commands.sandbox import sandbox_app
from liqtruth.commands.score import score_app
from liqtruth.commands.terminal import degrade_streams, mend_streams, say, say_error
from liqtruth.commands.transfer import transfer
from liqtruth.commands.validate import validate_app

UNUSABLE = (errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EINVAL)
"""What the system says of a path that cannot be right."""

ORDER = (
    "check",
    "index",
    "feed",
    "map",
    "compare",
    "calibrate",
    "validate",
    "transfer",
    "score",
    "sandbox",
    "demo",
)
"""As one comes to need them."""


class Root(Group):
    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(self.commands, key=ORDER.index)


app = App(
    "How far is a modelled liquidation heatmap from the truth on chain?",
    name="liqtruth",
    cls=Root,
    add_completion=True,
)
app.command("check")(check)
app.add_typer(index_app, name="index")
app.add_typer(feed_app, name="feed")
app.add_typer(map_app, name="map")
app.command("compare")(compare)
app.add_typer(calibrate_app, name="calibrate")
app.add_typer(validate_app, name="validate")
app.command("transfer")(transfer)
app.add_typer(score_app, name="score")
app.add_typer(sandbox_app, name="sandbox")
app.command("demo")(demo)
add_old_spellings(calibrate_app)


@app.callback(invoke_without_command=True)
def root(
    data_dir: Annotated[
        Path | None,
        typer.Option(
            envvar="LIQTRUTH_DATA_DIR", help="Where everything is stored; default: the user's data directory."
        ),
    ] = None,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    GLOBALS.data_dir = data_dir
    if show_version:
        from importlib.metadata import version

        say(f"liqtruth {version('liqtruth')}")
        raise typer.Exit


def main() -> NoReturn:
    """Run the app; an error that a user can act on is one line on stderr and its exit code."""
    if not os.environ.get("PYTHONWARNINGS"):
        warnings.simplefilter(
            "ignore"
        )  # a library's word to programmers, with a line of source, is for no user
    mend_streams()
    degrade_streams()
    sys.exit(_exit_code(sys.argv[1:]))


def _exit_code(arguments: Sequence[str]) -> int:
    from liqtruth.heatmap.errors import LiqtruthError

    try:
        code = app(args=arguments, standalone_mode=False) or 0
        sys.stdout.flush()  # a full disk behind it shows here, not when the interpreter ends
        return code
    except (KeyboardInterrupt, typer.Abort):
        say("interrupted; what was stored stays", err=True)
        return 130
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
