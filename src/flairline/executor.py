"""One `map` over scans: in this process, or in several of this machine.

Anything with the Executor interface of concurrent.futures fits, a Dask cluster's included. One item's failure is that
item's: an error that a user can mend, a fault in flairline and a worker that dies end it and nothing else.
"""

from __future__ import annotations

import multiprocessing
import os
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Generic, TypeVar

from flairline.errors import FlairlineError, lacking

Item = TypeVar("Item")
Result = TypeVar("Result")

THREADS_VARIABLE = "FLAIRLINE_THREADS"
"""Environment variable that says how many threads a process may use. `run` sets it in its workers."""
MOST_THREADS = 2
"""No process takes more on its own: what was measured on two cores, and the memory that it needs, stays so."""

DIED = "The process that worked on it died twice. Was it killed for want of memory? Give fewer jobs (-j)."
NOT_BEGUN = "The processes that should have worked on it died and could not begin. Run with one job (-j 1) to see why."


@dataclass(frozen=True)
class Outcome(Generic[Item, Result]):
    """What became of one item: a result, or an error in one line.

    `traceback` is empty where the error is one that a user can mend (`FlairlineError`), else it says where flairline
    went wrong.
    """

    item: Item
    result: Result | None = None
    error: str | None = None
    traceback: str = ""

    def with_traceback_in(self, path: Path) -> Outcome[Item, Result]:
        """The same, whose error names the file that holds the traceback."""
        return replace(self, error=f"{self.error} (a fault in flairline; traceback in {path})")


def threads() -> int:
    """How many threads this process may use: what it was told (`THREADS_VARIABLE`), else its cores, at most two."""
    return _threads_by_variable() or min(MOST_THREADS, _cores())


def run(function: Callable[[Item], Result], items: Sequence[Item], jobs: int = 1) -> Iterator[Outcome[Item, Result]]:
    """Apply `function` to every item, yielding outcomes as they come (in order with one job).

    Any exception ends its own item only; KeyboardInterrupt ends the run. Where a worker dies, the items that were
    being worked on are tried once more, each in a process of its own, and fail if that dies too. Each of N workers is
    told to use an N-th of the cores.
    """
    if jobs <= 1 or len(items) <= 1:
        yield from (_attempt(function, item) for item in items)
        return
    suspects: list[Item] = []
    waiting = list(items)
    while waiting:
        lost = yield from _run_in_pool(function, waiting, jobs)
        if len(lost.not_begun) == len(waiting):  # another pool would die as well
            yield from (Outcome(item, error=NOT_BEGUN) for item in waiting)
            break
        suspects += lost.being_worked_on
        waiting = lost.not_begun
    for item in suspects:
        lost = yield from _run_in_pool(function, [item], 1)
        if lost.being_worked_on or lost.not_begun:
            yield Outcome(item, error=DIED)


def run_on(
    executor: Executor, function: Callable[[Item], Result], items: Sequence[Item]
) -> Iterator[Outcome[Item, Result]]:
    """As `run`, on any executor, yielding outcomes in the order in which they end."""
    futures = {executor.submit(_attempt, function, item): item for item in items}
    for future in as_completed(futures):
        yield _outcome_of(future, futures[future])


@dataclass(frozen=True)
class _Lost(Generic[Item]):
    """Items that a broken pool left behind."""

    being_worked_on: list[Item]
    not_begun: list[Item]


def _run_in_pool(
    function: Callable[[Item], Result], items: Sequence[Item], jobs: int
) -> Generator[Outcome[Item, Result], None, _Lost[Item]]:
    """Outcomes of what a pool finished; returns what it left behind if a worker died."""
    # Forking a process that already has numba's or BLAS's threads can hang; a spawned one starts clean.
    context = multiprocessing.get_context("spawn")
    lost = _Lost[Item]([], [])
    with TemporaryDirectory(prefix="flairline-") as folder:
        workers = min(jobs, len(items))
        pool = ProcessPoolExecutor(workers, context, _tell_threads, (_threads_of_worker(workers),))
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


def _tell_threads(count: int) -> None:
    os.environ[THREADS_VARIABLE] = str(count)


def _threads_of_worker(jobs: int) -> int:
    by_variable = _threads_by_variable()
    share = by_variable // jobs if by_variable else min(MOST_THREADS, _cores() // jobs)
    return max(1, share)


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
