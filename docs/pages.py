"""Pages whose outputs come from running them: `python` blocks like a notebook's, `console` blocks like a shell's.

`python -m docs.pages` runs them on the data of a demo and writes their outputs again. A test compares
the outputs of Python; those of commands, on a whole demo, take minutes, and a test only parses the lines.
"""

import ast
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stdout
from pathlib import Path
from textwrap import wrap
from typing import Any, Final

DOCS: Final = Path(__file__).parent
ROOT: Final = DOCS.parent
PAGES: Final = (DOCS / "python.md",)
CONSOLES: Final = (ROOT / "README.md",)
DEMO: Final = ("demo", "--accounts", "600", "--days", "5")
"""The command whose data the pages in Python are run on; those of a shell begin with a whole `make demo`."""
BLOCK: Final = re.compile(r"```python\n(?P<code>.*?)```\n(?P<shown>\n```text\n.*?```\n)?", re.DOTALL)
CONSOLE: Final = re.compile(r"```console\n(?P<lines>.*?)```\n", re.DOTALL)
COLUMNS: Final = 100
"""At which lines of an output are broken, as a terminal does."""


def rendered(page: str) -> str:
    """The page with the outputs that its blocks give in the current directory."""
    names: dict[str, Any] = {"__name__": "__main__"}

    def again(found: re.Match[str]) -> str:
        output = run(found["code"], names)
        shown = f"\n```text\n{output.rstrip()}\n```\n" if found["shown"] else ""
        return f"```python\n{found['code']}```\n{shown}"

    return BLOCK.sub(again, page)


def run(code: str, names: dict[str, Any]) -> str:
    """What the block prints, and its last expression as a notebook shows it."""
    tree, printed = ast.parse(code), io.StringIO()
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    with redirect_stdout(printed):
        exec(compile(tree, "page", "exec"), names)
        value = eval(compile(ast.Expression(last.value), "page", "eval"), names) if last else None
        if value is not None:
            print(value if isinstance(value, str) else repr(value))  # noqa: T201
    return printed.getvalue()


# -------------------------------------------------------------------------------------- shells


def commands(page: str) -> list[str]:
    """The lines that `console` blocks give to a shell, without their `$ `."""
    blocks = (found["lines"].splitlines() for found in CONSOLE.finditer(page))
    return [line.removeprefix("$ ") for lines in blocks for line in lines if line.startswith("$ ")]


def shown(page: str, folder: Path) -> str:
    """The page with what its commands print in `folder`, one after another; one that ends in `&` runs beside them."""
    with shell(folder) as said:

        def again(found: re.Match[str]) -> str:
            lines = commands(found[0])
            return "```console\n" + "".join(f"$ {line}\n{said(line)}" for line in lines) + "```\n"

        return CONSOLE.sub(again, page)


@contextmanager
def shell(folder: Path) -> Iterator[Any]:
    """A function from a command to what it prints."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment["PYTHONUNBUFFERED"] = "1"  # lines of both outputs in the order in which they were printed
    environment.pop("COLUMNS", None)
    beside: list[subprocess.Popen[str]] = []

    def said(line: str) -> str:
        name, _, value = line.partition("=")
        if name.startswith("export "):
            environment[name.removeprefix("export ")] = value
            return ""
        if line.endswith("&"):
            words = shlex.split(line.removesuffix("&"))
            beside.append(
                subprocess.Popen(words, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
            )
            first = beside[-1].stdout
            return broken(first.readline() if first else "")
        done = subprocess.run(
            ["bash", "-c", line], cwd=folder, env=environment, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return broken(done.stdout)

    try:
        yield said
    finally:
        for process in beside:
            process.terminate()
            process.communicate()


def broken(text: str) -> str:
    """Lines of at most `COLUMNS`, without blanks at their end."""
    how: dict[str, Any] = {"subsequent_indent": "  ", "break_on_hyphens": False}
    lines = [line.rstrip() for line in text.rstrip().splitlines()]
    return "".join(f"{part}\n" for line in lines for part in wrap(line, COLUMNS, **how) or [""])


def main() -> None:
    os.environ["LIQTRUTH_DATA_DIR"] = "nowhere"  # no page may rest on what this user has stored
    for pages, demo, write in ((PAGES, DEMO, write_python), (CONSOLES, DEMO[:1], write_console)):
        with tempfile.TemporaryDirectory() as folder:
            line = [sys.executable, "-m", "liqtruth.cli", *demo]
            subprocess.run(line, cwd=folder, check=True, stdout=subprocess.DEVNULL)
            for page in pages:
                write(page, Path(folder))


def write_python(page: Path, folder: Path) -> None:
    """Run a page of Python where the demo ran."""
    text = page.read_text()
    with chdir(folder):
        page.write_text(rendered(text))


def write_console(page: Path, folder: Path) -> None:
    """Run a page of commands where the demo ran."""
    page.write_text(shown(page.read_text(), folder))


if __name__ == "__main__":
    main()
