"""What commands print and write: text, tables, files, pictures, progress. Heavy packages are imported when used."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liqtruth.commands.terminal import emit, print_view, say, text_console

if TYPE_CHECKING:
    import polars as pl

    from liqtruth.heatmap.heatmap import Heatmap

STDOUT = "-"


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
    with Progress(*columns, console=text_console(err=True), transient=True) as bar:
        task = bar.add_task(label, total=total)
        yield lambda done: bar.update(task, completed=done)


def write_text(text: str, target: str) -> None:
    """To stdout for `-`, else to the file, whole or not at all."""
    if target == STDOUT:
        emit(text)
        return
    from liqtruth.heatmap.writing import write_atomically

    write_atomically(Path(target), text.rstrip("\n") + "\n")
    say(f"wrote {target}", err=True)


def show(result: Any, json: str | None) -> None:
    """A result that describes itself in lines, or as JSON."""
    if json is None:
        for line in result.describe():
            say(line)
        return
    write_json(result, json)


def write_json(result: Any, target: str) -> None:
    """Indented, as `write_text`."""
    from msgspec.json import encode, format

    from liqtruth.heatmap.notes import as_text

    write_text(format(encode(result, enc_hook=as_text)).decode(), target)


def show_summaries(summaries: Sequence[Any], json: str | None) -> None:
    if json is not None:
        return write_json(summaries, json)
    for summary in summaries:
        show(summary, None)


def export_frame(
    frame: "pl.DataFrame",
    json: str | None,
    csv: str | None,
    parquet: Path | None,
    table: "Callable[[pl.DataFrame], Any] | None" = None,
) -> None:
    """To files or stdout; where nothing was asked for, the `table` that people read."""
    if parquet is not None:
        from liqtruth.storage.lake.lake import write_parquet

        write_parquet(frame, parquet)
        say(f"wrote {parquet}", err=True)
    if json is not None:
        write_text(frame.write_json(), json)
    if csv is not None:
        write_text(harmless(frame).write_csv().rstrip("\n"), csv)
    if parquet is None and json is None and csv is None and table is not None:
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


def export_series(
    series: Any,
    json: str | None,
    csv: str | None,
    parquet: Path | None,
    html: Path | None,
    png: Path | None = None,
) -> None:
    """A price-time heatmap: the picture, and one row per moment, bin and side that holds anything."""
    export_frame(series.frame(), json, csv, parquet)
    if html is not None:
        from liqtruth.heatmap.drawing.series_figure import write_html

        write_html(series, html)
        say(f"wrote {html}", err=True)
    if png is not None:
        from liqtruth.heatmap.drawing.figure import write_figure_png
        from liqtruth.heatmap.drawing.series_figure import series_figure

        write_figure_png(series_figure(series), png)
        say(f"wrote {png}", err=True)
    if json is None and csv is None:
        from liqtruth.heatmap.synthetic import SYNTHETIC_NOTE
        from liqtruth.heatmap.text import as_of

        if series.data_moment is not None:
            beside = f", {SYNTHETIC_NOTE}" if series.synthetic else ""
            say(f"{as_of(series.data_moment)}{beside}")
        for line in series.describe():
            say(line)
        if html is None:
            say("--html FILE draws it")


def export_map(
    drawn: "Heatmap",
    json: str | None,
    csv: str | None,
    parquet: Path | None,
    html: Path | None,
    png: Path | None,
) -> None:
    from liqtruth.heatmap import files
    from liqtruth.heatmap.drawing import figure

    if json is not None:
        write_text(files.to_json(drawn), json)
    if csv is not None:
        write_text(files.to_csv(drawn).rstrip("\n"), csv)
    for path, write in ((parquet, files.write_map), (html, figure.write_html), (png, figure.write_png)):
        if path is not None:
            write(drawn, path)
            say(f"wrote {path}", err=True)
    if json is None and csv is None:
        from liqtruth.heatmap.drawing.terminal import map_panel

        print_view(map_panel(drawn))


def export_divergence(result: Any, json: str | None, html: Path | None, always_show: bool = False) -> None:
    if json is not None:
        from liqtruth.compare.divergence.files import to_json

        write_text(to_json(result.divergence), json)
    if html is not None:
        from liqtruth.compare.divergence.report import write_report

        write_report(result.divergence, result.truth_map, result.model_maps, html)
        say(f"wrote {html}", err=True)
    if json is None or always_show:
        from liqtruth.compare.divergence.terminal import divergence_view

        print_view(divergence_view(result.divergence))


def with_stdout_default(arguments: Sequence[str]) -> list[str]:
    """`--json` and `--csv` without a file mean stdout."""
    filled = []
    for position, argument in enumerate(arguments):
        filled.append(argument)
        following = arguments[position + 1] if position + 1 < len(arguments) else "--"
        if argument in ("--json", "--csv") and following.startswith("--"):
            filled.append(STDOUT)
    return filled
