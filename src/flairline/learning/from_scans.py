"""What all methods that learn from scans do alike: a short training on scans in memory, and reading a model folder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from flairline.learning.data import scratch_model
from flairline.learning.learner import Learner
from flairline.learning.model import ModelFolder, read_once
from flairline.learning.run import TrainingRun
from flairline.types import Scan, Volume


class FolderScorer(Protocol):
    """A scorer of a model folder."""

    def __call__(self, scan: Scan) -> Volume:
        """The score on the scan's grid."""

    def warm(self) -> None:
        """Read all that scoring needs now; the folder may go afterwards."""


AScorer = TypeVar("AScorer", bound=FolderScorer, covariant=True)


class FromScans(Learner, ABC, Generic[AScorer]):
    """Base of a method's configuration; a frozen dataclass."""

    @abstractmethod
    def read(self, model: ModelFolder) -> AScorer:
        """The scorer of a model folder; errors as of `load`."""

    @abstractmethod
    def train(self, data: Any, run: TrainingRun) -> None:
        """Learn from `TrainingData` and write the run's model folder."""

    def fit(self, healthy: Iterable[Scan] = ()) -> AScorer:
        """Train the preset `small` for ten minutes on scans in memory. For more, see `train`.

        Raises
        ------
        InputError
            There are fewer than two scans.
        """
        with scratch_model(self, healthy) as folder:
            scorer = self.read(ModelFolder(folder))
            scorer.warm()
        return scorer

    def load(self, folder: Path) -> AScorer:
        """The scorer of a model folder.

        Raises
        ------
        ModelError
            The folder is missing, broken, foreign or newer.
        MissingExtraError
            A package that the model needs is not installed.
        """
        return read_once(_read, self, folder)


def _read(method: FromScans[AScorer], model: ModelFolder) -> AScorer:
    return method.read(model)
