"""An autoencoder that must find its reconstruction's code again, with codes like those of N(0, 1).

Chen & Konukoglu 2018, https://arxiv.org/abs/1806.04972; network as compared by Baur et al. 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
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
    """What is brighter than its reconstruction; an image and its reconstruction shall have the same code.

    The idea: a lesion and its healthy reconstruction lie close in the space of codes, so that the code of a patient is
    that of the patient without the lesion. The paper's tables have no row for it. The autoencoder lowers the length of
    the image's error plus half the squared length of the code's, as the authors do; then a critic of codes makes
    `critic_steps` steps, and the encoder one against it. The authors make ten times as many in the first 20 epochs.

    Attributes
    ----------
    constraint_weight
        Of the code's error; 0 is the adversarial autoencoder alone.
    adversarial
        False is the constrained autoencoder without a critic.
    critic_steps
        Of the critic, for each batch.
    legacy_means
        Train with the comparative study's losses: means over pixels and over the code's numbers, which make 128
        numbers of a code weigh as much as 16,384 pixels.
    legacy_extrapolation
        Train with the comparative study's gradient penalty, at points beyond the drawn codes, in the place of between
        those and the images'.
    """

    constraint_weight: float = 1.0
    adversarial: bool = True
    critic_steps: int = 20
    legacy_means: bool = False
    legacy_extrapolation: bool = False

    info: ClassVar[MethodInfo] = MethodInfo(
        paper="Chen & Konukoglu 2018, https://arxiv.org/abs/1806.04972",
        training="on slices of healthy scans: flairline fit constrained_aae",
        cost="under a second a scan on two cores",
        extra="deep",
        role="learned",
        learns_from="scans",
        reconstructs=True,
    )
    architectures: ClassVar[Architectures] = {
        "paper": {"bottom": 16, "latent": 128, "dropout": 0.0},
        "small": {"bottom": 16, "latent": 128, "dropout": 0.0, "filters": 16, "max_filters": 64},
        "test": {"size": 32, "bottom": 8, "latent": 8, "dropout": 0.0, "filters": 4, "max_filters": 8},
    }

    def network(self, architecture: Architecture) -> Module:
        """Encoder, decoder, and a critic of codes."""
        from flairline.learning.slices.constrained import CriticisedCodes

        return CriticisedCodes(architecture)

    def objective(self, network: Module, budget: Budget, learning_rate: float) -> Objective:
        """Reconstruction, constraint, and a game over codes."""
        from flairline.learning.networks.critic import Slips
        from flairline.learning.slices.constrained import Constrained, Constraint

        constraint = Constraint(self.constraint_weight, self.adversarial, self.critic_steps, self.legacy_means)
        slips = Slips(legacy_beyond=self.legacy_extrapolation)
        return Constrained(network, budget, learning_rate, constraint, slips)
