"""Where the tables are: the path of a SQLite file is understood without loading what talks to servers."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from liqtruth.heatmap.errors import BadInput

if TYPE_CHECKING:
    from sqlalchemy import URL

MEMORY: Final = ":memory:"
IN_MEMORY: Final = f"sqlite:///{MEMORY}"
POSTGRESQL: Final = "postgresql+psycopg"
SQLITE: Final = ("sqlite", "sqlite+pysqlite")
SQLITE_OPTIONS: Final = frozenset(("cached_statements", "check_same_thread", "timeout"))
"""Options of a SQLite URL that change nothing of what is set here."""
REMEDY: Final = "write postgresql://user@host/name"
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
    url = parsed_url(given)
    return Address(sqlite_file(url), url)


def parsed_url(url: "str | URL") -> "URL":
    """The URL of a SQLite file or a PostgreSQL server; raises `BadInput`, which never shows it, for any other."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise BadInput(f"LIQTRUTH_DATABASE_URL must be a URL; {REMEDY}") from None
    if parsed.drivername in ("postgresql", "postgres"):
        return parsed.set(drivername=POSTGRESQL)
    if parsed.drivername not in (POSTGRESQL, *SQLITE):
        raise BadInput(
            f"LIQTRUTH_DATABASE_URL: {parsed.drivername!r} is not supported; use postgresql:// or sqlite:///"
        )
    if parsed.drivername in SQLITE and not set(parsed.query) <= SQLITE_OPTIONS:
        raise BadInput(
            "LIQTRUTH_DATABASE_URL: an option of it cannot be used; a SQLite file takes none but "
            f"{', '.join(sorted(SQLITE_OPTIONS))}: write sqlite:///PATH"
        )
    return parsed


def sqlite_file(url: "URL") -> Path | None:
    """The file of a SQLite URL; null for a server and for a database in memory."""
    plain = url.drivername in SQLITE and url.database not in (None, "", MEMORY)
    return Path(str(url.database)) if plain else None
