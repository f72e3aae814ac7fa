"""Files of a node as byte streams: plain, gzip or LZ4, recognised by their first bytes, never held whole.

What comes out of an archive is bounded by what went in: a stream that unpacks to more than `MOST_UNPACKED` allows is no
node's file, and ends where that shows.
"""

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import lz4.frame

from liqtruth.indexer.errors import ImportRefused

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
    """The unpacked stream, and a function that tells which share of the file was read so far.

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
    """An unpacking stream that ends with a refusal where it gives more than its file can have held."""

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
