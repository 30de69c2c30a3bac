"""Critics of generative adversarial networks, and the penalty that keeps their slope at one.

Gulrajani et al. 2017 (arXiv:1704.00028): a critic says how real something looks, and its gradient towards what it looks
at has the length 1 on the lines between what is real and what was made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor, nn

from flairline.learning.networks.autoencoders import Architecture, Encoder, glorot

SLOPE = 0.2
"""Of the leaky rectifier between the layers of a critic of codes."""


@dataclass(frozen=True)
class Slips:
    """What published code does in the place of the penalty's equation; all off by default.

    Attributes
    ----------
    legacy_by_column
        The gradient's length over the image's height alone (Baur et al. 2021): each column is pushed to 1.
    legacy_beyond
        At points beyond what is real, away from what was made, in the place of between (Baur et al. 2021, codes).
    """

    legacy_by_column: bool = False
    legacy_beyond: bool = False


class Critic(nn.Module):
    """The autoencoders' encoder and one number from all of its smallest feature map.

    Its normalisation is "layer": one over the batch would make an image's value hang on the others, and the penalty is
    on the slope towards each alone. With `Architecture.legacy_patch_critic` the number is the mean over places of what
    a dense layer says of each alone, as in the code of Baur et al. 2021.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.encoder = Encoder(replace(architecture, norm="layer"))
        side = 1 if architecture.legacy_patch_critic else architecture.bottom
        self.judge = nn.Conv2d(architecture.widths[-1], 1, side)
        self.apply(glorot)

    def features(self, images: Tensor) -> Tensor:
        """The smallest feature map of images (n, 1, size, size)."""
        return self.encoder(images)[-1]

    def forward(self, images: Tensor) -> Tensor:
        """How real each image looks, (n,)."""
        return self.judge(self.features(images)).flatten(1).mean(dim=1)


class CodeCritic(nn.Module):
    """Dense layers that say how much a code looks like one of N(0, 1)."""

    def __init__(self, latent: int, widths: tuple[int, ...] = (100, 50)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise((latent, *widths)):
            layers += [nn.Linear(before, after), nn.LeakyReLU(SLOPE)]
        self.layers = nn.Sequential(*layers, nn.Linear((latent, *widths)[-1], 1))
        self.apply(glorot)

    def forward(self, codes: Tensor) -> Tensor:
        """How much each code (n, latent) looks drawn, (n,)."""
        return self.layers(codes).flatten()


def critic_loss(
    critic: Callable[[Tensor], Tensor], real: Tensor, made: Tensor, weight: float = 10.0, slips: Slips | None = None
) -> Tensor:
    """What a critic lowers: its value of what was made, less that of what is real, and the penalty."""
    return critic(made).mean() - critic(real).mean() + weight * gradient_penalty(critic, real, made, slips)


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Tensor, made: Tensor, slips: Slips | None = None
) -> Tensor:
    """Mean of (|gradient| - 1)^2 at a random point between each pair of `real` and `made` (n, ...).

    The length is that of the whole gradient, over all axes but the first.
    """
    slips = slips or Slips()
    share = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device, dtype=real.dtype)
    ahead = -share if slips.legacy_beyond else share
    points = (real + ahead * (made - real)).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
    by_column = slips.legacy_by_column and real.ndim == 4
    length = gradient.norm(dim=2) if by_column else gradient.flatten(1).norm(dim=1)
    return ((length - 1) ** 2).mean()
