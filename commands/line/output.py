"""What commands print and write: text, tables, files, pictures, progress. Heavy packages are imported when used."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from liqtruth.commands.line.targets import STDOUT, Outputs
from liqtruth.commands.line.terminal import columns_for_bars, emit, print_view, say, text_console
from liqtruth.heatmap.writing import harmless

if TYPE_CHECKING:
    import polars as pl

    from liqtruth.heatmap.clusters.facts import MapFacts
    from liqtruth.heatmap.heatmap import Heatmap


ROWS_AT_ONCE: Final = 2_000
"""Of a long table as text."""


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
        emit([text.rstrip("\n")])
        return
    from liqtruth.heatmap.writing import write_atomically

    write_atomically(Path(target), text.rstrip("\n") + "\n")
    say(f"wrote {target}", err=True)


def json_of(result: Any) -> str:
    """Indented; a frame is a list of its rows."""
    from msgspec.json import encode, format
    from polars import DataFrame

    from liqtruth.heatmap.words.notes import as_text

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
    """The page and the JSON where they were asked for; what people read, unless data go to stdout."""
    pages = {} if write_page is None else {"html": lambda path: write_page(result, path)}
    deliver(out, {"json": lambda: json_of(result)}, pages)
    if not out.to_stdout:
        shown()


def tell_rows(rows: Sequence[Any], out: Outputs, shown: Callable[[], None]) -> None:
    """Records as JSON or as a table with a row for each; what people read, unless data go to stdout."""
    from liqtruth.storage.places.parquet import write_parquet

    deliver(
        out,
        {"json": lambda: json_of(rows), "csv": lambda: harmless(frame_of(rows)).write_csv()},
        {"parquet": lambda path: write_parquet(frame_of(rows), path)},
    )
    if not out.to_stdout:
        shown()


def frame_of(rows: Sequence[Any]) -> "pl.DataFrame":
    """Their fields as in JSON; what is a list or has fields of its own stays JSON text in its cell."""
    import json

    import polars as pl

    def cell(value: Any) -> Any:
        return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value

    records = json.loads(json_of(rows))
    return pl.DataFrame(
        [{name: cell(value) for name, value in record.items()} for record in records],
        infer_schema_length=None,
    )


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
    for target in out.targets:
        if target.place != STDOUT:
            _write_frame(frame, target.form, Path(target.place))
        else:
            emit(pieces_of(frame, target.form))
    if not out.targets and table is not None:
        print_view(table(frame))


def _write_frame(frame: "pl.DataFrame", form: str, path: Path) -> None:
    from liqtruth.heatmap.writing import write_atomically
    from liqtruth.storage.places.parquet import write_parquet

    if form == "parquet":
        write_parquet(frame, path)
    else:
        write_atomically(path, chain((piece.encode() for piece in pieces_of(frame, form)), [b"\n"]))
    say(f"wrote {path}", err=True)


def pieces_of(frame: "pl.DataFrame", form: str) -> Iterator[str]:
    """The frame as JSON or CSV, some rows at a time, for a text of all would take many times its memory."""
    for start in range(0, max(frame.height, 1), ROWS_AT_ONCE):
        rows = frame.slice(start, ROWS_AT_ONCE)
        if form == "json":
            text = rows.write_json()[1:-1]
            yield ("," if start else "[") + text
        else:
            text = harmless(rows).write_csv(include_header=not start).removesuffix("\n")
            yield ("\n" if start else "") + text
    if form == "json":
        yield "]"


def export_moved(moved: Any, out: Outputs) -> None:
    """What became of clusters: all of it as JSON or a page, a row per cluster as a table, the view for people."""
    from liqtruth.compare.moved.shown import moved_view, write_page
    from liqtruth.storage.places.parquet import write_parquet

    deliver(
        out,
        {"json": lambda: json_of(moved), "csv": lambda: harmless(moved.frame()).write_csv()},
        {
            "parquet": lambda path: write_parquet(moved.frame(), path),
            "html": lambda path: write_page(moved, path),
        },
    )
    if not out.to_stdout:
        print_view(moved_view(moved))


def _drawing(module: str) -> Any:
    """Of `heatmap.drawing`, which only pictures and pages need."""
    return import_module(f"liqtruth.heatmap.drawing.{module}")


def export_series(series: Any, out: Outputs) -> None:
    """A price-time heatmap: the picture, and one row per moment, bin and side that holds anything."""
    from liqtruth.heatmap.writing import write_with_facts
    from liqtruth.storage.places.parquet import write_parquet

    frame = series.frame()
    deliver(
        out,
        {"json": frame.write_json, "csv": lambda: harmless(frame).write_csv()},
        {
            "csv": lambda path: write_with_facts(path, harmless(frame).write_csv(), series.about()),
            "parquet": lambda path: write_parquet(frame, path),
            "html": lambda path: _drawing("series_figure").write_html(series, path),
            "png": lambda path: _drawing("figure").write_figure_png(
                _drawing("series_figure").series_figure(series), path
            ),
        },
    )
    if not out.to_stdout:
        _say_series(series)
        if not out.asks("html", "png"):
            say("-o FILE.html draws it")


def _say_series(series: Any) -> None:
    from liqtruth.heatmap.words.notes import SYNTHETIC_NOTE
    from liqtruth.heatmap.words.text import as_of

    if series.data_moment is not None:
        beside = f", {SYNTHETIC_NOTE}" if series.synthetic else ""
        say(f"{as_of(series.data_moment)}{beside}")
    say_lines(series.describe())


def export_map(
    drawn: "Heatmap",
    out: Outputs,
    lines: Iterable[str] = (),
    clusters: bool = False,
    facts: "MapFacts | None" = None,
) -> None:
    """The map in every form that was asked for; the view and `lines` for people, unless data go to stdout.

    `clusters` adds its balance, max pain and clusters: tables for people and on the page, the key `profile` in JSON;
    `facts` of the clusters stand with them.
    """
    from liqtruth.heatmap import files
    from liqtruth.heatmap.clusters.distribution import profile_of

    profile = profile_of(drawn) if clusters else None
    deliver(
        out,
        {"json": lambda: files.to_json(drawn, profile, facts), "csv": lambda: files.to_csv(drawn)},
        {
            "csv": lambda path: files.write_csv(drawn, path),
            "parquet": lambda path: files.write_parquet(drawn, path),
            "html": lambda path: _drawing("figure").write_html(drawn, path, profile, facts),
            "png": lambda path: _drawing("figure").write_png(drawn, path),
        },
    )
    if not out.to_stdout:
        from liqtruth.heatmap.drawing.terminal import map_panel, profile_panel

        print_view(map_panel(drawn, bar_width=columns_for_bars()))
        if profile is not None:
            print_view(profile_panel(drawn, profile, facts))
        say_lines(lines)


def export_divergence(result: Any, out: Outputs) -> None:
    """The comparison as JSON and as a page, its scores as a table, its curves as a picture; the answer for people."""
    from liqtruth.compare.divergence.as_json import to_json
    from liqtruth.storage.places.parquet import write_parquet

    divergence, maps = result.divergence, (result.truth_map, result.model_maps)

    def write_page(path: Path) -> None:
        from liqtruth.compare.comparison.report import write_report

        write_report(divergence, *maps, path, result.crowd_map)

    def write_picture(path: Path) -> None:
        from liqtruth.compare.comparison.report import curves_picture

        _drawing("figure").write_figure_png(curves_picture(divergence, *maps, result.crowd_map), path)

    deliver(
        out,
        {"json": lambda: to_json(divergence), "csv": lambda: harmless(divergence.frame()).write_csv()},
        {
            "parquet": lambda path: write_parquet(divergence.frame(), path),
            "html": write_page,
            "png": write_picture,
        },
    )
    if not out.to_stdout:
        from liqtruth.compare.comparison.terminal import divergence_view

        print_view(divergence_view(divergence))
