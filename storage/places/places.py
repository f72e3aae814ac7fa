"""Where the files of a lake lie: a folder of this machine, or a bucket of an object store (`storage.places.bucket`).

A file is known by its name below the place, with `/` between folders. Whatever the place, a file is whole or not there:
in a folder it is written under another name, forced to the disk and renamed; an object is put as a whole. All methods
raise `OSError`, `FileNotFoundError` for what is not there.
"""

import re
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from liqtruth.heatmap.writing import make_folder, replace_whole, sync_folder

WRITTEN: Final = ("*.parquet", ".*.tmp")
"""What the lake writes and leaves behind when it is killed."""
URL: Final = re.compile(r"\w+://\S+")


@dataclass(frozen=True)
class Stored:
    """A file below a place: its name, its size, and when it was last written to (s since the epoch)."""

    name: str
    bytes: int
    written_s: float


class Place(Protocol):
    """What a lake needs of the place where its files lie."""

    def __hash__(self) -> int: ...

    @property
    def root(self) -> Path | str:
        """Its path or URL, for people."""

    @property
    def group_rows(self) -> int:
        """Of a row group of Parquet: what a reader fetches at once."""

    @property
    def beside(self) -> "Place":
        """The folder in which it lies."""

    def below(self, name: str) -> "Place": ...

    def full(self, name: str) -> Path | str:
        """What a reader of Parquet opens, with `options`."""

    @property
    def options(self) -> Mapping[str, Any]:
        """Arguments of polars' readers, without which they would not reach the place."""

    def read(self, name: str) -> bytes: ...

    def put(self, name: str, content: bytes | memoryview) -> None:
        """Write the file whole or not at all, in place of one of that name."""

    def put_new(self, name: str, content: bytes | memoryview) -> None:
        """The same; raises `FileExistsError` where the name is taken, by another process at the same moment too."""

    def files(self) -> Iterator[Stored]:
        """Parquet files below the place, and what killed writers left."""

    def folders(self) -> Iterable[str]:
        """Names of the folders directly in the place."""

    def move(self, name: str, to: "Place", new: str) -> None:
        """To another place of the same kind."""

    def exists(self, name: str) -> bool: ...

    def remove(self, name: str) -> None:
        """One that is not there is no fault."""

    def remove_folder(self, name: str) -> None:
        """With all that is in it."""


@dataclass(frozen=True)
class Folder:
    """A folder of this machine."""

    root: Path

    @property
    def group_rows(self) -> int:
        return 1 << 19

    @property
    def beside(self) -> "Folder":
        return Folder(self.root.parent)

    @property
    def options(self) -> Mapping[str, Any]:
        return {}

    def below(self, name: str) -> "Folder":
        return Folder(self.root / name)

    def full(self, name: str) -> Path:
        return self.root / name

    def read(self, name: str) -> bytes:
        return self.full(name).read_bytes()

    def put(self, name: str, content: bytes | memoryview) -> None:
        replace_whole(self.full(name), [content])

    def put_new(self, name: str, content: bytes | memoryview) -> None:
        path = self.full(name)
        make_folder(path.parent)
        path.open("x").close()
        try:
            self.put(name, content)
        except OSError:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            raise

    def files(self) -> Iterator[Stored]:
        for pattern in WRITTEN:
            for path in self.root.rglob(pattern):
                with suppress(FileNotFoundError):
                    found = path.stat()
                    if stat.S_ISREG(found.st_mode):
                        yield Stored(path.relative_to(self.root).as_posix(), found.st_size, found.st_mtime)

    def folders(self) -> Iterable[str]:
        with suppress(FileNotFoundError):
            return [path.name for path in self.root.iterdir() if path.is_dir()]
        return []

    def move(self, name: str, to: Place, new: str) -> None:
        target = Path(to.full(new))
        make_folder(target.parent)
        shutil.move(self.full(name), target)
        sync_folder(target.parent)

    def exists(self, name: str) -> bool:
        return self.full(name).exists()

    def remove(self, name: str) -> None:
        self.full(name).unlink(missing_ok=True)

    def remove_folder(self, name: str) -> None:
        shutil.rmtree(self.full(name))


def said(error: BaseException) -> str:
    """What a library says of a fault, in one line and without addresses, for an endpoint may hold a password."""
    first = next(iter(str(error).splitlines()), "") or type(error).__name__
    return URL.sub("…", first)[:200]
