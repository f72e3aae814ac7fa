"""Addresses as they are given: on the command line, and in files, one a line or as a column of a table."""

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
import polars as pl

from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.files import NOT_DECODED
from liqtruth.indexer.errors import ImportRefused
from liqtruth.storage.files.tabular import read_table

ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
COLUMNS: Final = ("address", "addr", "user", "ethaddress", "wallet", "trader", "account")
TABLES: Final = (".parquet", ".json", ".jsonl", ".ndjson")


def read_addresses(path: Path) -> list[str]:
    """Addresses in lower case, each once, in the file's order: one a line, a column of a CSV, Parquet or JSON table as
    other tools export them, or a JSON list; `#` begins a comment.

    Raises `BadInput` naming the line and the value for anything that is no address, and for an empty list.
    """
    if path.suffix.lower() in TABLES:
        return _of_table(path)
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


def _of_table(path: Path) -> list[str]:
    values = _of_json_list(path) if path.suffix.lower() == ".json" else None
    if values is None:
        table = read_table(path)
        at = _column_of(table.columns)
        if at is None:
            raise BadInput(f"{path}: {_no_column(table.columns)}")
        column = table.columns[at]
        if table[column].dtype.is_nested():
            raise BadInput(f"{path}: the cells of {column} are no addresses")
        values = table[column].cast(pl.String).drop_nulls().to_list()
    folded = dict.fromkeys(value.strip().lower() for value in values)
    for value in folded:
        if not ADDRESS.fullmatch(value):
            raise BadInput(f"{path}: {value!r} is no address (0x and 40 hexadecimal digits)")
    if not folded:
        raise BadInput(f"{path}: no addresses in it")
    return list(folded)


def _of_json_list(path: Path) -> list[str] | None:
    """The texts of a list of texts; null for any other document, and for what cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[str])
    except (OSError, *NOT_DECODED):
        return None


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
    names = next(csv.reader([first]))
    found = _column_of(names)
    if found is None and len(names) > 1 and not names[0].strip().lower().startswith("0x"):
        raise BadInput(f"{path}: line {number}: {_no_column(names)}")
    return 0 if found is None and len(names) > 1 else found


def _column_of(names: Sequence[str]) -> int | None:
    """Which of a table's columns holds addresses: the first that `COLUMNS` names, in any case, with `_` or without."""
    folded = [name.strip().lower().replace("_", "") for name in names]
    return next((folded.index(name) for name in COLUMNS if name in folded), None)


def _no_column(names: Sequence[str]) -> str:
    return f"no column of {', '.join(COLUMNS)} among {', '.join(names[:12])}"


def _cell(line: str, column: int) -> str:
    cells = next(csv.reader([line]))
    return cells[column] if column < len(cells) else ""


def check_address(text: str, option: str = "--address") -> str:
    """The address in lower case; raises `ImportRefused` for what is none, which came from `option`."""
    folded = text.strip().lower()
    if not ADDRESS.fullmatch(folded):
        raise ImportRefused(f"{option}: {text!r} is no address; write 0x and 40 hexadecimal digits")
    return folded
