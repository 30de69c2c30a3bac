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
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

from flairline.executor import threads
from flairline.preprocess.cache import Cache, Form, StepKey, Value
from flairline.types import Progress

Out = TypeVar("Out", covariant=True)


class Input(Protocol[Out]):
    """What a step can read: a slot, or a part of what lies in one."""

    @property
    def is_filled(self) -> bool:
        """Whether the value is there."""

    @property
    def value(self) -> Out:
        """The value. It must be there: a step runs when all that it reads is."""

    @property
    def digest(self) -> str:
        """Hash of the value, or of the whole that it is a part of."""


class Slot(Generic[Value]):
    """The place of a value that steps read: an image that was given, or a result that is there or still to come.

    What lies in a slot is never changed.
    """

    def __init__(self, form: Form[Value]) -> None:
        self.form = form
        self._filled: list[Value] = []

    @classmethod
    def holding(cls, value: Value, form: Form[Value]) -> Slot[Value]:
        """A slot whose value is there from the start."""
        slot = cls(form)
        slot.fill(value)
        return slot

    def fill(self, value: Value) -> None:
        """Put the value in."""
        self._filled = [value]

    @property
    def is_filled(self) -> bool:
        """Whether the value is there."""
        return bool(self._filled)

    @property
    def value(self) -> Value:
        """The value. It must be there."""
        return self._filled[0]

    @cached_property
    def digest(self) -> str:
        """Hash of the value."""
        return self.form.digest(self.value)


@dataclass(frozen=True)
class Part(Generic[Value, Out]):
    """A part of what lies, or will lie, in a slot."""

    whole: Slot[Value]
    pick: Callable[[Value], Out]

    @property
    def is_filled(self) -> bool:
        """Whether the whole is there."""
        return self.whole.is_filled

    @property
    def value(self) -> Out:
        """The part of the whole, which must be there."""
        return self.pick(self.whole.value)

    @property
    def digest(self) -> str:
        """Hash of the whole."""
        return self.whole.digest


@dataclass(frozen=True)
class Step(Generic[Value]):
    """One step: `run` makes a value of what lies in `reads`, which is there when it is called.

    `version` goes up when the step's code gives another result for the same input. A step that `fills_memory` never
    runs beside another one that does: brain extraction takes up to a gigabyte.
    """

    name: str
    version: int
    reads: tuple[Input[Any], ...]
    run: Callable[[], Value]
    form: Form[Value]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    fills_memory: bool = False

    @property
    def is_ready(self) -> bool:
        """Whether all that it reads is there."""
        return all(each.is_filled for each in self.reads)

    def key(self) -> StepKey:
        """What its result depends on. It must be ready."""
        return StepKey(self.name, self.version, self.parameters, [each.digest for each in self.reads])


class Schedule:
    """Steps on their way; `seconds` are those of each step, in the order in which they began, 0 where one was kept.

    Parameters
    ----------
    cache
        Where results are kept.
    progress
        Called with a step's name before it runs, the steps that have ended and those known, from the thread that the
        schedule was made in.
    """

    def __init__(self, cache: Cache, progress: Progress) -> None:
        self.cache, self.progress = cache, progress
        self.seconds: dict[str, float] = {}
        self._at_once = threads()
        self._waiting: list[tuple[Step[Any], Slot[Any]]] = []
        self._running: dict[Future[tuple[Any, float]], tuple[Step[Any], Slot[Any]]] = {}
        self._pool = ThreadPoolExecutor(self._at_once, thread_name_prefix="flairline-step")

    def __enter__(self) -> Schedule:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def add(self, step: Step[Value]) -> Slot[Value]:
        """Start a step as soon as it is ready; the slot takes its result."""
        slot = Slot(step.form)
        self._waiting.append((step, slot))
        self._start_ready()
        return slot

    def finish(self) -> None:
        """Run what is left. The first error of a step is raised when those beside it have ended."""
        while self._running:
            done, _ = wait(self._running, return_when=FIRST_COMPLETED)
            for future in sorted(done, key=lambda future: self._running[future][0].name):
                step, slot = self._running.pop(future)
                result, self.seconds[step.name] = future.result()
                slot.fill(result)
            self._start_ready()
        if self._waiting:
            msg = f"nobody writes what {', '.join(step.name for step, _ in self._waiting)} read"
            raise ValueError(msg)

    def _start_ready(self) -> None:
        has_begun = True
        while has_begun:  # a kept result may be all that the next step waits for
            has_begun = False
            for step, slot in list(self._waiting):
                beside = [running for running, _ in self._running.values()]
                is_crowded = step.fills_memory and any(running.fills_memory for running in beside)
                if len(beside) < self._at_once and not is_crowded and step.is_ready:
                    self._waiting.remove((step, slot))
                    self._begin(step, slot)
                    has_begun = True

    def _begin(self, step: Step[Any], slot: Slot[Any]) -> None:
        """Take a step's result from where an earlier run kept it, or start it."""
        key = step.key()
        kept = self.cache.load(key, step.form)
        self.seconds[step.name] = 0.0  # in the order of the steps' beginnings
        if kept is not None:
            slot.fill(kept)
            return
        ended = len(self.seconds) - len(self._running) - 1
        self.progress(step.name, ended, len(self.seconds) + len(self._waiting))
        self._running[self._pool.submit(self._run, step, key)] = step, slot

    def _run(self, step: Step[Value], key: StepKey) -> tuple[Value, float]:
        begun = time.perf_counter()
        with _HEARD.listening() as heard:
            result = step.run()
        seconds = time.perf_counter() - begun
        self.cache.keep(key, result, step.form, heard)
        return result, seconds


class _Heard(logging.Handler):
    """What flairline's loggers say in each thread that listens, debug messages included."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[int, list[str]] = {}
        self.level_before = logging.NOTSET

    def emit(self, record: logging.LogRecord) -> None:
        lines = self.lines.get(record.thread or 0)
        if lines is not None:
            lines.append(f"{record.levelname} {record.name}: {record.getMessage()}")

    @contextlib.contextmanager
    def listening(self) -> Iterator[list[str]]:
        """What this thread says meanwhile."""
        logger, thread, lines = logging.getLogger("flairline.preprocess"), threading.get_ident(), list[str]()
        with self.lock or contextlib.nullcontext():
            if not self.lines:
                self.level_before = logger.level
                logger.addHandler(self)
                logger.setLevel(logging.DEBUG)
            self.lines[thread] = lines
        try:
            yield lines
        finally:
            with self.lock or contextlib.nullcontext():
                del self.lines[thread]
                if not self.lines:
                    logger.setLevel(self.level_before)
                    logger.removeHandler(self)


_HEARD = _Heard()
