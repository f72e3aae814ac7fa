"""A lake in an object store: the same reads as in a folder, any number of readers, writers that take turns.

The store is a server that speaks S3 on loopback, the database a file or a PostgreSQL server.
"""

import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from databases import emptied
from object_store import new_bucket, serving
from polars.testing import assert_frame_equal
from test_archives import assert_same, everything, write
from test_compaction import NOW as AFTER
from test_compaction import interest
from test_lake import SCHEMA, START, positions, series
from test_postgresql import reading

from liqtruth.estimator.frames import DATASETS
from liqtruth.heatmap.errors import BadInput, LiqtruthError, SourceUnreachable
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.server import SandboxServer
from liqtruth.storage.database.turns import claimed
from liqtruth.storage.errors import FileDamaged, NothingStored, NotWritten, OtherDatabase
from liqtruth.storage.lake.tidy import ASIDE
from liqtruth.storage.places import bucket as buckets
from liqtruth.storage.places.bucket import Bucket
from liqtruth.storage.store import Settings, Store
from liqtruth.storage.upkeep.compaction import compact
from tests.conftest import called


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[str]:
    with serving() as url:
        yield url


ON_FILE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what does not depend on where the tables are."""


@pytest.fixture
def url() -> str:
    return new_bucket()


def opened(url: str, database_url: str) -> Store:
    return Store.open(Settings(data_dir=url, database_url=database_url))


@pytest.fixture
def shared(url: str, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """An empty lake in a bucket, on each of the two databases."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "own"))
    with opened(url, database_url) as store:
        yield store


def test_a_lake_in_a_bucket_reads_as_one_in_a_folder(shared: Store, tmp_path: Path) -> None:
    with Store.open(Settings(data_dir=tmp_path / "folder")) as folder:
        for store in (shared, folder):
            write(store, range(3))
            for hours in ([2, 3], [3, 4], [30]):
                store.lake.merge_series("funding", "okx", "a/b #1", series(hours, 0.1), ["ts"])
        assert_same(everything(shared), everything(folder))
        read = [store.lake.read_series("funding", "okx", "a/b #1", SCHEMA) for store in (shared, folder)]
    assert_frame_equal(*read, check_exact=True)
    assert not list((tmp_path / "own").rglob("*.parquet"))


@ON_FILE
def test_another_machine_reads_what_one_has_written(shared: Store, url: str, database_url: str) -> None:
    write(shared, range(2))
    before = everything(shared)
    with opened(url, database_url) as other:
        assert_same(everything(other), before)
        other.lake.forget("book-000", lambda session: None)
    with pytest.raises(NothingStored):
        shared.lake.read_snapshots("positions", ["book-000"])


@ON_FILE
def test_a_reading_that_is_stored_again_takes_the_place_of_the_old_and_leaves_no_object(
    shared: Store,
) -> None:
    for _ in range(2):
        shared.lake.write_reading(reading("r1"), {"positions": positions("BTC", START)})
    assert len(list(shared.lake.place.files())) == 1
    assert shared.lake.tidy(older_than=timedelta(minutes=-1)).files == 0


@ON_FILE
def test_books_and_series_are_put_together_in_a_bucket_and_read_as_before(shared: Store) -> None:
    write(shared, range(4))
    shared.lake.merge_series(
        "open_interest", "okx", "BTC", interest(START - timedelta(days=60), 2), DATASETS["open_interest"].key
    )
    before, was = everything(shared), len(list(shared.lake.place.files()))
    done = compact(shared.lake, now=AFTER)
    assert done.archives > 0
    assert done.series == 1
    assert_same(everything(shared), before)
    assert len(list(shared.lake.place.files())) < was
    assert shared.lake.tidy(older_than=timedelta(minutes=-1)).files == 0


@ON_FILE
def test_an_object_that_nothing_points_to_is_set_aside(shared: Store, url: str) -> None:
    shared.lake.place.put("funding/okx/orphan.parquet", b"orphan")
    found = shared.lake.tidy(older_than=timedelta(minutes=-1))
    assert found.paths == ("funding/okx/orphan.parquet",)
    aside = Bucket.of(url).below(ASIDE)
    assert [one.name.partition("/")[2] for one in aside.files()] == ["funding/okx/orphan.parquet"]
    assert list(aside.folders()) == [Path(found.aside).name]
    aside.remove_folder(Path(found.aside).name)
    assert not list(aside.files())


@ON_FILE
def test_a_file_that_is_gone_or_cut_off_is_named_with_its_url(shared: Store, url: str) -> None:
    write(shared, range(1))
    for harm in (
        lambda name: shared.lake.place.put(name, b"PAR1"),
        shared.lake.place.remove,
    ):
        harm(next(one.name for one in shared.lake.place.files() if one.name.startswith("positions/")))
        with pytest.raises(FileDamaged, match=f"{url}/lake/positions/"):
            shared.lake.read_snapshots("positions", ["book-000"])


# ------------------------------------------------------------------------------------ several writers


def test_machines_that_merge_the_same_series_at_once_lose_no_row(
    url: str, postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each from a store of its own, so that nothing but the database holds them apart."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    emptied(postgresql_url)
    opened(url, postgresql_url).close()

    def merge(first: int) -> int:
        with opened(url, postgresql_url) as store:
            return sum(
                store.lake.merge_series("funding", "okx", "BTC", series([hour], float(hour)), ["ts"])
                for hour in range(first, 12, 3)
            )

    with ThreadPoolExecutor(3) as pool:
        assert sum(pool.map(merge, range(3))) == 12
    with opened(url, postgresql_url) as store:
        rates = store.lake.read_series("funding", "okx", "BTC", SCHEMA)["rate"].to_list()
        assert rates == [float(hour) for hour in range(12)]
        assert store.lake.tidy(older_than=timedelta(minutes=-1)).files == 0


def test_what_runs_once_is_refused_to_a_second_and_free_after_the_first(shared: Store) -> None:
    with (
        shared.lake.alone("compact", "a compaction"),
        pytest.raises(LiqtruthError, match="runs already"),
        claimed(shared.database, "compact", "a compaction"),
    ):
        pass
    with shared.lake.alone("compact", "a compaction"):
        pass


# ------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    "given",
    [
        "s3://desk:hunter2-hunter2@lake/one", "s3://lake/one?key=hunter2-hunter2", "s3://", "s3://lake/a/../b",
        "gs://hunter2-hunter2/one", "https://hunter2-hunter2/one", "s3://[hunter2-hunter2",
    ],
)  # fmt: skip
def test_what_is_no_bucket_is_refused_and_not_shown(given: str) -> None:
    with pytest.raises(BadInput, match="s3://bucket/prefix") as result:
        Settings(data_dir=given)
    assert "hunter2" not in str(result.value)


def test_a_shared_lake_without_a_database_of_its_own_is_refused_with_the_remedy(url: str) -> None:
    with pytest.raises(BadInput, match="LIQTRUTH_DATABASE_URL=postgresql://"):
        Store.open(Settings(data_dir=url, database_url=None))


@ON_FILE
def test_another_lake_on_the_same_database_is_refused(shared: Store, database_url: str) -> None:
    with pytest.raises(OtherDatabase, match="s3://"):
        opened(new_bucket(), database_url)


@ON_FILE
def test_faults_of_the_store_are_one_line_without_keys_or_address(
    shared: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    write(shared, range(1))
    monkeypatch.setattr(buckets, "TRIES", 0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://desk:hunter2-hunter2@127.0.0.1:9")
    away = Store(shared.settings, shared.database, type(shared.lake)(shared.settings.place, shared.database))
    said = []
    for kind, work in (
        (FileDamaged, lambda: away.lake.read_snapshots("positions", ["book-000"])),
        (NotWritten, lambda: write(away, range(1, 2))),
        (SourceUnreachable, lambda: Store.open(shared.settings)),
    ):
        with pytest.raises(kind) as result:
            work()
        said.append(str(result.value))
    assert all("AWS_ENDPOINT_URL" in line and "\n" not in line for line in said), said
    assert not any(secret in line for line in [*said, caplog.text] for secret in ("hunter2", "127.0.0.1"))


@ON_FILE
def test_commands_store_and_read_in_a_bucket_as_in_a_folder(
    shared: Store,
    url: str,
    database_url: str,
    tmp_path: Path,
    served: SandboxServer,
    small_market: Market,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address_file = tmp_path / "addresses.txt"
    address_file.write_text("\n".join(small_market.addresses[:20]))
    maps = []
    for place, tables in ((url, database_url), (str(tmp_path / "folder"), "")):
        monkeypatch.setenv("LIQTRUTH_DATABASE_URL", tables)
        for line in (
            ["index", "sweep", "--addresses", str(address_file), "--base-url", served.base_url],
            ["index", "compact"],
            ["map", "exact", "BTC", "--json"],
        ):
            done = called(["--data-dir", place, *line])
            assert done.returncode == 0, (line, done.stderr)
        maps.append(json.loads(done.stdout))
    assert maps[0] == maps[1]
    assert maps[0]["coverage"]["positions"] > 0
