"""A dense autoencoder whose dropout stays on: the mean of many reconstructions.

The idea of Pawlowski et al. 2018 (CT) in the form of Baur et al. 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from flairline.learning.slices.presets import Architectures, dense_or_spatial
from flairline.learning.slices.slice_method import Autoencoder
from flairline.types import MethodInfo

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module


@dataclass(frozen=True)
class Method(Autoencoder):
    """The residual of the mean of Monte Carlo reconstructions.

    No number for these data sets was published where it can be read. Network and loss are those of `Autoencoder`: L1
    summed over pixels.

    Attributes
    ----------
    n_mc
        Draws of the dropout; the reconstruction is their mean. The number that was published is not known.
    normalise_by_std
        Divide by the draws' standard deviation.
    """

    n_mc: int = 20
    normalise_by_std: bool = False

    info: ClassVar[MethodInfo] = MethodInfo(
        paper="Pawlowski et al. 2018; Baur et al. 2021, https://doi.org/10.1016/j.media.2020.101952",
        training="on slices of healthy scans: flairline fit ae_bayesian",
        cost="a few seconds a scan on two cores",
        extra="deep",
        role="learned",
        learns_from="scans",
        reconstructs=True,
    )
    architectures: ClassVar[Architectures] = dense_or_spatial("dense", dropout=0.2)

    def score_slices(self, network: Module, images: Tensor, brains: Tensor) -> tuple[Tensor, Tensor]:
        """What is brighter than the mean reconstruction of `n_mc` draws."""
        from flairline.learning.slices.scorers import residual_scores

        return residual_scores(
            network, images, brains, self.batch, self.sign, self.n_mc, self.seed, self.normalise_by_std
        )
