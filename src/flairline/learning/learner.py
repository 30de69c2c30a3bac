"""What a method that learns says of itself to the code that trains it."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

from flairline.learning.run import TrainingRun
from flairline.types import MethodInfo


class Learner:
    """Names of a method that learns; a method's class inherits them."""

    info: ClassVar[MethodInfo]

    @property
    def name(self) -> str:
        """The method's name: its file's."""
        return type(self).__module__.rsplit(".", 1)[-1]

    @property
    def family(self) -> str:
        """The method whose model folders it reads and writes: its own, or the one that `info.reads` names."""
        return self.info.reads or self.name


class Trains(Protocol):
    """What can be trained on scans in memory (`data.scratch_model`)."""

    @property
    def name(self) -> str:
        """The method's name."""

    @property
    def family(self) -> str:
        """The method whose model folders it writes."""

    def train(self, data: Any, run: TrainingRun) -> None:
        """Learn from `data` and write the run's model folder."""
