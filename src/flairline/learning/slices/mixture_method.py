"""What methods share whose autoencoder has a mixture of Gaussians behind its code. Torch loads when it is needed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from flairline.learning.slices.options import Restoration
from flairline.learning.slices.slice_method import Autoencoder

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from flairline.learning.loop import Budget, Objective
    from flairline.learning.networks.autoencoders import Architecture

Preset = TypeVar("Preset", bound="Mixture")


@dataclass(frozen=True)
class Mixture(Autoencoder, Restoration):
    """Trained for L1 and the cost of its codes, each summed; scored by restoration with the same loss.

    Attributes
    ----------
    free_nats
        Below this the responsibilities' divergence from all alike costs nothing: 1 in Baur et al. 2021, .5 in
        You et al. 2019. It is log K at most.
    legacy_responsibilities
        Train with the responsibilities of the published code, whose log determinant has the wrong sign and factor
        (`networks.mixture.log_responsibilities`). The model folder keeps it, and is scored with it.
    """

    free_nats: float = 1.0
    legacy_responsibilities: bool = False

    @classmethod
    def you(cls: type[Preset], **others: Any) -> Preset:
        """As the code of You et al. 2019 restores with a mixture."""
        return super().you(**{"tv_weight": 1.8, "clip": 100.0, "free_nats": 0.5, **others})

    def architecture(self, preset: str) -> Architecture:
        """A preset's network, with the slips that were asked for."""
        return replace(super().architecture(preset), legacy_responsibilities=self.legacy_responsibilities)

    def network(self, architecture: Architecture) -> Module:
        """Encoder, mixture, decoder."""
        from flairline.learning.networks.mixture import MixtureAutoencoder

        return MixtureAutoencoder(architecture)

    def objective(self, network: Module, budget: Budget, learning_rate: float) -> Objective:
        """L1 and the codes' cost."""
        from flairline.learning.slices.mixture import MixtureElbo

        return MixtureElbo(network, budget, learning_rate, self.free_nats)

    def score_slices(self, network: Module, images: Tensor, brains: Tensor) -> tuple[Tensor, Tensor]:
        """Distance from the restoration, and the restoration."""
        from flairline.learning.slices.mixture import mixture_kl
        from flairline.learning.slices.restoration import restoration_scores

        def cost(found: Any) -> Tensor:
            return mixture_kl(found.latents, self.free_nats)

        return restoration_scores(network, images, brains, self.batch, self, self.sign, cost)
