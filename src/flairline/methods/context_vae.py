"""A variational autoencoder that also learns to fill in what was cut out (ceVAE).

Zimmerer et al., Context-encoding variational autoencoder for unsupervised anomaly detection. 2018, arXiv:1812.05941.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from flairline.learning.slices.presets import VAE_ARCHITECTURES, Architectures
from flairline.learning.slices.slice_method import Variational
from flairline.types import MethodInfo

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from flairline.learning.loop import Budget, Objective


@dataclass(frozen=True)
class Method(Variational):
    """Reconstruction error times the smoothed gradient of KL, or either alone.

    Published: sample-wise AUROC .95 (BraTS 2017), .89 (ISLES 2015); no voxel-wise number for these data sets.

    Attributes
    ----------
    score
        "combi", "kl", "rec", "elbo" or "add" as `vae_gradient`; "residual" is what `vae` does.
    legacy_masked_target
        Train the second branch to give back the masked image, as published code does: nothing is filled in.
    """

    score: str = "combi"
    legacy_masked_target: bool = False

    info: ClassVar[MethodInfo] = MethodInfo(
        paper="Zimmerer et al. 2018, https://arxiv.org/abs/1812.05941",
        training="on slices of healthy scans: flairline fit context_vae",
        cost="about a second a scan on two cores",
        extra="deep",
        role="learned",
        learns_from="scans",
        reconstructs=True,
    )
    architectures: ClassVar[Architectures] = VAE_ARCHITECTURES

    def objective(self, network: Module, budget: Budget, learning_rate: float) -> Objective:
        """L1 and KL of the image, L1 of the image from one with squares cut out."""
        from flairline.learning.slices.objectives import ContextElbo

        return ContextElbo(network, budget, learning_rate, legacy_masked_target=self.legacy_masked_target)

    def score_slices(self, network: Module, images: Tensor, brains: Tensor) -> tuple[Tensor, Tensor]:
        """By `score`."""
        from flairline.learning.slices.scorers import Gradient, gradient_scores, residual_scores

        return (
            residual_scores(network, images, brains, self.batch, self.sign)
            if self.score == "residual"
            else gradient_scores(network, images, brains, self.batch, Gradient(kind=self.score), self.sign)
        )
