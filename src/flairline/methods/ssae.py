"""Scale-space autoencoder: one autoencoder for each band of a Laplacian pyramid.

Baur et al., Scale-space autoencoders for unsupervised anomaly segmentation in brain MRI. MICCAI 2020.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from flairline.learning.slices.presets import Architectures
from flairline.learning.slices.slice_method import Autoencoder
from flairline.types import MethodInfo

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from flairline.learning.networks.autoencoders import Architecture


@dataclass(frozen=True)
class Method(Autoencoder):
    """The residual at the finest scale, with spatial bottlenecks.

    Published [Dice] / AUPRC: MSLUB .301 / .222 (spatial). What is larger than the coarsest band passes into the
    reconstruction as it is, so large smooth lesions are missed by construction. The loss is that of `Autoencoder`: L1
    of every scale, summed over pixels.

    Attributes
    ----------
    aggregate
        "finest": the residual of the whole image. "mean" and "max" over the scales' residuals, brought to full size.
    """

    aggregate: Literal["finest", "mean", "max"] = "finest"

    info: ClassVar[MethodInfo] = MethodInfo(
        paper="Baur et al. 2020, https://doi.org/10.1007/978-3-030-59719-1_54",
        training="on slices of healthy scans: flairline fit ssae",
        cost="a second a scan on two cores",
        extra="deep",
        published_as="SSAE (spatial)",
        role="learned",
        learns_from="scans",
        reconstructs=True,
    )
    architectures: ClassVar[Architectures] = {
        "paper": {"bottleneck": "spatial", "size": 256},
        "small": {"bottleneck": "spatial", "filters": 16, "max_filters": 64},
        "test": {"bottleneck": "spatial", "size": 64, "filters": 4, "max_filters": 8},
    }

    def network(self, architecture: Architecture) -> Module:
        """Three autoencoders and a fixed pyramid."""
        from flairline.learning.networks.pyramid import PyramidAutoencoder

        return PyramidAutoencoder(architecture)

    def score_slices(self, network: Module, images: Tensor, brains: Tensor) -> tuple[Tensor, Tensor]:
        """What is brighter than its reconstruction, by `aggregate`."""
        from flairline.learning.networks.pyramid import scale_scores
        from flairline.learning.slices.scorers import residual_scores

        return (
            residual_scores(network, images, brains, self.batch, self.sign)
            if self.aggregate == "finest"
            else scale_scores(network, images, brains, self.batch, self.sign, self.aggregate)
        )
