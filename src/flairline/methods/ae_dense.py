"""An autoencoder that has 128 numbers for a slice.

Baur et al. 2021, the comparative study whose table the paper quotes; architecture as methods of its released code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from flairline.learning.slices.presets import Architectures, dense_or_spatial
from flairline.learning.slices.slice_method import Autoencoder
from flairline.types import MethodInfo


@dataclass(frozen=True)
class Method(Autoencoder):
    """The residual of an autoencoder with a dense bottleneck.

    Published [Dice] / AUPRC / AUROC: MSLUB .271 / .163 / .794, MSSEG 2015 .185 / .080 / .879. Its reconstructions have
    no texture, so that the residual is close to the slice minus its own blur. Network, loss and score are those of
    `Autoencoder`: L1 summed over pixels, and what is brighter than its reconstruction.
    """

    info: ClassVar[MethodInfo] = MethodInfo(
        paper="Baur et al. 2021, https://doi.org/10.1016/j.media.2020.101952",
        training="on slices of healthy scans: flairline fit ae_dense",
        cost="under a second a scan on two cores",
        extra="deep",
        published_as="AE (dense)",
        role="learned",
        learns_from="scans",
        reconstructs=True,
    )
    architectures: ClassVar[Architectures] = dense_or_spatial("dense")
