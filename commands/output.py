"""What commands print and write: text, tables, files, pictures, progress. Heavy packages are imported when used."""

import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from liqtruth.commands.grammar import parameter
from liqtruth.commands.terminal import columns_for_bars, emit, print_view, say, text_console

if TYPE_CHECKING:
    import polars as pl

    from liqtruth.heatmap.heatmap import Heatmap

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


def deliver(
    out: Outputs, texts: Mapping[str, Callable[[], str]], files: Mapping[str, Callable[[Path], None]]
) -> None:
    """Write everything that was asked for: a form writes its file by `files`, or else is a text of `texts`."""
    for target in out.targets:
        if target.place == STDOUT or target.form not in files:
            write_text(texts[target.form](), target.place)
        else:
            files[target.form](Path(target.place))
            say(f"wrote {target.place}", err=True)


def flattened(groups: Sequence[Sequence[float]] | None) -> list[float] | None:
    return [number for group in groups for number in group] if groups else None


@contextmanager
def progress(label: str, total: float) -> Iterator[Callable[[float], None]]:
    """A bar with ETA on stderr; gives a function that takes how much of `total` is done so far."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    counted = MofNCompleteColumn() if total > 1 else TaskProgressColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), counted, TimeRemainingColumn())
    console = text_console(err=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=total)
        yield lambda done: bar.update(task, completed=done)


def write_text(text: str, target: str) -> None:
    """To stdout for `-`, else to the file, whole or not at all."""
    if target == STDOUT:
        emit(text.rstrip("\n"))
        return
    from liqtruth.heatmap.writing import write_atomically

    write_atomically(Path(target), text.rstrip("\n") + "\n")
    say(f"wrote {target}", err=True)


def json_of(result: Any) -> str:
    """Indented; a frame is a list of its rows."""
    from msgspec.json import encode, format
    from polars import DataFrame

    from liqtruth.heatmap.notes import as_text

    def plain(value: Any) -> Any:
        return value.to_dicts() if isinstance(value, DataFrame) else as_text(value)

    return format(encode(result, enc_hook=plain)).decode()


def show(result: Any, out: Outputs) -> None:
    """A result that describes itself in lines, or as JSON."""
    tell(result, out, lambda: say_lines(result.describe()))


def tell(
    result: Any,
    out: Outputs,
    shown: Callable[[], None],
    write_page: Callable[[Any, Path], None] | None = None,
) -> None:
    """The page and the JSON where they were asked for; without JSON what people read."""
    pages = {} if write_page is None else {"html": lambda path: write_page(result, path)}
    deliver(out, {"json": lambda: json_of(result)}, pages)
    if not out.asks("json"):
        shown()


def say_lines(lines: Iterable[str]) -> None:
    for line in lines:
        say(line)


def show_summaries(summaries: Sequence[Any], out: Outputs) -> None:
    tell(summaries, out, lambda: say_lines(line for one in summaries for line in one.describe()))


def export_frame(
    frame: "pl.DataFrame",
    out: Outputs,
    table: "Callable[[pl.DataFrame], Any] | None" = None,
) -> None:
    """To files or stdout; where nothing was asked for, the `table` that people read."""
    from liqtruth.storage.lake.parquet import write_parquet

    deliver(
        out,
        {"json": frame.write_json, "csv": lambda: harmless(frame).write_csv()},
        {"parquet": lambda path: write_parquet(frame, path)},
    )
    if not out.targets and table is not None:
        print_view(table(frame))


def harmless(frame: "pl.DataFrame") -> "pl.DataFrame":
    """For a spreadsheet: text cells that it would take for a formula begin with an apostrophe."""
    import polars as pl

    return frame.with_columns(
        pl.when(_is_formula(pl.col(name))).then(pl.concat_str(pl.lit("'"), name)).otherwise(name).alias(name)
        for name, kind in frame.schema.items()
        if kind == pl.String
    )


def _is_formula(text: "pl.Expr") -> "pl.Expr":
    import polars as pl

    number = text.str.strip_chars().cast(pl.Float64, strict=False).is_not_null()
    return text.str.contains(r"^\s*[=+\-@]") & ~number


def export_series(series: Any, out: Outputs) -> None:
    """A price-time heatmap: the picture, and one row per moment, bin and side that holds anything."""
    from liqtruth.heatmap.drawing import figure, series_figure
    from liqtruth.heatmap.writing import write_with_facts
    from liqtruth.storage.lake.parquet import write_parquet

    frame = series.frame()
    deliver(
        out,
        {"json": frame.write_json, "csv": lambda: harmless(frame).write_csv()},
        {
            "csv": lambda path: write_with_facts(path, harmless(frame).write_csv(), series.about()),
            "parquet": lambda path: write_parquet(frame, path),
            "html": lambda path: series_figure.write_html(series, path),
            "png": lambda path: figure.write_figure_png(series_figure.series_figure(series), path),
        },
    )
    if not out.asks(*TEXTS):
        _say_series(series)
        if not out.asks("html", "png"):
            say("-o FILE.html draws it")


def _say_series(series: Any) -> None:
    from liqtruth.heatmap.notes import SYNTHETIC_NOTE
    from liqtruth.heatmap.text import as_of

    if series.data_moment is not None:
        beside = f", {SYNTHETIC_NOTE}" if series.synthetic else ""
        say(f"{as_of(series.data_moment)}{beside}")
    say_lines(series.describe())


def export_map(drawn: "Heatmap", out: Outputs, lines: Iterable[str] = ()) -> None:
    """The map in every form that was asked for; without JSON and CSV the view and `lines` for people."""
    from liqtruth.heatmap import files
    from liqtruth.heatmap.drawing import figure

    deliver(
        out,
        {"json": lambda: files.to_json(drawn), "csv": lambda: files.to_csv(drawn)},
        {
            "csv": lambda path: files.write_csv(drawn, path),
            "parquet": lambda path: files.write_parquet(drawn, path),
            "html": lambda path: figure.write_html(drawn, path),
            "png": lambda path: figure.write_png(drawn, path),
        },
    )
    if not out.asks(*TEXTS):
        from liqtruth.heatmap.drawing.terminal import map_panel

        print_view(map_panel(drawn, bar_width=columns_for_bars()))
        say_lines(lines)


def export_divergence(result: Any, out: Outputs) -> None:
    """The comparison as JSON and as a page; what people read where no JSON was asked for."""
    from liqtruth.compare.divergence.divergence import to_json
    from liqtruth.compare.divergence.report import write_report

    divergence = result.divergence
    deliver(
        out,
        {"json": lambda: to_json(divergence)},
        {"html": lambda path: write_report(divergence, result.truth_map, result.model_maps, path)},
    )
    if not out.asks("json"):
        from liqtruth.compare.divergence.terminal import divergence_view

        print_view(divergence_view(divergence))
