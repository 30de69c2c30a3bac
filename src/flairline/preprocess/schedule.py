"""Declared steps, run as soon as what they read is there: two cores have two things to do.

T1 to atlas and FLAIR to T1 are registered by greedy on one thread each (`register.THREADS`), and neither needs the
other; the atlas can be registered while the FLAIR's brain is still searched for. What a step gives does not depend on
what runs beside it.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from flairline.preprocess.cache import Artefact, Cache, digest, step_key
from flairline.types import Space

AT_ONCE = 2
"""Steps that run beside each other."""

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Step:
    """One step: `run` gets the images and results named in `reads` and returns those named in `writes`.

    `version` goes up when the step's code gives another result for the same input. A step that `fills_memory` never
    runs beside another one that does: brain extraction takes up to a gigabyte.
    """

    name: str
    version: int
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    run: Callable[..., Mapping[str, Artefact]]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    fills_memory: bool = False


class Schedule:
    """Steps on their way. `state` holds images and results by name and grows with each step that ends.

    Parameters
    ----------
    grid_of
        The grid of an image that a step writes, None if it writes none on a grid.
    progress
        Called with a step's name before it runs, from the thread that the schedule was made in.
    """

    def __init__(
        self, state: dict[str, Any], cache: Cache, grid_of: Callable[[str], Space | None], progress: Progress
    ) -> None:
        self.state, self.cache, self.grid_of, self.progress = state, cache, grid_of, progress
        self.digests: dict[str, str] = {}
        self.seconds: dict[str, float] = {}
        self.waiting: list[Step] = []
        self.running: dict[Future[tuple[dict[str, Artefact], float]], Step] = {}
        self.pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="flairline-step")

    def __enter__(self) -> Schedule:
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown(cancel_futures=True)

    def start(self, steps: list[Step]) -> None:
        """Add steps, and start those that have what they read."""
        self.waiting += steps
        self._start_ready()

    def finish(self) -> None:
        """Run what is left. The first error of a step is raised when those beside it have ended."""
        while self.running:
            done, _ = wait(self.running, return_when=FIRST_COMPLETED)
            for future in sorted(done, key=lambda one: self.running[one].name):
                step = self.running.pop(future)
                results, self.seconds[step.name] = future.result()
                self.state.update(results)
            self._start_ready()
        if self.waiting:
            msg = f"nobody writes what {', '.join(step.name for step in self.waiting)} read"
            raise ValueError(msg)

    def _start_ready(self) -> None:
        begun = True
        while begun:  # a kept result may be all that the next step waits for
            begun = False
            for step in list(self.waiting):
                beside = self.running.values()
                crowded = step.fills_memory and any(one.fills_memory for one in beside)
                if len(beside) < AT_ONCE and not crowded and all(name in self.state for name in step.reads):
                    self.waiting.remove(step)
                    self._begin(step)
                    begun = True

    def _begin(self, step: Step) -> None:
        """Take a step's results from where an earlier run kept them, or start it."""
        for name in step.reads:
            if name not in self.digests:  # what has a name is never changed
                self.digests[name] = digest(self.state[name])
        inputs = {name: self.digests[name] for name in step.reads}
        key = step_key(step.name, step.version, step.parameters, inputs)
        grids = {name: grid for name in step.writes if (grid := self.grid_of(name)) is not None}
        kept = self.cache.load(key, grids)
        self.seconds[step.name] = 0.0  # in the order of the steps' beginnings
        if kept is not None:
            self.state.update(kept)
            return
        self.progress(step.name)
        about = {"step": step.name, "version": step.version, "parameters": dict(step.parameters), "inputs": inputs}
        images = {name: self.state[name] for name in step.reads}
        self.running[self.pool.submit(self._run, step, images, key, about)] = step

    def _run(
        self, step: Step, images: Mapping[str, Any], key: str, about: Mapping[str, Any]
    ) -> tuple[dict[str, Artefact], float]:
        begun = time.perf_counter()
        with _HEARD.listening() as said:
            results = dict(step.run(**images))
        seconds = time.perf_counter() - begun
        self.cache.keep(key, results, about, "\n".join(said) + "\n")
        return results, seconds


class _Heard(logging.Handler):
    """What flairline's loggers say in each thread that listens, debug messages included."""

    def __init__(self) -> None:
        super().__init__()
        self.said: dict[int, list[str]] = {}
        self.level_before = logging.NOTSET

    def emit(self, record: logging.LogRecord) -> None:
        said = self.said.get(record.thread or 0)
        if said is not None:
            said.append(f"{record.levelname} {record.name}: {record.getMessage()}")

    @contextlib.contextmanager
    def listening(self) -> Iterator[list[str]]:
        """What this thread says meanwhile."""
        logger, me, said = logging.getLogger("flairline.preprocess"), threading.get_ident(), list[str]()
        with self.lock or contextlib.nullcontext():
            if not self.said:
                self.level_before = logger.level
                logger.addHandler(self)
                logger.setLevel(logging.DEBUG)
            self.said[me] = said
        try:
            yield said
        finally:
            with self.lock or contextlib.nullcontext():
                del self.said[me]
                if not self.said:
                    logger.setLevel(self.level_before)
                    logger.removeHandler(self)


_HEARD = _Heard()
