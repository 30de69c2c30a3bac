"""What a method that learns from slices says: its sizes, its network, what that is trained for, how it scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from flairline.learning.learner import Learner
from flairline.learning.slices.presets import TRAININGS, Architectures, Training

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from flairline.learning.loop import Budget, Objective
    from flairline.learning.networks.autoencoders import Architecture

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
    """Preset (paper, small, test) -> values of `networks.autoencoders.Architecture`."""
    trainings: ClassVar[Mapping[str, Training]] = TRAININGS
    """Preset -> how it is trained."""

    @property
    def presets(self) -> tuple[str, ...]:
        """Names of the presets that it can be trained by."""
        return tuple(name for name in TRAININGS if name in self.architectures)

    @abstractmethod
    def network(self, architecture: Architecture) -> Module:
        """An untrained network."""

    @abstractmethod
    def objective(self, network: Module, budget: Budget, learning_rate: float) -> Objective:
        """What the network is trained for."""

    @abstractmethod
    def score_slices(self, network: Module, images: Tensor, brains: Tensor) -> tuple[Tensor, Tensor]:
        """Score and reconstruction, each (n, 1, size, size), of all slices of one scan."""
