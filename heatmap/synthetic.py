"""How data of the sandbox are told from an exchange's: by the word with which their source begins."""

from typing import Final

import polars as pl

SYNTHETIC: Final = "synthetic"
SYNTHETIC_SAID: Final = "SYNTHETIC: of the sandbox, not of an exchange"
"""What stands beside the age of a map of the sandbox."""


def source_of(shown_url: str, server: str) -> str:
    """The source to store beside what a server sent; the sandbox says in its `server` header what it is."""
    said = server.lower()
    return f"{SYNTHETIC}: {shown_url}" if SYNTHETIC in said or "sandbox" in said else shown_url


def any_synthetic(sources: pl.Series) -> bool:
    """Whether any of the sources is the sandbox."""
    return bool(sources.str.starts_with(SYNTHETIC).any())
