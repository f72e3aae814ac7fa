"""Text tables as people write them: any separator, quoted or not, with a header or without, every row as wide as it.

A row of another width is a file that broke off or lost a separator, and every cell after the gap stands under a wrong
name: it is refused by its line. All cells stay text.
"""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from liqtruth.storage.errors import TableRefused

MOST_CELLS: Final = 10_000_000
"""A year of one-minute bars with all their columns is 6 million."""
MOST_COLUMNS: Final = 1000
LONGEST_HEADER: Final = 2**16
SEPARATORS: Final = (b"\t", b";", b"|", b",")
NEWLINE, QUOTE, RETURN = b"\n"[0], b'"'[0], b"\r"[0]

NUMBER: Final = re.compile(r"[+-]?(\d[\d.,' ]*|\.\d+)([eE][+-]?\d+)?%?")
MOMENT: Final = re.compile(r"20\d\d[-/]\d\d[-/]\d\d([ T]\d\d:\d\d.*)?|1[5-9]\d{8}(\d{3}){0,3}(\.\d+)?")
NOTHING: Final = ("", "none", "null", "nan", "true", "false")
STATED_NAME: Final = re.compile(r"[A-Za-z]\w*")
NAMELESS: Final = "\0"
"""Begins what a column without a name is called until it is dropped or refused."""
OF_ALL_ROWS: Final = "#"
"""Begins the names of columns whose one value stands above the header."""


@dataclass(frozen=True)
class TextTable:
    """Rows with all cells as text; what was repaired. Columns without a header are called 1, 2, 3, ...

    `beside` is text that stands beside the rows and applies to all of them: the symbol in an answer. `answers` are the
    plain values beside the rows of each answer that they are of, its page numbers among them.
    """

    rows: pl.DataFrame
    headed: bool
    remarks: tuple[str, ...] = ()
    beside: Mapping[str, str] = field(default_factory=dict)
    answers: tuple[Mapping[str, str], ...] = ()


def numbered(width: int) -> list[str]:
    """Names of columns that have none."""
    return [str(place + 1) for place in range(width)]


def is_header(cells: Sequence[str]) -> bool:
    """Whether these are names: no row of numbers, and none that bears a moment."""
    names = [cell.strip() for cell in cells]
    if any(MOMENT.fullmatch(cell) for cell in names):
        return False
    values = [cell for cell in names if NUMBER.fullmatch(cell) or cell.lower() in NOTHING]
    return len(values) < len(names) or not any(names)


def names_of(cells: Sequence[str], path: Path) -> list[str]:
    """The header's names; raises `TableRefused` for a name that two columns bear."""
    names = [cell.strip() for cell in cells]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TableRefused(
            f"{path}: line 1: two columns are called {twice[0]!r}; rename or remove one of them"
        )
    return names


def check_size(rows: int, columns: int, path: Path) -> None:
    """Raises `TableRefused` for a table that would not fit in the memory that is allowed."""
    if columns > MOST_COLUMNS:
        raise TableRefused(f"{path}: {columns} columns; at most {MOST_COLUMNS} are read: is it a table?")
    if rows * columns > MOST_CELLS:
        raise TableRefused(f"{path}: {rows * columns} cells; at most {MOST_CELLS} are read: split it")


def parse_delimited(content: bytes, path: Path, separator: bytes | None = None) -> TextTable:
    """The table that UTF-8 text holds; raises `TableRefused` naming file and line.

    What a first line `#name,value,name,value,...` states becomes columns `#name`, the same in every row.
    """
    text = content.replace(b"\r", b"\n") if b"\n" not in content else content
    stated, text = _stated_above(text)
    if separator is None:
        separator, text = _separator(text)
    lines = _Lines.of(text, separator, path)
    lines.numbers = lines.numbers + bool(stated)
    first = lines.cells_of(0, separator)
    headed = is_header(first)
    names = names_of(_all_named(first), path) if headed else numbered(len(first))
    lines.check_widths(path)
    keep = np.ones(len(lines.starts), dtype=bool)
    if headed:
        keep = ~lines.like_the_first()
    rows = _named(_read(lines.text_of(keep), names, separator, int(keep.sum()), path), path)
    repeated = int((~keep).sum()) - headed
    remarks = (f"the header stands {repeated} more times in the file: skipped",) if repeated else ()
    for name in names:
        stated.pop(name, None)
    check_size(rows.height, rows.width + len(stated), path)
    return TextTable(
        rows.with_columns(pl.lit(cell).alias(name) for name, cell in stated.items()), headed, remarks
    )


def _all_named(cells: Sequence[str]) -> list[str]:
    """The header, with something to call columns at its end that have no name."""
    named = next((at for at in range(len(cells), 0, -1) if cells[at - 1].strip()), 0)
    return [cell if at < named else f"{NAMELESS}{at + 1}" for at, cell in enumerate(cells)]


def _named(rows: pl.DataFrame, path: Path) -> pl.DataFrame:
    """The columns that have a name: lines that all end in a separator make empty ones. Raises where one is not."""
    nameless = [name for name in rows.columns if name.startswith(NAMELESS)]
    filled = [name for name in nameless if (rows[name].str.strip_chars() != "").any()]
    if filled:
        raise TableRefused(
            f"{path}: line 1: column {filled[0].removeprefix(NAMELESS)} has values and no name; name or remove it"
        )
    return rows.drop(nameless)


def _stated_above(text: bytes) -> tuple[dict[str, str], bytes]:
    """By their columns' names the values of a first line that pairs names with values, and the text below it."""
    end = text.find(b"\n", 0, LONGEST_HEADER)
    if not text.startswith(OF_ALL_ROWS.encode()) or not text[end:].strip() or end < 0:
        return {}, text
    cells = [cell.strip() for cell in text[1:end].decode().split(",")]
    names, values = cells[::2], cells[1::2]
    paired = len(names) == len(values) and len(set(names)) == len(names)
    if not paired or not all(map(STATED_NAME.fullmatch, names)):
        return {}, text
    if not any(NUMBER.fullmatch(value) or MOMENT.fullmatch(value) for value in values):
        return {}, text  # a header
    return {OF_ALL_ROWS + name: value for name, value in zip(names, values, strict=True)}, text[end + 1 :]


def _separator(text: bytes) -> tuple[bytes, bytes]:
    """What parts the cells, and the text without a line that states it."""
    if stated := re.match(rb'"?sep=(.)"?[ \t\r]*\n', text):
        return stated[1], text[stated.end() :]
    lines = [re.sub(rb'"[^"]*"', b"", line) for line in text[:65536].split(b"\n")[:6] if line.strip()]
    for separator in SEPARATORS[:-1]:
        counts = {line.count(separator) for line in lines}
        if len(counts) == 1 and counts != {0}:
            return separator, text
    return max(reversed(SEPARATORS), key=lambda one: lines[0].count(one) if lines else 0), text


@dataclass
class _Lines:
    """Where each line that is not blank begins and ends in `text`, its number, and how many cells it has."""

    text: bytes
    starts: Any
    ends: Any
    numbers: Any
    cells: Any

    @classmethod
    def of(cls, text: bytes, separator: bytes, path: Path) -> "_Lines":
        if (text.find(b"\n") + 1 or len(text)) > LONGEST_HEADER:
            raise TableRefused(f"{path}: line 1 is longer than {LONGEST_HEADER} bytes: is it a table?")
        check_size(1, text.count(separator, 0, text.find(b"\n") + 1 or len(text)) + 1, path)
        check_size(max(text.count(separator), text.count(b"\n")), 1, path)
        data = np.frombuffer(text, np.uint8)
        breaks, parts = np.flatnonzero(data == NEWLINE), np.flatnonzero(data == separator[0])
        if b'"' in text:
            inside = np.logical_xor.accumulate(data == QUOTE)
            if inside[-1]:
                line = text.count(b"\n", 0, text.rindex(b'"')) + 1
                raise TableRefused(
                    f"{path}: line {line}: a quote is not closed; the file breaks off or lost a quote"
                )
            breaks, parts = breaks[~inside[breaks]], parts[~inside[parts]]
        ends = np.append(breaks, len(data))
        starts = np.concatenate(([0], breaks + 1))
        cells = np.diff(np.searchsorted(parts, np.append(starts, len(data)))) + 1
        filled = ends > starts
        filled[filled] = (ends[filled] - starts[filled] > 1) | (data[starts[filled]] != RETURN)
        if not filled.any():
            raise TableRefused(f"{path}: not a readable table: the file is empty")
        return cls(text, starts[filled], ends[filled], np.flatnonzero(filled) + 1, cells[filled])

    def line(self, place: int) -> bytes:
        return self.text[self.starts[place] : self.ends[place]]

    def cells_of(self, place: int, separator: bytes) -> list[str]:
        return next(csv.reader([self.line(place).decode().rstrip("\r")], delimiter=separator.decode()))

    def check_widths(self, path: Path) -> None:
        """Refuse the first line that is not as wide as the first one; or the first, where most lines differ."""
        width = int(self.cells[0])
        wrong = np.flatnonzero(self.cells != width)
        if not wrong.size:
            return
        usual = int(np.bincount(self.cells).argmax())
        if usual != width and wrong.size > 1:
            raise TableRefused(
                f"{path}: line {self.numbers[0]} has {width} cells and most lines have {usual}: "
                "let the file begin with its header, and with one name for each column"
            )
        place = int(wrong[0])
        breaks_off = ": the file breaks off there; export it again" if place == len(self.cells) - 1 else ""
        raise TableRefused(
            f"{path}: line {self.numbers[place]} has {self.cells[place]} cells where the first line has {width}"
            f"{breaks_off or '; complete or remove it'}"
        )

    def like_the_first(self) -> Any:
        """Which lines equal the first one, itself included."""
        first = self.line(0).strip()
        data = np.frombuffer(self.text, np.uint8)
        like = (np.abs(self.ends - self.starts - len(self.line(0))) < 2) & (
            data[self.starts] == data[self.starts[0]]
        )
        like[like] = [self.line(place).strip() == first for place in np.flatnonzero(like).tolist()]
        return like

    def text_of(self, keep: Any) -> bytes:
        """The text of the lines that are kept, in runs."""
        edges = np.flatnonzero(np.diff(np.concatenate(([False], keep, [False])).astype(np.int8)))
        runs = zip(edges[::2], edges[1::2] - 1, strict=True)
        if (self.starts[1:] != self.ends[:-1] + 1).any():  # blank lines inside
            return b"\n".join(self.line(int(place)) for place in np.flatnonzero(keep))
        return b"\n".join(self.text[self.starts[begin] : self.ends[end]] for begin, end in runs)


def _read(body: bytes, names: Sequence[str], separator: bytes, height: int, path: Path) -> pl.DataFrame:
    check_size(height, len(names), path)
    if not height:
        return pl.DataFrame(schema=dict.fromkeys(names, pl.String))
    rows = pl.read_csv(
        body,
        has_header=False,
        new_columns=list(names),
        separator=separator.decode(),
        infer_schema=False,
        low_memory=True,
    )
    if rows.height != height or rows.width != len(names):
        raise TableRefused(
            f"{path}: not a readable table: {height} lines gave {rows.height} rows; are quotes missing?"
        )
    return rows
