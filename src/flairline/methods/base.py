"""What a method is. This file is the contract; every other one in the folder is a method.

What a method can do beyond `fit` its `info` says, so that nobody has to try:

- `info.learns_from` is not empty: it is `Trainable`.
- `info.reconstructs`: its scorers are `Reconstructs`.
- `info.recipes` is not empty: it `GivesRecipes`, and with `info.default_rank` it can be asked to be the `Default`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, ClassVar, Protocol, cast

from flairline import registry
from flairline.learning.run import TrainingRun
from flairline.postprocess.recipe import Recipe
from flairline.types import MethodInfo, Scan, Scorer, Volume


class Method(Protocol):
    """A frozen dataclass whose fields, each with a default, are the method's configuration."""

    info: ClassVar[MethodInfo]

    def fit(self, healthy: Iterable[Scan] = ()) -> Scorer:
        """A scorer: at once where there is nothing to learn, else after learning from scans in memory.

        Raises
        ------
        InputError
            The method must learn and there are too few scans.
        """


class Trainable(Method, Protocol):
    """A method that is trained once and then read from its model folder."""

    @property
    def family(self) -> str:
        """The method whose model folders it reads and writes: its own name, or `info.reads`."""

    @property
    def presets(self) -> Collection[str]:
        """Names of the sizes that it can be trained at; "test" takes seconds."""

    def train(self, data: Any, run: TrainingRun) -> None:
        """Learn and write the run's model folder.

        Parameters
        ----------
        data
            As `info.learns_from` says: `learning.data.TrainingData` ("scans") or
            `learning.volumes.label_maps.LabelMaps` ("label maps").

        Raises
        ------
        InputError
            The data or the run's preset or device cannot be used.
        ModelError
            The training to go on with is another one.
        MissingExtraError
            What the training needs is not installed.
        """

    def load(self, folder: Path) -> Scorer:
        """The scorer of a model folder: read once in each process, and anew if another model lies there.

        Raises
        ------
        ModelError
            The folder is missing, broken, foreign or newer.
        """


class Reconstructs(Protocol):
    """A scorer that also shows what it takes for healthy."""

    def __call__(self, scan: Scan) -> Volume:
        """The score."""

    def reconstruction(self, scan: Scan, only: int | None = None) -> tuple[Volume, Volume]:
        """What it sees of the scan, in [0, 1], and what it takes for healthy, on the scan's grid.

        With `only` just that axial slice is made; the others are zero.
        """


class GivesRecipes(Method, Protocol):
    """A method that says how its score becomes a mask."""

    def recipe(self, name: str, model: Path | None = None) -> Recipe:
        """The recipe of one of the names in `info.recipes`, with a model folder where one is given.

        Of a `Default`, also the recipe "default", whose `why` says why it was chosen.
        """


class Default(GivesRecipes, Protocol):
    """A method that the recipe `default` asks, in the order of `info.default_rank`."""

    def obstacle(self) -> str:
        """Why it cannot run on this machine, as the end of a sentence; empty if it can."""


def load_method(name: str) -> type[Method]:
    """The class of a method. Raises `UnknownNameError` or `MissingPackageError`."""
    return cast(type[Method], registry.load("methods", name))


def trainable(method: Method) -> Trainable | None:
    """The method as one that can be trained; None if it cannot."""
    return cast(Trainable, method) if method.info.learns_from else None


def giver(method: Method) -> GivesRecipes | None:
    """The method as one that gives recipes; None if it gives none."""
    return cast(GivesRecipes, method) if method.info.recipes else None


def candidate(method: Method) -> Default | None:
    """The method as one that may be the default; None if it may not."""
    return cast(Default, method) if method.info.default_rank else None


def reconstructing(method: Method, scorer: Scorer) -> Reconstructs | None:
    """The method's scorer as one that reconstructs; None if it does not."""
    return cast(Reconstructs, scorer) if method.info.reconstructs else None
