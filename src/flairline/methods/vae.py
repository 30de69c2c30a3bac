"""A variational autoencoder, scored by its reconstruction.

Baur et al. 2021. `vae_restoration` and `vae_gradient` read the same model folders.
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

    from flairline.learning.networks.autoencoders import Architecture


@dataclass(frozen=True)
class Method(Variational):
    """The residual of a variational autoencoder's mean reconstruction; trained by L1 and KL, each summed.

    Attributes
    ----------
    legacy_sampling
        Sample the latent code while scoring, too, as the published code does; scores then hang on `seed`.
    """

    legacy_sampling: bool = False

    info: ClassVar[MethodInfo] = MethodInfo(
        paper="Baur et al. 2021, https://doi.org/10.1016/j.media.2020.101952",
        training="on slices of healthy scans: flairline fit vae",
        cost="under a second a scan on two cores",
        extra="deep",
        role="learned",
        learns_from="scans",
        reconstructs=True,
    )
    architectures: ClassVar[Architectures] = VAE_ARCHITECTURES

    def network(self, architecture: Architecture) -> Module:
        """Encoder, variational bottleneck, decoder."""
        from flairline.learning.networks.autoencoders import UnifiedAutoencoder

        return UnifiedAutoencoder(architecture, self.legacy_sampling)

    def score_slices(self, network: Module, images: Tensor, brains: Tensor) -> tuple[Tensor, Tensor]:
        """What is brighter than its reconstruction."""
        import torch

        from flairline.learning.slices.scorers import residual_scores

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return residual_scores(network, images, brains, self.batch, self.sign)
