"""A generative adversarial network of healthy slices, and an encoder that inverts it (f-AnoGAN).

Schlegl et al. 2019, https://doi.org/10.1016/j.media.2019.01.010; network and constants as compared by Baur et al. 2021.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from flairline.learning.slices.presets import Architectures
from flairline.learning.slices.slice_method import Autoencoder
from flairline.types import MethodInfo

if TYPE_CHECKING:
    from torch.nn import Module

    from flairline.learning.loop import Budget, Objective
    from flairline.learning.networks.autoencoders import Architecture


@dataclass(frozen=True)
class Method(Autoencoder):
    """What is brighter than the generator's image for the slice's code.

    Published [Dice] / AUPRC / AUROC: MSLUB .283 / .221 / .856, MSSEG 2015 .342 / .255 / .923, on the latter the best of
    the learned ones. The first half of the budget trains generator and critic, the second the encoder; only that one is
    judged, by the reconstruction of held-out slices.

    Attributes
    ----------
    critic_steps
        Batches that the critic learns from for each that the generator learns from.
    feature_weight
        Of the critic's features beside the image, in what the encoder is trained for.
    legacy_penalty_by_column
        Train with the gradient penalty of the comparative study's code, whose length is over the image's height alone.
    legacy_patch_critic
        A critic that judges each place of its smallest feature map alone, as that code's; the model folder keeps it.
    """

    critic_steps: int = 5
    feature_weight: float = 1.0
    legacy_penalty_by_column: bool = False
    legacy_patch_critic: bool = False

    info: ClassVar[MethodInfo] = MethodInfo(
        paper="Schlegl et al. 2019, https://doi.org/10.1016/j.media.2019.01.010",
        training="on slices of healthy scans: flairline fit fanogan",
        cost="under a second a scan on two cores",
        extra="deep",
        published_as="f-AnoGAN",
        role="learned",
        learns_from="scans",
        reconstructs=True,
    )
    architectures: ClassVar[Architectures] = {
        "paper": {"bottleneck": "tanh", "bottom": 16, "latent": 128},
        "small": {"bottleneck": "tanh", "bottom": 16, "latent": 128, "filters": 8, "max_filters": 32},
        "test": {"bottleneck": "tanh", "size": 32, "bottom": 16, "latent": 8, "filters": 8, "max_filters": 8},
    }

    def architecture(self, preset: str) -> Architecture:
        """A preset's network, with the critic that was asked for."""
        return replace(super().architecture(preset), legacy_patch_critic=self.legacy_patch_critic)

    def network(self, architecture: Architecture) -> Module:
        """Generator, critic, encoder."""
        from flairline.learning.networks.generator import InvertedGenerator

        return InvertedGenerator(architecture)

    def objective(self, network: Module, budget: Budget, learning_rate: float) -> Objective:
        """The game, then its inversion."""
        from flairline.learning.networks.critic import Slips
        from flairline.learning.slices.adversarial import Inversion

        slips = Slips(legacy_by_column=self.legacy_penalty_by_column)
        return Inversion(network, budget, learning_rate, self.critic_steps, self.feature_weight, slips)
