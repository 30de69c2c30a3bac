"""A variational autoencoder whose reconstructions a critic shall hold for images (AnoVAEGAN).

Baur et al. 2018, https://arxiv.org/abs/1804.04488; network and constants as in Baur et al. 2021.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from flairline.learning.slices.presets import Architectures
from flairline.learning.slices.slice_method import Autoencoder
from flairline.types import MethodInfo

if TYPE_CHECKING:
    from torch.nn import Module

    from flairline.learning.loop import Budget, Objective
    from flairline.learning.networks.autoencoders import Architecture


@dataclass(frozen=True)
class Method(Autoencoder):
    """What is brighter than the mean reconstruction, which the critic keeps from being blurred.

    Each batch moves encoder and generator by L1 and KL, each summed over pixels; then the generator by what the critic
    says of its reconstructions; then the critic `critic_steps` times. The paper's tables have no row for it. The
    comparative study's code also computes an error of the critic's features, and uses it nowhere: it is left out.

    Attributes
    ----------
    bottleneck
        "dense": `latent` numbers for a slice, as in the comparative study; "spatial": so many for each place of the
        smallest feature map, as in the paper of 2018. Training alone asks for it; the model folder keeps it.
    critic_steps
        Of the critic, for each batch.
    legacy_penalty_by_column
        Train with the gradient penalty of the comparative study's code, whose length is over the image's height alone.
    legacy_patch_critic
        A critic that judges each place of its smallest feature map alone, as that code's; the model folder keeps it.
    """

    bottleneck: Literal["dense", "spatial"] = "dense"
    critic_steps: int = 5
    legacy_penalty_by_column: bool = False
    legacy_patch_critic: bool = False

    info: ClassVar[MethodInfo] = MethodInfo(
        paper="Baur et al. 2018, https://arxiv.org/abs/1804.04488",
        training="on slices of healthy scans: flairline fit anovaegan",
        cost="under a second a scan on two cores",
        extra="deep",
        role="learned",
        learns_from="scans",
        reconstructs=True,
    )
    architectures: ClassVar[Architectures] = {
        "paper": {"latent": 128},
        "small": {"latent": 128, "filters": 8, "max_filters": 32},
        "test": {"size": 32, "latent": 8, "filters": 8, "max_filters": 8, "bottom": 16},
    }

    def architecture(self, preset: str) -> Architecture:
        """A preset's network, with the bottleneck and the critic that were asked for."""
        kind: Literal["vae", "vae_spatial"] = "vae_spatial" if self.bottleneck == "spatial" else "vae"
        made = super().architecture(preset)
        return replace(made, bottleneck=kind, legacy_patch_critic=self.legacy_patch_critic)

    def network(self, architecture: Architecture) -> Module:
        """Encoder, generator, critic."""
        from flairline.learning.networks.generator import CriticisedAutoencoder

        return CriticisedAutoencoder(architecture)

    def objective(self, network: Module, budget: Budget, learning_rate: float) -> Objective:
        """L1 and KL, and a game."""
        from flairline.learning.networks.critic import Slips
        from flairline.learning.slices.adversarial import CriticisedElbo

        slips = Slips(legacy_by_column=self.legacy_penalty_by_column)
        return CriticisedElbo(network, budget, learning_rate, self.critic_steps, slips=slips)
