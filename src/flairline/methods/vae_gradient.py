"""A VAE's gradient: which pixels, if changed, would make a slice more likely.

Source: Zimmerer et al. 2019, https://arxiv.org/abs/1907.02796.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from flairline.learning.slices.options import Gradient
from flairline.learning.slices.presets import VAE_ARCHITECTURES, Architectures
from flairline.learning.slices.slice_method import Sign, Variational
from flairline.types import MethodInfo

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module


@dataclass(frozen=True)
class Method(Variational, Gradient):
    """Smoothed gradient of KL times reconstruction error ("combi"), both of either sign as in the paper.

    Reads the model folders of `vae`; the fields are those of `Gradient` and of every slice method. The paper's own
    network is another (slices of 64, Gaussian likelihood), so `reconstruction` is what `vae` was trained with, "l1".
    """

    sign: Sign = "absolute"

    architectures: ClassVar[Architectures] = VAE_ARCHITECTURES
    info: ClassVar[MethodInfo] = MethodInfo(
        paper="Zimmerer et al. 2019, https://arxiv.org/abs/1907.02796",
        training="on slices of healthy scans, the model of vae: flairline fit vae",
        cost="seconds a scan on two cores (one forward and one backward pass a slice)",
        extra="deep",
        reads="vae",
        role="learned",
        learns_from="scans",
        reconstructs=True,
    )

    def score_slices(self, network: Module, images: Tensor, brains: Tensor) -> tuple[Tensor, Tensor]:
        """Score and reconstruction."""
        from flairline.learning.slices.scorers import gradient_scores

        return gradient_scores(network, images, brains, self.batch, self, self.sign)
