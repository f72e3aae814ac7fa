"""A file of the lake that somebody deleted or cut off is named in one line, and the rest stays readable."""

import json
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from writers import RATES, frames, opened, rates, reading

from liqtruth.indexer.files.imports import import_paths
from liqtruth.storage.errors import FileDamaged, FileUnreadable
from liqtruth.storage.store import Store

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Harm = Callable[[Path], object]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


HARMS: list[Harm] = [
    Path.unlink,
    cut,
    lambda path: path.write_bytes(b""),
    lambda path: path.write_text("x" * 999),
]


def stored(tmp_path: Path) -> Store:
    store = opened(tmp_path, None)
    for number in (1, 2):
        store.lake.write_reading(reading(f"r{number}", number), frames(number))
    store.lake.merge_series("funding", "hyperliquid", "BTC", rates(range(24), 0.1), ["ts"])
    return store


def file_of(store: Store, name: str) -> Path:
    return next(store.lake.root.rglob(f"positions/**/{name}.parquet"))


def test_a_deleted_file_is_named_with_the_remedy(tmp_path: Path) -> None:
    with stored(tmp_path) as store:
        file_of(store, "r1").unlink()
        with pytest.raises(
            FileDamaged, match=r"r1\.parquet is gone, though it was stored; restore it"
        ) as raised:
            store.lake.read_snapshots("positions", ["r1"])
        assert "\n" not in str(raised.value)
        assert store.lake.read_snapshots("positions", ["r2"]).height > 0


@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_day_is_named_to_readers_and_replaced_by_whoever_brings_it_again(
    tmp_path: Path, harm: Harm
) -> None:
    with stored(tmp_path) as store:
        store.lake.merge_series("funding", "hyperliquid", "BTC", rates(range(24, 48), 0.1), ["ts"])
        before = store.lake.read_series("funding", "hyperliquid", "BTC", RATES)
        harm(sorted(store.lake.root.rglob("series*.parquet"))[0])
        with pytest.raises(FileDamaged, match="import the same again"):
            store.lake.read_series("funding", "hyperliquid", "BTC", RATES)
        damaged: list[FileDamaged] = []
        rest = store.lake.read_series("funding", "hyperliquid", "BTC", RATES, damaged=damaged)
        assert len(damaged) == 1
        assert 0 < rest.height < before.height
        added = store.lake.merge_series("funding", "hyperliquid", "BTC", rates(range(48), 0.1), ["ts"])
        assert added == before.height - rest.height
        assert len(store.lake.replaced) == 1
        assert store.lake.read_series("funding", "hyperliquid", "BTC", RATES).equals(before)


def test_a_day_that_the_system_does_not_let_us_read_is_not_replaced(tmp_path: Path) -> None:
    with stored(tmp_path) as store:
        path = next(store.lake.root.rglob("series*.parquet"))
        path.unlink()
        path.mkdir()
        with pytest.raises(FileUnreadable):
            store.lake.merge_series("funding", "hyperliquid", "BTC", rates(range(2), 0.2), ["ts"])


@pytest.mark.parametrize("harm", HARMS)
def test_a_reading_written_again_takes_the_place_of_its_damaged_file(tmp_path: Path, harm: Harm) -> None:
    with stored(tmp_path) as store:
        before = store.lake.read_snapshots("positions", ["r1"])
        harm(file_of(store, "r1"))
        with pytest.raises(FileDamaged, match="liqtruth index forget r1"):
            store.lake.read_snapshots("positions", ["r1"])
        store.lake.write_reading(reading("r1", 1), frames(1))
        assert store.lake.read_snapshots("positions", ["r1"]).equals(before)


HOURS = [f"2026-08-0{day}T{hour:02}:00:00Z" for day in (1, 2) for hour in range(24)]
FEEDS = {
    "candles.csv": "ts,open,high,low,close,volume\n" + "".join(f"{ts},10,12,9,11,5\n" for ts in HOURS),
    "hours.csv": "ts,open_interest,open_interest_usd\n" + "".join(f"{ts},100,1100\n" for ts in HOURS),
}


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("which", ["candles", "open_interest", "*"])
def test_importing_a_feed_again_heals_it_and_the_status_names_what_is_damaged(
    run: Run, tmp_path: Path, harm: Harm, which: str
) -> None:
    for name, text in FEEDS.items():
        (tmp_path / name).write_text(text)
    files = [str(tmp_path / name) for name in FEEDS]
    words = ("feed", "import", *files, "--venue", "okx", "--coin", "SOL")
    run(*words)
    whole = json.loads(run("feed", "status", "--json").stdout)
    assert len(whole) == 2
    hurt = sorted((tmp_path / "data" / "lake" / which.replace("*", "candles")).rglob("*.parquet"))[:1]
    for path in hurt if which != "*" else (tmp_path / "data" / "lake").rglob("*.parquet"):
        harm(path)
    reported = json.loads(run("feed", "status", "--json", code=3).stdout)
    assert {one["dataset"] for one in reported if one["damaged"]} == (
        {which} if which != "*" else {"candles", "open_interest"}
    )
    assert [one["rows"] for one in reported if not one["damaged"]] == ([] if which == "*" else [48])
    assert "damaged" in run("feed", "status", code=3).stderr
    run(*words)
    assert [one["rows"] for one in json.loads(run("feed", "status", "--json").stdout)] == [48, 48]


ADDRESS = "0x" + "ab" * 20
TRUTH = f"time,coin,user,szi,entryPx,markPx,liquidationPx\n2026-08-01T00:00:00Z,BTC,{ADDRESS},1,100,101,60\n"


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A table, and a data directory into which it was imported."""
    folder = tmp_path_factory.mktemp("imported")
    (folder / "truth.csv").write_text(TRUTH)
    with opened(folder / "data", None) as store:
        import_paths(store, [folder / "truth.csv"])
    return folder / "truth.csv", folder / "data"


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("remedy", ["import", "forget"])
def test_both_remedies_of_a_damaged_reading_work(
    run: Run, tmp_path: Path, imported: tuple[Path, Path], harm: Harm, remedy: str
) -> None:
    table, whole = imported
    shutil.copytree(whole, tmp_path / "data")
    for path in (tmp_path / "data" / "lake").rglob("*.parquet"):
        harm(path)
    message = run("map", "exact", "BTC", code=1).stderr
    if remedy == "forget":
        run("index", "forget", message.split("index forget ")[1].strip())
    run("index", "import", str(table))
    run("map", "exact", "BTC", "--json")


def test_a_file_cut_off_anywhere_is_named(tmp_path: Path) -> None:
    chance = random.Random(7)
    with stored(tmp_path) as store:
        path = file_of(store, "r1")
        whole = path.read_bytes()
        for size in (0, 3, 11, len(whole) - 1, *(chance.randrange(len(whole)) for _ in range(40))):
            path.write_bytes(whole[:size])
            with pytest.raises(FileDamaged, match=r"r1\.parquet is damaged: .*; restore it") as raised:
                store.lake.read_snapshots("positions", ["r1"], "ETH")
            assert "\n" not in str(raised.value)
        path.write_bytes(whole)
        assert store.lake.read_snapshots("positions", ["r1"]).height > 0


def test_a_file_of_other_bytes_is_named(tmp_path: Path) -> None:
    chance = random.Random(8)
    with stored(tmp_path) as store:
        path = file_of(store, "r1")
        path.write_bytes(chance.randbytes(5000))
        with pytest.raises(FileDamaged, match=r"r1\.parquet is damaged"):
            store.lake.read_snapshots("positions", ["r1"])
