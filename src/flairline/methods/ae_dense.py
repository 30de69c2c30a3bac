"""An autoencoder that has 128 numbers for a slice.

Baur et al. 2021, the comparative study whose table the paper quotes; architecture as methods of its released code.
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
    """The residual of an autoencoder with a dense bottleneck.

    Published [Dice] / AUPRC / AUROC: MSLUB .271 / .163 / .794, MSSEG 2015 .185 / .080 / .879. Its reconstructions have
    no texture, so that the residual is close to the slice minus its own blur.
    """

    info: ClassVar[MethodInfo] = MethodInfo(
        paper="Baur et al. 2021, https://doi.org/10.1016/j.media.2020.101952",
        training="on slices of healthy scans: flairline fit ae_dense",
        cost="under a second a scan on two cores",
        extra="deep",
    )
    family: ClassVar[str] = "ae_dense"
    architectures: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {"bottleneck": "dense"},
        "small": {"bottleneck": "dense", "filters": 16, "max_filters": 64},
        "test": {"bottleneck": "dense", "size": 32, "filters": 4, "max_filters": 8, "latent": 8},
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
        """What is brighter than its reconstruction."""
        from flairline.learning.slices.scorers import residual_scores

        return residual_scores(network, images, brains, self.batch, self.sign)
