"""A file that was written is on the disk, and so is its name: content first, then the name, and nothing is left."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.heatmap.writing import write_atomically
from liqtruth.storage.places.parquet import write_new, write_parquet
from liqtruth.storage.places.places import Folder

Write = Callable[[Path], object]
FRAME = pl.DataFrame({"a": [1.0]})
WRITERS: list[Write] = [
    lambda path: write_atomically(path, "content"),
    lambda path: write_parquet(FRAME, path),
    lambda path: write_new(FRAME, Folder(path.parent.parent), path.parent.name, path.stem),
]


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """What was forced to the disk: the name of a folder or `file`, and whether `made.parquet` had content by then."""
    found: list[tuple[str, bool]] = []
    real = os.fsync

    def noted(number: int) -> None:
        path = Path(f"/proc/self/fd/{number}").resolve()
        is_folder = stat.S_ISDIR(os.fstat(number).st_mode)
        made = next((path if is_folder else path.parent).rglob("made.parquet"), None)
        found.append((path.name if is_folder else "file", made is not None and made.stat().st_size > 0))
        real(number)

    monkeypatch.setattr(os, "fsync", noted)
    return found


@pytest.mark.parametrize("write", WRITERS)
def test_content_is_forced_before_its_name_and_the_folders_after(
    tmp_path: Path, synced: list[tuple[str, bool]], write: Write
) -> None:
    write(tmp_path / "one" / "two" / "made.parquet")
    assert synced == [(tmp_path.name, False), ("one", False), ("file", False), ("two", True)]
    assert [path.name for path in (tmp_path / "one" / "two").iterdir()] == ["made.parquet"]


@pytest.mark.parametrize("write", WRITERS[:2])
def test_what_was_there_stays_where_the_new_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Write
) -> None:
    path = tmp_path / "kept.parquet"
    path.write_text("before")

    def full(_number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LiqtruthError, match="No space left"):
        write(path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_pipe_is_written_to_and_not_replaced() -> None:
    write_atomically(Path("/dev/null"), "content")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@pytest.mark.parametrize("place", ["folder", "file/below", "x" * 300])
def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path, place: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(LiqtruthError, match="cannot write"):
        write_atomically(tmp_path / place, "content")
