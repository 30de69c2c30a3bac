"""A VAE's gradient: which pixels, if changed, would make a slice more likely.

Source: Zimmerer et al. 2019, https://arxiv.org/abs/1907.02796.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from flairline.learning.slices.architectures import VAE_ARCHITECTURES
from flairline.learning.slices.options import Gradient
from flairline.learning.slices.slice_method import Sign, SliceMethod
from flairline.types import MethodInfo

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from flairline.learning.loop import Budget, Objective
    from flairline.learning.networks.autoencoders import Architecture


@dataclass(frozen=True)
class Method(SliceMethod, Gradient):
    """Smoothed gradient of KL times reconstruction error ("combi"), both of either sign as in the paper.

    Reads the model folders of `vae`; the fields are those of `Gradient` and of every slice method. The paper's own
    network is another (slices of 64, Gaussian likelihood), so `reconstruction` is what `vae` was trained with, "l1".
    """

    sign: Sign = "absolute"

    family: ClassVar[str] = "vae"
    architectures: ClassVar[Mapping[str, Mapping[str, Any]]] = VAE_ARCHITECTURES
    info: ClassVar[MethodInfo] = MethodInfo(
        paper="Zimmerer et al. 2019, https://arxiv.org/abs/1907.02796",
        training="on slices of healthy scans, the model of vae: flairline fit vae",
        cost="seconds a scan on two cores (one forward and one backward pass a slice)",
        extra="deep",
    )

    def network(self, architecture: Architecture) -> Module:
        """Encoder, variational bottleneck, decoder."""
        from flairline.learning.networks.autoencoders import UnifiedAutoencoder

        return UnifiedAutoencoder(architecture)

    def objective(self, network: Module, budget: Budget, learning_rate: float) -> Objective:
        """L1 and KL, each summed."""
        from flairline.learning.slices.objectives import Elbo

        return Elbo(network, budget, learning_rate)

    def score_slices(self, network: Module, images: Tensor, brains: Tensor) -> tuple[Tensor, Tensor]:
        """Score and reconstruction."""
        from flairline.learning.slices.scorers import gradient_scores

        return gradient_scores(network, images, brains, self.batch, self, self.sign)
