"""How data of the sandbox are distinguished from an exchange's: by the word with which the source that is stored beside
them begins. Maps and series carry it on as a boolean."""

from collections.abc import Iterable
from typing import Final

import polars as pl

SYNTHETIC: Final = "synthetic"
SYNTHETIC_NOTE: Final = "SYNTHETIC: of the sandbox, not of an exchange"
"""What stands beside the age of a map of the sandbox."""

SYNTHETIC_NOTES: Final = frozenset({"synthetic_positions", "synthetic_series"})
"""Codes of the notes that state it."""


def source_of(shown_url: str, server: str) -> str:
    """The source to store beside what a server sent; the sandbox names itself in its `server` header."""
    name = server.lower()
    return f"{SYNTHETIC}: {shown_url}" if SYNTHETIC in name or "sandbox" in name else shown_url


def source_of_file(shown_path: str, rows: pl.DataFrame) -> str:
    """The source to store beside what a file brought; one that the sandbox wrote has it in a column `source`."""
    marked = "source" in rows.columns and rows.schema["source"] == pl.String and any_synthetic(rows["source"])
    return f"{SYNTHETIC}: {shown_path}" if marked else shown_path


def any_synthetic(sources: pl.Series | Iterable[str]) -> bool:
    """Whether any of the sources is the sandbox."""
    column = sources if isinstance(sources, pl.Series) else pl.Series(list(sources), dtype=pl.String)
    return bool(column.str.starts_with(SYNTHETIC).any())
