"""Other people's tables: read CSV, JSON or Parquet out of whatever they are packed in, recognise the layout, map the
columns.

A `Layout` maps their columns to ours. Both file doors (positions, feeds) describe the layouts they
know; `--columns ours=theirs,...` overrides or replaces them.
"""

import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from liqtruth.heatmap.files import NOT_DECODED
from liqtruth.storage.errors import TableRefused
from liqtruth.storage.files.cells import UTC_MS, to_float, to_kind, to_text, to_time, worded
from liqtruth.storage.files.content import PARQUET, read_content
from liqtruth.storage.files.delimited import TextTable, check_size, parse_delimited
from liqtruth.storage.files.json_rows import parse_json

__all__ = [
    "UTC_MS",
    "Layout",
    "TextTable",
    "parse_columns",
    "parse_rows",
    "read_rows",
    "read_table",
    "recognise",
    "select_columns",
    "shortened",
    "to_float",
    "to_kind",
    "to_text",
    "to_time",
]


@dataclass(frozen=True)
class Layout:
    """A known table: `columns` maps our name to theirs; it is recognised when all `required` of theirs are there."""

    name: str
    kind: str
    columns: Mapping[str, str]
    optional: Mapping[str, str] = field(default_factory=dict)

    def matches(self, header: Sequence[str]) -> bool:
        return set(self.columns.values()) <= set(header)

    def mapping(self, header: Sequence[str]) -> dict[str, str]:
        """Ours -> theirs for the columns that this table has."""
        extra = {ours: theirs for ours, theirs in self.optional.items() if theirs in header}
        return {**self.columns, **extra}


def parse_columns(text: str | None) -> dict[str, str]:
    """`ours=theirs,...` as given to `--columns`; raises `TableRefused` for a pair without `=` or given twice."""
    pairs = [pair.strip() for pair in (text or "").split(",") if pair.strip()]
    for pair in pairs:
        if pair.count("=") != 1 or pair.startswith("=") or pair.endswith("="):
            raise TableRefused(f"--columns: {pair!r} is not of the form ours=theirs")
    split = [(ours.strip(), theirs.strip()) for ours, theirs in (pair.split("=") for pair in pairs)]
    twice = [ours for ours, _ in split if [name for name, _ in split].count(ours) > 1]
    if twice:
        raise TableRefused(f"--columns: {twice[0]!r} is given twice; give each of ours once")
    return dict(split)


def read_table(path: Path) -> pl.DataFrame:
    """The rows of `read_rows`."""
    return read_rows(path).rows


def read_rows(path: Path) -> TextTable:
    """All columns as the file has them (CSV and JSON cells as text), with what was repaired in reading.

    Raises `TableRefused` naming the file and the fault. A file without a header has the columns 1, 2, 3, ...
    """
    return parse_rows(read_content(path), path)


def parse_rows(content: bytes, path: Path) -> TextTable:
    """The same for what `storage.files.content.read_content` gave."""
    try:
        return _parse(content, path)
    except (
        pl.exceptions.PolarsError,
        pl.exceptions.PanicException,
        *NOT_DECODED,
        csv.Error,
        MemoryError,
        OSError,
        ValueError,
    ) as error:
        line = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise TableRefused(f"{path}: not a readable table: {line[:200]}") from None


def _parse(content: bytes, path: Path) -> TextTable:
    if not content.strip():
        raise TableRefused(f"{path}: not a readable table: the file is empty")
    if content.startswith(PARQUET):
        return TextTable(_parquet(content, path), headed=True)
    if content.lstrip()[:1] in (b"{", b"["):
        return parse_json(content, path)
    return parse_delimited(content, path)


def _parquet(content: bytes, path: Path) -> pl.DataFrame:
    with _silenced():
        file = pl.scan_parquet(io.BytesIO(content))
        height = file.select(pl.len()).collect().item()
        check_size(height, len(file.collect_schema()), path)
        return worded(file.collect())


@contextmanager
def _silenced() -> Iterator[None]:
    """The Rust side prints pages to stderr where a file is damaged, before it raises."""
    try:
        kept = os.dup(2)
    except OSError:  # nobody listens there
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def recognise(header: Sequence[str], layouts: Sequence[Layout]) -> Layout | None:
    """The known layout with the most columns among those that this header satisfies."""
    fitting = [layout for layout in layouts if layout.matches(header)]
    return max(fitting, key=lambda layout: len(layout.columns), default=None)


def shortened(names: Sequence[str]) -> str:
    """A list of names that leaves room for the text after it."""
    text = ", ".join(names)
    return text if len(text) <= 60 else f"{text[:60]}... ({len(names)} columns)"


def select_columns(table: pl.DataFrame, mapping: Mapping[str, str], place: Path) -> pl.DataFrame:
    """The mapped columns under our names; raises `TableRefused` for one that the file lacks."""
    for ours, theirs in mapping.items():
        if theirs not in table.columns:
            raise TableRefused(
                f"{place}: no column {theirs!r} (for {ours}); the file has {shortened(table.columns)}"
            )
    return table.select(pl.col(theirs).alias(ours) for ours, theirs in mapping.items())
