"""An autoencoder whose bottleneck is a feature map: the negative control.

Baur et al. 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from flairline.learning.slices.presets import Architectures, dense_or_spatial
from flairline.learning.slices.slice_method import Autoencoder
from flairline.types import MethodInfo


@dataclass(frozen=True)
class Method(Autoencoder):
    """The residual of an autoencoder without a dense bottleneck.

    Published [Dice] / AUPRC / AUROC: MSLUB .154 / .065 / .732, MSSEG 2015 .106 / .037 / .781, the worst of their table:
    8,192 numbers for 16,384 pixels reconstruct lesions, too. Network, loss and score are those of `Autoencoder`: L1
    summed over pixels, and what is brighter than its reconstruction.
    """

    info: ClassVar[MethodInfo] = MethodInfo(
        paper="Baur et al. 2021, https://doi.org/10.1016/j.media.2020.101952",
        training="on slices of healthy scans: flairline fit ae_spatial",
        cost="under a second a scan on two cores",
        extra="deep",
        published_as="AE (spatial)",
        role="learned",
        learns_from="scans",
        reconstructs=True,
    )
    architectures: ClassVar[Architectures] = dense_or_spatial("spatial")
