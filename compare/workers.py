"""Independent tasks in this process, in several processes, or on the workers of a Dask cluster, through joblib.

Results come in the order of the tasks, whatever runs them and whichever is done first. A task holds where its data lie
and what to do with them, not the data: the lake is read where the task runs. Of tasks that fail, the first in their
order decides the error, so that it is the same one each time. A worker that is killed costs what it was at: the task
runs again elsewhere, but not for ever, as it may be the task that ends its workers (`LIVES`; a cluster has its own).
"""

import os
import signal
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from liqtruth.heatmap.errors import BadInput, LiqtruthError, SourceUnreachable

if TYPE_CHECKING:
    from joblib import Parallel

Task = TypeVar("Task")
Result = TypeVar("Result")
Progress = Callable[[float], None]

LIVES: Final = 3
"""How often the processes may fall before their tasks are given up: loky ends them all where one is killed."""
HOW: Final[dict[str, Any]] = {
    "return_as": "generator_unordered",
    "batch_size": 1,
    "pre_dispatch": "2*n_jobs",
}
"""One task that runs and one that waits for whichever worker is free first; each result as soon as it is there."""
THREADS: Final = ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Workers:
    """Where tasks run: in this process (`count` 1), in so many processes, or on the Dask cluster whose scheduler is at
    `cluster`, e.g. tcp://10.0.0.5:8786. Raises `BadInput` for a count below 1, or both."""

    count: int = 1
    cluster: str | None = None

    def __post_init__(self) -> None:
        if self.count < 1:
            raise BadInput(f"{self.count} workers do nothing: take at least 1")
        if self.cluster is not None and self.count > 1:
            raise BadInput("--workers are processes of this machine, --cluster has its own: give one of both")


@dataclass(frozen=True)
class Failure:
    """An error of a task as it travels between processes; by its parts, since few classes of errors can be pickled."""

    rebuild: Any
    args: tuple[Any, ...]
    state: dict[str, Any]
    trace: str

    @classmethod
    def of(cls, error: Exception) -> "Failure":
        parts: Any = error.__reduce__()
        state = parts[2] if len(parts) > 2 and isinstance(parts[2], dict) else {}
        return cls(parts[0], tuple(parts[1]), state, "".join(traceback.format_exception(error)))

    def error(self) -> Exception:
        """The error as it was; one that is not ours carries the trace of its worker as a note."""
        ours = isinstance(self.rebuild, type) and issubclass(self.rebuild, LiqtruthError)
        error: Exception = (
            self.rebuild.__new__(self.rebuild, *self.args) if ours else self.rebuild(*self.args)
        )
        error.__dict__.update(self.state)
        if not ours:
            error.add_note(f"in a worker:\n{self.trace}")
        return error


def run_all(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    workers: Workers = Workers(),
    *,
    on_progress: Progress = lambda share: None,
) -> list[Result]:
    """`function` of every task, in their order; `function` stands at the top of a module, and tasks can be pickled.

    Raises the error of the first task that fails, and what comes after it is called off; `SourceUnreachable` for a
    cluster that does not answer, or workers that are lost again and again; `BadInput` for one of other versions.
    """
    course = Course(function, tasks, on_progress)
    if workers.cluster is not None:
        from joblib import Parallel

        from liqtruth.compare.dask_cluster import on_cluster

        with on_cluster(workers.cluster) as backend:
            course.through(Parallel(backend=backend, **HOW))
    elif workers.count == 1 or len(tasks) < 2:
        course.here()
    else:
        _through_processes(course, min(workers.count, len(tasks)))
    return course.outcome()


def perform(function: Callable[[Task], Result], number: int, task: Task) -> tuple[int, Result | Failure]:
    """What a worker runs: an error is a result as well, so that nobody tries again what would fail again."""
    try:
        with one_blas_thread():
            return number, function(task)
    except Exception as error:
        return number, Failure.of(error)


@dataclass
class Course(Generic[Task, Result]):
    """How far the tasks are: results and failures by the number of their task."""

    function: Callable[[Task], Result]
    tasks: Sequence[Task]
    on_progress: Progress
    results: dict[int, Result] = field(default_factory=dict)
    failures: dict[int, Failure] = field(default_factory=dict)

    def here(self) -> None:
        """One after another in this process; an error of a task leaves as it is."""
        for number, task in enumerate(self.tasks):
            with one_blas_thread():
                found = self.function(task)
            self._keep(number, found)

    def through(self, parallel: "Parallel") -> None:
        """Tasks that have a result already are not run again; what nobody waits for any more is called off."""
        from joblib import delayed

        found = parallel(
            delayed(perform)(self.function, number, self.tasks[number]) for number in self._open()
        )
        try:
            for number, result in found:
                self._keep(number, result)
                if self._decided:
                    return
        finally:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found.close()

    def outcome(self) -> list[Result]:
        if self.failures:
            raise self.failures[min(self.failures)].error()
        self.on_progress(1.0)
        return [self.results[number] for number in range(len(self.tasks))]

    def _open(self) -> Iterator[int]:
        """Numbers without a result; nothing is begun once a task has failed."""
        for number in range(len(self.tasks)):
            if self.failures:
                return
            if number not in self.results:
                yield number

    @property
    def _decided(self) -> bool:
        """Whether the error is known: what comes before the first failure may fail as well, and would then decide."""
        return bool(self.failures) and all(number in self.results for number in range(min(self.failures)))

    def _keep(self, number: int, found: Result | Failure) -> None:
        if isinstance(found, Failure):
            self.failures[number] = found
            return
        self.results[number] = found
        self.on_progress(len(self.results) / len(self.tasks))


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Linear algebra on one thread: how many there are changes the last digits of its results."""
    import scipy.linalg  # noqa: F401  its library can be limited to one thread only once it is loaded
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield


def _through_processes(course: Course[Any, Any], count: int) -> None:
    """Where a process is killed loky ends the others too: new ones run what has no result yet."""
    for _ in range(LIVES):
        try:
            with _processes(count) as parallel:
                return course.through(parallel)
        except BrokenProcessPool:
            continue
    raise SourceUnreachable(
        f"worker processes were ended {LIVES} times, perhaps for want of memory: take fewer than --workers {count}"
    )


@contextmanager
def _processes(count: int) -> "Iterator[Parallel]":
    """Processes that share nothing with this one (polars must not be forked), and are gone at the end."""
    from joblib import Parallel
    from joblib.externals.loky import get_reusable_executor

    with _one_thread_each(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "A worker stopped while some jobs")
        try:
            yield Parallel(count, backend="loky", max_nbytes=None, initializer=_end_on_interrupt, **HOW)
        finally:
            get_reusable_executor(reuse=True).shutdown(wait=True)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes started meanwhile compute with one thread each, unless the user has set how many."""
    ours = [name for name in THREADS if name not in os.environ]
    os.environ.update(dict.fromkeys(ours, "1"))
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


def _end_on_interrupt() -> None:
    """Ctrl-C ends a worker at once and without words; who waits for it tells the user."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
