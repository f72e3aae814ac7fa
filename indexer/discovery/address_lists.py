"""Addresses as they are given: on the command line, and in files, one a line or as a column of a table."""

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from liqtruth.heatmap.errors import BadInput
from liqtruth.indexer.errors import ImportRefused

ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
COLUMNS: Final = ("address", "addr", "user", "ethaddress")


def read_addresses(path: Path) -> list[str]:
    """Addresses in lower case, each once, in the file's order; `#` begins a comment.

    Raises `BadInput` naming the line and the value for anything that is no address, and for an empty list.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: cannot be read as text: {error}") from None
    addresses = list(dict.fromkeys(_addresses(path, text.splitlines())))
    if not addresses:
        raise BadInput(f"{path}: no addresses in it; write one a line, 0x and 40 hexadecimal digits")
    return addresses


def _addresses(path: Path, lines: Sequence[str]) -> Iterator[str]:
    rows = [(n, line.split("#")[0].strip()) for n, line in enumerate(lines, start=1)]
    rows = [(n, line) for n, line in rows if line]
    column = _column(path, *rows[0]) if rows else None
    for number, line in rows if column is None else rows[1:]:
        value = line if column is None else _cell(line, column)
        folded = value.strip().lower()
        if not ADDRESS.fullmatch(folded):
            raise BadInput(f"{path}: line {number}: {value!r} is no address (0x and 40 hexadecimal digits)")
        yield folded


def _column(path: Path, number: int, first: str) -> int | None:
    """Which column of a CSV holds addresses; None for a plain list."""
    names = [cell.strip().lower() for cell in next(csv.reader([first]))]
    found = next((names.index(name) for name in COLUMNS if name in names), None)
    if found is None and len(names) > 1 and not names[0].startswith("0x"):
        raise BadInput(f"{path}: line {number}: no column of {', '.join(COLUMNS)} among {', '.join(names)}")
    return 0 if found is None and len(names) > 1 else found


def _cell(line: str, column: int) -> str:
    cells = next(csv.reader([line]))
    return cells[column] if column < len(cells) else ""


def check_address(text: str) -> str:
    """The address in lower case; raises `ImportRefused` for what is none."""
    folded = text.strip().lower()
    if not ADDRESS.fullmatch(folded):
        raise ImportRefused(f"--address: {text!r} is no address; write 0x and 40 hexadecimal digits")
    return folded
