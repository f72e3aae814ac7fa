"""Where the tables are: the path of a SQLite file is understood without loading what talks to servers."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sqlalchemy import URL

MEMORY: Final = ":memory:"
PLAIN: Final = re.compile(r"sqlite:///([^?]+)")
"""A URL of a file without any option."""


@dataclass(frozen=True)
class Address:
    """Of a SQLite file, or of a server or a database in memory, whose `file` is null."""

    file: Path | None
    named: "URL | None" = None
    """The URL as it was given; null for a file without options."""

    @property
    def url(self) -> "URL":
        """May hold a password."""
        if self.named is not None:
            return self.named
        from sqlalchemy import URL

        return URL.create("sqlite", database=str(self.file))

    @property
    def place(self) -> str:
        """The database to name in a message: a path, or user, host and name; options may hold a password as well."""
        if self.named is None or self.named.drivername.startswith("sqlite"):
            return str(self.file or "memory")
        return self.named.set(query={}).render_as_string() + ("?…" if self.named.query else "")

    @property
    def is_read_only(self) -> bool:
        """Whether it is a file that is there and that this user may not write, or not beside it."""
        if self.file is None:
            return False
        is_there = os.access(self.file, os.F_OK)
        return is_there and not (
            os.access(self.file, os.W_OK) and os.access(self.file.absolute().parent, os.W_OK)
        )


def address_of(given: "str | Path | URL | Address") -> Address:
    """Of a file, or of what a URL names; raises `BadInput`, which never shows it, for a URL that cannot be used."""
    if isinstance(given, Address):
        return given
    if isinstance(given, Path):
        return Address(given)
    plain = PLAIN.fullmatch(given) if isinstance(given, str) else None
    if plain and plain[1] != MEMORY:
        return Address(Path(plain[1]))
    from liqtruth.storage.database.engines import parsed_url, sqlite_file

    url = parsed_url(given)
    return Address(sqlite_file(url), url)
