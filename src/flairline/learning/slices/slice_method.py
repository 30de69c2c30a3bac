"""Bases of the methods that learn what healthy axial slices look like. Torch loads when a network is needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flairline.errors import MissingExtraError
from flairline.learning.data import TrainingData
from flairline.learning.from_scans import FromScans
from flairline.learning.model import ModelFolder
from flairline.learning.run import TrainingRun
from flairline.learning.slices.learner import Sign, SliceLearner
from flairline.learning.slices.slice_scorer import SliceScorer

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from flairline.learning.loop import Budget, Objective
    from flairline.learning.networks.autoencoders import Architecture

__all__ = ["Autoencoder", "Sign", "SliceMethod", "Variational"]


@dataclass(frozen=True)
class SliceMethod(SliceLearner, FromScans[SliceScorer]):
    """A method that learns from slices; for its fields and hooks see `SliceLearner`."""

    def read(self, model: ModelFolder) -> SliceScorer:
        """The scorer of a model folder."""
        return SliceScorer.read(self, model)

    def train(self, data: TrainingData, run: TrainingRun) -> None:
        """Train and write a model folder. Raises as `fit_slices.fit_slices` does, or `MissingExtraError`."""
        try:
            from flairline.learning.slices.fit_slices import fit_slices
        except ModuleNotFoundError as error:
            raise MissingExtraError(f"Training {self.name}", "deep") from error
        fit_slices(self, data, run)


@dataclass(frozen=True)
class Autoencoder(SliceMethod):
    """Encoder, bottleneck, decoder (`UnifiedAutoencoder`), trained by L1; scored by what its reconstruction lacks."""

    def network(self, architecture: Architecture) -> Module:
        """Encoder, bottleneck, decoder."""
        from flairline.learning.networks.autoencoders import UnifiedAutoencoder

        return UnifiedAutoencoder(architecture)

    def objective(self, network: Module, budget: Budget, learning_rate: float) -> Objective:
        """L1, summed over pixels."""
        from flairline.learning.slices.objectives import Reconstruct

        return Reconstruct(network, budget, learning_rate)

    def score_slices(self, network: Module, images: Tensor, brains: Tensor) -> tuple[Tensor, Tensor]:
        """What is brighter than its reconstruction."""
        from flairline.learning.slices.scorers import residual_scores

        return residual_scores(network, images, brains, self.batch, self.sign)


@dataclass(frozen=True)
class Variational(Autoencoder):
    """As `Autoencoder` with a variational bottleneck, trained for the evidence lower bound."""

    def objective(self, network: Module, budget: Budget, learning_rate: float) -> Objective:
        """L1 and KL, each summed."""
        from flairline.learning.slices.objectives import Elbo

        return Elbo(network, budget, learning_rate)
