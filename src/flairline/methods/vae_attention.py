"""A VAE's attention: which pixels drive its latent code away from what healthy slices have.

Source: Liu et al. 2020, https://arxiv.org/abs/1911.07389.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from flairline.learning.slices.options import Attention
from flairline.learning.slices.presets import VAE_ARCHITECTURES, Architectures
from flairline.learning.slices.slice_method import Variational
from flairline.types import MethodInfo

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module


@dataclass(frozen=True)
class Method(Variational, Attention):
    """Grad-CAM of the mean's part of KL, at one stage of the encoder.

    Published on textures and objects (MVTec), not on brains. Its cells are coarse (4 pixels, 7.5 mm, at stage 2), so
    that small lesions are marked with what lies around them. Reads the model folders of `vae`. The fields are those of
    `Attention` and of every slice method; `sign` "absolute" takes the map's size, as the released code does, "positive"
    its positive part, as the paper. That code also divides gradients by their root mean square over the batch and each
    map by its own range, so that every slice has an anomaly: neither is done here.
    """

    architectures: ClassVar[Architectures] = VAE_ARCHITECTURES
    info: ClassVar[MethodInfo] = MethodInfo(
        paper="Liu et al. 2020, https://arxiv.org/abs/1911.07389",
        training="on slices of healthy scans, the model of vae: flairline fit vae",
        cost="seconds a scan on two cores (one forward and one backward pass a slice)",
        extra="deep",
        reads="vae",
        role="learned",
        learns_from="scans",
        reconstructs=True,
    )

    def score_slices(self, network: Module, images: Tensor, brains: Tensor) -> tuple[Tensor, Tensor]:
        """Attention and reconstruction."""
        from flairline.learning.slices.attention import attention_scores

        return attention_scores(network, images, brains, self.batch, self, self.sign)
