"""Pages with Python in them, run like notebooks: each `python` block in order, its output in the `text` block below it.

`python -m docs.pages` runs them on the data of a small demo and writes their outputs again; a test compares them.
"""

import ast
import io
import os
import re
import subprocess
import sys
import tempfile
from contextlib import chdir, redirect_stdout
from pathlib import Path
from typing import Any, Final

DOCS: Final = Path(__file__).parent
PAGES: Final = (DOCS / "python.md", DOCS.parent / "README.md")
DEMO: Final = ("demo", "--accounts", "600", "--days", "5")
"""The command whose data the pages are run on."""
BLOCK: Final = re.compile(r"```python\n(?P<code>.*?)```\n(?P<shown>\n```text\n.*?```\n)?", re.DOTALL)


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


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "liqtruth.cli", *DEMO], cwd=folder, check=True, stdout=subprocess.DEVNULL
        )
        write(Path(folder))


def write(folder: Path) -> None:
    """Run the pages where the demo ran."""
    os.environ["LIQTRUTH_DATA_DIR"] = "nowhere"  # no page may rest on what this user has stored
    for page in PAGES:
        text = page.read_text()
        with chdir(folder):
            page.write_text(rendered(text))


if __name__ == "__main__":
    main()
