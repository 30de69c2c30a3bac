"""Encoder, decoder and encoder again, and who tells patches from their copies (GANomaly: Akcay et al. 2018)."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from flairline.learning.networks.memory import PatchMemory
from flairline.learning.networks.patches import PatchSizes

SLOPE, BOTTOM = 0.2, 4


def _widths(sizes: PatchSizes) -> list[int]:
    stages = math.log2(sizes.patch / BOTTOM)
    if stages < 1 or not stages.is_integer():
        msg = f"patches of {sizes.patch} pixels do not halve down to {BOTTOM}"
        raise ValueError(msg)
    return [sizes.filters * 2**stage for stage in range(int(stages))]


def _encoder(sizes: PatchSizes, numbers: int) -> nn.Sequential:
    """Patches (k, 1, patch, patch) to (k, numbers, 1, 1)."""
    widths, layers = _widths(sizes), []
    for before, after in pairwise([1, *widths]):
        norm = [nn.BatchNorm2d(after)] if before > 1 else []
        layers += [nn.Conv2d(before, after, 4, 2, 1, bias=not norm), *norm, nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers, nn.Conv2d(widths[-1], numbers, BOTTOM))


def _decoder(sizes: PatchSizes) -> nn.Sequential:
    """Codes (k, code, 1, 1) to patches in [0, 1]."""
    widths = _widths(sizes)[::-1]
    layers: list[nn.Module] = [nn.ConvTranspose2d(sizes.code, widths[0], BOTTOM, bias=False)]
    for before, after in pairwise(widths):
        layers += [nn.BatchNorm2d(before), nn.ReLU(), nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False)]
    last = [nn.BatchNorm2d(widths[-1]), nn.ReLU(), nn.ConvTranspose2d(widths[-1], 1, 4, 2, 1), nn.Sigmoid()]
    return nn.Sequential(*layers, *last)


class Ganomaly(nn.Module):
    """z = first(patch), copy = decoder(z), z' = second(copy); and the critic of patches and copies.

    Buffers, known once it is trained: `usual` (3, 2), median and median absolute deviation of a held-out healthy patch
    by each distance; `centre` (code,) and `whiten` (code, code) of healthy codes; `memory`, healthy codes by place.
    """

    def __init__(self, sizes: PatchSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.first, self.decoder, self.second = (
            _encoder(sizes, sizes.code),
            _decoder(sizes),
            _encoder(sizes, sizes.code),
        )
        *features, last = _encoder(sizes, 1)
        self.features, self.last = nn.Sequential(*features), last
        self.memory = PatchMemory(sizes.memory, sizes.code, sizes.side(), sizes.levels)
        self.register_buffer("usual", torch.ones(3, 2))
        self.register_buffer("centre", torch.zeros(sizes.code))
        self.register_buffer("whiten", torch.eye(sizes.code))
        self.usual: Tensor
        self.centre: Tensor
        self.whiten: Tensor

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Copy (k, 1, patch, patch), z and z' (k, code)."""
        z = self.first(patches)
        copied = self.decoder(z)
        return copied, z.flatten(1), self.second(copied).flatten(1)

    def judged(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """The critic's logits (k,), above zero for a real patch, and its features."""
        features = self.features(patches)
        return self.last(features).flatten(), features
