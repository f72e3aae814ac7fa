"""Lines of a file that need not fit in memory: plain, gzip or zstd, unpacked as they are read."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

import zstandard

from liqtruth.storage.errors import TableRefused
from liqtruth.storage.files.content import BOM, DAMAGED, GZIP, MOST_BYTES, WIDEST_WINDOW, ZSTD, opened

CHUNK: Final = 2**20
HEAD_BYTES: Final = 2**22
LONGEST_LINE: Final = 64 * 2**20
MOST_FOLD: Final = 100
"""A file that grows more when it is unpacked holds next to nothing."""


def head_of(path: Path) -> bytes:
    """The first whole lines of the file, unpacked, up to 4 MB; raises `TableRefused` for what cannot be read."""
    found = bytearray()
    for piece in _pieces(path):
        found += piece
        if len(found) >= HEAD_BYTES:
            return bytes(found[: found.rfind(b"\n") + 1])
    return bytes(found)


def lines_of(path: Path) -> Iterator[bytes]:
    """Each line without its end, blank ones too where they stand between others; raises `TableRefused`."""
    rest = b""
    for piece in _pieces(path):
        if piece.isspace() and not rest:
            continue
        *lines, rest = (rest + piece).split(b"\n")
        if len(rest) > LONGEST_LINE:
            raise TableRefused(f"{path}: a line longer than {LONGEST_LINE >> 20} MB; is it JSON lines?")
        yield from lines
    yield rest


def _pieces(path: Path) -> Iterator[bytes]:
    total = 0
    try:
        with opened(path) as file:
            most = max(MOST_BYTES, MOST_FOLD * path.stat().st_size)
            unpacked = _unpacking(file)
            while piece := unpacked.read(CHUNK):
                total += len(piece)
                if total > most:
                    raise TableRefused(
                        f"{path}: grows more than {MOST_FOLD} fold when it is unpacked; split it"
                    )
                yield piece.removeprefix(BOM) if total == len(piece) else piece
    except FileNotFoundError:
        raise TableRefused(f"{path}: no such file") from None
    except DAMAGED as error:
        raise TableRefused(f"{path}: its compression is broken ({error}); download it again") from None
    except OSError as error:
        raise TableRefused(f"{path}: cannot be read: {error.strerror or error}") from None


def _unpacking(file: IO[bytes]) -> Any:
    head = file.read(4)
    file.seek(0)
    if head.startswith(GZIP):
        return gzip.open(file)
    if head.startswith(ZSTD):
        unpacker = zstandard.ZstdDecompressor(max_window_size=WIDEST_WINDOW)
        return unpacker.stream_reader(file, read_across_frames=True)
    return file
