"""Tasks give the same results in the same order wherever they run, through the death of a worker and through errors."""

import io
import os
import pickle
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

from liqtruth.compare.calibration.lake_samples import gather
from liqtruth.compare.workers import (
    THREADS,
    Failure,
    Workers,
    run_all,
)
from liqtruth.estimator.errors import UnknownChoice
from liqtruth.heatmap.errors import BadInput, LiqtruthError, MissingData, SourceUnreachable
from liqtruth.storage.store import Store
from tests.compare.calibrated_markets import PRIOR, random_series
from tests.compare.test_calibration_lake import COIN, READ_AT, stored_reading, stored_series
from tests.compare.worker_tasks import (
    Order,
    always_dies,
    ends_process,
    noted,
    put_first,
    refuses,
    solved_bytes,
    squared,
    take_out,
    threads_set,
    times_begun,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Address of a Dask cluster with two worker processes on this machine."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", host="127.0.0.1", silence_logs=50
    ) as running:
        yield running.scheduler_address


@pytest.fixture(params=["this process", "two processes", "cluster"])
def workers(request: pytest.FixtureRequest) -> Workers:
    if request.param == "cluster":
        return Workers(cluster=request.getfixturevalue("cluster"))
    return Workers(2 if request.param == "two processes" else 1)


def test_results_are_the_same_bytes_in_the_order_of_the_tasks(workers: Workers) -> None:
    result: list[float] = []
    tasks = [7, 1, 7, 0, 5, 3]
    with threadpool_limits(2, user_api="blas"):  # as on a machine of several cores, wherever the suite runs
        alone = {task: run_all(solved_bytes, [task])[0] for task in tasks}
        found = run_all(solved_bytes, tasks, workers, on_progress=result.append)
    assert found == [alone[task] for task in tasks]
    assert result == sorted(result)
    assert result[0] <= 1 / 6
    assert result[-1] == 1.0


def test_nothing_to_do_is_done_at_once() -> None:
    result: list[float] = []
    assert run_all(squared, [], Workers(2), on_progress=result.append) == []
    assert result == [1.0]


def test_of_tasks_that_fail_the_first_in_order_is_reported_as_itself(tmp_path: Path, cluster: str) -> None:
    """Number 3 has failed long before number 2, wherever two run at a time; what comes after is called off."""
    with pytest.raises(UnknownChoice) as caught:
        run_all(
            refuses, [Order(number, tmp_path, for_s=0.05) for number in range(40)], Workers(cluster=cluster)
        )
    assert str(caught.value) == "unknown weights 'waves'; known: flat, bell"
    assert len([*tmp_path.iterdir()]) < 10


@pytest.mark.parametrize(
    "error",
    [
        MissingData("nothing is stored of DOGE; fetch it first"),
        UnknownChoice("weights", "waves", ["flat", "bell"]),
        FileNotFoundError(2, "No such file", "/nowhere"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        ZeroDivisionError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_survives_its_way_between_processes(error: Exception) -> None:
    try:
        raise error
    except Exception as raised:
        again = pickle.loads(pickle.dumps(Failure.of(raised))).error()
    assert (type(again), str(again), again.args) == (type(error), str(error), error.args)
    if not isinstance(error, LiqtruthError):
        assert "test_an_error_survives" in "".join(again.__notes__), "a bug shows where in the worker it was"


@pytest.mark.parametrize("place", ["two processes", "cluster"])
def test_a_worker_that_is_killed_costs_only_its_task(
    tmp_path: Path, place: str, request: pytest.FixtureRequest
) -> None:
    def tell(share: float) -> None:
        if share == 7 / 8:
            (tmp_path / "all but one").touch()

    apart = place == "cluster"
    workers = Workers(cluster=request.getfixturevalue("cluster")) if apart else Workers(2)
    tasks = [Order(number, tmp_path, fatal=3, others_s=5 if apart else 60) for number in range(8)]
    assert run_all(noted, tasks, workers, on_progress=tell) == [*range(8)]
    assert [times_begun(tmp_path, number) for number in range(8)] == [1, 1, 1, 2, 1, 1, 1, 1]


def test_a_task_that_ends_every_process_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("liqtruth.compare.workers.LIVES", 1)
    with pytest.raises(SourceUnreachable, match=r"ended 1 times, .*fewer than --workers 2"):
        run_all(always_dies, [1, 2], Workers(2))


def test_processes_compute_with_one_thread_each(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(THREADS[0], "3")
    assert run_all(threads_set, [1, 2], Workers(2)) == [("3", "1", "1", "1")] * 2
    assert [os.environ.get(name) for name in THREADS] == ["3", None, None, None]


@pytest.mark.parametrize("listens", [False, True])
def test_no_scheduler_is_one_line_with_the_remedy(listens: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens at the port, or something that is no scheduler and never answers."""
    monkeypatch.setattr("liqtruth.compare.dask_cluster.CONNECT_S", 1.0)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        if listens:
            bound.listen()
        address = f"tcp://user:secret@127.0.0.1:{bound.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(SourceUnreachable) as caught:
            run_all(squared, [1], Workers(cluster=address))
    assert time.monotonic() - began < 20, "the deadline of a second, not the half minute of Dask's own"
    result = str(caught.value)
    assert caught.value.exit_code == 3
    assert address.replace("user:secret@", "") in result
    assert "dask scheduler" in result
    assert "--workers N" in result
    assert "\n" not in result


@pytest.mark.parametrize(
    "address", ["10.0.0.5", "htp://10.0.0.5:8786", "tcp://user:secret@10.0.0.5", "tcp://h:x", ""]
)
def test_what_is_no_address_is_refused_without_its_password(address: str) -> None:
    with pytest.raises(BadInput, match="no address of a Dask scheduler") as caught:
        run_all(squared, [1], Workers(cluster=address))
    assert "secret" not in str(caught.value)


def test_a_worker_of_another_version_is_refused(cluster: str, tmp_path: Path) -> None:
    """Found ahead of the installed one, as an older installation on another machine would be."""
    result = tmp_path / "liqtruth-0.0.9.dist-info" / "METADATA"
    result.parent.mkdir()
    result.write_text("Metadata-Version: 2.1\nName: liqtruth\nVersion: 0.0.9\n")
    with older_on_one_worker(cluster, tmp_path), pytest.raises(BadInput) as caught:
        run_all(squared, [1], Workers(cluster=cluster))
    assert f"has liqtruth 0.0.9, here it is {version('liqtruth')}" in str(caught.value)
    assert run_all(squared, [3], Workers(cluster=cluster)) == [9]


def test_a_scheduler_that_dies_is_reported_in_one_line() -> None:
    with own_scheduler() as (process, address):
        with pytest.raises(SourceUnreachable, match="was lost: run the command again") as caught:
            run_all(ends_process, [process.pid, 0], Workers(cluster=address))
        assert "\n" not in str(caught.value)


def test_nobody_waits_for_a_cluster_without_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its only worker ends while it computes, and none comes."""
    monkeypatch.setattr("liqtruth.compare.dask_cluster.WORKER_S", 2.0)
    with own_scheduler() as (_, address):
        with pytest.raises(SourceUnreachable, match="has had no worker for 2 s: start some") as caught:
            run_all(always_dies, [1, 2], Workers(cluster=address))
        assert "\n" not in str(caught.value)


def test_workers_are_at_least_one_and_in_one_place() -> None:
    with pytest.raises(BadInput, match="0 workers do nothing"):
        Workers(0)
    with pytest.raises(BadInput, match="one of both"):
        Workers(2, "tcp://127.0.0.1:8786")


@contextmanager
def older_on_one_worker(cluster: str, folder: Path) -> Iterator[None]:
    from distributed import Client

    with Client(cluster, set_as_default=False) as client:
        worker = sorted(client.nthreads())[0]
        client.run(put_first, str(folder), workers=[worker])
        try:
            yield
        finally:
            client.run(take_out, str(folder), workers=[worker])


@contextmanager
def own_scheduler() -> "Iterator[tuple[subprocess.Popen[bytes], str]]":
    """A scheduler and a worker as processes of their own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    port = address.rpartition(":")[2]
    called = (
        ["scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard"],
        ["worker", address, "--no-nanny", "--nthreads", "1", "--no-dashboard", "--death-timeout", "10"],
    )
    started = [
        subprocess.Popen([sys.executable, "-m", "dask", *words], cwd=ROOT, stderr=subprocess.DEVNULL)
        for words in called
    ]
    try:
        wait_until_it_listens(int(port))
        yield started[0], address
    finally:
        for process in started:
            process.kill()
            process.wait()


def wait_until_it_listens(port: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)


def content(value: object) -> bytes:
    """Every value anew where it stands: whether two names of one text are one object depends on the process."""
    stored = io.BytesIO()
    pickler = pickle.Pickler(stored)
    pickler.fast = True
    pickler.dump(value)
    return stored.getvalue()


def test_pairs_of_the_lake_are_the_same_bytes_on_a_cluster(store: Store, cluster: str) -> None:
    """The tasks of `calibrate fit` themselves: what they read is stored, what they are sent is where."""
    series = random_series(11)
    stored_series(store, series)
    for bar in READ_AT[:2]:
        stored_reading(store, series, bar)
    found = gather(store, [COIN], PRIOR, step=timedelta(hours=1), workers=Workers(cluster=cluster))
    alone = gather(store, [COIN], PRIOR, step=timedelta(hours=1))
    assert len(found.pairs) == 2
    assert len(found.refused) > 16, "more moments than one task has"
    assert [content(pair) for pair in found.pairs] == [content(pair) for pair in alone.pairs]
    assert found.refused == alone.refused
