"""One `map` over scans: in this process, or in several of this machine.

Anything with the Executor interface of concurrent.futures fits, a Dask cluster's included. One item's failure is that
item's: an error that a user can mend, a fault in flairline and a worker that dies end it and nothing else.
"""

from __future__ import annotations

import ctypes
import logging
import multiprocessing
import os
import sys
import threading
import tomllib
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Generic, TypeVar

from flairline.errors import FlairlineError, InputError, MissingExtraError, lacking

Item = TypeVar("Item")
Result = TypeVar("Result")

THREADS_VARIABLE = "FLAIRLINE_THREADS"
"""Environment variable that says how many threads a process may use. `run` sets it in its workers."""
MOST_THREADS = 2
"""No process takes more on its own: what was measured on two cores, and the memory that it needs, stays so."""

LIBRARIES_VARIABLES = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"),
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)
"""What libraries ask for the number of their threads when they are loaded."""
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt (malloc.h)."""
MOST_MMAP_THRESHOLD, KEPT_BYTES = 32 * 2**20, 128 * 2**20
"""From how many bytes on an array has pages of its own (the most that glibc takes), and how many freed ones stay."""
SCHEDULER_SECONDS = 30
"""How long a scheduler may take to answer."""
_KILLED = "KilledWorker"
_GONE = ("CancelledError", "FutureCancelledError", "CommClosedError")
"""How Dask's errors begin where it was the worker, or the scheduler, that failed, and not the item."""

DIED = "The process that worked on it died twice. Was it killed for want of memory? Give fewer jobs (-j)."
NOT_BEGUN = "The processes that should have worked on it died and could not begin. Run with one job (-j 1) to see why."


@dataclass(frozen=True)
class Outcome(Generic[Item, Result]):
    """What became of one item: a result, or an error in one line.

    `traceback` is empty where the error is one that a user can mend (`FlairlineError`), else it says where flairline
    went wrong. `died` says that the process which worked on it died, twice.
    """

    item: Item
    result: Result | None = None
    error: str | None = None
    traceback: str = ""
    died: bool = False

    def with_traceback_in(self, path: Path) -> Outcome[Item, Result]:
        """The same, whose error names the file that holds the traceback."""
        return replace(self, error=f"{self.error} (a fault in flairline; traceback in {path})")


def threads() -> int:
    """How many threads this process may use: what it was told (`THREADS_VARIABLE`), else its cores, at most two."""
    return _threads_by_variable() or min(MOST_THREADS, _cores())


def run(
    function: Callable[[Item], Result], items: Sequence[Item], jobs: int = 1, *, worker_mb: int | None = None
) -> Iterator[Outcome[Item, Result]]:
    """Apply `function` to every item, yielding outcomes as they come (in order with one job).

    Any exception ends its own item only; KeyboardInterrupt ends the run. Where a worker dies, the items that were
    being worked on are tried once more, each in a process of its own, and fail if that dies too. Each of N workers is
    told to use an N-th of the cores, BLAS's and ITK's threads included, and where `worker_mb` is given, no worker gets
    more memory than that: its item fails then, before the machine runs out. One job with a limit works in a process of
    its own as well.
    """
    if worker_mb is None and (jobs <= 1 or len(items) <= 1):
        yield from (_attempt(function, item) for item in items)
        return
    suspects: list[Item] = []
    waiting = list(items)
    while waiting:
        lost = yield from _run_in_pool(function, waiting, max(1, jobs), worker_mb)
        if len(lost.not_begun) == len(waiting):  # another pool would die as well
            yield from (Outcome(item, error=NOT_BEGUN) for item in waiting)
            break
        suspects += lost.being_worked_on
        waiting = lost.not_begun
    for item in suspects:
        lost = yield from _run_in_pool(function, [item], 1, worker_mb)
        if lost.being_worked_on or lost.not_begun:
            yield Outcome(item, error=DIED, died=True)


def run_on(
    executor: Executor, function: Callable[[Item], Result], items: Sequence[Item], thread_count: int | None = None
) -> Iterator[Outcome[Item, Result]]:
    """As `run`, on any executor, yielding outcomes in the order in which they end.

    Its workers are told `thread_count`, where it is given, before they begin an item.

    An item whose worker died is tried again by the executor, as often as that does. Dask takes every item that waited
    at the dead worker for a suspect, so what it gave up is tried once more, each alone, when all others have ended. An
    item whose scheduler vanished is one that died.
    """
    suspects: list[Item] = []
    for outcome in _run_once(executor, function, items, thread_count):
        if (outcome.error or "").startswith(_KILLED):
            suspects.append(outcome.item)
        else:
            yield outcome
    for item in suspects:
        yield from _run_once(executor, function, [item], thread_count)


def _run_once(
    executor: Executor, function: Callable[[Item], Result], items: Sequence[Item], thread_count: int | None
) -> Iterator[Outcome[Item, Result]]:
    work = partial(_attempt_told, thread_count, function)
    futures = {executor.submit(work, item): item for item in items}
    for future in as_completed(futures):
        outcome = _outcome_of(future, futures.pop(future))
        gone = (outcome.error or "").startswith((_KILLED, *_GONE))
        yield replace(outcome, died=True, traceback="") if gone else outcome


@contextmanager
def cluster(scheduler: str) -> Iterator[Executor]:
    """The executor of a Dask cluster, for `run_on`.

    Parameters
    ----------
    scheduler
        ``tcp://HOST:PORT`` is a scheduler that runs already; ``slurm:FILE`` starts one whose workers are SLURM jobs as
        the file says (`slurm_cluster`), and ends them afterwards.

    Raises
    ------
    MissingExtraError
        The extra ``cluster`` is not installed.
    InputError
        The text is neither, the file cannot be used, or no scheduler answers.
    """
    try:
        import dask
        from distributed import Client
    except ImportError as error:
        raise MissingExtraError("--scheduler", "cluster") from error
    kind, _, rest = scheduler.partition(":")
    if kind not in ("tcp", "tls", "slurm") or not rest:
        msg = f"Wanted --scheduler tcp://HOST:PORT or slurm:FILE, got {scheduler!r}."
        raise InputError(msg)
    # As on this machine: an item whose worker died is tried once more.
    with dask.config.set({"distributed.scheduler.allowed-failures": 1}), ExitStack() as stack:
        stack.enter_context(_quiet("distributed", "distributed.client", "asyncio"))
        jobs = stack.enter_context(slurm_cluster(Path(rest))) if kind == "slurm" else scheduler
        try:
            client = stack.enter_context(Client(jobs, timeout=SCHEDULER_SECONDS, set_as_default=False))
        except OSError as error:
            msg = f"Wanted a Dask scheduler at {scheduler}, but none answers: {error}. Start one: dask scheduler."
            raise InputError(msg) from error
        yield client.get_executor(pure=False)


@contextmanager
def _quiet(*loggers: str) -> Iterator[None]:
    """Loggers say nothing meanwhile: where a scheduler vanishes, each item's outcome says so in one line."""
    levels = {name: logging.getLogger(name).level for name in loggers}
    try:
        for name in loggers:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def slurm_cluster(path: Path, *, start: bool = True) -> Any:
    """A `dask_jobqueue.SLURMCluster` as a TOML file says: the words of that class, and ``jobs``, how many to ask for.

    Not started, it asks SLURM for none, and only says what a job would be (`job_script`).

    Raises
    ------
    MissingExtraError
        dask-jobqueue is not installed.
    InputError
        The file cannot be read, or SLURMCluster does not take what it says.
    """
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError as error:
        raise MissingExtraError("--scheduler slurm:FILE", "cluster") from error
    try:
        words = tomllib.loads(path.read_text(encoding="utf-8"))
        jobs = int(words.pop("jobs", 1))
        started = SLURMCluster(**words)
    except (OSError, ValueError, TypeError) as error:
        wanted = "It holds words of dask_jobqueue.SLURMCluster, and jobs = N, in TOML."
        msg = f"Cannot use {path} for SLURM: {error}. {wanted}"
        raise InputError(msg) from error
    if start:
        started.scale(jobs=jobs)
    return started


@dataclass(frozen=True)
class _Lost(Generic[Item]):
    """Items that a broken pool left behind."""

    being_worked_on: list[Item]
    not_begun: list[Item]


def _run_in_pool(
    function: Callable[[Item], Result], items: Sequence[Item], jobs: int, worker_mb: int | None
) -> Generator[Outcome[Item, Result], None, _Lost[Item]]:
    """Outcomes of what a pool finished; returns what it left behind if a worker died."""
    # Forking a process that already has numba's or BLAS's threads can hang; a spawned one starts clean.
    context = multiprocessing.get_context("spawn")
    lost = _Lost[Item]([], [])
    with TemporaryDirectory(prefix="flairline-") as folder:
        workers = min(jobs, len(items))
        pool = ProcessPoolExecutor(workers, context, _begin_pool_worker, (_threads_of_worker(workers), worker_mb))
        try:
            futures: dict[Future[Outcome[Item, Result]], tuple[Item, Path]] = {}
            for number, item in enumerate(items):
                marker = Path(folder) / str(number)
                try:
                    futures[pool.submit(_attempt_marked, function, item, marker)] = item, marker
                except BrokenProcessPool:
                    lost.not_begun.append(item)
            for future in as_completed(futures):
                item, marker = futures[future]
                if isinstance(future.exception(), BrokenProcessPool):
                    (lost.being_worked_on if marker.exists() else lost.not_begun).append(item)
                else:
                    yield _outcome_of(future, item)
        finally:
            pool.shutdown(cancel_futures=True)
    return lost


def _outcome_of(future: Future[Outcome[Item, Result]], item: Item) -> Outcome[Item, Result]:
    """A future's outcome; a result that could not be sent is a failure of its item."""
    return _guarded(future.result, item)


def _attempt(function: Callable[[Item], Result], item: Item) -> Outcome[Item, Result]:
    return _guarded(lambda: Outcome(item, function(item)), item)


def _attempt_told(thread_count: int | None, function: Callable[[Item], Result], item: Item) -> Outcome[Item, Result]:
    if thread_count is not None:
        begin_worker(thread_count)
    return _attempt(function, item)


def _guarded(make: Callable[[], Outcome[Item, Result]], item: Item) -> Outcome[Item, Result]:
    try:
        return make()
    except FlairlineError as error:
        return Outcome(item, error=str(error))
    except Exception as error:  # whatever it is, the other items go on
        if isinstance(error, OSError) and (what := lacking(error)):
            return Outcome(item, error=what)
        line = " ".join(str(error).split())
        return Outcome(item, error=f"{type(error).__name__}: {line}", traceback=traceback.format_exc())


def _attempt_marked(function: Callable[[Item], Result], item: Item, marker: Path) -> Outcome[Item, Result]:
    """As `_attempt`; a marker that is left behind says that the process died meanwhile."""
    marker.touch()
    try:
        return _attempt(function, item)
    finally:
        marker.unlink(missing_ok=True)


def begin_worker(thread_count: int, worker_mb: int | None = None) -> None:
    """Tell this process, before it loads what computes, how many threads it has and how much memory.

    What the user's environment says of a library's threads stays.
    """
    os.environ[THREADS_VARIABLE] = str(thread_count)
    tell_libraries()
    _keep_freed_memory()
    if worker_mb is not None and sys.platform == "linux":
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = worker_mb * 2**20
        resource.setrlimit(resource.RLIMIT_DATA, (wanted if most == -1 else min(wanted, most), most))


def _keep_freed_memory() -> None:
    """Let glibc keep what is freed for the next array, instead of asking the system for new pages each time.

    It learns to do so by itself, but not where a threshold was set before, as Dask does for its workers
    (MALLOC_TRIM_THRESHOLD_): half as many pages again are fetched and cleared for each scan then.
    """
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library than glibc
        return
    mallopt(M_MMAP_THRESHOLD, MOST_MMAP_THRESHOLD)
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def tell_libraries() -> None:
    """Tell libraries that are loaded from now on how many threads this process was told to use; nothing if it was not.

    For a process that works itself. One that starts workers does not: they take over what its environment says.
    """
    if told := _threads_by_variable():
        for variable in LIBRARIES_VARIABLES:
            os.environ.setdefault(variable, str(told))


def _begin_pool_worker(thread_count: int, worker_mb: int | None) -> None:
    """As `begin_worker`; a worker whose parent was killed would wait for its next item for ever, so it ends."""
    begin_worker(thread_count, worker_mb)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def _threads_of_worker(jobs: int) -> int:
    by_variable = _threads_by_variable()
    return max(1, (by_variable or _cores()) // jobs)


def _threads_by_variable() -> int:
    """What the environment says, 0 where it says nothing or no number."""
    text = os.environ.get(THREADS_VARIABLE, "")
    return int(text) if text.isdecimal() else 0


def _cores() -> int:
    """Cores that this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows have none
        return os.cpu_count() or 1
