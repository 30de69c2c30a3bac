"""Scale-space autoencoder: one autoencoder for each band of a Laplacian pyramid.

Baur C, Wiestler B, Albarqouni S, Navab N. Scale-space autoencoders for unsupervised anomaly segmentation in brain MRI.
MICCAI 2020 (the figure of its pyramid; sizes of the layers are not published). The lowest band is added back as it is,
so that what is large and smooth passes through.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from flairline.errors import InputError
from flairline.learning.networks.autoencoders import Architecture, Output, UnifiedAutoencoder
from flairline.learning.slices.scorers import difference

BANDS = 3
BINOMIAL = (1.0, 5.0, 10.0, 10.0, 5.0, 1.0)
"""Five binomial weights and the mean of two pixels in one: its middle lies between two pixels, as `doubled` has it."""


def halved(x: Tensor) -> Tensor:
    """Images (n, 1, h, w) smoothed by a 5 x 5 binomial filter, then means of 2 x 2 pixels: nothing is shifted."""
    weights = torch.tensor(BINOMIAL, dtype=x.dtype, device=x.device)
    kernel = torch.outer(weights, weights)[None, None] / weights.sum() ** 2
    return functional.conv2d(functional.pad(x, (2, 2, 2, 2), mode="replicate"), kernel, stride=2)


def doubled(x: Tensor) -> Tensor:
    """Images at twice the side, bilinearly."""
    return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def laplacian_pyramid(x: Tensor, bands: int = BANDS) -> tuple[list[Tensor], list[Tensor]]:
    """Images I_0 = x to I_bands, and the bands H_k = I_k - doubled(I_{k+1}).

    x is I_0 = H_0 + doubled(I_1), and so on: `collapsed` gives it back exactly.
    """
    images = [x]
    for _ in range(bands):
        images.append(halved(images[-1]))
    return images, [fine - doubled(coarse) for fine, coarse in pairwise(images)]


def collapsed(bands: list[Tensor], lowest: Tensor) -> list[Tensor]:
    """Reconstructions R_0 (finest) to R_{bands-1} of a pyramid, from coarse to fine."""
    levels = []
    for band in reversed(bands):
        lowest = band + doubled(lowest)
        levels.append(lowest)
    return levels[::-1]


class PyramidAutoencoder(nn.Module):
    """Three unified autoencoders, for the bands of side, half of it and a quarter of it."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        sizes = [architecture.size // 2**band for band in range(BANDS)]
        self.bands = nn.ModuleList(UnifiedAutoencoder(replace(architecture, size=size)) for size in sizes)

    def forward(self, x: Tensor) -> Output:
        """Reconstruct images (n, 1, size, size); `scales` has each level's reconstruction and image."""
        images, bands = laplacian_pyramid(x)
        coded = [network(band).x_hat for network, band in zip(self.bands, bands, strict=True)]
        levels = collapsed(coded, images[-1])
        return Output(levels[0], scales=tuple(zip(levels, images[:-1], strict=True)))


@torch.no_grad()
def scale_scores(
    network: nn.Module, images: Tensor, brains: Tensor, batch: int, sign: str, aggregate: str
) -> tuple[Tensor, Tensor]:
    """Mean or maximum over the scales of |reconstruction - image|, each brought to full size, and the reconstruction.

    Raises
    ------
    InputError
        `aggregate` is neither "mean" nor "max".
    """
    if aggregate not in ("mean", "max"):
        msg = f"Wanted an aggregate that is finest, mean or max, found {aggregate!r}. Give one of the three."
        raise InputError(msg)
    scores, reconstructions = [], []
    for image, brain in zip(images.split(batch), brains.split(batch), strict=True):
        found = network(image)
        levels = [difference(seen, level, torch.ones_like(seen), sign) for level, seen in found.scales]
        full = torch.stack([functional.interpolate(level, image.shape[-2:], mode="bilinear") for level in levels])
        scores.append((full.mean(dim=0) if aggregate == "mean" else full.amax(dim=0)) * brain)
        reconstructions.append(found.x_hat * brain)
    return torch.cat(scores), torch.cat(reconstructions)
