"""`calibrate fit` on a Dask cluster whose workers read the lake of an object store, as machines of a cluster do."""

import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from liqtruth.storage.store import Settings, Store
from tests.compare.calibrated_markets import random_series
from tests.compare.test_calibration_lake import COIN, READ_AT, stored_reading, stored_series
from tests.conftest import called
from tests.storage.object_store import new_bucket, serving


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with serving():
        yield new_bucket()


@pytest.fixture(scope="module")
def cluster(bucket: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Two workers that have the keys of the store and a data directory of their own, as another machine's have."""
    from distributed import LocalCluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("worker")))
        with LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            host="127.0.0.1",
            silence_logs=50,
        ) as running:
            yield running.scheduler_address


def stored(store: Store) -> None:
    series = random_series(11)
    stored_series(store, series)
    for bar in READ_AT:
        stored_reading(store, series, bar)


def fitted(line: list[str]) -> dict[str, Any]:
    done = called([*line, "--json"])
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_it_is_the_fit_of_the_same_lake_in_a_folder(
    bucket: str, cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "own"))
    tables = f"sqlite:///{tmp_path / 'shared.db'}"
    for settings in (Settings(data_dir=bucket, database_url=tables), Settings(data_dir=tmp_path / "folder")):
        with Store.open(settings) as store:
            stored(store)
    asked = ["calibrate", "fit", COIN, "--step", "12h"]
    apart = fitted(["--data-dir", bucket, "--database-url", tables, *asked, "--cluster", cluster])
    alone = fitted(["--data-dir", str(tmp_path / "folder"), *asked])
    assert f"{len(READ_AT)} samples" in str(apart["note"])
    assert apart == alone


def test_what_is_of_one_machine_alone_does_not_go_along(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "here"))
    sent = [
        Settings(data_dir=bucket, database_url="sqlite:///shared.db"),
        Settings(data_dir=tmp_path / "own"),
    ]
    written = pickle.dumps(sent)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "there"))
    shared, own = pickle.loads(written)
    assert shared.data_dir.is_relative_to(tmp_path / "there")
    assert (shared.lake_url, shared.database_url) == (sent[0].lake_url, sent[0].database_url)
    assert own == sent[1]
