"""The terminal's edge: what is printed cannot move the cursor, and a terminal that is not UTF-8 gets what it can show.

Names and notes come from files and answers of others, so they are text and nothing else: no markup, no escape codes.
"""

import codecs
import errno
import io
import os
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

FIRST_FREE: Final = 3
"""The number that a file gets first, after stdin, stdout and stderr."""
DEGRADING: Final = "liqtruth.degrading"
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
    """Print text that may hold names of others."""
    print(plain(line), file=sys.stderr if err else sys.stdout)


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


def emit(data: str) -> None:
    """Print what a program will read: as it is, in UTF-8; a terminal gets it with control characters escaped."""
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None or sys.stdout.isatty():
        return say(data)
    sys.stdout.flush()
    buffer.write(data.encode(errors="replace") + b"\n")
    buffer.flush()


def print_view(view: Any, at_least: int = 0) -> None:
    """Print a table or another view of rich, `at_least` so many columns wide."""
    console = text_console()
    if at_least > console.width:
        console = text_console(width=at_least)
    console.print(_Plain(view))


def text_console(width: int | None = None, err: bool = False) -> "Console":
    """A console that takes strings for text: no markup, no emoji, no guessing of what is a number."""
    from rich.console import Console

    return Console(width=width, stderr=err, markup=False, emoji=False, highlight=False)


class _Plain:
    """A view whose text is printed with its control characters escaped; colours are the console's own."""

    def __init__(self, view: Any) -> None:
        self.view = view

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        from rich.segment import Segment

        for segment in console.render(self.view, options):
            yield segment if segment.control else Segment(plain(segment.text), segment.style)
