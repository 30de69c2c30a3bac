"""A dense autoencoder whose dropout stays on: the mean of many reconstructions.

The idea of Pawlowski et al. 2018 (CT) in the form of Baur et al. 2021.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from flairline.learning.slices.slice_method import SliceMethod
from flairline.types import MethodInfo

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from flairline.learning.loop import Budget, Objective
    from flairline.learning.networks.autoencoders import Architecture


@dataclass(frozen=True)
class Method(SliceMethod):
    """The residual of the mean of Monte Carlo reconstructions.

    No number for these data sets was published where it can be read.

    Attributes
    ----------
    n_mc
        Draws of the dropout; the reconstruction is their mean. The number that was published is not known.
    normalise_by_std
        Divide by the draws' standard deviation.
    """

    n_mc: int = 20
    normalise_by_std: bool = False

    info: ClassVar[MethodInfo] = MethodInfo(
        paper="Pawlowski et al. 2018; Baur et al. 2021, https://doi.org/10.1016/j.media.2020.101952",
        training="on slices of healthy scans: flairline fit ae_bayesian",
        cost="a few seconds a scan on two cores",
        extra="deep",
    )
    family: ClassVar[str] = "ae_bayesian"
    architectures: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {"bottleneck": "dense", "dropout": 0.2},
        "small": {"bottleneck": "dense", "filters": 16, "max_filters": 64, "dropout": 0.2},
        "test": {"bottleneck": "dense", "size": 32, "filters": 4, "max_filters": 8, "latent": 8, "dropout": 0.2},
    }

    def network(self, architecture: Architecture) -> Module:
        """Encoder, dense bottleneck, decoder."""
        from flairline.learning.networks.autoencoders import UnifiedAutoencoder

        return UnifiedAutoencoder(architecture)

    def objective(self, network: Module, budget: Budget, learning_rate: float) -> Objective:
        """L1, summed over pixels."""
        from flairline.learning.slices.objectives import Reconstruct

        return Reconstruct(network, budget, learning_rate)

    def score_slices(self, network: Module, images: Tensor, brains: Tensor) -> tuple[Tensor, Tensor]:
        """What is brighter than the mean reconstruction of `n_mc` draws."""
        from flairline.learning.slices.scorers import residual_scores

        return residual_scores(
            network, images, brains, self.batch, self.sign, self.n_mc, self.seed, self.normalise_by_std
        )
