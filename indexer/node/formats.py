"""How a node's files are packed: byte streams, plain, gzip or LZ4, and MessagePack documents walked as streams.

A file is recognised by its first bytes and never in memory as a whole. What comes out of an archive is bounded by what
went in: a stream that unpacks to more than `MOST_UNPACKED` allows is no node's file, and ends where that shows. Of a
document is read what is wanted; the rest is skipped, and what is wrong is named by its place.
"""

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, TypeAlias

import lz4.frame
import msgpack

from liqtruth.indexer.errors import ImportRefused, WireError

READ_BYTES: Final = 1 << 20
MOST_ITEMS: Final = 1 << 16
"""Of a list or map that is decoded whole; long ones are walked. A header of five bytes may announce four billion."""
LONGEST_TEXT: Final = 1 << 20
KIND: Final = "node state"
NOT_AS_DOCUMENTED: Final = (TypeError, ValueError, LookupError, ArithmeticError, AttributeError)

OnProgress: TypeAlias = Callable[[float], None]
GZIP: Final = b"\x1f\x8b"
LZ4: Final = b"\x04\x22\x4d\x18"
DAMAGED: Final = (EOFError, OSError, zlib.error, RuntimeError)
"""What reading and the decompressors raise where a file breaks off, is damaged or cannot be read on."""

FREE_BYTES: Final = 64 << 20
MOST_UNPACKED: Final = 25
"""An archive may unpack to `FREE_BYTES` and so many times its own size; a node's files unpack to 4 to 15 times."""
BUFFER_BYTES: Final = 1 << 20


@contextmanager
def open_binary(path: Path) -> Iterator[tuple[IO[bytes], Callable[[], float]]]:
    """The unpacked stream, and a function that gives which share of the file was read so far.

    Raises `ImportRefused` naming a file that is not there, is none (a pipe, a device) or cannot be read; the stream
    raises it for an archive that unpacks to more than it may.
    """
    try:
        if path.exists() and not path.is_file():
            raise ImportRefused(f"{path}: cannot be read: it is no regular file")
        raw = path.open("rb")
    except (OSError, ValueError) as error:
        raise ImportRefused(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    with raw:
        size = max(path.stat().st_size, 1)
        yield _unpacked(raw, path, size), lambda: raw.tell() / size


def _unpacked(raw: IO[bytes], path: Path, size: int) -> IO[bytes]:
    head = raw.read(4)
    raw.seek(0)
    if head[:2] == GZIP:
        return io.BufferedReader(_Bounded(gzip.open(raw), path, size), BUFFER_BYTES)
    if head == LZ4:
        return io.BufferedReader(_Bounded(lz4.frame.open(raw), path, size), BUFFER_BYTES)
    return raw


class _Bounded(io.RawIOBase):
    """An unpacking stream that ends with a refusal where it gives more than its file can contain."""

    def __init__(self, inner: Any, path: Path, size: int) -> None:
        self._inner, self._path = inner, path
        self._most = FREE_BYTES + MOST_UNPACKED * size
        self._given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._inner.read(len(buffer))
        buffer[: len(data)] = data
        self._given += len(data)
        if self._given > self._most:
            raise ImportRefused(
                f"{self._path}: unpacks to more than {self._most / 2**20:,.0f} MB, {MOST_UNPACKED} times its size; "
                "no node's file does"
            )
        return len(data)


@contextmanager
def as_documented(source: str, place: Callable[[], str]) -> Iterator[None]:
    """Refuses, naming the place, whatever is missing or of another type than the layout has."""
    try:
        yield
    except KeyError as error:
        raise WireError(KIND, source, f"{place()} lacks {error.args[0]!r}") from None
    except (*NOT_AS_DOCUMENTED, msgpack.FormatError, msgpack.StackError, msgpack.BufferFull) as error:
        text = f"{place()} is not laid out as documented: {str(error) or type(error).__name__}"
        raise WireError(KIND, source, text) from None


class Cursor:
    """Walks one MessagePack document; what the caller does not read of a field or item is skipped."""

    def __init__(self, stream: IO[bytes], source: str) -> None:
        self.source = source
        self.path: list[str] = []
        self._unread = True
        self._unpacker = msgpack.Unpacker(
            stream,
            read_size=READ_BYTES,
            raw=False,
            strict_map_key=False,
            unicode_errors="replace",
            max_array_len=MOST_ITEMS,
            max_map_len=MOST_ITEMS,
            max_str_len=LONGEST_TEXT,
            max_bin_len=LONGEST_TEXT,
            max_ext_len=LONGEST_TEXT,
        )

    @property
    def place(self) -> str:
        return "".join(self.path).lstrip(".") or "the document"

    def value(self) -> Any:
        """The next value, decoded whole."""
        self._unread = False
        return self._unpacker.unpack()

    def fields(self) -> Iterator[str]:
        """Names of a map's fields, each standing before its value."""
        self._unread = False
        for _ in range(self._header(self._unpacker.read_map_header, "map")):
            name = self._unpacker.unpack()
            if not isinstance(name, str):
                self.refuse(f"{self.place} has the key {name!r} where names are documented")
            yield from self._step(f".{name}", name)

    def items(self) -> Iterator[int]:
        """Indices of a list's items, each standing before its value."""
        self._unread = False
        for index in range(self._header(self._unpacker.read_array_header, "list")):
            yield from self._step(f"[{index}]", index)

    def entries(self) -> Iterator[Any]:
        """The items of a long list, each decoded whole."""
        self._unread = False
        unpack = self._unpacker.unpack
        length = self._header(self._unpacker.read_array_header, "list")
        self.path.append("")
        for index in range(length):
            self.path[-1] = f"[{index}]"
            yield unpack()
        self.path.pop()

    def refuse(self, problem: str) -> None:
        raise WireError(KIND, self.source, problem)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turns whatever goes wrong inside into one line that names the place in the document."""
        try:
            with as_documented(self.source, lambda: self.place):
                yield
        except (msgpack.OutOfData, *DAMAGED):
            read = self._unpacker.tell()
            self.refuse(f"cut off after {read:,} bytes, inside {self.place}; copy the file again")

    def _header(self, read: Callable[[], int], kind: str) -> int:
        try:
            return read()
        except ValueError:
            self.refuse(f"{self.place} is no {kind}; this is not a node's state (.rmp) as documented")
            raise

    def _step(self, name: str, given: Any) -> Iterator[Any]:
        self.path.append(name)
        self._unread = True
        yield given
        if self._unread:
            self._unpacker.skip()
        self._unread = False
        self.path.pop()
