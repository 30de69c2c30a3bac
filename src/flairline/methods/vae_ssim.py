"""A VAE's reconstruction, judged by structural similarity in the place of intensity.

The score of Bergmann et al. 2019, https://arxiv.org/abs/1807.02011, with the network of Baur et al. 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from flairline.learning.slices.options import Similarity
from flairline.learning.slices.presets import VAE_ARCHITECTURES, Architectures
from flairline.learning.slices.slice_method import Variational
from flairline.types import MethodInfo

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module


@dataclass(frozen=True)
class Method(Variational, Similarity):
    """1 - SSIM of a slice and its mean reconstruction where the slice is brighter.

    Reads the model folders of `vae`. The fields are those of `Similarity` and of every slice method.
    """

    architectures: ClassVar[Architectures] = VAE_ARCHITECTURES
    info: ClassVar[MethodInfo] = MethodInfo(
        paper="Bergmann et al. 2019, https://arxiv.org/abs/1807.02011 (the score alone)",
        training="on slices of healthy scans, the model of vae: flairline fit vae",
        cost="a second a scan on two cores",
        extra="deep",
        reads="vae",
        role="learned",
        learns_from="scans",
        reconstructs=True,
    )

    def score_slices(self, network: Module, images: Tensor, brains: Tensor) -> tuple[Tensor, Tensor]:
        """How unlike a slice its reconstruction is, and the reconstruction."""
        from flairline.learning.slices.similarity import similarity_scores

        return similarity_scores(network, images, brains, self.batch, self, self.sign)
