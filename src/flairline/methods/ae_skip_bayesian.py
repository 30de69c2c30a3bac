"""An autoencoder with skip connections whose dropout keeps it from copying.

Baur et al., Bayesian skip-autoencoders for unsupervised hyperintense anomaly detection in high resolution brain MRI.
ISBI 2020. Rates and sizes were not published where they can be read; half of the skips' channels are dropped.
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

    from flairline.learning.networks.autoencoders import Architecture


@dataclass(frozen=True)
class Method(Autoencoder):
    """The residual of the mean of Monte Carlo reconstructions of a network with skip connections.

    Published on private data only. The loss is that of `Autoencoder`: L1 summed over pixels.

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
        paper="Baur et al. 2020, https://doi.org/10.1109/ISBI45749.2020.9098686",
        training="on slices of healthy scans: flairline fit ae_skip_bayesian",
        cost="a few seconds a scan on two cores",
        extra="deep",
        role="learned",
        learns_from="scans",
        reconstructs=True,
    )
    architectures: ClassVar[Architectures] = dense_or_spatial("dense", dropout=0.2)

    def network(self, architecture: Architecture) -> Module:
        """Encoder and decoder with skips that lose channels."""
        from flairline.learning.networks.autoencoders import SkipAutoencoder

        return SkipAutoencoder(architecture)

    def score_slices(self, network: Module, images: Tensor, brains: Tensor) -> tuple[Tensor, Tensor]:
        """What is brighter than the mean reconstruction of `n_mc` draws."""
        from flairline.learning.slices.scorers import residual_scores

        return residual_scores(
            network, images, brains, self.batch, self.sign, self.n_mc, self.seed, self.normalise_by_std
        )
