"""A file is what its bytes say: unpacked within bounds, or refused by its own name with what to do."""

import contextlib
import gzip
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import lz4.frame
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.storage.errors import TableRefused
from liqtruth.storage.files.content import MOST_BYTES, read_content

CSV = b"ts,rate\n1,2\n3,4\n"


def zipped(**members: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return packed.getvalue()


def tarred() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo("a.csv")
        entry.size = len(CSV)
        archive.addfile(entry, io.BytesIO(CSV))
    return packed.getvalue()


def content_of(tmp_path: Path, content: bytes, name: str = "file.csv", most_bytes: int = MOST_BYTES) -> bytes:
    path = tmp_path / name
    path.write_bytes(content)
    return read_content(path, most_bytes)


PACKED = {
    "plain": CSV,
    "bom": b"\xef\xbb\xbf" + CSV,
    "gzip": gzip.compress(CSV),
    "gzip of two members": gzip.compress(CSV[:8]) + gzip.compress(CSV[8:]),
    "zstd": zstandard.compress(CSV),
    "zstd of two frames": zstandard.compress(CSV[:8]) + zstandard.compress(CSV[8:]),
    "lz4": lz4.frame.compress(CSV),
    "zip": zipped(a__csv=CSV),
    "zip beside a read-me": zipped(a__csv=CSV, README__md=b"what it is", a__csv__CHECKSUM=b"abc"),
    "gzip in a zip": zipped(a__csv__gz=gzip.compress(CSV)),
    "bom in a zip": zipped(a__csv=b"\xef\xbb\xbf" + CSV),
}


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("name", ["file.csv", "file.json", "file.gz", "file"])
def test_what_a_file_is_packed_in_its_bytes_tell_and_not_its_name(
    tmp_path: Path, kind: str, name: str
) -> None:
    assert content_of(tmp_path, PACKED[kind], name) == CSV


def test_a_zip_of_several_parts_of_one_table_is_one_table(tmp_path: Path) -> None:
    packed = zipped(a1__csv=b"ts,rate\n1,2\n", a2__csv=b"ts,rate\r\n3,4\n", a3__csv=b"ts,rate\n5,6")
    assert content_of(tmp_path, packed).split() == [b"ts,rate", b"1,2", b"3,4", b"5,6"]
    packed = zipped(a1__csv=b"1,2\n", a2__csv=b"3,4\n")
    assert content_of(tmp_path, packed).split() == [b"1,2", b"3,4"]


FOREIGN = {
    "xlsx": (zipped(**{"[Content_Types]__xml": b"x", "xl/worksheets/sheet1__xml": b"x"}), "xlsx"),
    "xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "xls"),
    "ods": (zipped(mimetype=b"x", content__xml=b"x"), "OpenDocument"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(20), "7z"),
    "rar": (b"Rar!\x1a\x07\x00" + bytes(20), "rar"),
    "tar": (tarred(), "tar"),
    "tar.gz": (gzip.compress(tarred()), "tar"),
    "bzip2": (b"BZh91AY&SY", "bzip2"),
    "xz": (b"\xfd7zXZ\x00\x00", "xz"),
    "html": (b"\n<!DOCTYPE html><html>403</html>", "HTML"),
    "xml": (b"<?xml version='1.0'?><Error/>", "XML"),
    "utf-16": (CSV.decode().encode("utf-16"), "UTF-16"),
    "utf-16 without a mark": (CSV.decode().encode("utf-16-le"), "UTF-16"),
    "utf-16 backwards": (CSV.decode().encode("utf-16-be"), "UTF-16"),
    "utf-32": (CSV.decode().encode("utf-32"), "UTF-32"),
    "latin-1": (b"ts,n\xe4me\n1,2\n", "line 1: byte 0xe4 is not UTF-8"),
    "nul": (b"ts,rate\n1,\x002\n", "binary"),
    "zeros at the end": (CSV + bytes(100), "zero bytes"),
    "git lfs": (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
    "sqlite": (b"SQLite format 3\x00" + bytes(50), "SQLite"),
    "two tables in a zip": (zipped(a__csv=CSV, b__csv=b"x,y\n1,2\n"), "different tables"),
    "two documents in a zip": (zipped(a__json=b"[\n1]", b__json=b"[\n2]"), "different tables"),
    "an empty zip": (zipped(), "without a data file"),
    "a cut gzip": (gzip.compress(CSV)[:-6], "broken"),
    "a gzip with a wrong checksum": (gzip.compress(CSV)[:-8] + bytes(8), "broken"),
    "a cut zstd": (zstandard.compress(CSV)[:-4], "broken"),
    "the head of a zstd": (b"\x28\xb5\x2f\xfd\x04\x00", "broken"),
    "a cut zip": (zipped(a__csv=CSV)[:-30], "broken"),
    "a cut lz4": (lz4.frame.compress(CSV)[:-6], "broken"),
    "many layers": (gzip.compress(gzip.compress(gzip.compress(gzip.compress(CSV)))), "archives in archives"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_cannot_be_read_is_called_by_its_name(tmp_path: Path, kind: str) -> None:
    content, message = FOREIGN[kind]
    with pytest.raises(TableRefused) as refused:
        content_of(tmp_path, content)
    assert message in str(refused.value)
    assert "file.csv" in str(refused.value)


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (
        pipe,
        tmp_path,
        Path("/dev/zero"),
        tmp_path / "none",
        tmp_path / "loop",
        Path("a\x00b"),
        Path("x" * 5000),
    ):
        with pytest.raises(TableRefused):
            read_content(path)


def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "closed.csv"
    path.write_bytes(CSV)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(TableRefused, match="Permission denied"):
        read_content(path)


@pytest.mark.parametrize(
    "pack",
    [bytes, gzip.compress, zstandard.compress, lz4.frame.compress, lambda content: zipped(a__csv=content)],
)
def test_content_that_is_larger_than_the_cap_is_refused_and_one_that_is_as_large_is_read(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    whole = b"1" * 50_000
    assert content_of(tmp_path, pack(whole), most_bytes=50_000) == whole
    with pytest.raises(TableRefused, match="larger than"):
        content_of(tmp_path, pack(whole), most_bytes=49_999)


@pytest.mark.parametrize("how", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_member_of_a_zip_is_refused_whatever_packs_it(tmp_path: Path, how: int) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", how) as archive:
        archive.writestr("a.csv", CSV * 50)
        size = archive.infolist()[0].compress_size
    content, start, refused = packed.getvalue(), 30 + len("a.csv"), 0
    for at in range(start, start + size):
        damaged = content[:at] + bytes([content[at] ^ 0x55]) + content[at + 1 :]
        try:
            assert content_of(tmp_path, damaged) == CSV * 50, "the last bits mean nothing"
        except TableRefused:
            refused += 1
    assert refused > size / 2


BOMBS = """
import gzip, sys, lz4.frame, zstandard
from pathlib import Path

content = bytes(300 * 2**20)
zipped = gzip.compress(content, 1)
packed = {
    "gzip": zipped,
    "gzip of gzip": gzip.compress(zipped),
    "zstd": zstandard.compress(content),
    "lz4": lz4.frame.compress(content),
}
for name, bomb in packed.items():
    (Path(sys.argv[1]) / name).write_bytes(bomb)
"""
READ = """
import re, sys
from pathlib import Path
from liqtruth.storage.errors import TableRefused
from liqtruth.storage.files.content import read_content

for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        read_content(path)
    except TableRefused:
        peak = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]
        print(path.name, peak, sep=": ")
"""


def test_a_bomb_ends_early_and_takes_little_memory(tmp_path: Path) -> None:
    """They are read by a process of its own, whose peak is its own."""
    subprocess.run([sys.executable, "-c", BOMBS, str(tmp_path)], check=True)
    command = [sys.executable, "-c", READ, str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    peaks = dict(line.split(": ") for line in done.stdout.splitlines())
    assert list(peaks) == ["gzip", "gzip of gzip", "lz4", "zstd"]
    assert all(int(peak) < 500_000 for peak in peaks.values()), "kB"


@given(
    st.sampled_from(sorted(PACKED)),
    st.lists(st.tuples(st.integers(0, 200), st.binary(max_size=3)), min_size=1, max_size=4),
)
def test_damage_anywhere_ends_in_content_or_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, kind: str, changes: list[tuple[int, bytes]]
) -> None:
    content = PACKED[kind]
    for at, new in changes:
        content = content[: at % (len(content) + 1)] + new + content[at % (len(content) + 1) + 1 :]
    with contextlib.suppress(TableRefused):
        assert isinstance(content_of(tmp_path_factory.mktemp("damaged"), content), bytes)
