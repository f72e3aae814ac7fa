"""Independent tasks in this process, in several processes, or on the workers of a Dask cluster.

Results come in the order of the tasks, whatever runs them and whichever is done first. A task holds where its data lie
and what to do with them, not the data: the lake is read where the task runs. Of tasks that fail, the first in their
order decides the error, so that it is the same one each time. A worker that is killed costs what it was at: the task
runs again elsewhere, but not for ever, as it may be the task that ends its workers (`LIVES`; a cluster has its own).
"""

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, Generic, TypeVar

from liqtruth.heatmap.errors import BadInput, LiqtruthError, SourceUnreachable

Task = TypeVar("Task")
Result = TypeVar("Result")
Progress = Callable[[float], None]
Running = dict[Future[Any], int]

LIVES: Final = 3
"""How often a pool of processes may fall before its tasks are given up."""
AHEAD: Final = 2
"""Tasks in flight per process: one that runs, one that waits for whichever is free first."""
TICK_S: Final = 1.0
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


@dataclass(frozen=True, repr=False)
class Job(Generic[Task, Result]):
    """A function and its task. Without a repr: Dask logs what it runs, and a lake's URL may hold a password."""

    function: Callable[[Task], Result]
    task: Task


@dataclass(frozen=True)
class Place:
    """An executor, and how many jobs it takes at the moment; to ask raises where it stands no more."""

    executor: Executor
    room: Callable[[], int]


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
        from liqtruth.compare.calibration.dask_cluster import on_cluster

        with on_cluster(workers.cluster) as place:
            course.through(place)
    elif workers.count == 1 or len(tasks) < 2:
        course.here()
    else:
        _through_processes(course, min(workers.count, len(tasks)))
    return course.outcome()


def perform(job: Job[Task, Result]) -> Result | Failure:
    """What a worker runs: an error is a result as well, so that nobody tries again what would fail again."""
    try:
        with one_blas_thread():
            return job.function(job.task)
    except Exception as error:
        return Failure.of(error)


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

    def through(self, place: Place) -> None:
        """Through an executor; tasks that have a result already are not run again."""
        running: Running = {}
        waiting = iter([number for number in range(len(self.tasks)) if number not in self.results])
        try:
            while self._fill(running, waiting, place):
                self._collect(running)
                self._drop_after_failure(running)
        finally:
            for future in running:
                future.cancel()

    def outcome(self) -> list[Result]:
        if self.failures:
            raise self.failures[min(self.failures)].error()
        self.on_progress(1.0)
        return [self.results[number] for number in range(len(self.tasks))]

    def _fill(self, running: Running, waiting: Iterator[int], place: Place) -> bool:
        """Whether anything runs; nothing is begun once a task has failed."""
        free = 0 if self.failures else place.room() - len(running)
        for number in islice(waiting, max(0, free)):
            running[place.executor.submit(perform, Job(self.function, self.tasks[number]))] = number
        return bool(running)

    def _collect(self, running: Running) -> None:
        """What is done within a tick. No future outlives this call: as long as one is held, Dask holds its result, and
        would compute it again should the worker that has it die."""
        done, _ = wait(running, timeout=TICK_S, return_when=FIRST_COMPLETED)
        for future in done:
            self._keep(running.pop(future), future.result())

    def _drop_after_failure(self, running: Running) -> None:
        """What comes before the first failure may fail as well, and would then decide; the rest is called off."""
        if self.failures:
            for future in [one for one, number in running.items() if number > min(self.failures)]:
                future.cancel()
                del running[future]

    def _keep(self, number: int, found: Result | Failure) -> None:
        if isinstance(found, Failure):
            self.failures[number] = found
            return
        self.results[number] = found
        self.on_progress(len(self.results) / len(self.tasks))


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Linear algebra on one thread: how many there are changes the last digits of its results."""
    import scipy.linalg  # noqa: F401  its library can only be held to one thread once it is there
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield


def _through_processes(course: Course[Any, Any], count: int) -> None:
    """A process that is killed takes its pool down: a new one runs what has no result yet."""
    for _ in range(LIVES):
        try:
            with _processes(count) as place:
                return course.through(place)
        except BrokenProcessPool:
            continue
    raise SourceUnreachable(
        f"worker processes were ended {LIVES} times, perhaps for want of memory: take fewer than --workers {count}"
    )


@contextmanager
def _processes(count: int) -> Iterator[Place]:
    """Processes that share nothing with this one: polars must not be forked."""
    context = multiprocessing.get_context("spawn")
    with _one_thread_each(), ProcessPoolExecutor(count, context, _end_on_interrupt) as executor:
        try:
            yield Place(executor, lambda: AHEAD * count)
        finally:
            executor.shutdown(wait=True, cancel_futures=True)


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
