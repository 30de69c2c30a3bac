"""A VAE's projection: the slice moves down the model's own error until it is rebuilt, and what moved is abnormal.

Source: Dehaene et al. 2020, https://arxiv.org/abs/2002.03734.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from flairline.learning.slices.options import Projection
from flairline.learning.slices.presets import VAE_ARCHITECTURES, Architectures
from flairline.learning.slices.slice_method import Variational
from flairline.types import MethodInfo

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module


@dataclass(frozen=True)
class Method(Variational, Projection):
    """y - x*, where x* descends from y on squared reconstruction error + L1 of x - y, well rebuilt pixels more slowly.

    Published on textures and objects (MVTec), not on brains. Reads the model folders of `vae`. The fields are those of
    `Projection` and of every slice method; `Method.dehaene()` has the paper's constants, whose 100 steps move images
    in [0, 1] by little.
    """

    architectures: ClassVar[Architectures] = VAE_ARCHITECTURES
    info: ClassVar[MethodInfo] = MethodInfo(
        paper="Dehaene et al. 2020, https://arxiv.org/abs/2002.03734",
        training="on slices of healthy scans, the model of vae: flairline fit vae",
        cost="minutes a scan on two cores (`steps` times a network's forward and backward pass a slice)",
        extra="deep",
        iterative=True,
        reads="vae",
        role="learned",
        learns_from="scans",
        reconstructs=True,
    )

    def score_slices(self, network: Module, images: Tensor, brains: Tensor) -> tuple[Tensor, Tensor]:
        """Distance from the projection, and the projection."""
        from flairline.learning.slices.projection import projection_scores

        return projection_scores(network, images, brains, self.batch, self, self.sign)
