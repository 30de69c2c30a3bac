"""What a mixture of tissues is trained for."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from flairline.learning.loop import Budget, Objective
from flairline.learning.networks.tissue_mixture import TissueMixture

FIRST_SHARE = 0.2
"""Share of the budget in which the tissues are those of `first_brightness`; then only the images count."""
NOISE = 0.05
"""Standard deviation of what is added to the images (Atlason et al. 2019)."""
Batch = tuple[Tensor, Tensor]


class RebuildFromTissues(Objective):
    """|image - rebuilt|^p in the brain, and a small price for voxels that are of several tissues.

    First the tissues learn to be what the FLAIR's own histogram says (cross-entropy), so that which is which does not
    hang on the seed.
    """

    network: TissueMixture

    def __init__(
        self, network: TissueMixture, budget: Budget, learning_rate: float, edges: Tensor, power: float, apart: float
    ) -> None:
        super().__init__(network, budget, learning_rate)
        self.edges, self.power, self.apart = edges, power, apart

    def loss(self, batch: Batch) -> Tensor:
        """The value to lower."""
        images, brain = batch
        noisy = images + NOISE * torch.randn_like(images) * (images > 0)
        logits = self.network(noisy)
        if self.spent() < FIRST_SHARE:
            tissue = torch.bucketize(images[:, 0].contiguous(), self.edges.to(images))
            entropy = functional.cross_entropy(logits, tissue, reduction="none")
            return (entropy * brain[:, 0]).sum() / brain.sum().clamp(min=1)
        shares = logits.softmax(dim=1)
        mixed = 0.5 * (1 - (shares**2).sum(dim=1, keepdim=True))
        return self.apart_from(images, brain, shares) + self.apart * (mixed * brain).sum() / brain.sum().clamp(min=1)

    def validate(self, batch: Batch) -> Tensor:
        """A thousand times |image - rebuilt|^p of a voxel of the brain."""
        images, brain = batch
        return 1000 * self.apart_from(images, brain, self.network(images).softmax(dim=1))

    def apart_from(self, images: Tensor, brain: Tensor, shares: Tensor) -> Tensor:
        """Mean of |image - rebuilt|^p over the brain's voxels and the images that are there."""
        there = brain * (images.flatten(2).amax(dim=2) > 0)[:, :, None, None, None]
        away = (images - self.network.rebuilt(shares)).abs() ** self.power
        return (away * there).sum() / there.sum().clamp(min=1)
