"""Restoration by an autoencoder whose dense code comes from a mixture of Gaussians.

You et al. 2019, http://proceedings.mlr.press/v102/you19a.html; network and constants as compared by Baur et al. 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from flairline.learning.slices.mixture_method import Mixture
from flairline.learning.slices.presets import Architectures
from flairline.types import MethodInfo


@dataclass(frozen=True)
class Method(Mixture):
    """y - x*, where x* descends from y on the mixture's loss + total variation of x - y.

    Published [Dice] / AUPRC / AUROC: MSLUB .332 / .271 / .836, MSSEG 2015 .280 / .199 / .909; their discussion says
    that it is the dense mixture. Network, loss and score are those of `Mixture`: L1 and KL, each summed over pixels and
    places, also while restoring, so that a slice's restoration does not hang on the batch (`legacy_batch_mean`).
    `Restoration` says how bright a lesion can be and still be removed; `Method.you()` and `Method.baur_code()` are
    the two published codes' settings. Those codes draw the codes anew in each step of a restoration; here they are
    their means.
    """

    info: ClassVar[MethodInfo] = MethodInfo(
        paper="You et al. 2019, http://proceedings.mlr.press/v102/you19a.html",
        training="on slices of healthy scans: flairline fit gmvae",
        cost="minutes a scan on two cores (`steps` times a network's forward and backward pass a slice)",
        extra="deep",
        published_as="GMVAE (restoration)",
        iterative=True,
        role="learned",
        learns_from="scans",
        reconstructs=True,
    )
    architectures: ClassVar[Architectures] = {
        "paper": {"bottleneck": "mixture", "latent": 128, "components": 9},
        "small": {"bottleneck": "mixture", "filters": 16, "max_filters": 64, "latent": 128, "components": 9},
        "test": {"bottleneck": "mixture", "size": 32, "filters": 4, "max_filters": 8, "latent": 8, "components": 3},
    }
