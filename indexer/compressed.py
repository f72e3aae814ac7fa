"""Files of a node as byte streams: plain, gzip or LZ4, told by their first bytes, never held whole."""

import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import lz4.frame

from indexer.errors import ImportRefused

GZIP: Final = b"\x1f\x8b"
LZ4: Final = b"\x04\x22\x4d\x18"
DAMAGED: Final = (EOFError, zlib.error, gzip.BadGzipFile, RuntimeError)
"""What the decompressors raise where the file breaks off or is damaged."""


@contextmanager
def open_binary(path: Path) -> Iterator[tuple[IO[bytes], Callable[[], float]]]:
    """The unpacked stream, and a function that tells which share of the file was read so far.

    Raises `ImportRefused` naming a file that is not there or cannot be read.
    """
    try:
        raw = path.open("rb")
    except OSError as error:
        raise ImportRefused(f"{path}: cannot be read: {error.strerror or error}") from None
    with raw:
        size = max(path.stat().st_size, 1)
        yield _unpacked(raw), lambda: raw.tell() / size


def _unpacked(raw: IO[bytes]) -> IO[bytes]:
    head = raw.read(4)
    raw.seek(0)
    if head[:2] == GZIP:
        return gzip.open(raw)  # type: ignore[return-value]
    if head == LZ4:
        stream: IO[bytes] = lz4.frame.open(raw)
        return stream
    return raw
