"""How often a command opens a Parquet file and asks the database: counted, so that a budget can be a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import polars as pl

from liqtruth.storage.database.connection import Database


@dataclass
class Reads:
    """Paths of the Parquet files that were opened, in order, and the number of reading sessions."""

    opened: list[Path] = field(default_factory=list)
    sessions: int = 0

    def start(self) -> None:
        """Count from here on."""
        self.opened.clear()
        self.sessions = 0

    @property
    def files(self) -> int:
        return len(set(self.opened))

    @property
    def repeated(self) -> set[Path]:
        """Files that were opened more than once."""
        return {path for path in self.opened if self.opened.count(path) > 1}


@contextmanager
def counted_reads() -> Iterator[Reads]:
    """Count what is read within the block, be it asked or read by a writer."""
    reads, scan = Reads(), pl.scan_parquet
    asking, session = Database.asking, Database.session

    def scanned(source: Any, **options: Any) -> Any:
        reads.opened += map(Path, source if isinstance(source, list) else [source])
        return scan(source, **options)

    def asked(database: Database) -> Any:
        reads.sessions += 1
        return asking(database)

    def begun(database: Database) -> Any:
        reads.sessions += 1
        return session(database)

    with (
        patch.object(pl, "scan_parquet", scanned),
        patch.object(Database, "asking", asked),
        patch.object(Database, "session", begun),
    ):
        yield reads
