"""One `map` over scans: in this process, or in several of this machine.

Anything with the Executor interface of concurrent.futures fits, a Dask cluster's included.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from flairline.errors import FlairlineError

Item = TypeVar("Item")
Result = TypeVar("Result")


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


def run(function: Callable[[Item], Result], items: Sequence[Item], jobs: int = 1) -> Iterator[Outcome[Item, Result]]:
    """Apply `function` to every item, yielding outcomes as they come (in order with one job).

    A `FlairlineError` ends its own item only; any other exception is a bug and ends the run.
    """
    if jobs <= 1 or len(items) <= 1:
        yield from (_attempt(function, item) for item in items)
        return
    # Forking a process that already has numba's or BLAS's threads can hang; a spawned one starts clean.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(items)), mp_context=context) as executor:
        yield from run_on(executor, function, items)


def run_on(
    executor: Executor, function: Callable[[Item], Result], items: Sequence[Item]
) -> Iterator[Outcome[Item, Result]]:
    """As `run`, on any executor, yielding outcomes in the order in which they end."""
    for future in as_completed([executor.submit(_attempt, function, item) for item in items]):
        yield future.result()


def _attempt(function: Callable[[Item], Result], item: Item) -> Outcome[Item, Result]:
    try:
        return Outcome(item, function(item))
    except FlairlineError as error:
        return Outcome(item, error=str(error))
