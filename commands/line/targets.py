"""What a command is asked to write: `-o FILE` by its suffix, `--json`, and how both were spelled before."""

import inspect
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from liqtruth.commands.line.grammar import parameter

STDOUT: Final = "-"
HEADING: Final = "Output"
SUFFIXES: Final = {
    ".json": "json", ".csv": "csv", ".parquet": "parquet", ".html": "html", ".htm": "html", ".png": "png"
}  # fmt: skip
TEXTS: Final = ("json", "csv")
"""What stdout takes; the others are files."""


@dataclass(frozen=True)
class Target:
    """One thing to write: a form of `SUFFIXES`, and a file or `-`."""

    form: str
    place: str


@dataclass(frozen=True)
class Outputs:
    """Everything that `-o` and `--json` asked for; nothing means what people read on the terminal."""

    targets: tuple[Target, ...] = ()

    def asks(self, *forms: str) -> bool:
        return any(target.form in forms for target in self.targets)

    @property
    def to_stdout(self) -> bool:
        """Whether data go there, so that nothing for people may."""
        return any(target.place in (STDOUT, "/dev/stdout", "/dev/fd/1") for target in self.targets)


class OutputOption:
    """`-o FILE` and `--json` of a command that can write these forms."""

    def __init__(self, *forms: str) -> None:
        self.forms = forms

    def parameters(self) -> list[inspect.Parameter]:
        *others, last = (f".{form}" for form in self.forms)
        suffixes = f"{', '.join(others)} or {last}" if others else last
        picture = " A picture needs Chromium (`make packages`)." if "png" in self.forms else ""
        plain = " and csv:- CSV" if "csv" in self.forms else ""
        output = typer.Option(
            "--output", "-o", parser=self.parse, metavar="FILE", rich_help_panel=HEADING, show_default=False,
            help=f"Write FILE, whose suffix chooses the format: {suffixes}; - is JSON{plain} on stdout. May be "
            f"repeated.{picture}",
        )  # fmt: skip
        json = typer.Option("--json", help="Print JSON, as -o - does.", rich_help_panel=HEADING)
        return [
            parameter("output", Annotated[list[Any] | None, output], None),
            parameter("json", Annotated[bool, json], False),
        ]

    def collect(self, given: Mapping[str, Any]) -> Outputs:
        printed = (Target("json", STDOUT),) if given["json"] else ()
        return Outputs((*(given["output"] or ()), *printed))

    def parse(self, text: str) -> Target:
        """`FILE`, `-`, or `FORM:FILE` where the name does not say."""
        form, colon, place = text.partition(":")
        if not (colon and form in SUFFIXES.values()):
            form, place = ("json" if text == STDOUT else SUFFIXES.get(Path(text).suffix.lower(), "")), text
        if form not in self.forms:
            raise typer.BadParameter(f"must end in {self._offered()}, got {text!r}")
        if place == STDOUT and form not in TEXTS:
            raise typer.BadParameter(f"must name a file for .{form}, got {text!r}")
        return Target(form, place)

    def _offered(self) -> str:
        *others, last = (f".{form}" for form in self.forms)
        return f"{', '.join(others)} or {last}, or be -" if others else f"{last}, or be -"


MapOut = Annotated[Outputs, OutputOption("json", "csv", "parquet", "html", "png")]
TableOut = Annotated[Outputs, OutputOption("json", "csv", "parquet")]
MovedOut = Annotated[Outputs, OutputOption("json", "csv", "parquet", "html")]
DivergenceOut = Annotated[Outputs, OutputOption("json", "csv", "parquet", "html", "png")]
PageOut = Annotated[Outputs, OutputOption("json", "html")]
JsonOut = Annotated[Outputs, OutputOption("json")]


def modern(arguments: Sequence[str]) -> list[str]:
    """The line with `--html FILE`, `--json FILE` and their like, as they were spelled before `-o`, as `-o` has it.

    A word behind `--json` and `--csv` is their file where it looks like one; alone they print. Raises `BadParameter`
    for a file whose suffix is another form's.
    """
    waiting, taken = [*arguments], list[str]()
    while waiting:
        word = waiting.pop(0)
        flag, equals, value = word.partition("=")
        form = flag.removeprefix("--")
        if word == "--":
            return [*taken, word, *waiting]
        if not flag.startswith("--") or form not in SUFFIXES.values():
            taken.append(word)
        elif equals:
            taken += ["-o", _old_target(form, value)]
        elif waiting and (form not in TEXTS or _is_file(form, waiting[0])):
            taken += ["-o", _old_target(form, waiting.pop(0))]
        elif form in TEXTS:
            taken += ["--json"] if form == "json" else ["-o", "csv:-"]
        else:
            raise typer.BadParameter(f"--{form} must be followed by a file: write -o FILE.{form}")
    return taken


def _is_file(form: str, word: str) -> bool:
    suffix = Path(word).suffix.lower()
    return word == STDOUT or suffix == f".{form}" or (os.sep in word and not suffix)


def _old_target(form: str, place: str) -> str:
    suffix = Path(place).suffix.lower()
    if suffix and SUFFIXES.get(suffix) != form:
        raise typer.BadParameter(f"--{form} must be followed by a .{form} file, got {place!r}")
    return f"{form}:{place}"
