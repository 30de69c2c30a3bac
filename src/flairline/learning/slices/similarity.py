"""Structural similarity: what a network is trained for, and how it scores (Bergmann et al. 2019)."""

from __future__ import annotations

import torch
from monai.metrics.regression import compute_ssim_and_cs
from torch import Tensor, nn
from torch.nn import functional

from flairline.learning.loop import Budget
from flairline.learning.slices.objectives import Batch, Reconstruct
from flairline.learning.slices.options import Similarity
from flairline.learning.slices.scorers import difference

__all__ = ["Similarity", "Ssim", "similarity_scores", "ssim"]

AT_SIZE = 128
"""Pixels of a slice that `Similarity` counts in."""
SOFT = 0.01
"""A pixel counts as brighter than its reconstruction in full from this difference on: a step would hang on the last
bit."""


def ssim(images: Tensor, others: Tensor, options: Similarity) -> Tensor:
    """Structural similarity of each pixel's window, (n, 1, S, S), with c1 = .01^2 and c2 = .03^2 for images in [0, 1].

    Beyond the slice both are 0, as outside the brain.
    """
    side, sigma = _window(images.shape[-1], options)
    around = (side // 2,) * 4
    x, y = functional.pad(others, around), functional.pad(images, around)
    return compute_ssim_and_cs(x, y, spatial_dims=2, kernel_size=(side, side), kernel_sigma=(sigma, sigma))[0]


def _window(size: int, options: Similarity) -> tuple[int, float]:
    """Side, odd and 3 at least, and width of the window in pixels of a slice of `size`."""
    scale = min(1.0, size / AT_SIZE)
    return max(3, 2 * int(options.window * scale / 2) + 1), options.sigma * max(scale, 3 / options.window)


class Ssim(Reconstruct):
    """1 - SSIM and `l1_weight` times the absolute difference, the mean over the brain's pixels.

    Published on images without a background. Over whole slices, most of which are black, a black reconstruction is a
    minimum that trainings end in.
    """

    weight_decay = 1e-5

    def __init__(
        self,
        network: nn.Module,
        budget: Budget,
        learning_rate: float,
        options: Similarity,
        l1_weight: float = 0.0,
    ) -> None:
        super().__init__(network, budget, learning_rate)
        self.options, self.l1_weight = options, l1_weight

    def loss(self, batch: Batch) -> Tensor:
        """The value to lower; outside the brain both images are 0, as where they are scored."""
        images, brains = batch
        x_hat = self.network(images).x_hat * brains
        unlike = 1 - ssim(images, x_hat, self.options) + self.l1_weight * (images - x_hat).abs()
        return (unlike * brains).sum() / brains.sum().clamp(min=1)


@torch.no_grad()
def similarity_scores(
    network: nn.Module, x: Tensor, brain: Tensor, batch: int, options: Similarity, sign: str = "positive"
) -> tuple[Tensor, Tensor]:
    """1 - SSIM of each slice and its reconstruction, and the reconstruction, both (n, 1, S, S).

    Outside the brain both are 0, so that only the brain is compared. `sign` "positive" keeps what is brighter than its
    reconstruction (SSIM has no sign), "absolute" all.

    Raises
    ------
    InputError
        Unknown sign.
    """
    x_hat = torch.cat([network(chunk).x_hat.float() for chunk in x.split(batch)]) * brain
    unlike = (1 - ssim(x, x_hat, options)).clamp(min=0)
    brighter = (difference(x, x_hat, brain, sign) / SOFT).clamp(max=1) if sign != "absolute" else brain
    return unlike * brighter * fading(brain, options.rim), x_hat


def fading(brain: Tensor, rim: int) -> Tensor:
    """1 in the brain, falling to 0 outside it within `rim` pixels of a slice of 128; (n, 1, S, S) in and out."""
    steps = round(rim * brain.shape[-1] / AT_SIZE)
    inner, total = brain.clone(), brain.clone()
    for _ in range(steps):  # each takes a pixel off the edge: how many a pixel outlives is its distance
        inner = -functional.max_pool2d(functional.pad(-inner, (1, 1, 1, 1)), 3, stride=1)
        total = total + inner
    return total / (steps + 1)
