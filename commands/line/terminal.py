"""The terminal's edge: what is printed cannot move the cursor, and a terminal that is not UTF-8 gets what it can show.

Names and notes come from files and answers of others, so they are text and nothing else: no markup, no escape codes.
"""

import codecs
import errno
import io
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

FIRST_FREE: Final = 3
"""The number that a file gets first, after stdin, stdout and stderr."""
ROOMY: Final = 10_000
"""Columns that no table fills."""
DEGRADING: Final = "liqtruth.degrading"
PROGRESS: Final = ("progress.spinner", "bar.complete", "bar.finished", "bar.pulse")
"""What would be green or red, which are the sides'."""
PLAIN: Final = {
    **dict.fromkeys("█▉▊▋▌▍▎▏▇▆▅▄▃▂▁", "#"),
    **dict.fromkeys("─━╌┄", "-"),
    **dict.fromkeys("│┃║", "|"),
    **dict.fromkeys("╭╮╰╯┌┐└┘├┤┬┴┼╞╡╪", "+"),
    **dict.fromkeys("–—−‑", "-"),
    **dict.fromkeys("‘’", "'"),
    **dict.fromkeys("“”", '"'),
    "…": ".",
    "·": ".",
    "×": "x",
    "≤": "<",
    "≥": ">",
    "→": ">",
    "±": "~",
    "\u202f": " ",
    "\u00a0": " ",
}
"""One plain character for each that a narrow encoding may lack, so that columns stay aligned."""


def degraded(error: UnicodeError) -> tuple[str | bytes, int]:
    """An error handler of codecs: the nearest plain characters, `?` where there is none."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(PLAIN.get(one, "?") for one in error.object[error.start : error.end]), error.end


def degrade_streams() -> None:
    """From here on nothing printed raises for its characters, whatever the terminal's encoding."""
    codecs.register_error(DEGRADING, degraded)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=DEGRADING)


def plain(text: str) -> str:
    """`text` with every control character but the line break escaped."""
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() or one == "\n" else one.encode("unicode_escape").decode() for one in text
    )


def say(line: str, err: bool = False) -> None:
    """Print text that may hold names of others; at once, as whoever reads through a pipe waits for it too."""
    print(plain(line), file=sys.stderr if err else sys.stdout, flush=True)


def say_error(text: object) -> None:
    """One line on stderr, of at most 300 characters with `error: ` in front, whatever `text` holds."""
    from liqtruth.heatmap.errors import ERROR_PREFIX, one_line

    say(f"{ERROR_PREFIX}{one_line(str(text))}", err=True)


class Closed(io.TextIOBase):
    """Takes the place of a standard output that was closed before the start: writing to it fails."""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        raise OSError(errno.EBADF, "standard output is closed")


def mend_streams() -> None:
    """Let output to a closed stdout fail, and keep the first file that is opened from taking its number.

    Errors of a closed stderr go nowhere, for `print` would take stdout in its place.
    """
    while (taken := os.open(os.devnull, os.O_RDWR)) < FIRST_FREE:
        pass
    os.close(taken)
    if sys.stdout is None:
        sys.stdout = Closed()
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123  the interpreter closes it at its end


def emit(pieces: Iterable[str]) -> None:
    """Print what a program will read, piece by piece and without a newline at its end: as it is, in UTF-8; a terminal
    gets it with control characters escaped."""
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None or sys.stdout.isatty():
        return say("".join(pieces))
    sys.stdout.flush()
    for piece in pieces:
        buffer.write(piece.encode(errors="replace"))
    buffer.write(b"\n")
    buffer.flush()


def print_view(view: Any, at_least: int = 0) -> None:
    """Print a table or another view of rich; into a pipe, which has no edge, as wide as its figures need,
    and `at_least` so many columns.

    A table whose figures would be cut at the edge of the terminal is printed row by row.
    """
    console = text_console()
    if _has_edge(console):
        return console.print(_Plain(_fitted(view, console)))
    width = max(at_least, console.width)
    return text_console(width=max(width, _needed(view, console, width))).print(_Plain(view))


def columns_for_bars(others: int = 46, least: int = 8, most: int = 100) -> int:
    """How wide bars may be beside `others` columns of figures."""
    return min(max(text_console().width - others, least), most)


def _has_edge(console: "Console") -> bool:
    return console.is_terminal or "COLUMNS" in os.environ


def _fitted(view: Any, console: "Console") -> Any:
    from rich.console import Group
    from rich.measure import Measurement
    from rich.table import Table

    if isinstance(view, Group):
        return Group(*(_fitted(part, console) for part in view.renderables))
    if not isinstance(view, Table):
        return view
    roomy = console.options.update(max_width=ROOMY)
    split = Measurement.get(console, roomy, view).minimum > console.width
    return (
        _row_by_row(view)
        if split or _cuts(view, console, console.width) > _cuts(view, console, ROOMY)
        else view
    )


def _needed(view: Any, console: "Console", width: int) -> int:
    """How many columns the tables need that would be cut at `width`; 0 where none would."""
    from rich.console import Group
    from rich.measure import Measurement
    from rich.table import Table

    if isinstance(view, Group):
        return max((_needed(part, console, width) for part in view.renderables), default=0)
    if not isinstance(view, Table) or _cuts(view, console, width) <= _cuts(view, console, ROOMY):
        return 0
    return Measurement.get(console, console.options.update(max_width=ROOMY), view).maximum


def _cuts(view: Any, console: "Console", width: int) -> int:
    """How many ellipses there are in so many columns."""
    lines = console.render_lines(view, console.options.update(width=width, max_width=width))
    return sum(segment.text.count("…") for line in lines for segment in line)


def _row_by_row(table: Any) -> Any:
    """A table row by row: what its first column has, and under it every other column by name."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    headers = [_words(column.header) for column in table.columns]
    rows = zip(*([_words(cell) for cell in column.cells] for column in table.columns), strict=True)
    parts: list[Any] = [Text(_words(table.title), style="italic")] if table.title else []
    for first, *others in rows:
        if first:
            parts.append(Text(f"{headers[0]} {first}".strip(), style="bold"))
        named = (f"{name} {cell}".strip() for name, cell in zip(headers[1:], others, strict=True) if cell)
        parts.append(Padding(Text(", ".join(named)), (0, 0, 0, 2)))
    return Group(*parts, *([Text(_words(table.caption))] if table.caption else []))


def _words(cell: Any) -> str:
    """Text of a cell on one line."""
    return " ".join(str(cell).split())


def text_console(width: int | None = None, err: bool = False) -> "Console":
    """A console that takes strings for text: no markup, no emoji, no guessing of what is a number."""
    from rich.console import Console
    from rich.theme import Theme

    theme = Theme(dict.fromkeys(PROGRESS, "cyan"))
    return Console(width=width, stderr=err, markup=False, emoji=False, highlight=False, theme=theme)


class _Plain:
    """A view whose text is printed with its control characters escaped; colours are the console's own."""

    def __init__(self, view: Any) -> None:
        self.view = view

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        from rich.segment import Segment

        for segment in console.render(self.view, options):
            yield segment if segment.control else Segment(plain(segment.text), segment.style)
