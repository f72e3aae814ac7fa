"""A full disk: one clear line naming path and cause, nothing half-written, and what was stored before is whole."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest
from writers import RATES, frames, opened, rates, reading

from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.storage.errors import NotWritten
from liqtruth.storage.lake.lake import Lake
from liqtruth.storage.places.parquet import write_parquet
from liqtruth.storage.places.places import Folder
from liqtruth.storage.store import Store

DISK_BYTES = 3_000_000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of three megabytes; its tests skip where none may be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", place], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no small disk to fill: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def fill(disk: Path) -> None:
    """To the last byte."""
    with (disk / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(1 << 16)):
            pass
    with (disk / "filler").open("ab", buffering=0) as file, suppress(OSError):
        while file.write(b"x"):
            pass


def files_of(place: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in place.rglob("*.parquet")}


def stored(disk: Path) -> Store:
    store = opened(disk / "data", f"sqlite:///{disk.parent / 'tables.db'}")
    store.lake.write_reading(reading("r1", 1), frames(1))
    store.lake.merge_series("funding", "hyperliquid", "BTC", rates(range(24), 0.1), ["ts"])
    return store


def test_a_reading_that_does_not_fit_is_not_there_and_the_others_are(disk: Path) -> None:
    with stored(disk) as store:
        before = files_of(disk)
        fill(disk)
        for name in ("r1", "r2"):
            with pytest.raises(
                NotWritten, match=rf"cannot write .*{name}.*\.parquet: No space left on device"
            ):
                store.lake.write_reading(reading(name, 2), frames(2))
        assert files_of(disk) == before
        assert not list(disk.rglob("*.tmp"))
        assert store.lake.read_snapshots("positions", ["r1"])["szi"].unique().to_list() == [1.0]
        (disk / "filler").unlink()
        store.lake.write_reading(reading("r2", 2), frames(2))
        assert store.lake.read_snapshots("positions", ["r2"])["szi"].unique().to_list() == [2.0]


def test_a_series_that_does_not_fit_keeps_its_rows(disk: Path) -> None:
    with stored(disk) as store:
        before = files_of(disk)
        fill(disk)
        with pytest.raises(NotWritten, match="No space left on device"):
            store.lake.merge_series("funding", "hyperliquid", "BTC", rates(range(24), 0.2), ["ts"])
        assert files_of(disk) == before
        hourly = store.lake.read_series("funding", "hyperliquid", "BTC", RATES)
        assert hourly["rate"].unique().to_list() == [0.1]


def write_many(lake: Lake) -> None:
    """Readings until the pages that the database still has are used up."""
    for number in range(2, 500):
        lake.write_reading(reading(f"r{number}", number), frames(number))


def test_a_database_on_a_full_disk_says_so_and_keeps_its_rows(disk: Path) -> None:
    with opened(disk / "data", None) as store:
        store.lake.write_reading(reading("r1", 1), frames(1))
        lake = Lake(Folder(disk.parent / "lake"), store.database)
        fill(disk)
        with pytest.raises(LiqtruthError, match=r"cannot use the database .*: .*full; make room") as raised:
            write_many(lake)
        assert f"{disk}/data/liqtruth.db" in str(raised.value)
        assert "\n" not in str(raised.value)
        written = {path.stem for path in (disk.parent / "lake").rglob("positions/**/*.parquet")}
        (disk / "filler").unlink()
        with pytest.raises(LiqtruthError, match="no positions"):
            lake.read_snapshots("positions", [f"r{len(written) + 1}"])
        lake.write_reading(reading("last", 9), frames(9))
        assert lake.read_snapshots("positions", ["last"]).height == frames(9)["positions"].height
        assert store.lake.read_snapshots("positions", ["r1"]).height == frames(1)["positions"].height


def test_what_is_stored_on_a_disk_that_is_full_is_read_and_a_new_store_says_why_there_is_none(
    disk: Path,
) -> None:
    with opened(disk / "data", None) as store:
        store.lake.write_reading(reading("r1", 1), frames(1))
    fill(disk)
    with opened(disk / "data", None) as store:
        assert store.lake.read_snapshots("positions", ["r1"]).height == frames(1)["positions"].height
        (disk / "filler").unlink()
        with opened(disk / "data", None) as other:
            other.lake.write_reading(reading("r2", 2), frames(2))
        assert store.lake.read_snapshots("positions", ["r2"])["szi"].unique().to_list() == [2.0]
    fill(disk)
    with pytest.raises(LiqtruthError, match="make room on its disk"):
        opened(disk / "other", None)


CHILD = """
import resource, sys
from pathlib import Path
import numpy as np, polars as pl
from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.storage.lake.lake import Lake
from liqtruth.storage.places.parquet import write_parquet
from liqtruth.heatmap.writing import write_atomically
place = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
noise = pl.DataFrame({"a": np.random.default_rng(1).random(10_000)})
for write in (lambda: write_parquet(noise, place / "frame.parquet"),
              lambda: write_atomically(place / "map.json", "0123456789" * 10_000)):
    try:
        write()
    except LiqtruthError as error:
        print(error)
"""


def test_files_over_the_limit_of_a_process_are_refused_and_the_old_ones_kept(tmp_path: Path) -> None:
    """Where no disk can be mounted the system's limit on file sizes fails in mid-write all the same."""
    write_parquet(pl.DataFrame({"a": [1.0]}), tmp_path / "frame.parquet")
    (tmp_path / "map.json").write_text("{}")
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": "."},
    )
    reported = child.stdout.splitlines()
    assert [line.split(":")[0] for line in reported] == [
        f"cannot write {tmp_path / name}" for name in ("frame.parquet", "map.json")
    ]
    assert all("File too large" in line for line in reported)
    assert pl.read_parquet(tmp_path / "frame.parquet")["a"].to_list() == [1.0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["frame.parquet", "map.json"]
    assert (tmp_path / "map.json").read_text() == "{}"
