"""The content of one file that a user names: unpacked, of bounded size, and known for what it is.

What a file is follows from its bytes, never from its name. Plain text, Parquet, gzip, zstd, LZ4 and zip archives are
read; anything else is refused by its own name with what to do about it.
"""

import gzip
import io
import lzma
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final

import lz4.frame
import zstandard

from liqtruth.storage.errors import TableRefused

MOST_BYTES: Final = 128 * 2**20
"""No content is larger once unpacked: parsed it then stays within a gigabyte."""
CHUNK: Final = 2**20
ZSTD_STEP: Final = 1024
"""So much of a zstd file is unpacked at once: it may grow thirty thousand fold, to 32 MB."""
WIDEST_WINDOW: Final = 2**27
LAYERS: Final = 3
"""An archive in an archive in an archive is the most that is opened."""
MOST_MEMBERS: Final = 1000

GZIP: Final = b"\x1f\x8b"
ZSTD: Final = b"\x28\xb5\x2f\xfd"
LZ4: Final = b"\x04\x22\x4d\x18"
ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")
PARQUET: Final = b"PAR1"
BOM: Final = b"\xef\xbb\xbf"
DAMAGED: Final = (
    *(EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError, zipfile.BadZipFile, RuntimeError),
    *(NotImplementedError, ValueError, OverflowError, OSError, lzma.LZMAError),
    *(LookupError, struct.error),
)
"""What the decompressors raise where a file breaks off or is damaged."""

UNPACK: Final = "unpack it and give the files in it"
EXPORT: Final = "export the table as CSV"
FOREIGN: Final[Sequence[tuple[bytes, str, str]]] = (
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (b"Rar!\x1a\x07", "a rar archive", UNPACK),
    (b"BZh", "bzip2", UNPACK),
    (b"\xfd7zXZ\x00", "xz", UNPACK),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook (xls)", EXPORT),
    (b"%PDF", "a PDF", EXPORT),
    (b"SQLite format 3\x00", "a SQLite database", EXPORT),
    (b"ARROW1", "an Arrow (Feather) file", "write it as Parquet or CSV"),
    (b"\x89HDF", "an HDF5 file", "write it as Parquet or CSV"),
    (b"ORC", "an ORC file", "write it as Parquet or CSV"),
    (b"Obj\x01", "an Avro file", "write it as Parquet or CSV"),
    (b"\x80\x04\x95", "a pickle of Python", "write it as Parquet or CSV"),
    (b"\x80\x05\x95", "a pickle of Python", "write it as Parquet or CSV"),
    (b"\x89PNG", "a picture", "give the data that it shows"),
    (b"\xff\xd8\xff", "a picture", "give the data that it shows"),
    (b"\x7fELF", "a program", "give a table"),
    (b"\xff\xfe\x00\x00", "UTF-32 text", "save it as UTF-8"),
    (b"\x00\x00\xfe\xff", "UTF-32 text", "save it as UTF-8"),
    (b"\xff\xfe", "UTF-16 text", "save it as UTF-8"),
    (b"\xfe\xff", "UTF-16 text", "save it as UTF-8"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself", "run `git lfs pull`"),
)
"""First bytes, what begins with them, and what to do."""
PAGE: Final = re.compile(rb"\s*<(!doctype|html|head|body|\?xml|svg|!--)", re.IGNORECASE)
NUMBERS: Final = re.compile(rb"[\s\"'\d.,;|+-]+")
NO_DATA: Final = re.compile(
    r"(^|/)(__MACOSX/|\.[^/]*$|[^/]*\.(checksum|sha256|md5)$|readme[^/]*$)", re.IGNORECASE
)
HEAD_BYTES: Final = 2**22
LONGEST_LINE: Final = 64 * 2**20
MOST_FOLD: Final = 100
"""A file that grows more when it is unpacked holds next to nothing."""


def read_content(path: Path, most_bytes: int = MOST_BYTES, most_members: int = MOST_MEMBERS) -> bytes:
    """The file's bytes, unpacked and without a byte order mark: UTF-8 text without NUL, or Parquet.

    A zip archive gives its one data file, or up to `most_members` that are one table, under one header. Raises
    `TableRefused` naming the file, what it is and what to do, also for more than `most_bytes`.
    """
    try:
        with opened(path) as file:
            content = _at_most(_pieces(file), most_bytes, path)
    except FileNotFoundError:
        raise TableRefused(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise TableRefused(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    return known_text(unpacked(content, path, most_bytes, most_members), path)


def opened(path: Path) -> IO[bytes]:
    """Never waits: a pipe without a writer would hold the program up for good."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    mode = os.fstat(handle).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(handle, "rb")
    os.close(handle)
    if stat.S_ISDIR(mode):
        raise TableRefused(f"{path}: is a directory; name the files in it")
    raise TableRefused(f"{path}: is a pipe or device, not a file; write its content into a file")


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    return iter(lambda: file.read(CHUNK), b"")


def _at_most(pieces: Iterator[bytes], most_bytes: int, path: Path) -> bytes:
    """The pieces in one, drawn only as far as they are wanted."""
    content = bytearray()
    for piece in pieces:
        content += piece
        if len(content) > most_bytes:
            raise TableRefused(
                f"{path}: larger than {most_bytes / 2**20:g} MB once unpacked, the most that is read; split it"
            )
    return bytes(content)


# ---------------------------------------------------------------------------------------- unpacking


def unpacked(
    content: bytes, path: Path, most_bytes: int = MOST_BYTES, most_members: int = MOST_MEMBERS
) -> bytes:
    """`content` out of whatever it is packed in; raises `TableRefused`."""
    for _ in range(LAYERS):
        unpack = _unpacker(content, most_members)
        if unpack is None:
            return content
        try:
            content = _at_most(unpack(content, path), most_bytes, path)
        except DAMAGED as error:
            cause = str(error) or type(error).__name__
            raise TableRefused(
                f"{path}: its compression is broken or unknown ({cause}); download it again"
            ) from None
    if _unpacker(content, most_members) is not None:
        raise TableRefused(f"{path}: archives in archives in archives; unpack them")
    return content


def _unpacker(content: bytes, most_members: int) -> Callable[[bytes, Path], Iterator[bytes]] | None:
    if content.startswith(GZIP):
        return lambda packed, path: _pieces(gzip.open(io.BytesIO(packed)))  # type: ignore[arg-type]
    if content.startswith(LZ4):
        return lambda packed, path: _pieces(lz4.frame.open(io.BytesIO(packed)))
    if content.startswith(ZSTD):
        return lambda packed, path: _zstd(packed)
    if content.startswith(ZIP):
        return lambda packed, path: _zip(packed, path, most_members)
    return None


def _zstd(packed: bytes) -> Iterator[bytes]:
    unpacker = zstandard.ZstdDecompressor(max_window_size=WIDEST_WINDOW)
    frame, at = unpacker.decompressobj(), 0
    while at < len(packed):
        step = packed[at : at + ZSTD_STEP]
        yield frame.decompress(step)
        at += len(step) - len(frame.unused_data)
        if frame.eof and at < len(packed):
            frame = unpacker.decompressobj()
    if not frame.eof:
        raise EOFError("it breaks off")


def _zip(packed: bytes, path: Path, most_members: int) -> Iterator[bytes]:
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
        if any(name == "[Content_Types].xml" or name.startswith(("xl/", "xl\\")) for name in names):
            raise TableRefused(f"{path}: is an Excel workbook (xlsx); {EXPORT}")
        if "mimetype" in names and "content.xml" in names:
            raise TableRefused(f"{path}: is an OpenDocument file; {EXPORT}")
        members = sorted(name for name in names if not NO_DATA.search(name))
        if not members:
            raise TableRefused(
                f"{path}: a zip archive without a data file; it holds {_some(names) or 'nothing'}"
            )
        if len(members) > most_members:
            raise TableRefused(
                f"{path}: a zip archive of {len(members)} files; give at most {most_members} in one"
            )
        header = b""
        for at, name in enumerate(members):
            with archive.open(name) as member:
                first = _first_line(member)
                header = header if at else first
                if at and not _continues(header, first):
                    raise TableRefused(
                        f"{path}: a zip archive of different tables ({_some([members[0], name])}); "
                        "unpack it and give them singly"
                    )
                yield first if not at or first.strip() != header.strip() else b""
                yield from _pieces(member)
            yield b"\n" if len(members) > 1 else b""


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")


def _first_line(member: IO[bytes]) -> bytes:
    """Also the whole of a member that is no text; a longer line than a chunk is not text."""
    return member.readline(CHUNK)


def _continues(header: bytes, first: bytes) -> bool:
    """Whether a member that begins with `first` goes on with the table under `header`.

    It does under the same header, without any where the first has none either, and as JSON lines.
    """
    if header.strip() == first.strip():
        return header.strip() not in (b"[", b"")
    if header[:1] == first[:1] == b"{":
        return True
    headless = all(NUMBERS.fullmatch(line) for line in (header, first))
    return headless and header.count(b",") == first.count(b",")


# ------------------------------------------------------------------------------------- what it is


def known_text(content: bytes, path: Path) -> bytes:
    """UTF-8 text without its byte order mark, or Parquet; raises `TableRefused` naming anything else."""
    if content.startswith(PARQUET):
        return content
    for head, what, remedy in FOREIGN:
        if content.startswith(head):
            raise TableRefused(f"{path}: is {what}; {remedy}")
    if content[257:262] == b"ustar":
        raise TableRefused(f"{path}: is a tar archive; {UNPACK}")
    if PAGE.match(content[:512]):
        raise TableRefused(f"{path}: is a web page (HTML or XML), not data; download the file itself")
    if b"\x00" in content:
        raise TableRefused(f"{path}: {_with_nul(content)}")
    text = content.removeprefix(BOM)
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError as error:
            line = text.count(b"\n", 0, error.start) + 1
            raise TableRefused(
                f"{path}: line {line}: byte 0x{text[error.start]:02x} is not UTF-8; save the file as UTF-8"
            ) from None
    return text


def _with_nul(content: bytes) -> str:
    at, head = content.index(b"\x00"), content[:512]
    if content.count(b"\x00", at) == len(content) - at > 1:
        return f"ends in zero bytes from byte {at + 1} on: it was not written to its end; export it again"
    if max(head[half::2].count(0) for half in (0, 1)) > 0.8 * (len(head) // 2):
        return "is UTF-16 text; save it as UTF-8"
    return "is binary, not a table; what is read is CSV, JSON, JSON lines or Parquet"


def head_of(path: Path) -> bytes:
    """The first whole lines of the file, unpacked, up to 4 MB; raises `TableRefused` for what cannot be read."""
    found = bytearray()
    for piece in _unpacked_pieces(path):
        found += piece
        if len(found) >= HEAD_BYTES:
            return bytes(found[: found.rfind(b"\n") + 1])
    return bytes(found)


def lines_of(path: Path) -> Iterator[bytes]:
    """Each line without its end, blank ones too where they stand between others; raises `TableRefused`."""
    rest = b""
    for piece in _unpacked_pieces(path):
        if piece.isspace() and not rest:
            continue
        *lines, rest = (rest + piece).split(b"\n")
        if len(rest) > LONGEST_LINE:
            raise TableRefused(f"{path}: a line longer than {LONGEST_LINE >> 20} MB; is it JSON lines?")
        yield from lines
    yield rest


def _unpacked_pieces(path: Path) -> Iterator[bytes]:
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
