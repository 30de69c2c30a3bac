"""A VAE's restoration: what has to change in a slice until the model holds it for healthy.

Source: You et al. 2019 and Chen et al. 2020, https://doi.org/10.1016/j.media.2020.101713; as compared by Baur et al.
2021, https://doi.org/10.1016/j.media.2020.101952.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from flairline.learning.slices.options import Restoration
from flairline.learning.slices.presets import VAE_ARCHITECTURES, Architectures
from flairline.learning.slices.slice_method import Variational
from flairline.types import MethodInfo

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module


@dataclass(frozen=True)
class Method(Variational, Restoration):
    """y - x*, where x* descends from y on reconstruction error + KL + total variation of x - y.

    Published for MSLUB: best Dice 0.333, AUPRC 0.275 (Baur et al. 2021). Reads the model folders of `vae`. The fields
    are those of `Restoration` (which see for how bright a lesion can be and still be removed) and of every slice
    method; `Method.you()` and `Method.baur_code()` are the two published codes' settings.
    """

    architectures: ClassVar[Architectures] = VAE_ARCHITECTURES
    info: ClassVar[MethodInfo] = MethodInfo(
        paper="You et al. 2019; Chen et al. 2020, https://doi.org/10.1016/j.media.2020.101713",
        training="on slices of healthy scans, the model of vae: flairline fit vae",
        cost="minutes a scan on two cores (`steps` times a network's forward and backward pass a slice)",
        extra="deep",
        published_as="VAE (restoration)",
        iterative=True,
        reads="vae",
        role="learned",
        learns_from="scans",
        reconstructs=True,
    )

    def score_slices(self, network: Module, images: Tensor, brains: Tensor) -> tuple[Tensor, Tensor]:
        """Distance from the restoration, and the restoration."""
        from flairline.learning.slices.restoration import restoration_scores

        return restoration_scores(network, images, brains, self.batch, self, self.sign)
