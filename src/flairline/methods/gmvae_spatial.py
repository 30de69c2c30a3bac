"""Restoration by an autoencoder that has a mixture of Gaussians at each place of its smallest feature map.

You et al. 2019, http://proceedings.mlr.press/v102/you19a.html; network and constants as compared by Baur et al. 2021.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from flairline.learning.slices.mixture_method import Mixture
from flairline.learning.slices.presets import Architectures
from flairline.types import MethodInfo

if TYPE_CHECKING:
    from flairline.learning.networks.autoencoders import Architecture


@dataclass(frozen=True)
class Method(Mixture):
    """As `gmvae`, with one number z and one number w at each place of a grid of 8 x 8.

    So 64 numbers stand for a slice. All divergences are summed over the places; `free_nats` is each place's own.
    The paper's tables have no row for it.

    Attributes
    ----------
    legacy_bypass
        Train a decoder that is fed the encoder's features in the place of z: what the code of Baur et al. 2021
        computes under this name is a spatial autoencoder beside an unused mixture. The model folder keeps it.
    """

    legacy_bypass: bool = False

    info: ClassVar[MethodInfo] = MethodInfo(
        paper="You et al. 2019, http://proceedings.mlr.press/v102/you19a.html",
        training="on slices of healthy scans: flairline fit gmvae_spatial",
        cost="minutes a scan on two cores (`steps` times a network's forward and backward pass a slice)",
        extra="deep",
        iterative=True,
        role="learned",
        learns_from="scans",
        reconstructs=True,
    )
    architectures: ClassVar[Architectures] = {
        "paper": {"bottleneck": "mixture_spatial", "latent": 1, "components": 9},
        "small": {"bottleneck": "mixture_spatial", "filters": 16, "max_filters": 64, "latent": 1, "components": 9},
        "test": {
            "bottleneck": "mixture_spatial",
            **{"size": 32, "filters": 4, "max_filters": 8, "latent": 1, "components": 3},
        },
    }

    def architecture(self, preset: str) -> Architecture:
        """A preset's network, with the slips that were asked for."""
        return replace(super().architecture(preset), legacy_bypass=self.legacy_bypass)
