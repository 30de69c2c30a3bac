"""An autoencoder that learns and scores by structural similarity in the place of intensity.

Source: Bergmann et al. 2019, https://arxiv.org/abs/1807.02011.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from flairline.learning.slices.options import Similarity
from flairline.learning.slices.presets import TRAININGS, Architectures, Training
from flairline.learning.slices.slice_method import SliceMethod
from flairline.types import MethodInfo

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from flairline.learning.loop import Budget, Objective
    from flairline.learning.networks.autoencoders import Architecture

NO_NORM = {"norm": "none", "dropout": 0.0, "skip_dropout": 0.0}


@dataclass(frozen=True)
class Method(SliceMethod, Similarity):
    """1 - SSIM of a slice and its reconstruction where the slice is brighter.

    Published on textures and objects (MVTec), not on brains. SSIM has no sign and sees no constant shift of a region
    wider than its window; in flat dark tissue it sees noise alone. The fields are those of `Similarity`, of every slice
    method, and

    Attributes
    ----------
    l1_weight
        Weight of the mean absolute difference beside 1 - SSIM in training.
    """

    l1_weight: float = 0.0

    info: ClassVar[MethodInfo] = MethodInfo(
        paper="Bergmann et al. 2019, https://arxiv.org/abs/1807.02011",
        training="on slices of healthy scans: flairline fit ssim_ae",
        cost="a second a scan on two cores",
        extra="deep",
        role="learned",
        learns_from="scans",
        reconstructs=True,
    )
    architectures: ClassVar[Architectures] = {
        "paper": {"filters": 32, "latent": 100, **NO_NORM},
        "small": {"filters": 16, "latent": 100, **NO_NORM},
        "test": {"size": 32, "filters": 8, "latent": 16, **NO_NORM},
    }
    trainings: ClassVar[Mapping[str, Training]] = {
        **TRAININGS,
        "paper": replace(TRAININGS["paper"], batch=128, learning_rate=2e-4, epochs=200, patience=200),
    }

    def network(self, architecture: Architecture) -> Module:
        """The paper's encoder and decoder, a code of one pixel between them."""
        from flairline.learning.networks.narrow import NarrowAutoencoder

        return NarrowAutoencoder(architecture)

    def objective(self, network: Module, budget: Budget, learning_rate: float) -> Objective:
        """1 - SSIM, the mean over pixels."""
        from flairline.learning.slices.similarity import Ssim

        return Ssim(network, budget, learning_rate, self, self.l1_weight)

    def score_slices(self, network: Module, images: Tensor, brains: Tensor) -> tuple[Tensor, Tensor]:
        """How unlike a slice its reconstruction is, and the reconstruction."""
        from flairline.learning.slices.similarity import similarity_scores

        return similarity_scores(network, images, brains, self.batch, self, self.sign)
