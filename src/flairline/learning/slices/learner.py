"""What a method that learns from slices says: its sizes, its network, what that is trained for, how it scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from flairline.errors import InputError
from flairline.learning.learner import Learner
from flairline.learning.slices.presets import TRAININGS, Architectures, Training

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from flairline.learning.loop import Budget, Objective
    from flairline.learning.slices.slice_cache import SliceStore

Sign = Literal["positive", "absolute"]


@dataclass(frozen=True)
class SliceLearner(Learner, ABC):
    """Fields and hooks of the methods that learn what healthy axial slices look like.

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

    architectures: ClassVar[Architectures]
    """Preset (paper, small, test) -> what `sizes` takes: values of `networks.autoencoders.Architecture`."""
    trainings: ClassVar[Mapping[str, Training]] = TRAININGS
    """Preset -> how it is trained."""

    @property
    def presets(self) -> tuple[str, ...]:
        """Names of the presets that it can be trained by."""
        return tuple(name for name in TRAININGS if name in self.architectures)

    def sizes(self, values: Mapping[str, Any]) -> Any:
        """The network's sizes from plain values, as config.json has them: a dataclass with `size`, the slices' side."""
        from flairline.learning.networks.autoencoders import Architecture

        return Architecture(**values)

    def architecture(self, preset: str) -> Any:
        """The sizes that a preset trains.

        Raises
        ------
        InputError
            `legacy_affine_norm` is on and the network has no norm.
        """
        sizes = self.sizes(self.architectures[preset])
        if not self.legacy_affine_norm:
            return sizes
        if "norm" not in {field.name for field in fields(sizes)}:
            msg = f"Wanted no legacy_affine_norm: the network of {self.name} has no batch norm. Leave it out."
            raise InputError(msg)
        return replace(sizes, norm="affine")

    @abstractmethod
    def network(self, architecture: Any) -> Module:
        """An untrained network of such sizes."""

    def settle(self, network: Module, training: Sequence[SliceStore], held: Sequence[SliceStore]) -> None:
        """What a trained network keeps of the slices themselves, as buffers: a memory, a threshold. None by default."""

    @abstractmethod
    def objective(self, network: Module, budget: Budget, learning_rate: float) -> Objective:
        """What the network is trained for."""

    @abstractmethod
    def score_slices(self, network: Module, images: Tensor, brains: Tensor) -> tuple[Tensor, Tensor]:
        """Score and reconstruction, each (n, 1, size, size), of all slices of one scan."""
