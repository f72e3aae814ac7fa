"""A file of the lake that somebody deleted or cut off is named in one line, and the rest stays readable."""

import random
from pathlib import Path

import pytest
from writers import RATES, frames, opened, rates, reading

from storage.errors import FileDamaged
from storage.store import Store


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
        ) as told:
            store.lake.read_snapshots("positions", ["r1"])
        assert "\n" not in str(told.value)
        assert store.lake.read_snapshots("positions", ["r2"]).height > 0


def test_a_deleted_day_is_named_to_readers_and_to_whoever_would_add_to_it(tmp_path: Path) -> None:
    with stored(tmp_path) as store:
        next(store.lake.root.rglob("series*.parquet")).unlink()
        with pytest.raises(FileDamaged, match="gone"):
            store.lake.read_series("funding", "hyperliquid", "BTC", RATES)
        with pytest.raises(FileDamaged, match="gone"):
            store.lake.merge_series("funding", "hyperliquid", "BTC", rates(range(2), 0.2), ["ts"])


def test_a_file_cut_off_anywhere_is_named(tmp_path: Path) -> None:
    chance = random.Random(7)
    with stored(tmp_path) as store:
        path = file_of(store, "r1")
        whole = path.read_bytes()
        for size in (0, 3, 11, len(whole) - 1, *(chance.randrange(len(whole)) for _ in range(40))):
            path.write_bytes(whole[:size])
            with pytest.raises(FileDamaged, match=r"r1\.parquet is damaged: .*; restore it") as told:
                store.lake.read_snapshots("positions", ["r1"], "ETH")
            assert "\n" not in str(told.value)
        path.write_bytes(whole)
        assert store.lake.read_snapshots("positions", ["r1"]).height > 0


def test_a_file_of_other_bytes_is_named(tmp_path: Path) -> None:
    chance = random.Random(8)
    with stored(tmp_path) as store:
        path = file_of(store, "r1")
        path.write_bytes(chance.randbytes(5000))
        with pytest.raises(FileDamaged, match=r"r1\.parquet is damaged"):
            store.lake.read_snapshots("positions", ["r1"])
