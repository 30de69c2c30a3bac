"""What methods that learn from healthy slices share. Importable without torch; a method file says the rest.

A method is a network, an objective and a scorer (`network`, `objective`, `score_slices`), and the sizes it comes in
(`architectures`). Its model folder is of a `family`: methods of one family read the same folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from flairline.errors import InputError, MissingExtraError, ModelError
from flairline.learning.data import TrainingData, scratch_model
from flairline.learning.model import CONFIG, load_config, load_weights, model_stamp
from flairline.learning.slices.slices import SliceGrid, Slices, from_slices, to_slices
from flairline.types import MethodInfo, Scan, Scorer, Volume

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from flairline.learning.loop import Budget, Objective
    from flairline.learning.networks.autoencoders import Architecture

Sign = Literal["positive", "absolute"]


@dataclass(frozen=True)
class SliceMethod:
    """Base of the methods that learn what healthy axial slices look like.

    Attributes
    ----------
    device
        auto, cpu, cuda or mps.
    batch
        Slices that go through the network at once; it changes speed and memory, not the score.
    sign
        "positive": what is brighter than the network expects, for lesions in FLAIR; "absolute": what differs.
    seed
        Of whatever the scoring draws.
    legacy_affine_norm
        Train with a learned scale and shift in the place of batch norm: what the code of Baur et al. 2021 computes.
    """

    device: str = "auto"
    batch: int = 16
    sign: Sign = "positive"
    seed: int = 0
    legacy_affine_norm: bool = False

    info: ClassVar[MethodInfo]
    learns_from: ClassVar[str] = "scans"
    family: ClassVar[str]
    """Whose model folders it reads."""
    architectures: ClassVar[Mapping[str, Mapping[str, Any]]]
    """Preset (paper, small, test) -> values of `networks.Architecture`."""

    def network(self, architecture: Architecture) -> Module:
        """An untrained network."""
        raise NotImplementedError

    def objective(self, network: Module, budget: Budget, learning_rate: float) -> Objective:
        """What the network is trained for."""
        raise NotImplementedError

    def score_slices(self, network: Module, images: Tensor, brains: Tensor) -> tuple[Tensor, Tensor]:
        """Score and reconstruction, each (n, 1, size, size), of all slices of one scan."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """The method's name: its file's."""
        return type(self).__module__.rsplit(".", 1)[-1]

    def fit(self, healthy: Iterable[Scan] = ()) -> Scorer:
        """Train the preset `small` for ten minutes on scans in memory. For more, see `train`.

        Raises
        ------
        InputError
            There are fewer than two scans.
        """
        with scratch_model(self, healthy) as folder:
            scorer = SliceScorer(self, folder, self._config(folder))
            scorer.warm()
        return scorer

    def load(self, folder: Path) -> SliceScorer:
        """The scorer of a model folder.

        Raises
        ------
        ModelError
            The folder is missing, broken, foreign or newer.
        MissingExtraError
            torch or safetensors is not installed.
        """
        folder = Path(folder).resolve()
        return _loaded(self, folder, model_stamp(folder))

    def train(self, healthy: TrainingData, folder: Path, **options: Any) -> None:
        """Train and write a model folder; `options` as `_torch.fit_slices.fit_slices` takes them."""
        try:
            from flairline.learning.slices.fit_slices import fit_slices
        except ModuleNotFoundError as error:
            raise MissingExtraError(f"Training {self.name}", "deep") from error
        fit_slices(self, healthy, folder, **options)

    def _config(self, folder: Path) -> dict[str, Any]:
        config = load_config(folder, self.family)
        try:
            SliceGrid(**config["grid"])
            dict(config["architecture"])
        except (KeyError, TypeError, ValueError) as error:
            msg = f"{folder / CONFIG} lacks how slices are cut or how the network is built. Train the model again."
            raise ModelError(msg) from error
        return config


@lru_cache(maxsize=4)
def _loaded(method: SliceMethod, folder: Path, stamp: tuple[tuple[int, int], ...]) -> SliceScorer:
    """A process reads a model once, and once more if another one lies there: `stamp` is then another."""
    return SliceScorer(method, folder, method._config(folder))


@dataclass(frozen=True)
class SliceScorer:
    """Scores scans with one model folder; the network is read at the first scan."""

    method: SliceMethod
    folder: Path
    config: dict[str, Any]

    def __call__(self, scan: Scan) -> Volume:
        """The score on the scan's grid, at least zero."""
        return self.score_many([scan])[0]

    def score_many(self, scans: Sequence[Scan]) -> list[Volume]:
        """The scores of several scans."""
        volumes = []
        for scan in scans:
            slices = to_slices(scan, self.grid)
            score, _ = self._scored(slices)
            volumes.append(Volume(from_slices(score, slices, scan), scan.space))
        return volumes

    def reconstruction(self, scan: Scan, only: int | None = None) -> tuple[Volume, Volume]:
        """What the network sees, in [0, 1], and what it takes for healthy, on the scan's grid.

        With `only` just that axial slice is made, cut and scaled as in the whole scan; the others are zero.
        """
        slices = to_slices(scan, self.grid)
        if only is not None:
            kept = slices.indices == only
            slices = replace(
                slices, images=slices.images[kept], brains=slices.brains[kept], indices=slices.indices[kept]
            )
        _, reconstruction = self._scored(slices)
        images = (slices.images, reconstruction)
        seen, healthy = (Volume(from_slices(values, slices, scan), scan.space) for values in images)
        return seen, healthy

    @property
    def grid(self) -> SliceGrid:
        """How the model's slices are cut."""
        return SliceGrid(**self.config["grid"])

    def warm(self) -> None:
        """Read the network now."""
        assert self._network is not None

    def _scored(self, slices: Slices) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        import torch

        if not len(slices.images):
            return slices.images, slices.images
        network, device = self._network
        images, brains = (
            torch.from_numpy(array.astype(np.float32))[:, None].to(device) for array in (slices.images, slices.brains)
        )
        score, reconstruction = self.method.score_slices(network, images, brains)
        return tuple(tensor[:, 0].detach().float().cpu().numpy() for tensor in (score, reconstruction))  # type: ignore[return-value]

    @cached_property
    def _network(self) -> tuple[Any, Any]:
        try:
            import torch

            from flairline.learning.model import fill
            from flairline.learning.networks.autoencoders import Architecture
        except ModuleNotFoundError as error:
            raise MissingExtraError(self.method.name, "deep") from error
        try:
            network = self.method.network(Architecture(**self.config["architecture"]))
        except (ArithmeticError, RuntimeError, TypeError, ValueError) as error:
            msg = f"{self.folder / CONFIG} describes a network that cannot be built ({error}). Train the model again."
            raise ModelError(msg) from error
        device = torch.device(chosen_device(self.method.device))
        return fill(network, load_weights(self.folder), self.folder).to(device), device


def chosen_device(wanted: str) -> str:
    """The device's name; `auto` takes CUDA, else MPS, else the CPU. Raises `InputError` if this machine lacks it."""
    import torch

    counts = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available()), "cpu": 1}
    there = [name for name, count in counts.items() if count]
    if wanted == "auto":
        return there[0]
    if wanted not in {*there, *(f"{name}:{number}" for name in there for number in range(counts[name]))}:
        known = ", ".join(there)
        msg = f"Wanted the device {wanted!r}, but this machine has {known}. Give one of them, or auto."
        raise InputError(msg)
    return wanted


def plain(value: Any) -> dict[str, Any]:
    """A dataclass as plain values for config.json."""
    return asdict(value)
