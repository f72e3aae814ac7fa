"""A Dask cluster as a backend of joblib's, on which `compare.workers` runs tasks.

joblib has one of its own, which computes here where a cluster has a single thread, and waits for ever for a task that
ends its workers. Workers must see the same data directory or lake, and have the versions in `SAME`: another numpy may
round differently, another liqtruth may mean something else. Workers that come later are looked at as well.
"""

import asyncio
import logging
import threading
import time
import warnings
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from weakref import WeakSet

from joblib.parallel import ParallelBackendBase

from liqtruth.heatmap.errors import BadInput, LiqtruthError, SourceUnreachable

if TYPE_CHECKING:
    from distributed import Client

CONNECT_S: Final = 5.0
WORKER_S: Final = 30.0
"""How long a cluster may be without any worker."""
PAUSE_S: Final = 0.2
TICK_S: Final = 1.0
RETRIES: Final = 2
SAME: Final = ("liqtruth", "distributed", "numpy", "scipy", "polars")
SCHEMES: Final = ("tcp", "tls", "ws", "wss")
REMEDY: Final = "install the same versions there (requirements.lock), or results would not be the same"
LOGGERS: Final = ("distributed", "distributed.client", "distributed.core", "tornado", "tornado.application")


@contextmanager
def on_cluster(address: str) -> "Iterator[Cluster]":
    """The cluster whose scheduler is at `address`; what it holds for us is released at the end.

    Raises `LiqtruthError` where Dask is not installed, `BadInput` for what is no address and for workers of other
    versions, `SourceUnreachable` where no scheduler answers, none has a worker, or either is lost.
    """
    try:
        from distributed import KilledWorker
    except ImportError as error:
        raise LiqtruthError("--cluster needs the extra `cluster`: pip install 'liqtruth[cluster]'") from error
    shown = shown_address(address)
    with _quiet(), _connected(shown) as client:
        cluster = Cluster(client, shown)
        try:
            yield cluster
        except KilledWorker as error:
            raise SourceUnreachable(
                f"a task ended worker after worker of the cluster at {shown}, perhaps for want of memory: "
                "give each worker more, or fewer threads"
            ) from error
        except CancelledError as error:
            raise cluster.trouble or SourceUnreachable(_lost(shown)) from error
        cluster.look()


class Cluster(ParallelBackendBase):  # type: ignore[misc]
    """Tasks run through the client's executor, while a thread looks after the cluster: nobody waits for one that is
    gone, stays without a worker or gets one of other versions (`trouble`)."""

    supports_retrieve_callback = True

    def __init__(self, client: "Client", address: str) -> None:
        super().__init__(nesting_level=0)
        self.client, self.address = client, address
        self.executor = client.get_executor(pure=False, retries=RETRIES)
        self.futures: WeakSet[Future[Any]] = WeakSet()
        self.known: set[str] = set()
        self.seen_at = time.monotonic()
        self.done = threading.Event()
        self.trouble: LiqtruthError | None = None

    def effective_n_jobs(self, n_jobs: int) -> int:
        """Threads of all workers, as soon as there is one; never one, for which joblib would compute here."""
        while not (threads := self.look()):
            time.sleep(PAUSE_S)
        return max(2, threads)

    def start_call(self) -> None:
        self.done.clear()
        self.watcher = threading.Thread(target=self._watch, daemon=True)
        self.watcher.start()

    def stop_call(self) -> None:
        self.done.set()
        self.watcher.join(CONNECT_S)

    def submit(self, func: Callable[[], Any], callback: Callable[[Future[Any]], None]) -> Future[Any]:
        future: Future[Any] = self.executor.submit(func)
        self.futures.add(future)
        future.add_done_callback(callback)
        return future

    def retrieve_result_callback(self, future: Future[Any]) -> Any:
        return future.result()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        for future in list(self.futures):
            future.cancel()

    def look(self) -> int:
        """Threads of all workers. Raises where the cluster is gone, stays without one, or has other versions."""
        try:
            threads: dict[str, int] = dict(self.client.nthreads())
        except OSError as error:
            raise SourceUnreachable(_lost(self.address)) from error
        if threads:
            self.seen_at = time.monotonic()
            self._refuse_other_versions(set(threads) - self.known)
        elif time.monotonic() - self.seen_at > WORKER_S:
            raise SourceUnreachable(
                f"the cluster at {self.address} has had no worker for {WORKER_S:g} s: start some with "
                f"`dask worker {self.address}`"
            )
        return sum(threads.values())

    def _watch(self) -> None:
        while not self.done.wait(TICK_S):
            try:
                self.look()
            except LiqtruthError as error:
                self.trouble = error
                return self.abort_everything()

    def _refuse_other_versions(self, workers: Collection[str]) -> None:
        if not workers:
            return
        for package in SAME:
            found = self.client.run(version, package, workers=[*workers], on_error="return")
            for worker, theirs in found.items():
                if isinstance(theirs, OSError):
                    continue
                if theirs != version(package):
                    raise BadInput(_other_version(worker, package, theirs))
        self.known.update(workers)


def shown_address(address: str) -> str:
    """Without a user part, which may hold a password; raises `BadInput` for what is no address of a scheduler."""
    scheme, _, rest = address.rpartition("://")
    shown = f"{scheme}://{rest.rpartition('@')[2]}"
    try:
        parts = urlsplit(shown)
        usable = scheme in SCHEMES and parts.hostname and parts.port
    except ValueError:
        usable = False
    if not usable:
        raise BadInput(f"{shown!r} is no address of a Dask scheduler; write e.g. tcp://10.0.0.5:8786")
    return shown


@contextmanager
def _connected(address: str) -> "Iterator[Client]":
    from distributed import Client

    try:
        asyncio.run(asyncio.wait_for(_greeted(address), CONNECT_S))
        client = Client(address, timeout=CONNECT_S, set_as_default=False, name="liqtruth")
    except (OSError, TimeoutError) as error:
        raise SourceUnreachable(
            f"no Dask scheduler answers at {address} within {CONNECT_S:g} s: start one with `dask scheduler`, or "
            "compute on this machine with --workers N"
        ) from error
    except ImportError as error:
        raise BadInput(
            f"the scheduler at {address} has other versions of Dask's packages; {REMEDY}"
        ) from error
    try:
        yield client
    finally:
        client.close()


async def _greeted(address: str) -> None:
    """Asks who is there: a client of Dask would wait for ever where something listens and does not answer."""
    from distributed import Security
    from distributed.core import rpc

    how = Security().get_connection_args("client")
    if address.startswith(("tls:", "wss:")) and how["ssl_context"] is None:
        raise BadInput(
            f"{address} needs certificates: name them in Dask's configuration, distributed.comm.tls"
        )
    async with rpc(address, timeout=CONNECT_S, connection_args=how) as there:
        kind = (await there.identity())["type"]
    if kind != "Scheduler":
        raise BadInput(f"{address} is a {kind} of Dask, not its scheduler: give the scheduler's address")


@contextmanager
def _quiet() -> Iterator[None]:
    """Dask tells of every lost connection on stderr; what matters to the user is raised as an error."""
    before = {name: logging.getLogger(name).level for name in LOGGERS}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="distributed")
        try:
            for name in LOGGERS:
                logging.getLogger(name).setLevel(logging.CRITICAL + 1)
            yield
        finally:
            for name, level in before.items():
                logging.getLogger(name).setLevel(level)


def _other_version(worker: str, package: str, theirs: Any) -> str:
    has = f"has no {package}" if isinstance(theirs, Exception) else f"has {package} {theirs}"
    return f"the worker at {worker} {has}, here it is {version(package)}; {REMEDY}"


def _lost(address: str) -> str:
    return f"the Dask scheduler at {address} was lost: run the command again once it is back"
